// health_log.h: lines in the server's log when the tier reports errors, without a flood of them.
//
// The counters are the store's; INFO shows them all. Here a kind of error is said when it first
// appears and then at most every ten seconds, with how many there were. Thread: main.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "store/record_store.h"

namespace flash::server {

class HealthLog {
 public:
  /// The lines due at `now_us`. Costs a few comparisons when nothing changed.
  [[nodiscard]] std::vector<std::string> Look(const store::RecordStore::Stats& stats,
                                              uint64_t now_us);

  static constexpr uint64_t kQuietUs = 10'000'000;

 private:
  struct Kind {
    uint64_t said = 0;     // Errors counted when the last line was written.
    uint64_t said_us = 0;  // When; 0: never.
  };
  void LookAt(Kind& kind, uint64_t count, uint64_t now_us, const char* what,
              std::vector<std::string>* lines);

  void LookAtWriting(bool failing, uint64_t now_us, std::vector<std::string>* lines);

  Kind checksum_, read_, page_, timeout_, write_;
  bool failing_said_ = false;     // That writing fails, and not yet that it works again.
  uint64_t failing_said_us_ = 0;  // When last; 0: never.
};

}  // namespace flash::server
