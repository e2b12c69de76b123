// reply_log.cc: see reply_log.h.
//
// An item is a head of 8 bytes, kind and length, and its bytes. What is larger than a piece gets
// one of its own. Thread: main.
#include "dispatch/reply_log.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/memory.h"
#include "server/freeing.h"

namespace flash::dispatch {
namespace {

constexpr uint64_t kPieceBytes = 64 * kKiB;
constexpr uint64_t kHeadBytes = sizeof(uint64_t);
constexpr uint32_t kKindShift = 56;
/// Giving up more pieces than these takes a while, and is done in slices.
constexpr size_t kPiecesAtOnce = 64;

/// `$<length>\r\n…\r\n`
constexpr uint64_t kBulkWireBytes = 8;
constexpr uint64_t kDoubleWireBytes = 12;

uint64_t Padded(uint64_t bytes) { return (bytes + kHeadBytes - 1) / kHeadBytes * kHeadBytes; }

}  // namespace

ReplyLog& ReplyLog::operator=(ReplyLog&& other) noexcept {
  std::swap(pieces_, other.pieces_);
  std::swap(reply_bytes_, other.reply_bytes_);
  return *this;
}

ReplyLog::~ReplyLog() {
  for (size_t i = 0; i < pieces_.size(); ++i) {
    if (i < kPiecesAtOnce) {
      base::Release(pieces_[i].memory);
    } else {
      server::DeferredFree::Push(base::Release, pieces_[i].memory);
    }
  }
}

std::byte* ReplyLog::Add(Kind kind, uint64_t bytes, Place* place) {
  const uint64_t whole = kHeadBytes + Padded(bytes);
  if (pieces_.empty() || pieces_.back().size - pieces_.back().used < whole) {
    const uint64_t size = std::max(whole, kPieceBytes);
    pieces_.push_back({static_cast<std::byte*>(base::Allocate(size)), 0, size});
  }
  Piece& piece = pieces_.back();
  if (place != nullptr) {
    *place = {static_cast<uint32_t>(pieces_.size() - 1), static_cast<uint32_t>(piece.used)};
  }
  std::byte* const item = piece.memory + piece.used;
  piece.used += whole;
  base::StoreLe<uint64_t>(item, static_cast<uint64_t>(kind) << kKindShift | bytes);
  return item + kHeadBytes;
}

MutableBytes ReplyLog::AddBulk(uint64_t bytes, Place* place) {
  reply_bytes_ += kBulkWireBytes + bytes;
  return {Add(Kind::kBulk, bytes, place), bytes};
}

ReplyLog::Place ReplyLog::AddBulk(Bytes bytes) {
  Place place;
  const MutableBytes to = AddBulk(bytes.size(), &place);
  if (!bytes.empty()) std::memcpy(to.data(), bytes.data(), bytes.size());
  return place;
}

ReplyLog::Place ReplyLog::AddDouble(double number) {
  Place place;
  base::StoreLe<double>(Add(Kind::kDouble, sizeof(number), &place), number);
  reply_bytes_ += kDoubleWireBytes;
  return place;
}

ReplyLog::Place ReplyLog::AddNull() {
  Place place;
  Add(Kind::kNull, 0, &place);
  reply_bytes_ += kBulkWireBytes;
  return place;
}

void ReplyLog::AddPair() { Add(Kind::kPair, 0, nullptr); }

void ReplyLog::TakeBack(Place place) {
  FLASH_DCHECK(place.piece + 1 == pieces_.size());
  reply_bytes_ -= kBulkWireBytes + BulkAt(place).size();
  Piece& piece = pieces_.back();
  piece.used = place.offset;
  if (piece.used > 0 || piece.size == kPieceBytes) return;
  base::Release(piece.memory);
  pieces_.pop_back();
}

Bytes ReplyLog::BulkAt(Place place) const {
  const std::byte* const item = pieces_[place.piece].memory + place.offset;
  const auto head = base::LoadLe<uint64_t>(item);
  FLASH_DCHECK(head >> kKindShift == static_cast<uint64_t>(Kind::kBulk));
  return {item + kHeadBytes, head};
}

uint64_t ReplyLog::Reply(Context& ctx, const std::byte* item, bool with_pairs) {
  const auto head = base::LoadLe<uint64_t>(item);
  const uint64_t bytes = head & ((uint64_t{1} << kKindShift) - 1);
  const std::byte* const content = item + kHeadBytes;
  switch (static_cast<Kind>(head >> kKindShift)) {
    case Kind::kBulk:
      ctx.ReplyBulk({content, bytes});
      break;
    case Kind::kDouble:
      ctx.ReplyDouble(base::LoadLe<double>(content));
      break;
    case Kind::kNull:
      ctx.ReplyNull();
      break;
    case Kind::kPair:
      if (with_pairs) ctx.ReplyArray(2);
      break;
  }
  return kHeadBytes + Padded(bytes);
}

void ReplyLog::ReplyTo(Context& ctx, bool with_pairs) {
  for (Piece& piece : pieces_) {
    for (uint64_t at = 0; at < piece.used;) at += Reply(ctx, piece.memory + at, with_pairs);
    base::Release(std::exchange(piece.memory, nullptr));
  }
  pieces_.clear();
  reply_bytes_ = 0;
}

void ReplyLog::ReplyItem(Context& ctx, Place place) const {
  Reply(ctx, pieces_[place.piece].memory + place.offset, false);
}

}  // namespace flash::dispatch
