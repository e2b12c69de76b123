// read_work.cc: see read_work.h.
//
// Thread: main.
#include "commands/read_work.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "server/engine.h"
#include "server/events.h"
#include "server/pressure.h"

namespace flash::commands {
namespace {

using dispatch::PortionBytes;
using dispatch::ReplyLog;
using values::CollectionKind;
using values::LeafRef;
using values::LeafView;
using values::Tree;

constexpr uint32_t kElementsPerLook = 128;
constexpr uint64_t kLeavesPerLook = 1024;
/// What an element takes in a reply beside its bytes: `$1\r\n` and `\r\n`.
constexpr uint64_t kReplyOverheadMin = 6;
constexpr uint64_t kReplyOverheadMax = 16;
/// What a record on flash has around a leaf, at most.
constexpr uint64_t kRecordOverhead = 64;
/// A read of more than this share of the cache leaves large elements where they are.
constexpr uint64_t kWorthCachingShare = 8;

uint64_t CacheBytes() { return server::Engine::Get().settings().cache_size_bytes; }

/// May the reply of something hot be too large? Asked of the server only where that can be.
bool MayBeRefused(uint64_t bytes) {
  return bytes > server::kReplyBytesFloor && bytes > server::ReplyBytesMax(0);
}

}  // namespace

// --- ReadWork
// ---------------------------------------------------------------------------------------

ReadWork::ReadWork(const values::Collection& value, CollectionKind kind)
    : frozen_(value, kind), copies_bytes_max_(PortionBytes() / 2) {}

Outcome ReadWork::Reply(Context& ctx) {
  if (refused()) return ctx.ReplyTooLarge(refused_bytes_, allowed_bytes_);
  if (!ctx.planning()) ReplyAll(ctx);
  return Outcome::kDone;
}

uint64_t ReadWork::memory_bytes() const { return std::max(PortionBytes(), wanted_bytes_); }

bool ReadWork::StepIsOver(uint64_t deadline_us) {
  if (built_bytes_ - step_begin_bytes_ >= PortionBytes()) {
    (void)Allows(built_bytes_);
    return true;
  }
  if (++looks_ % kElementsPerLook != 0) return false;
  return server::Engine::Get().clock().NowUs() >= deadline_us;
}

bool ReadWork::Allows(uint64_t bytes) {
  const uint64_t most = server::ReplyBytesMax(built_bytes_);
  if (bytes <= most) return true;
  refused_bytes_ = bytes;
  allowed_bytes_ = most;
  return false;
}

bool ReadWork::Admits(uint64_t bytes) {
  if (bytes <= PortionBytes()) return true;
  if (!Allows(built_bytes_ + bytes)) return false;
  // Once round: the cache gives way to it first.
  if (std::exchange(wanted_bytes_, bytes) != bytes) return false;
  wanted_bytes_ = 0;
  return true;
}

ReplyLog::Place ReadWork::Add(ReplyLog* log, const Element& element) {
  const uint64_t before = log->reply_bytes();
  ReplyLog::Place place;
  if (!element.large) {
    place = log->AddBulk(element.bytes);
  } else {
    MutableBytes to = log->AddBulk(element.size(), &place);
    const uint64_t word = element.large_word();
    const uint64_t piece_bytes =
        values::IsRope(word) ? values::RopeOf(word)->piece_bytes : to.size();
    values::ForEachLargeBlock(word, [&](BlockId id) {
      const MutableBytes piece = to.first(std::min<uint64_t>(piece_bytes, to.size()));
      copies_.push_back({id, piece});
      to = to.subspan(piece.size());
    });
    copied_bytes_due_ += element.size();
  }
  built_bytes_ += log->reply_bytes() - before;
  return place;
}

ReadWork::Copies ReadWork::TakeCopies() {
  Copies taken;
  const uint64_t large = copies_bytes_max_ / 2;
  taken.past_the_cache = built_bytes_ > CacheBytes() / kWorthCachingShare;
  uint64_t bytes = 0;
  while (copies_pending() && bytes < copies_bytes_max_) {
    const dispatch::BlockCopy& copy = copies_[next_copy_++];
    taken.past_the_cache = taken.past_the_cache || copy.to.size() > large;
    bytes += copy.to.size();
    taken.blocks.push_back(copy);
  }
  copied_bytes_due_ -= bytes;
  if (!copies_pending()) {
    copies_.clear();
    next_copy_ = 0;
  }
  return taken;
}

// --- RangeRead
// --------------------------------------------------------------------------------------

RangeRead::RangeRead(const values::Collection& value, CollectionKind kind, const Range& range,
                     Shape shape)
    : ReadWork(value, kind),
      value_(server::TheEnv(), kind, frozen().mutable_word()),
      shape_(shape),
      count_(range.end - range.begin),
      walk_(value_, {.begin = range.begin,
                     .end = range.end,
                     .reverse = range.reverse,
                     .budget_bytes = PortionBytes(),
                     .to_the_end = true}),
      measured_left_(count_) {
  uint64_t position = range.begin;
  value_.elements().SeekRank(&position, &measured_path_);
  measured_left_ += position;
}

uint64_t RangeRead::LeastBytesOf(LeafRef leaf) const {
  const values::LeafStore& store = server::TheEnv().store;
  const uint64_t count = leaf.count();
  // Beside the elements a leaf has a slot for each, a field's length, or a score.
  const uint64_t besides =
      count * (values::kSlotBytes + (shape_ == Shape::kPairs ? 2 : sizeof(double)));
  const uint64_t overhead = besides + kRecordOverhead;
  const uint64_t bytes = store.IsHot(leaf.id()) ? LeafView(store.Read(leaf.id())).used()
                                                : store.FootprintOf(leaf.id());
  const uint64_t items = shape_ == Shape::kElements ? count : 2 * count;
  return bytes - std::min(bytes, overhead) + items * kReplyOverheadMin;
}

bool RangeRead::Measure(uint64_t deadline_us) {
  if (server::ReplyBytesMax(0) == ~uint64_t{0}) return measured_ = true;
  bool first = least_bytes_ == 0;
  for (uint64_t leaves = 1;; ++leaves) {
    const uint64_t here = measured_path_.leaf.count();
    // Of the leaves at the edges only a part may be asked for.
    if (measured_left_ >= here && !std::exchange(first, false)) {
      least_bytes_ += LeastBytesOf(measured_path_.leaf);
    }
    if (measured_left_ <= here || !Tree::NextLeaf(&measured_path_)) break;
    measured_left_ -= here;
    if (leaves % kLeavesPerLook != 0) continue;
    if (!Allows(least_bytes_)) return false;
    if (server::Engine::Get().clock().NowUs() >= deadline_us) return false;
  }
  measured_ = true;
  return Allows(least_bytes_);
}

bool RangeRead::AddEntry(const values::EntryView& entry) {
  switch (shape_) {
    case Shape::kPairs: {
      const values::HashEntry pair = values::ParseHashEntry(entry);
      if (!Admits(pair.field.size() + pair.value.size())) return false;
      Add(&log_, pair.field);
      Add(&log_, pair.value);
      return true;
    }
    case Shape::kScored: {
      const Element member = values::ParseMember(entry);
      if (!Admits(member.size())) return false;
      log_.AddPair();
      Add(&log_, member);
      const uint64_t before = log_.reply_bytes();
      log_.AddDouble(values::ParseScore(entry));
      NoteAdded(log_.reply_bytes() - before);
      return true;
    }
    case Shape::kElements:
      break;
  }
  const Element element = walk_.kind() == values::LeafKind::kList ? values::ParseListEntry(entry)
                                                                  : values::ParseMember(entry);
  if (!Admits(element.size())) return false;
  Add(&log_, element);
  return true;
}

RangeRead::Progress RangeRead::Step(uint64_t deadline_us, Missing* missing) {
  BeginStep();
  if (!measured_ && !Measure(deadline_us)) return Pause();
  for (; !walk_.AtEnd(); walk_.Advance()) {
    if (copies_due()) return Progress::kCopies;
    if (StepIsOver(deadline_us)) return Pause();
    if (!walk_.Ready(missing)) return Progress::kMissing;
    if (!AddEntry(walk_.Entry())) return Pause();
  }
  return End();
}

void RangeRead::ReplyAll(Context& ctx) {
  const auto count = static_cast<long>(count_);
  const bool nested = shape_ == Shape::kScored && ctx.resp3();
  if (shape_ == Shape::kPairs) {
    ctx.ReplyMap(count);
  } else {
    ctx.ReplyArray(shape_ == Shape::kScored && !nested ? 2 * count : count);
  }
  log_.ReplyTo(ctx, nested);
}

// --- ElementRead
// ------------------------------------------------------------------------------------

ElementRead::Progress ElementRead::Step(uint64_t /*deadline_us*/, Missing* /*missing*/) {
  if (!added_) {
    const Element element{base::AsBytes(stored_), true};
    if (!Admits(element.size())) return Pause();
    Add(&log_, element);
    added_ = true;
  }
  return End();
}

// --- What is long
// ------------------------------------------------------------------------------------

Outcome ReadLong(Context& ctx, std::shared_ptr<ReadWork> work) {
  if (auto closed = ctx.GateWork(std::move(work))) return *closed;
  return ctx.DoneWork<ReadWork>()->Reply(ctx);
}

namespace {

/// Names the blocks of large elements among some of a hot leaf, at least until too many are named
/// and some are cold; returns their bytes.
uint64_t NameLarge(const LeafView& leaf, uint64_t begin, uint64_t end, Missing* missing) {
  const uint64_t before = missing->large_bytes();
  for (uint64_t i = begin; i < end; ++i) {
    if (!missing->empty() && missing->large_bytes() > PortionBytes()) break;
    const values::EntryView entry = leaf.At(static_cast<uint32_t>(i));
    if ((entry.flags & values::kKeyLarge) != 0) {
      values::PlanElement(server::TheEnv(), values::ParseKey(leaf.kind(), entry), missing);
    }
    if ((entry.flags & values::kValueLarge) == 0) continue;
    const Element value = leaf.kind() == values::LeafKind::kHash
                              ? values::ParseHashEntry(entry).value
                              : values::ParseListEntry(entry);
    values::PlanElement(server::TheEnv(), value, missing);
  }
  return missing->large_bytes() - before;
}

}  // namespace

bool IsLongRead(const values::Collection& value, uint64_t begin, uint64_t end, Missing* missing) {
  if (begin >= end || value.empty()) return false;
  const values::Env& env = value.env();
  const uint64_t portion = PortionBytes();
  const Tree elements = value.elements();
  values::Path path;
  uint64_t position = begin;
  elements.SeekRank(&position, &path);
  uint64_t bytes = 0;
  for (uint64_t left = end - begin;; position = 0) {
    const uint64_t here = std::min<uint64_t>(left, path.leaf.count() - position);
    bytes += env.leaf_bytes_max;
    if (bytes <= portion) {
      if (elements.Plan(path, missing) && path.leaf.large()) {
        bytes += NameLarge(elements.Look(path), position, position + here, missing);
      }
    } else if (!env.store.IsHot(path.leaf.id())) {
      return true;
    } else if (path.leaf.large()) {
      bytes += NameLarge(elements.Look(path), position, position + here, missing);
    }
    if (bytes > portion && !missing->empty()) return true;
    left -= here;
    if (left == 0 || !Tree::NextLeaf(&path)) break;
  }
  return MayBeRefused(bytes + (end - begin) * kReplyOverheadMax);
}

bool IsTooMuch(Missing* missing, uint64_t reply_bytes_max) {
  if (MayBeRefused(missing->large_bytes() + reply_bytes_max)) return true;
  if (missing->empty()) return false;
  const uint64_t leaves = missing->ids().size();
  return leaves * server::TheEnv().leaf_bytes_max + missing->large_bytes() > PortionBytes();
}

bool IsLongElement(const Element& element, Missing* missing) {
  if (!element.large) [[likely]]
    return false;
  values::PlanElement(server::TheEnv(), element, missing);
  return IsTooMuch(missing, 0);
}

}  // namespace flash::commands
