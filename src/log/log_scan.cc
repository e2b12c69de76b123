// log_scan.cc: the walk along a chain of segments, and the search for proof behind a bad place.
// A bad place is damage if anything valid says that the log was durable beyond it; otherwise it is
// where the log was torn. Thread: one.
#include "log/log_scan.h"

#include <algorithm>

namespace flash::log {
namespace {

constexpr int kLooks = 3;

class Scan {
 public:
  Scan(PageSource* source, const LogSuperblock& superblock, const Chain& chain, std::string name)
      : source_(source),
        superblock_(superblock),
        segment_bytes_(superblock.segment_bytes),
        bytes_(superblock.segment_bytes),
        is_current_(chain.id == superblock.current.id),
        name_(std::move(name)) {
    out_.chain = chain;
    out_.last_lsn = chain.cut_lsn;
    out_.end = chain.first_number * segment_bytes_;
  }

  Result<Scanned> Run() {
    auto walked = Walk();
    if (!walked) return walked.error();
    const bool closed = is_current_ && superblock_.state == FileState::kClosed;
    if (closed && (out_.end != superblock_.durable || out_.last_lsn != superblock_.last_lsn)) {
      return Damage(out_.end, "it was closed in order, but does not reach its end");
    }
    // Without a whole unit the log goes on in its first segment, under a new generation.
    while (!out_.segments.empty() && out_.segments.back().number * segment_bytes_ >= out_.end) {
      out_.segments.pop_back();
    }
    if (!out_.segments.empty()) out_.segments.back().end = out_.end;
    return std::move(out_);
  }

 private:
  [[nodiscard]] uint64_t FileOffset(uint32_t slot) const {
    return kSegmentsOffset + uint64_t{slot} * segment_bytes_;
  }

  Error Damage(uint64_t position, const std::string& why) const {
    return {Code::kCorrupt, "log " + name_ + ": damaged behind LSN " +
                                std::to_string(out_.last_lsn) + " (position " +
                                std::to_string(position) + "): " + why};
  }

  Result<std::optional<SegmentHeader>> ReadHeader(uint32_t slot, uint64_t number,
                                                  uint64_t generation_min) {
    for (int look = 0; look < kLooks; ++look) {
      auto bytes = source_->View(FileOffset(slot), kSegmentHeaderBytes);
      if (!bytes) return bytes.error();
      const auto header = DecodeSegmentHeader(*bytes, out_.chain.id, number, bytes_);
      if (header && header->origin.generation >= generation_min &&
          header->origin.generation <= out_.chain.generation) {
        return header;
      }
      source_->Forget();
    }
    return std::optional<SegmentHeader>();
  }

  ScannedSegment Open(uint32_t slot, const SegmentHeader& header) const {
    return {.origin = header.origin,
            .number = header.number,
            .slot = slot,
            .next_slot = header.next_slot,
            .first_lsn = header.first_lsn,
            .within_frame = header.within_frame,
            .end = (header.number + 1) * segment_bytes_};
  }

  Result<void> Walk() {
    const bool begins_here = out_.chain.tail == out_.end;
    auto first = ReadHeader(out_.chain.first_slot, out_.chain.first_number,
                            begins_here ? out_.chain.generation : 0);
    if (!first) return first.error();
    if (!*first) {
      ScannedSegment nothing = {.origin = {.id = out_.chain.id, .generation = 0},
                                .number = out_.chain.first_number,
                                .slot = out_.chain.first_slot};
      return JudgeHead(nothing);
    }
    if (!(*first)->within_frame && (*first)->first_lsn > out_.chain.cut_lsn + 1) {
      return Damage(out_.end, "it begins with LSN " + std::to_string((*first)->first_lsn));
    }
    next_lsn_ = (*first)->within_frame ? 0 : (*first)->first_lsn;
    skipping_ = (*first)->within_frame;
    out_.segments.push_back(Open(out_.chain.first_slot, **first));
    while (true) {
      auto more = WalkSegment();
      if (!more) return more.error();
      if (!*more) return {};
    }
  }

  /// The last segment of `out_`. False: the log ends here.
  Result<bool> WalkSegment() {
    ScannedSegment& segment = out_.segments.back();
    // Where the newest generation began, what older ones left behind does not count.
    const uint64_t tail = out_.chain.tail;
    const bool has_tail = tail > segment.number * segment_bytes_ && tail <= segment.end &&
                          segment.origin.generation < out_.chain.generation;
    auto next = ReadHeader(segment.next_slot, segment.number + 1,
                           has_tail ? out_.chain.generation : segment.origin.generation);
    if (!next) return next.error();
    const uint64_t content = segment.number * segment_bytes_ + kPageBytes;
    if (*next && ((*next)->previous_end < content || (*next)->previous_end > segment.end)) {
      *next = std::nullopt;
    }
    if (*next) segment.end = (*next)->previous_end;
    if (!*next && has_tail) segment.end = tail;
    PieceCursor cursor(source_, segment, bytes_);
    while (true) {
      const uint64_t before = cursor.position();
      auto piece = cursor.Next();
      if (!piece) return piece.error();
      if (!*piece) break;
      if (Accept(**piece, cursor.position())) continue;
      if ((*piece)->header.durable > before) {
        return Damage(before, "a unit is missing in the middle");
      }
      return Judge(before, segment);
    }
    if (cursor.position() == segment.end && !*next && has_tail) {
      return JudgeBehindTail(segment);
    }
    if (!*next || cursor.position() != segment.end) return Judge(cursor.position(), segment);
    if (!Follows(segment, **next)) return Damage(segment.end, "the next segment does not follow");
    out_.segments.push_back(Open(segment.next_slot, **next));
    if (out_.segments.size() > slots_max()) return Damage(segment.end, "segments in a ring");
    return true;
  }

  [[nodiscard]] uint64_t slots_max() const { return source_->file_bytes() / segment_bytes_ + 1; }

  /// Whether the segment `next` begins where the one before ended.
  bool Follows(const ScannedSegment& segment, const SegmentHeader& next) {
    const bool same = next.origin.generation == segment.origin.generation;
    if (skipping_) return same ? next.within_frame : true;
    if (next.within_frame) return same && pieces_ > 0 && next.first_lsn == frame_lsn_;
    if (pieces_ > 0) return false;
    // A log that goes on after a restart may have lost effects that a snapshot holds.
    if (next_lsn_ != 0 && (same ? next.first_lsn != next_lsn_ : next.first_lsn < next_lsn_)) {
      return false;
    }
    next_lsn_ = next.first_lsn;
    return true;
  }

  /// Whether the piece is the one that must come now.
  bool Accept(const Piece& piece, uint64_t end) {
    const PieceHeader& header = piece.header;
    if (skipping_) {
      if (header.number == 0) return false;
      if (!header.last) return true;
      skipping_ = false;
      next_lsn_ = header.lsn + header.effects;
      out_.end = end;
      out_.last_lsn = std::max(out_.last_lsn, next_lsn_ - 1);
      return true;
    }
    if (header.number != pieces_) return false;
    if (pieces_ == 0 ? next_lsn_ != 0 && header.lsn != next_lsn_ : header.lsn != frame_lsn_) {
      return false;
    }
    if (pieces_ == 0) frame_bytes_ = 0;
    frame_lsn_ = header.lsn;
    frame_bytes_ += header.piece_bytes();
    ++pieces_;
    if (!header.last) return true;
    pieces_ = 0;
    next_lsn_ = header.lsn + header.effects;
    out_.end = end;
    out_.last_lsn = std::max(out_.last_lsn, next_lsn_ - 1);
    out_.bytes += frame_bytes_;
    frame_bytes_ = 0;
    ++out_.units;
    return true;
  }

  /// The log stops holding at `bad` in `segment`. False if it ends there; Damage if not.
  Result<bool> Judge(uint64_t bad, const ScannedSegment& segment) {
    out_.torn_bytes += frame_bytes_;
    if (is_current_ && superblock_.durable > bad) {
      return Damage(bad, "it was durable up to position " + std::to_string(superblock_.durable));
    }
    if (out_.chain.tail > bad) return Damage(bad, "it was continued behind");
    const uint64_t end = (segment.number + 1) * segment_bytes_;
    auto found = Search(segment.origin, segment.slot, base::AlignUp(bad + 1, kPageBytes), end, bad);
    if (!found) return found.error();
    if (*found) return Damage(bad, "later units were written after it was durable");
    auto behind =
        JudgeBehind(bad, segment.origin.generation, segment.number + 1, segment.next_slot);
    if (!behind) return behind.error();
    return false;
  }

  /// Nothing holds of the newest generation: as it should be, or its first header is damaged.
  Result<bool> JudgeBehindTail(const ScannedSegment& segment) {
    const uint64_t bad = out_.chain.tail;
    if (is_current_ && superblock_.durable > bad) {
      return Damage(bad, "it was durable up to position " + std::to_string(superblock_.durable));
    }
    auto behind = JudgeBehind(bad, out_.chain.generation, segment.number + 1, segment.next_slot);
    if (!behind) return behind.error();
    return false;
  }

  /// The first segment has no header: empty, or its header is damaged.
  Result<void> JudgeHead(const ScannedSegment& segment) {
    if (is_current_ && superblock_.durable > out_.end) {
      return Damage(out_.end, "its first segment has no header");
    }
    const uint64_t generation = out_.chain.tail == out_.end ? out_.chain.generation : 0;
    return JudgeBehind(out_.end, generation, segment.number, segment.slot);
  }

  /// Segments from `number` on, as far as there are any.
  Result<void> JudgeBehind(uint64_t bad, uint64_t generation, uint64_t number, uint32_t slot) {
    for (uint64_t steps = 0; steps < slots_max(); ++steps, ++number) {
      auto header = ReadHeader(slot, number, generation);
      if (!header) return header.error();
      const uint64_t from = number * segment_bytes_ + kPageBytes;
      const uint64_t end = (number + 1) * segment_bytes_;
      if (*header) {
        if ((*header)->durable > bad) return Damage(bad, "the next segment says it was durable");
        generation = (*header)->origin.generation;
      }
      // Without its header a segment may be of any opening since.
      const uint64_t newest = *header ? generation : out_.chain.generation;
      for (uint64_t g = std::max(generation, newest > 8 ? newest - 8 : 0); g <= newest; ++g) {
        auto found = Search({.id = out_.chain.id, .generation = g}, slot, from, end, bad);
        if (!found) return found.error();
        if (*found) return Damage(bad, "units behind it were written after it was durable");
      }
      if (!*header) return {};
      slot = (*header)->next_slot;
    }
    return {};
  }

  /// Whether a piece at the beginning of a page in [from, end) says that `bad` was durable.
  Result<bool> Search(const Origin& origin, uint32_t slot, uint64_t from, uint64_t end,
                      uint64_t bad) {
    const uint64_t offset = FileOffset(slot) - from / segment_bytes_ * segment_bytes_;
    if (from >= end) return false;
    for (uint64_t at = from; at < end;) {
      auto piece = LookAt(source_, origin, at, offset + at, end);
      if (!piece) return piece.error();
      if (!*piece) {
        at += kPageBytes;
        continue;
      }
      if ((*piece)->header.durable > bad) return true;
      out_.torn_bytes += (*piece)->header.piece_bytes();
      at = base::AlignUp(at + (*piece)->header.piece_bytes(), kPageBytes);
    }
    return false;
  }

  PageSource* source_;
  const LogSuperblock& superblock_;
  const uint64_t segment_bytes_;
  const uint32_t bytes_;  // The same.
  const bool is_current_;
  std::string name_;
  Scanned out_;
  Lsn next_lsn_ = 0;       // 0: not known yet.
  bool skipping_ = false;  // Within a frame whose beginning was cut off.
  uint32_t pieces_ = 0;    // Of the frame that is open.
  Lsn frame_lsn_ = 0;
  uint64_t frame_bytes_ = 0;
};

}  // namespace

Result<std::optional<LogSuperblock>> ReadSuperblocks(PageSource* source, const std::string& name) {
  const auto fail = [&](Code code, const std::string& why) {
    return Error{code, "log " + name + ": " + why};
  };
  if (source->file_bytes() == 0) return std::optional<LogSuperblock>();
  std::optional<LogSuperblock> best;
  LogSuperblockFound found[2];
  for (int look = 0; look < kLooks; ++look) {
    for (int i = 0; i < 2; ++i) {
      auto bytes = source->View(static_cast<uint64_t>(i) * kPageBytes, kPageBytes);
      if (!bytes) return fail(bytes.code(), bytes.error().message);
      found[i] = DecodeLogSuperblock(*bytes);
      const LogSuperblock& block = found[i].superblock;
      if (found[i].kind != BlockKind::kOurs) continue;
      if (!best || block.counter > best->counter) best = block;
    }
    if (found[0].kind == found[1].kind) break;
    source->Forget();
  }
  for (const LogSuperblockFound& one : found) {
    if (one.kind != BlockKind::kNewer) continue;
    return fail(Code::kForeign, "its format version " + std::to_string(one.version) +
                                    " is newer than this module's " +
                                    std::to_string(kFormatVersion) +
                                    "; load the newer module, or move the file away");
  }
  if (best) return best;
  if (found[0].kind == BlockKind::kEmpty && found[1].kind == BlockKind::kEmpty) {
    return std::optional<LogSuperblock>();
  }
  if (found[0].kind == BlockKind::kDamaged || found[1].kind == BlockKind::kDamaged) {
    return fail(Code::kCorrupt, "both of its superblocks are damaged");
  }
  return fail(Code::kForeign, "is not a log of valkey-flash and is never overwritten");
}

Result<Scanned> ScanChain(PageSource* source, const LogSuperblock& superblock, const Chain& chain,
                          const std::string& name) {
  return Scan(source, superblock, chain, name).Run();
}

}  // namespace flash::log
