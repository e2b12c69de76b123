// tier_opening.h: a tier file that is being opened by a thread of its own.
//
// Sizing a large file takes long on some file systems, and the server goes on meanwhile. Knows
// neither roles nor the pool. Thread: main; the opening runs on its own. Decision: docs/adr/0023.
#pragma once

#include <memory>

#include "base/result.h"
#include "io/flash_file.h"

namespace flash::server {

class TierOpening {
 public:
  struct Options {
    io::FlashFile::Options file;
    uint64_t hash_seed = 0;  // To be kept in it.
    int wake_fd = -1;        // Written to at the end.
  };

  /// Errors: kUnsupported, no thread can be started.
  [[nodiscard]] static Result<std::unique_ptr<TierOpening>> Start(const Options& options);
  /// Whether it ended.
  [[nodiscard]] bool done() const;
  /// Once, and only then: the open file. Errors: those of FlashFile::Open.
  [[nodiscard]] Result<std::unique_ptr<io::FlashFile>> Take();

 private:
  struct Shared;
  static void* Main(void* shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace flash::server
