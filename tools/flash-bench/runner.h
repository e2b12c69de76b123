// runner.h: the load: threads with connections that send operations and time them.
//
// Closed loop: each connection keeps `depth` operations in flight; latency counts from sending.
// Open loop: operations are due at a fixed rate whether or not earlier ones have been answered, and
// latency counts from when one was due: a server that stalls is charged for all that waited, not
// for the few that were in flight (G. Tene's "coordinated omission"). Thread: Run's caller, and its
// own.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "base/result.h"
#include "tools/flash-bench/distribution.h"
#include "tools/flash-bench/result.h"
#include "tools/flash-bench/target.h"
#include "tools/flash-bench/workload.h"

namespace flash::tools::bench {

struct LoadOptions {
  Target target;
  uint32_t threads = 2;
  uint32_t connections = 50;  ///< In all; of a cluster, to each primary.
  uint32_t depth = 1;         ///< Operations in flight on each connection.
  double rate_per_sec = 0;    ///< Open loop; 0: closed loop.
  double seconds = 10;
  double warm_up_sec = 0;  ///< Before that, not counted.
  double stretch_sec = 1;
  double read_share = 0.9;
  bool verify = false;  ///< Each element belongs to one connection, and every answer is checked.
  Pattern pattern = Pattern::kZipf;
  double skew = 0.99;
  uint64_t seed = 1;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double part)> progress;
};

/// Runs the load over keys that are there. What was lost on the way stands in the result. Errors:
/// no connection.
[[nodiscard]] Result<Side> RunLoad(const LoadOptions& options, const Workload& workload);

/// Makes all keys, or deletes them. Errors: connection, and error replies.
struct FillOptions {
  const Target& target;
  uint32_t threads = 2;
  bool remove = false;
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double part)> progress;
};
[[nodiscard]] Result<void> Fill(const FillOptions& options, const Workload& workload);

}  // namespace flash::tools::bench
