// stage.cc: pieces into buffers, buffers into segments; see stage.h.
// A piece never crosses a buffer, a buffer never crosses a segment, and every run that is written
// begins with a piece (or a segment header and a piece): that is what lets a scan find its way
// behind a hole. Thread: one at a time.
#include "log/stage.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/result.h"
#include "log/left_behind.h"

namespace flash::log {
namespace {

// Less room than this at the end of a buffer is not worth a piece.
constexpr uint32_t kPieceBytesMin = kPieceHeaderBytes + 24;

}  // namespace

void Stage::FreeMemory::operator()(std::byte* memory) const { std::free(memory); }

Stage::Stage(uint32_t segment_bytes, SlotPool* slots)
    : segment_bytes_(segment_bytes),
      buffer_bytes_(std::min(kPieceBytesMax, segment_bytes / 4)),
      slots_(slots) {}

Stage::~Stage() = default;

void Stage::Leak() {
  for (Buffer& buffer : buffers_) LeaveBehind(std::move(buffer.memory));
  buffers_.clear();
}

void Stage::Begin(const Head& head) {
  for (Buffer& buffer : buffers_) spare_.push_back(std::move(buffer.memory));
  buffers_.clear();
  origin_ = head.origin;
  last_lsn_ = unit_lsn_ = head.last_lsn;
  piece_end_ = head.previous_end;
  unit_end_ = head.previous_end;
  mark_ = {.position = head.previous_end, .lsn = head.last_lsn, .unit_end = head.previous_end};
  durable_ = head.previous_end;
  segments_.push_back({.number = head.number, .slot = head.slot, .first_lsn = last_lsn_ + 1});
  begun_ = false;
  frame_open_ = grouping_ = piece_open_ = spilled_ = marked_within_frame_ = false;
  effect_left_ = 0;
  buffers_since_mark_ = 0;
  const auto next = slots_->Take();
  full_ = !next;
  next_slot_ = next.value_or(0);
}

uint64_t Stage::FileOffset(uint64_t position) const {
  return kSegmentsOffset + uint64_t{segments_.back().slot} * segment_bytes_ +
         position % segment_bytes_;
}

void Stage::OpenBuffer(uint64_t position) {
  Buffer buffer;
  if (spare_.empty()) {
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kPageBytes, buffer_bytes_));
    FLASH_CHECK(memory != nullptr);
    buffer.memory.reset(memory);
  } else {
    buffer.memory = std::move(spare_.back());
    spare_.pop_back();
  }
  buffer.position = position;
  buffer.file_offset = FileOffset(position);
  buffers_.push_back(std::move(buffer));
  ++buffers_since_mark_;
}

bool Stage::NextSegment() {
  if (begun_) {
    const auto next = slots_->Take();
    if (!next) return false;
    segments_.push_back({.number = segments_.back().number + 1, .slot = next_slot_});
    next_slot_ = *next;
  }
  begun_ = true;
  Segment& current = segments_.back();
  current.within_frame = frame_open_ && frame_pieces_ > 0;
  current.first_lsn = frame_open_ ? frame_lsn_ : last_lsn_ + 1;
  OpenBuffer(current.number * segment_bytes_);
  Buffer& buffer = buffers_.back();
  std::memset(buffer.memory.get(), 0, kPageBytes);
  EncodeSegmentHeader({.origin = origin_,
                       .number = current.number,
                       .next_slot = next_slot_,
                       .within_frame = current.within_frame,
                       .first_lsn = current.first_lsn,
                       .previous_end = piece_end_,
                       .durable = durable_},
                      segment_bytes_, buffer.memory.get());
  buffer.filled = kPageBytes;
  piece_end_ = buffer.position + kPageBytes;
  return true;
}

bool Stage::NextBuffer() {
  if (!begun_) return NextSegment();
  Buffer& last = buffers_.back();
  if (!last.closed) {
    Pad(last);
    last.closed = true;
  }
  const uint64_t position = last.position + buffer_bytes_;
  if (position / segment_bytes_ != segments_.back().number) return NextSegment();
  OpenBuffer(position);
  return true;
}

void Stage::Pad(Buffer& buffer) {
  const auto padded = static_cast<uint32_t>(base::AlignUp(buffer.filled, kPageBytes));
  std::memset(buffer.memory.get() + buffer.filled, 0, padded - buffer.filled);
  buffer.filled = padded;
}

uint32_t Stage::piece_room() const {
  return buffer_bytes_ - piece_at_ - kPieceHeaderBytes - piece_bytes_;
}

bool Stage::OpenPiece() {
  if (piece_open_) return true;
  const bool fits = !buffers_.empty() && !buffers_.back().closed &&
                    buffer_bytes_ - buffers_.back().filled >= kPieceBytesMin;
  if (!fits && !NextBuffer()) {
    full_ = true;
    return false;
  }
  piece_at_ = buffers_.back().filled;
  piece_bytes_ = 0;
  piece_open_ = true;
  return true;
}

void Stage::ClosePiece(bool last) {
  Buffer& buffer = buffers_.back();
  const PieceHeader header = {.lsn = frame_lsn_,
                              .durable = durable_,
                              .bytes = piece_bytes_,
                              .effects = last ? frame_effects_ : 0,
                              .number = frame_pieces_,
                              .last = last};
  const uint64_t position = buffer.position + piece_at_;
  SealPiece(header, origin_, position, buffer.memory.get() + piece_at_);
  buffer.filled = piece_at_ + static_cast<uint32_t>(header.piece_bytes());
  piece_end_ = position + header.piece_bytes();
  ++frame_pieces_;
  piece_open_ = false;
}

Lsn Stage::BeginEffect(uint64_t bytes) {
  if (grouping_) EndUnit();
  return AppendEffect(bytes);
}

Lsn Stage::AddGrouped(Bytes effect) {
  // What is open otherwise is a unit that has not ended.
  const bool groups = grouping_ || !frame_open_;
  const Lsn lsn = AppendEffect(effect.size());
  AddBytes(effect);
  grouping_ = groups;
  return lsn;
}

Lsn Stage::AppendEffect(uint64_t bytes) {
  FLASH_CHECK(effect_left_ == 0);
  ++last_lsn_;
  if (!frame_open_) {
    frame_open_ = true;
    frame_lsn_ = last_lsn_;
    frame_effects_ = frame_pieces_ = 0;
  }
  ++frame_effects_;
  effect_left_ = bytes;
  std::byte length[kEffectLengthBytesMax];
  uint32_t used = 0;
  for (uint64_t left = bytes;; left >>= 7) {
    length[used++] = static_cast<std::byte>((left & 0x7f) | (left >= 0x80 ? 0x80 : 0));
    if (left < 0x80) break;
  }
  // A length is never cut in two.
  if (piece_open_ && piece_room() < used) ClosePiece(false);
  if (full_ || !OpenPiece()) return last_lsn_;
  std::memcpy(buffers_.back().memory.get() + piece_at_ + kPieceHeaderBytes + piece_bytes_, length,
              used);
  piece_bytes_ += used;
  return last_lsn_;
}

void Stage::AddBytes(Bytes part) {
  FLASH_CHECK(part.size() <= effect_left_);
  effect_left_ -= part.size();
  while (!part.empty()) {
    if (full_ || !OpenPiece()) return;
    const size_t count = std::min<size_t>(part.size(), piece_room());
    std::memcpy(buffers_.back().memory.get() + piece_at_ + kPieceHeaderBytes + piece_bytes_,
                part.data(), count);
    piece_bytes_ += static_cast<uint32_t>(count);
    part = part.subspan(count);
    if (piece_room() == 0) ClosePiece(false);
  }
}

void Stage::EndUnit() {
  if (!frame_open_) return;
  FLASH_CHECK(effect_left_ == 0);
  if (!full_ && OpenPiece()) ClosePiece(true);
  frame_open_ = piece_open_ = grouping_ = false;
  unit_lsn_ = last_lsn_;
  unit_end_ = piece_end_;
}

void Stage::MarkAll() {
  if (grouping_) EndUnit();
  if (full_) return;
  if (piece_open_ && piece_bytes_ > 0) ClosePiece(false);
  piece_open_ = false;
  if (!buffers_.empty() && !buffers_.back().closed) Pad(buffers_.back());
  for (Buffer& buffer : buffers_) buffer.marked = buffer.filled;
  marked_within_frame_ = frame_open_;
  mark_ = {.position = piece_end_, .lsn = unit_lsn_, .unit_end = unit_end_};
  buffers_since_mark_ = 0;
  spilled_ = false;
}

void Stage::Spill() {
  for (Buffer& buffer : buffers_) {
    if (!buffer.closed || buffer.marked == buffer.filled) continue;
    buffer.marked = buffer.filled;
    spilled_ = true;
  }
}

bool Stage::Discard() {
  if (clean() && !spilled_) return true;
  if (spilled_ || marked_within_frame_ || buffers_since_mark_ > 0) return false;
  if (!buffers_.empty()) {
    Buffer& buffer = buffers_.back();
    if (!buffer.closed) buffer.filled = buffer.marked;
  }
  last_lsn_ = unit_lsn_ = mark_.lsn;
  piece_end_ = mark_.position;
  unit_end_ = mark_.unit_end;
  frame_open_ = piece_open_ = grouping_ = false;
  effect_left_ = 0;
  return true;
}

std::vector<Stage::Run> Stage::Take() {
  std::vector<Run> runs;
  for (Buffer& buffer : buffers_) {
    if (buffer.taken == buffer.marked) continue;
    runs.push_back({.file_offset = buffer.file_offset + buffer.taken,
                    .data = buffer.memory.get() + buffer.taken,
                    .bytes = buffer.marked - buffer.taken});
    buffer.taken = buffer.marked;
  }
  return runs;
}

bool Stage::has_marked() const {
  return std::any_of(buffers_.begin(), buffers_.end(),
                     [](const Buffer& buffer) { return buffer.taken != buffer.marked; });
}

void Stage::Written() {
  // The last one stays while it has room, so that the next unit need not begin another.
  while (!buffers_.empty()) {
    Buffer& buffer = buffers_.front();
    if (!buffer.closed || buffer.taken != buffer.filled) return;
    if (buffers_.size() == 1) return;
    spare_.push_back(std::move(buffer.memory));
    buffers_.pop_front();
    if (spare_.size() > 2) spare_.pop_back();
  }
}

uint64_t Stage::room_bytes() const {
  if (full_) return 0;
  const uint64_t usable = segment_bytes_ - kPageBytes;
  uint64_t rest = usable;
  if (begun_) {
    const uint64_t end = (segments_.back().number + 1) * segment_bytes_;
    rest = end - std::min(end, base::AlignUp(piece_end_ + piece_bytes_, kPageBytes));
  }
  // Each segment that is begun takes the slot for the one behind it.
  return rest + uint64_t{slots_->free()} * usable;
}

}  // namespace flash::log
