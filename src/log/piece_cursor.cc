// piece_cursor.cc: padding is passed over, everything else must hold; see piece_cursor.h.
// Knows no order of pieces, only their bytes.
// Thread: one owner.
#include "log/piece_cursor.h"

namespace flash::log {
namespace {

constexpr int kLooks = 3;

}  // namespace

Result<std::optional<Piece>> LookAt(PageSource* source, const Origin& origin, uint64_t position,
                                    uint64_t file_offset, uint64_t limit) {
  if (position + kPieceHeaderBytes > limit) return std::optional<Piece>();
  auto head = source->View(file_offset, kPieceHeaderBytes);
  if (!head) return head.error();
  const auto header = PeekPiece(*head, position);
  if (!header || position + header->piece_bytes() > limit) return std::optional<Piece>();
  auto bytes = source->View(file_offset, header->piece_bytes());
  if (!bytes) return bytes.error();
  if (!PieceHolds(*bytes, *header, origin, position)) return std::optional<Piece>();
  return std::optional<Piece>({.position = position,
                               .header = *header,
                               .payload = bytes->subspan(kPieceHeaderBytes, header->bytes)});
}

PieceCursor::PieceCursor(PageSource* source, const ScannedSegment& segment, uint32_t segment_bytes)
    : source_(source),
      origin_(segment.origin),
      file_offset_of_0_(kSegmentsOffset + uint64_t{segment.slot} * segment_bytes -
                        segment.number * segment_bytes),
      position_(segment.number * segment_bytes + kPageBytes),
      limit_(segment.end) {}

Result<std::optional<Piece>> PieceCursor::At(uint64_t position) {
  if (position + 8 > limit_) return std::optional<Piece>();
  auto sum = source_->View(file_offset_of_0_ + position, 8);
  if (!sum) return sum.error();
  // A sum of 0 is padding, which reaches to the next page.
  if (sum->size() == 8 && base::LoadLe<uint64_t>(sum->data()) == 0) {
    const uint64_t next = base::AlignUp(position + 1, kPageBytes);
    if (position % kPageBytes == 0) return std::optional<Piece>();
    position = next;
  }
  return LookAt(source_, origin_, position, file_offset_of_0_ + position, limit_);
}

Result<std::optional<Piece>> PieceCursor::Next() {
  for (int look = 0; look < kLooks && position_ < limit_; ++look) {
    auto piece = At(position_);
    if (!piece) return piece.error();
    if (*piece) {
      position_ = (*piece)->position + (*piece)->header.piece_bytes();
      return piece;
    }
    source_->Forget();
  }
  return std::optional<Piece>();
}

}  // namespace flash::log
