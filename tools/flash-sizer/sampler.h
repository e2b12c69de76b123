// sampler.h: one whole run of sampling: the server asked for, in a cluster all primaries, all
// databases, steps taken in turn so that an interrupted run has seen a fair part of each.
//
// Sends nothing that writes. Connections come from outside, so that tests need no server.
// Thread: one owner; `stop` may be set by a signal handler.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "tools/common/client.h"
#include "tools/common/url.h"
#include "tools/flash-sizer/pace.h"
#include "tools/flash-sizer/sample.h"

namespace flash::tools::sizer {

/// Opens a connection that has authenticated and selected `database`.
using Connect =
    std::function<Result<std::unique_ptr<Client>>(const Endpoint& endpoint, uint32_t database)>;

/// `part` from 0 to 1, and the keys so far.
using Progress = std::function<void(double part, uint64_t keys)>;

struct SamplerOptions {
  Url url;
  uint64_t keys_max = 100'000;
  double commands_per_sec_max = 10'000;
  uint64_t seed = 0;
  const base::Clock* clock = nullptr;
  Pace::Sleep sleep;
  const std::atomic<bool>* stop = nullptr;
  Progress progress;
};

struct SamplerOutcome {
  Sample sample;
  bool connection_lost = false;  ///< The sample is what came before; a note says so.
};

/// Errors: kIo, kTimeout (a server cannot be reached), kUnsupported (it refuses what is needed)
/// before the first key; later ones end the run with what there is.
[[nodiscard]] Result<SamplerOutcome> TakeSample(const SamplerOptions& options,
                                                const Connect& connect);

}  // namespace flash::tools::sizer
