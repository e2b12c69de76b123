// sorted_builder.cc: see sorted_builder.h. Runs and merging as in every external sort; what is
// particular is that runs are leaves, so that the only run needs no merging.
//
// Thread: main.
#include "values/sorted_builder.h"

#include <algorithm>
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
  Cursor(const Env& env, Family* family, uint64_t top, uint64_t window, blocks::WaitCause cause)
      : env_(env), family_(family), window_(window), cause_(cause) {
    TakeApart(top, &leaves_);
  }
  ~Cursor() { Release(); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;

  /// Goes to the next entry; false at the end. Errors: of reads.
  [[nodiscard]] Result<bool> Next() {
    if (leaf_ < loaded_ && ++entry_ == View().count()) {
      ++leaf_;
      entry_ = 0;
    }
    if (leaf_ == loaded_) {
      if (Result<void> loaded = Load(); !loaded) return loaded.error();
      if (leaf_ == loaded_) return false;
    }
    Look();
    return true;
  }
  [[nodiscard]] const EntryView& entry() const { return view_; }
  [[nodiscard]] uint64_t hash() const { return hash_; }

  /// Hands over what is not used up: the leaves from the current entry on.
  void TakeRest(TreeBuilder* rest) {
    if (leaf_ < loaded_ && entry_ > 0) {
      const LeafRef leaf = LeafRef::FromWord(leaves_[leaf_]);
      LeafErase(env_.store.Write(leaf.id()), 0, entry_);
      leaves_[leaf_] = LeafRef(leaf.id(), leaf.count() - entry_, leaf.large()).word();
    }
    Release();
    for (size_t i = leaf_; i < leaves_.size(); ++i) rest->AddLeaf(LeafRef::FromWord(leaves_[i]));
    leaf_ = loaded_ = freed_ = leaves_.size();
  }

 private:
  [[nodiscard]] LeafView View() const {
    return LeafView(env_.store.Read(LeafRef::FromWord(leaves_[leaf_]).id()));
  }
  void Look() {
    view_ = View().At(entry_);
    hash_ = EntryHash(env_, view_);
  }
  void Free(size_t i) { FreeOwned(env_.store, LeafRef::FromWord(leaves_[i]).id(), family_); }
  void Release() {
    pins_.Release();
    for (; freed_ < leaf_; ++freed_) Free(freed_);
  }
  Result<void> Load() {
    Release();
    std::vector<BlockId> ids;
    for (uint64_t i = 0; i < window_ && loaded_ + i < leaves_.size(); ++i) {
      ids.push_back(LeafRef::FromWord(leaves_[loaded_ + i]).id());
    }
    if (ids.empty()) return {};
    Result<blocks::Fetch> fetched = env_.store.FetchNow(ids, cause_);
    if (!fetched) return fetched.error();
    pins_ = std::move(*fetched);
    loaded_ += ids.size();
    return {};
  }

  const Env& env_;
  Family* family_;
  uint64_t window_;
  blocks::WaitCause cause_;
  std::vector<uint64_t> leaves_;
  size_t freed_ = 0;
  size_t leaf_ = 0;    // Current; loaded_: none.
  size_t loaded_ = 0;  // Leaves before it were read.
  uint32_t entry_ = 0;
  blocks::Fetch pins_;
  EntryView view_;
  uint64_t hash_ = 0;
};

SortedBuilder::SortedBuilder(const Env& env, Family* family, BlockPlacer* placer)
    : env_(env),
      family_(family),
      placer_(*placer),
      memory_bytes_max_(placer->memory_bytes_max()),
      run_(env, LeafKind::kHash, family, placer) {}

SortedBuilder::~SortedBuilder() { placer_.Hold(0, 0); }

// --- Entries come
// ---------------------------------------------------------------------------------

Result<void> SortedBuilder::Add(uint64_t hash, const EntryDraft& draft) {
  if (spilled_ && in_order_ && hash > last_hash_) {
    if (Result<void> appended = run_.Append(draft); !appended) return appended;
    last_hash_ = hash;
    return {};
  }
  // Equal hashes are told apart when they are sorted.
  if (spilled_ || (!held_.empty() && hash < held_.back().hash)) in_order_ = false;
  Hold(hash, draft);
  if (arena_.size() + held_.size() * sizeof(HeldEntry) < memory_bytes_max_) return {};
  return Flush();
}

void SortedBuilder::Hold(uint64_t hash, const EntryDraft& draft) {
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
  held_.push_back({hash, at, draft.bytes(), draft.flags()});
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
  return CompareNow(env_, ParseHashEntry(a).field, ParseHashEntry(b).field, placer_.cause());
}

Result<Order> SortedBuilder::CompareWithLast(const EntryView& entry, uint64_t hash) {
  if (run_.count() == 0 || hash > last_hash_) return Order::kGreater;
  if (hash < last_hash_) return Order::kLess;
  return Compare(entry, run_.last());
}

Result<void> SortedBuilder::SortHeld() {
  if (!in_order_) {
    std::sort(held_.begin(), held_.end(),
              [](const HeldEntry& a, const HeldEntry& b) { return a.hash < b.hash; });
  }
  // Equal hashes are rare, and to compare their fields may mean a read that fails.
  for (size_t i = 1; i < held_.size(); ++i) {
    for (size_t at = i; at > 0 && held_[at - 1].hash == held_[at].hash; --at) {
      const Result<Order> order = Compare(Held(at - 1), Held(at));
      if (!order) return order.error();
      if (*order != Order::kGreater) break;
      std::swap(held_[at - 1], held_[at]);
    }
  }
  return {};
}

// --- Runs
// -----------------------------------------------------------------------------------------

Result<void> SortedBuilder::AppendInOrder(const EntryView& entry, uint64_t hash) {
  const Result<Order> order = CompareWithLast(entry, hash);
  if (!order) return order.error();
  if (*order != Order::kGreater) return Code::kInvalid;
  if (Result<void> appended = run_.Append(entry); !appended) return appended;
  last_hash_ = hash;
  return {};
}

Result<void> SortedBuilder::Flush() {
  spilled_ = true;
  if (held_.empty()) return {};
  if (Result<void> sorted = SortHeld(); !sorted) return sorted;
  const Result<Order> order = CompareWithLast(Held(0), held_[0].hash);
  if (!order) return order.error();
  if (*order == Order::kLess) {
    if (Result<void> ended = EndRun(); !ended) return ended;
  }
  for (; taken_ < held_.size(); ++taken_) {
    Result<void> appended = AppendInOrder(Held(taken_), held_[taken_].hash);
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
  if (Result<void> flushed = Flush(); !flushed) return flushed.error();
  DropHeld(true);
  if (runs_.empty()) return run_.Finish();
  if (Result<void> ended = EndRun(); !ended) return ended.error();
  const size_t at_once = std::max<size_t>(2, memory_bytes_max_ / (kLeafRamBytes * kWindowMin));
  while (runs_.size() > 1) {
    // So many that the last round takes as many as it can.
    const size_t runs =
        runs_.size() <= at_once ? runs_.size() : std::min(at_once, runs_.size() - at_once + 1);
    if (Result<void> merged = Merge(runs); !merged) return merged.error();
    if (Result<void> ended = EndRun(); !ended) return ended.error();
  }
  return std::exchange(runs_, {})[0];
}

Result<void> SortedBuilder::Merge(size_t runs) {
  const uint64_t window =
      std::clamp<uint64_t>(memory_bytes_max_ / (kLeafRamBytes * runs), 1, kWindowMax);
  std::vector<std::unique_ptr<Cursor>> cursors;
  for (size_t i = 0; i < runs; ++i) {
    cursors.push_back(std::make_unique<Cursor>(env_, family_, runs_[i], window, placer_.cause()));
  }
  runs_.erase(runs_.begin(), runs_.begin() + static_cast<ptrdiff_t>(runs));
  placer_.Hold(0, window * runs * kLeafRamBytes);
  Result<void> merged = MergeAll(cursors);
  placer_.Hold(0, 0);
  if (merged) return merged;
  DirectPlacer hot(env_.store, false);
  for (const auto& cursor : cursors) {
    TreeBuilder rest(env_, LeafKind::kHash, family_, &hot);
    cursor->TakeRest(&rest);
    if (const uint64_t top = rest.FinishAnyhow(); top != 0) runs_.push_back(top);
  }
  return merged;
}

Result<void> SortedBuilder::MergeAll(const std::vector<std::unique_ptr<Cursor>>& cursors) {
  Result<void> failure;
  const auto behind = [&](const Cursor* a, const Cursor* b) {
    if (a->hash() != b->hash()) return a->hash() > b->hash();
    const Result<Order> order = Compare(a->entry(), b->entry());
    if (!order) failure = order.error();
    return order && *order == Order::kGreater;
  };
  std::vector<Cursor*> heap;
  for (const auto& cursor : cursors) {
    const Result<bool> any = cursor->Next();
    if (!any) return any.error();
    if (!*any) continue;
    heap.push_back(cursor.get());
    std::push_heap(heap.begin(), heap.end(), behind);
  }
  while (!heap.empty() && failure) {
    std::pop_heap(heap.begin(), heap.end(), behind);
    Cursor* const least = heap.back();
    if (Result<void> taken = AppendInOrder(least->entry(), least->hash()); !taken) return taken;
    const Result<bool> more = least->Next();
    if (!more) return more.error();
    if (*more) {
      std::push_heap(heap.begin(), heap.end(), behind);
    } else {
      heap.pop_back();
    }
  }
  return failure;
}

std::vector<uint64_t> SortedBuilder::Abandon() {
  std::vector<uint64_t> tops = std::exchange(runs_, {});
  if (const uint64_t top = run_.FinishAnyhow(); top != 0) tops.push_back(top);
  // Of what never came so far only large elements leave something behind.
  DirectPlacer hot(env_.store, false);
  TreeBuilder rest(env_, LeafKind::kHash, family_, &hot);
  for (; taken_ < held_.size(); ++taken_) {
    const EntryView entry = Held(taken_);
    if ((entry.flags & kLargeFlags) != 0) FLASH_CHECK(rest.Append(entry));
  }
  if (const uint64_t top = rest.FinishAnyhow(); top != 0) tops.push_back(top);
  DropHeld(true);
  return tops;
}

}  // namespace flash::values
