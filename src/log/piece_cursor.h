// piece_cursor.h: the pieces of one segment, one after the other, as far as they hold.
//
// Stops at the first place where no valid piece is; what that means is the scan's to say. What does
// not hold is read again before that is believed: reads may flip bits that the disk has right.
// Thread: one owner. Format: docs/format/log.md.
#pragma once

#include <optional>

#include "log/log_format.h"
#include "log/page_source.h"

namespace flash::log {

/// A segment that was found: where it lies and what is in it.
struct ScannedSegment {
  Origin origin;
  uint64_t number = 0;
  uint32_t slot = 0;
  uint32_t next_slot = 0;
  Lsn first_lsn = 0;
  bool within_frame = false;
  uint64_t end = 0;  // Position where its content ends.
};

struct Piece {
  uint64_t position = 0;
  PieceHeader header;
  Bytes payload;  // Until the source's next View.
};

class PieceCursor {
 public:
  /// `segment.end` is the limit; pieces do not cross it. `source` outlives this.
  PieceCursor(PageSource* source, const ScannedSegment& segment, uint32_t segment_bytes);

  /// The next piece, if one holds at position(). Errors: kIo, kTimeout.
  [[nodiscard]] Result<std::optional<Piece>> Next();

  /// Where the content read so far ends: behind the last piece.
  [[nodiscard]] uint64_t position() const { return position_; }

 private:
  [[nodiscard]] Result<std::optional<Piece>> At(uint64_t position);

  PageSource* source_;
  Origin origin_;
  uint64_t file_offset_of_0_;  // File offset = this + position, modulo 2^64.
  uint64_t position_;
  uint64_t limit_;
};

/// The piece at `position`, if it holds: one look, for who searches. Errors: kIo, kTimeout.
[[nodiscard]] Result<std::optional<Piece>> LookAt(PageSource* source, const Origin& origin,
                                                  uint64_t position, uint64_t file_offset,
                                                  uint64_t limit);

}  // namespace flash::log
