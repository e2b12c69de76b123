// log_reader.cc: from pieces to effects; see log_reader.h.
// A length never crosses pieces, bytes may. The last unit ends where the scan said.
// Thread: one owner.
#include "log/log_reader.h"

#include <algorithm>

#include "base/varint.h"

namespace flash::log {

LogReader::LogReader(std::unique_ptr<PageSource> source, const Scanned& scanned,
                     uint32_t segment_bytes, Lsn after)
    : source_(std::move(source)),
      segments_(scanned.segments),
      segment_bytes_(segment_bytes),
      after_(after) {
  // Segments that end before are not read: the next one begins with a frame at or below.
  while (segment_ + 1 < segments_.size() && !segments_[segment_ + 1].within_frame &&
         segments_[segment_ + 1].first_lsn <= after_ + 1) {
    ++segment_;
  }
  for (size_t i = segment_; i < segments_.size(); ++i) {
    bytes_total_ += segments_[i].end - segments_[i].number * segment_bytes_;
  }
}

Error LogReader::Corrupt() const {
  return {Code::kCorrupt, "the log does not hold any more behind LSN " +
                              std::to_string(next_lsn_ == 0 ? after_ : next_lsn_ - 1)};
}

Result<bool> LogReader::NextPiece() {
  while (segment_ < segments_.size()) {
    if (!cursor_) cursor_.emplace(source_.get(), segments_[segment_], segment_bytes_);
    const uint64_t before = cursor_->position();
    auto piece = cursor_->Next();
    if (!piece) return piece.error();
    if (!*piece) {
      if (cursor_->position() != segments_[segment_].end) return Corrupt();
      cursor_.reset();
      ++segment_;
      continue;
    }
    bytes_read_ += cursor_->position() - before;
    const PieceHeader& header = (*piece)->header;
    if (header.number == 0) {
      if (in_unit_) return Corrupt();
      in_unit_ = true;
      unit_lsn_ = next_lsn_ = header.lsn;
    } else if (!in_unit_) {
      continue;  // Of a frame whose beginning was cut off: a snapshot holds it.
    }
    left_ = (*piece)->payload;
    last_piece_ = header.last;
    if (last_piece_) in_unit_ = false;
    unit_next_ = last_piece_ ? header.lsn + header.effects : 0;
    return true;
  }
  return false;
}

Result<std::optional<Effect>> LogReader::NextAny() {
  while (effect_left_ > 0) {
    auto part = Part();
    if (!part) return part.error();
  }
  while (left_.empty()) {
    // A unit holds as many effects as its last piece says.
    if (unit_next_ != 0 && next_lsn_ != unit_next_) return Corrupt();
    auto more = NextPiece();
    if (!more) return more.error();
    if (!*more) return std::optional<Effect>();
  }
  const auto bytes = base::TakeVarint(&left_);
  if (!bytes) return Corrupt();
  effect_left_ = *bytes;
  const Effect effect = {
      .lsn = next_lsn_, .bytes = *bytes, .first_of_unit = next_lsn_ == unit_lsn_};
  ++next_lsn_;
  return std::optional<Effect>(effect);
}

Result<std::optional<Effect>> LogReader::Next() {
  while (true) {
    auto effect = NextAny();
    if (!effect || !*effect || (*effect)->lsn > after_) return effect;
  }
}

Result<Bytes> LogReader::Part() {
  if (effect_left_ == 0) return Bytes{};
  while (left_.empty()) {
    if (last_piece_ && !in_unit_) return Corrupt();
    auto more = NextPiece();
    if (!more) return more.error();
    if (!*more) return Corrupt();
  }
  const Bytes part = left_.first(std::min<uint64_t>(left_.size(), effect_left_));
  left_ = left_.subspan(part.size());
  effect_left_ -= part.size();
  return part;
}

Result<std::vector<std::byte>> LogReader::Rest() {
  std::vector<std::byte> all;
  while (true) {
    auto part = Part();
    if (!part) return part.error();
    if (part->empty()) return all;
    all.insert(all.end(), part->begin(), part->end());
  }
}

}  // namespace flash::log
