// health_log.cc: see health_log.h.
//
// Thread: main.
#include "server/health_log.h"

namespace flash::server {

void HealthLog::LookAt(Kind& kind, uint64_t count, uint64_t now_us, const char* what,
                       std::vector<std::string>* lines) {
  if (count == kind.said) return;
  if (kind.said_us != 0 && now_us - kind.said_us < kQuietUs) return;
  lines->push_back(std::to_string(count - kind.said) + " " + what + " (" + std::to_string(count) +
                   " since start)");
  kind = {count, now_us};
}

/// A drive may fail every other write: who said nothing of a failure says nothing of its end.
void HealthLog::LookAtWriting(bool failing, uint64_t now_us, std::vector<std::string>* lines) {
  const bool quiet = failing_said_us_ != 0 && now_us - failing_said_us_ < kQuietUs;
  if (failing && !failing_said_ && !quiet) {
    failing_said_ = true;
    failing_said_us_ = now_us;
    lines->emplace_back("the tier cannot be written now: nothing is demoted");
  } else if (!failing && failing_said_) {
    failing_said_ = false;
    lines->emplace_back("the tier can be written again");
  }
}

std::vector<std::string> HealthLog::Look(const store::RecordStore::Stats& stats, uint64_t now_us) {
  std::vector<std::string> lines;
  LookAt(checksum_, stats.checksum_errors, now_us,
         "checksum errors: records read from the tier are not what was written; they are answered "
         "with FLASHIO",
         &lines);
  LookAt(read_, stats.read_errors, now_us, "failed reads from the tier, answered with FLASHIO",
         &lines);
  LookAt(
      page_, stats.unreadable_pages, now_us,
      "pages of the tier cannot be read: compaction went past them, and sets their segments aside "
      "until what lies there is deleted or overwritten",
      &lines);
  LookAt(timeout_, stats.read_timeouts, now_us,
         "reads from the tier without an answer within flash.io-timeout-ms", &lines);
  LookAt(write_, stats.write_errors, now_us,
         "failed writes to the tier; values stay in RAM and writing is tried again", &lines);
  LookAtWriting(stats.writes_failing, now_us, &lines);
  return lines;
}

}  // namespace flash::server
