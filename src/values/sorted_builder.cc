// sorted_builder.cc: see sorted_builder.h. Runs and merging as in every external sort; what is
// particular is that runs are leaves, so that the only run needs no merging.
//
// Thread: main.
#include "values/sorted_builder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace flash::values {
namespace {

/// Leaves of one run that are read together, at most.
constexpr uint64_t kWindowMax = 32;
constexpr size_t kArenaFirst = 1024;
constexpr size_t kHeldFirst = 16;
/// RAM of a leaf while it is merged.
constexpr uint64_t kLeafRamBytes = 4096;
/// Runs merged at a time read this many leaves each, at least.
constexpr uint64_t kWindowMin = 2;

/// The leaves of a tree nobody else holds; its nodes are gone.
void TakeApart(uint64_t top, std::vector<uint64_t>* leaves) {
  if (top == 0) return;
  if (IsLeafWord(top)) {
    leaves->push_back(top);
    return;
  }
  Node* node = NodeOf(top);
  for (uint32_t i = 0; i < node->count; ++i) TakeApart(node->words()[i], leaves);
  DeleteNode(node);
}

}  // namespace

/// Reads a run from front to back, some leaves at a time, and frees them behind itself.
class SortedBuilder::Cursor {
 public:
  Cursor(const SortedBuilder& of, uint64_t top, uint64_t window)
      : of_(of), env_(of.env_), window_(window) {
    TakeApart(top, &leaves_);
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  [[nodiscard]] bool AtEnd() const { return leaf_ == leaves_.size(); }
  /// Can the entry be looked at? Anew each time when others have used the pool.
  [[nodiscard]] bool Ready() {
    if (AtEnd()) return true;
    if (!env_.store.IsHot(Leaf().id())) return false;
    if (!pin_.started()) Pin();
    view_ = LeafView(env_.store.Read(Leaf().id())).At(entry_);
    order_ = of_.OrderOf(view_);
    return true;
  }
  /// To compare its entries may mean to read more.
  [[nodiscard]] bool has_large() const { return !AtEnd() && Leaf().large(); }
  /// Names the leaf at hand, and some that follow.
  void Name(Missing* missing) const {
    const uint64_t end = std::min<uint64_t>(leaf_ + window_, leaves_.size());
    for (uint64_t i = leaf_; i < end; ++i) {
      static_cast<void>(missing->Need(env_.store, LeafRef::FromWord(leaves_[i]).id()));
    }
  }
  void Next() {
    if (++entry_ < Leaf().count()) return;
    pin_.Release();
    FreeOwned(env_.store, Leaf().id(), of_.family_);
    ++leaf_;
    entry_ = 0;
  }
  [[nodiscard]] const EntryView& entry() const { return view_; }
  [[nodiscard]] uint64_t order() const { return order_; }

  /// Hands over what is not used up: the leaves from the current entry on.
  void TakeRest(TreeBuilder* rest) {
    pin_.Release();
    if (entry_ > 0 && Leaf().large() && !DropUsed()) {
      // Nobody can tell what its large elements are.
      FreeOwned(env_.store, Leaf().id(), of_.family_);
      of_.family_->Abandon();
      ++leaf_;
    }
    for (; !AtEnd(); ++leaf_) rest->AddLeaf(Leaf());
  }

 private:
  [[nodiscard]] LeafRef Leaf() const { return LeafRef::FromWord(leaves_[leaf_]); }
  /// Whoever places what is taken from the leaf at hand may have to make room.
  void Pin() {
    const BlockId id = Leaf().id();
    Result<blocks::Fetch> pinned = env_.store.FetchNow({&id, 1}, of_.placer_.cause());
    FLASH_CHECK(pinned.ok());  // It is hot.
    pin_ = std::move(*pinned);
  }
  /// Takes the entries used up out of the leaf; false: it cannot be read.
  [[nodiscard]] bool DropUsed() {
    const BlockId id = Leaf().id();
    const Result<blocks::Fetch> pins = env_.store.FetchNow({&id, 1}, of_.placer_.cause());
    if (!pins) return false;
    LeafErase(env_.store.Write(id), 0, entry_);
    leaves_[leaf_] = LeafRef(id, Leaf().count() - entry_, true).word();
    return true;
  }

  const SortedBuilder& of_;
  const Env& env_;
  uint64_t window_;
  std::vector<uint64_t> leaves_;
  size_t leaf_ = 0;
  uint32_t entry_ = 0;
  blocks::Fetch pin_;  // Of the leaf at hand, once it was looked at.
  EntryView view_;
  uint64_t order_ = 0;
};

SortedBuilder::SortedBuilder(const Env& env, Family* family, BlockPlacer* placer, LeafKind kind)
    : env_(env),
      family_(family),
      placer_(*placer),
      kind_(kind),
      memory_bytes_max_(placer->memory_bytes_max()),
      run_(env, kind, family, placer) {}

SortedBuilder::~SortedBuilder() { placer_.Hold(0, 0); }

// --- Entries come
// ---------------------------------------------------------------------------------

uint64_t SortedBuilder::OrderOf(double score) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  const auto bits = std::bit_cast<uint64_t>(score == 0 ? 0.0 : score);  // Zeros are one.
  return (bits & kSign) != 0 ? ~bits : bits | kSign;
}

uint64_t SortedBuilder::OrderOf(const EntryView& entry) const {
  return kind_ == LeafKind::kHash ? EntryHash(env_, entry) : OrderOf(ParseScore(entry));
}

Result<void> SortedBuilder::Add(uint64_t order, const EntryDraft& draft) {
  if (spilled_ && in_order_ && order > last_order_) {
    if (Result<void> appended = run_.Append(draft); !appended) return appended;
    last_order_ = order;
    return {};
  }
  // Equal ones are told apart when they are sorted.
  if (spilled_ || (!held_.empty() && order < held_.back().order)) in_order_ = false;
  Hold(order, draft);
  if (arena_.size() + held_.size() * sizeof(HeldEntry) < memory_bytes_max_) return {};
  return Flush();
}

void SortedBuilder::Hold(uint64_t order, const EntryDraft& draft) {
  const size_t at = arena_.size();
  if (at + draft.bytes() > arena_.capacity() || held_.size() == held_.capacity()) {
    const size_t bytes = std::max<size_t>(at + draft.bytes(), kArenaFirst);
    const size_t arena = bytes > arena_.capacity() ? std::max(bytes, 2 * at) : arena_.capacity();
    const size_t held =
        held_.size() < held_.capacity() ? held_.capacity() : std::max(kHeldFirst, 2 * held_.size());
    // The many small values need not be told of.
    const uint64_t bytes_held = arena + held * sizeof(HeldEntry);
    if (bytes_held > kLeafRamBytes) placer_.Hold(bytes_held, 0);
    arena_.reserve(arena);
    held_.reserve(held);
  }
  arena_.resize(at + draft.bytes());
  draft.WriteTo(MutableBytes(arena_).subspan(at));
  held_.push_back({order, at, draft.bytes(), draft.flags()});
}

void SortedBuilder::DropHeld(bool for_good) {
  held_.clear();
  arena_.clear();
  taken_ = 0;
  if (!for_good) return;
  held_.shrink_to_fit();
  arena_.shrink_to_fit();
  placer_.Hold(0, 0);
}

Result<Order> SortedBuilder::Compare(const EntryView& a, const EntryView& b) {
  return CompareNow(env_, ParseKey(kind_, a), ParseKey(kind_, b), placer_.cause());
}

Result<Order> SortedBuilder::CompareWithLast(const EntryView& entry, uint64_t order) {
  if (run_.count() == 0 || order > last_order_) return Order::kGreater;
  if (order < last_order_) return Order::kLess;
  return Compare(entry, run_.last());
}

Result<void> SortedBuilder::SortHeld() {
  if (!in_order_) {
    std::sort(held_.begin(), held_.end(),
              [](const HeldEntry& a, const HeldEntry& b) { return a.order < b.order; });
  }
  // To compare keys may mean a read that fails. Equal hashes are rare; of scores all may be equal.
  Result<void> failure;
  const auto behind = [&](const HeldEntry& a, const HeldEntry& b) {
    const Result<Order> order = Compare(HeldAt(a), HeldAt(b));
    if (!order) failure = order.error();
    return order && *order == Order::kLess;
  };
  for (size_t begin = 0, end = 0; begin < held_.size() && failure; begin = end) {
    while (end < held_.size() && held_[end].order == held_[begin].order) ++end;
    if (end - begin < 2) continue;
    // Merging, which comes to an end whatever the answers.
    std::stable_sort(held_.begin() + static_cast<ptrdiff_t>(begin),
                     held_.begin() + static_cast<ptrdiff_t>(end), behind);
  }
  return failure;
}

// --- Runs
// -----------------------------------------------------------------------------------------

Result<void> SortedBuilder::AppendInOrder(const EntryView& entry, uint64_t order) {
  const Result<Order> above = CompareWithLast(entry, order);
  if (!above) return above.error();
  if (*above != Order::kGreater) return Code::kInvalid;
  if (Result<void> appended = run_.Append(entry); !appended) return appended;
  last_order_ = order;
  return {};
}

Result<void> SortedBuilder::Flush() {
  spilled_ = true;
  if (held_.empty()) return {};
  if (Result<void> sorted = SortHeld(); !sorted) return sorted;
  const Result<Order> order = CompareWithLast(Held(0), held_[0].order);
  if (!order) return order.error();
  if (*order == Order::kLess) {
    if (Result<void> ended = EndRun(); !ended) return ended;
  }
  for (; taken_ < held_.size(); ++taken_) {
    Result<void> appended = AppendInOrder(Held(taken_), held_[taken_].order);
    if (!appended) return appended;
  }
  DropHeld(false);
  return {};
}

Result<void> SortedBuilder::EndRun() {
  const Result<uint64_t> top = run_.Finish();
  if (!top) return top.error();
  if (*top != 0) runs_.push_back(*top);
  return {};
}

// --- Merging
// --------------------------------------------------------------------------------------

Result<uint64_t> SortedBuilder::Finish() {
  blocks::Fetch pins;
  for (Missing missing;; missing.Clear()) {
    const Result<bool> ended = FinishSome(~uint64_t{0}, &missing);
    if (!ended) return ended.error();
    if (*ended) break;
    pins.Release();
    Result<blocks::Fetch> fetched = env_.store.FetchNow(missing.ids(), placer_.cause());
    if (!fetched) return fetched.error();
    pins = std::move(*fetched);
  }
  return runs_.empty() ? 0 : std::exchange(runs_, {})[0];
}

Result<bool> SortedBuilder::FinishSome(uint64_t entries, Missing* missing) {
  if (!finishing_) {
    if (Result<void> flushed = Flush(); !flushed) return flushed.error();
    DropHeld(true);
    if (Result<void> ended = EndRun(); !ended) return ended.error();
    finishing_ = true;
  }
  while (runs_.size() > 1 || merge_ != nullptr) {
    if (merge_ == nullptr) BeginMerge();
    const Result<bool> merged = MergeSome(&entries, missing);
    if (!merged) return merged.error();
    if (!*merged) return false;
    EndMerge();
    if (Result<void> ended = EndRun(); !ended) return ended.error();
  }
  return true;
}

void SortedBuilder::BeginMerge() {
  const size_t at_once = std::max<size_t>(2, memory_bytes_max_ / (kLeafRamBytes * kWindowMin));
  // So many that the last round takes as many as it can.
  const size_t runs =
      runs_.size() <= at_once ? runs_.size() : std::min(at_once, runs_.size() - at_once + 1);
  const uint64_t window =
      std::clamp<uint64_t>(memory_bytes_max_ / (kLeafRamBytes * runs), 1, kWindowMax);
  merge_ = std::make_unique<Merge>();
  for (size_t i = 0; i < runs; ++i) {
    merge_->cursors.push_back(std::make_unique<Cursor>(*this, runs_[i], window));
  }
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(runs));
  placer_.Hold(0, window * runs * kLeafRamBytes);
}

void SortedBuilder::EndMerge() {
  merge_.reset();
  placer_.Hold(0, 0);
}

bool SortedBuilder::AllReady(Missing* missing) {
  const auto& cursors = merge_->cursors;
  const bool ready = std::all_of(cursors.begin(), cursors.end(),
                                 [](const auto& cursor) { return cursor->Ready(); });
  if (ready) return true;
  for (const auto& cursor : cursors) cursor->Name(missing);
  return false;
}

Result<bool> SortedBuilder::MergeSome(uint64_t* entries, Missing* missing) {
  Merge& merge = *merge_;
  if (!AllReady(missing)) return false;
  // Whoever reads while it compares may make room by what it does not hold.
  blocks::Fetch pins;
  if (std::any_of(merge.cursors.begin(), merge.cursors.end(),
                  [](const auto& cursor) { return cursor->has_large(); })) {
    Missing held;
    for (const auto& cursor : merge.cursors) cursor->Name(&held);
    if (!held.empty()) {
      for (const BlockId id : held.ids()) static_cast<void>(missing->Need(env_.store, id));
      return false;
    }
    Result<blocks::Fetch> fetched = env_.store.FetchNow(held.ids(), placer_.cause());
    if (!fetched) return fetched.error();
    pins = std::move(*fetched);
  }
  Result<void> failure;
  const auto behind = [&](const Cursor* a, const Cursor* b) {
    if (a->order() != b->order()) return a->order() > b->order();
    const Result<Order> order = Compare(a->entry(), b->entry());
    if (!order) failure = order.error();
    return order && *order == Order::kGreater;
  };
  if (!std::exchange(merge.begun, true)) {
    for (const auto& cursor : merge.cursors) merge.heap.push_back(cursor.get());
    std::make_heap(merge.heap.begin(), merge.heap.end(), behind);
  }
  std::vector<Cursor*>& heap = merge.heap;
  if (std::exchange(merge.last_is_loose, false)) {
    std::push_heap(heap.begin(), heap.end(), behind);
  }
  while (!heap.empty() && failure) {
    if (*entries == 0) return false;
    --*entries;
    std::pop_heap(heap.begin(), heap.end(), behind);
    if (!failure) break;
    Cursor* const least = heap.back();
    if (Result<void> taken = AppendInOrder(least->entry(), least->order()); !taken) {
      return taken.error();
    }
    least->Next();
    if (least->AtEnd()) {
      heap.pop_back();
    } else if (least->Ready()) {
      std::push_heap(heap.begin(), heap.end(), behind);
    } else {
      merge.last_is_loose = true;
      for (const Cursor* cursor : heap) cursor->Name(missing);
      return false;
    }
  }
  if (!failure) return failure.error();
  return true;
}

std::vector<uint64_t> SortedBuilder::Abandon() {
  std::vector<uint64_t> tops = std::exchange(runs_, {});
  if (const uint64_t top = run_.FinishAnyhow(); top != 0) tops.push_back(top);
  DirectPlacer hot(env_.store, false);
  TreeBuilder rest(env_, kind_, family_, &hot);
  if (merge_ != nullptr) {
    for (const auto& cursor : merge_->cursors) cursor->TakeRest(&rest);
    EndMerge();
  }
  if (const uint64_t top = rest.FinishAnyhow(); top != 0) tops.push_back(top);
  // Of what never came so far only large elements leave something behind.
  for (; taken_ < held_.size(); ++taken_) {
    const EntryView entry = Held(taken_);
    if ((entry.flags & kLargeFlags) != 0) FLASH_CHECK(rest.Append(entry));
  }
  if (const uint64_t top = rest.FinishAnyhow(); top != 0) tops.push_back(top);
  DropHeld(true);
  return tops;
}

}  // namespace flash::values
