// log_reader.h: the effects of a log, one after the other, in bounded memory.
//
// Only what the scan found whole is shown, so a unit is never half applied. An effect of any size
// comes in parts of at most 1 MiB. Knows nothing of what the effects mean. Thread: one owner.
// Bytes: docs/format/log.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "log/log_format.h"
#include "log/log_scan.h"

namespace flash::log {

struct Effect {
  Lsn lsn = 0;
  uint64_t bytes = 0;
  bool first_of_unit = false;
};

class LogReader {
 public:
  /// Reads what lies behind `after`. Log::Read makes it.
  LogReader(std::unique_ptr<PageSource> source, const Scanned& scanned, uint32_t segment_bytes,
            Lsn after);

  /// The next effect; nothing at the end. What was not read of the one before is passed over.
  /// Errors: kIo, kTimeout, kCorrupt (bytes that were right when the log was opened are not now).
  [[nodiscard]] Result<std::optional<Effect>> Next();

  /// The next bytes of this effect, valid until the next call; empty when all were read. Errors: as
  /// Next.
  [[nodiscard]] Result<Bytes> Part();

  /// All that is left of this effect, in memory. Errors: as Next.
  [[nodiscard]] Result<std::vector<std::byte>> Rest();

  /// Bytes of the log passed so far and altogether, for progress.
  [[nodiscard]] uint64_t bytes_read() const { return bytes_read_; }
  [[nodiscard]] uint64_t bytes_total() const { return bytes_total_; }

 private:
  [[nodiscard]] Result<bool> NextPiece();
  [[nodiscard]] Result<std::optional<Effect>> NextAny();
  [[nodiscard]] Error Corrupt() const;

  std::unique_ptr<PageSource> source_;
  std::vector<ScannedSegment> segments_;
  uint32_t segment_bytes_;
  Lsn after_;
  size_t segment_ = 0;
  std::optional<PieceCursor> cursor_;
  bool in_unit_ = false;     // A first piece was met, and not yet the last one.
  bool last_piece_ = false;  // The current piece ends its unit.
  Bytes left_;               // Of the current piece.
  Lsn next_lsn_ = 0;
  Lsn unit_lsn_ = 0;
  Lsn unit_next_ = 0;  // The effect behind the unit, once its last piece was met.
  uint64_t effect_left_ = 0;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_total_ = 0;
};

}  // namespace flash::log
