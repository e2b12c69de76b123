// fio.h: what the drive gives without a server: random reads of 4 KiB by fio, if it is installed.
//
// Thread: one; waits for fio's end.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "tools/flash-bench/result.h"

namespace flash::tools::bench {

struct FioOptions {
  std::string folder;  ///< On the drive in question; a file of 1 GiB is made there and removed.
  uint32_t depth = 1;
  uint32_t seconds = 10;
};

/// Errors: kUnsupported (no fio), kIo (it failed, or its answer cannot be read).
[[nodiscard]] Result<FioFigures> RunFio(const FioOptions& options);

/// The figures in fio's JSON. Errors: kCorrupt.
[[nodiscard]] Result<FioFigures> ParseFio(const std::string& json);

}  // namespace flash::tools::bench
