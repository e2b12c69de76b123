// piece_packer.h: packs a payload a piece at a time, so that whoever shares the thread need not
// wait for the whole.
//
// The result is what PackPayload makes, one LZ4 block that any LZ4 reader takes. LZ4 itself goes
// on from piece to piece, with its window of 64 KiB, but ends each piece as a block of its own; the
// seams are taken out here: the literals that end one piece and those that begin the next become
// one run. Knows neither records nor tasks. Thread: one at a time. Bytes: docs/format/segment.md.
#pragma once

#include <cstdint>
#include <memory>

#include "base/bytes.h"

namespace flash::store {

class PiecePacker {
 public:
  static constexpr uint32_t kPieceBytes = 64 * kKiB;

  PiecePacker();
  ~PiecePacker();
  PiecePacker(const PiecePacker&) = delete;
  PiecePacker& operator=(const PiecePacker&) = delete;

  /// Begins with `raw`, to be packed into `to`, which has at least its size. Both must stay until
  /// the last Step.
  void Begin(Bytes raw, MutableBytes to);

  /// Packs the next kPieceBytes. True: that was the last piece, or packing does not pay.
  [[nodiscard]] bool Step();

  /// After the last Step, the bytes used, or 0 when that would not save an eighth.
  [[nodiscard]] uint32_t packed_bytes() const { return packed_bytes_; }

  [[nodiscard]] static size_t memory_bytes();

 private:
  struct State;

  [[nodiscard]] bool AppendSequences(uint32_t scratch_bytes, uint64_t piece_end);
  [[nodiscard]] bool AppendLiterals(uint64_t count, uint8_t match_nibble);

  std::unique_ptr<State> state_;
  Bytes raw_;
  MutableBytes to_;        // As much of it as may be used.
  uint64_t next_ = 0;      // Where the next piece begins in raw_.
  uint64_t literals_ = 0;  // From here to next_ nothing was emitted: literals so far.
  uint32_t used_ = 0;
  uint32_t packed_bytes_ = 0;
};

}  // namespace flash::store
