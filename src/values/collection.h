// collection.h: what hashes, lists and sorted sets have in common: the word, its forms, copying,
// freeing, figures.
//
// The word is what the server keeps for the key: 0 (no value), one leaf (a LeafRef), or the address
// of a root. A Collection is a handle on a word kept elsewhere; the word owns what it refers to.
// Decision: docs/adr/0008. Thread: main.
#pragma once

#include <cstdint>

#include "values/tree.h"

namespace flash::values {

/// What a collection of several blocks has in RAM beside its nodes.
struct Root {
  Family* family = nullptr;
  uint64_t count = 0;
  uint64_t tops[2] = {0, 0};
  bool member = true;  ///< The value of a key: not a frozen reader's, not one being freed.
};

enum class CollectionKind : uint8_t { kHash, kList, kZSet };

/// Frees at once what a builder left behind (value_builders.h), on this thread, cold or not.
void FreeAbandoned(const Env& env, CollectionKind kind, std::span<const uint64_t> words);

class Collection {
 public:
  Collection(const Env& env, CollectionKind kind, uint64_t* word)
      : env_(&env), word_(word), kind_(kind) {}

  [[nodiscard]] bool empty() const { return *word_ == 0; }
  /// Elements; known without reading a block.
  [[nodiscard]] uint64_t size() const;
  [[nodiscard]] bool has_root() const { return *word_ != 0 && !IsLeafWord(*word_); }

  /// Asks the processor for what any operation begins with; changes nothing.
  void Prefetch() const {
    if (empty()) return;
    has_root() ? __builtin_prefetch(root())
               : env_->store.PrefetchEntry(LeafRef::FromWord(*word_).id());
  }

  enum class Holder : uint8_t {
    kKey,     ///< COPY: the value of another key.
    kReader,  ///< A frozen root for streaming, or a draft: does not count as a value.
  };
  /// The word of a value with the same content, which shares everything with this one until either
  /// changes. O(1).
  [[nodiscard]] uint64_t Clone(Holder holder) const;

  /// Has this value the very content that `clone`, a clone of this or another value that nobody
  /// changed, was made with? Never true by chance: the clone keeps what it refers to. O(1).
  [[nodiscard]] bool IsStill(uint64_t clone) const;

  /// A reader's clone becomes the value of a key.
  void BecomeValue();

  /// Has tree 0 more leaves than this? Visits no more nodes than it takes to say.
  [[nodiscard]] bool HasMoreLeavesThan(uint64_t leaves) const;

  /// The tree of the elements (0), or a sorted set's member index (1), for whoever walks over them.
  [[nodiscard]] Tree elements(uint32_t which = 0) const { return tree(which); }

  /// Frees up to `budget` blocks or nodes; the word becomes 0 at the end, until then it is a valid,
  /// smaller value that only FreeSome may see. True: done. False with `missing` empty: call again;
  /// else fetch those first. `leave_cold`: gives up blocks that could not be read.
  [[nodiscard]] bool FreeSome(uint32_t budget, Missing* missing, bool leave_cold = false);

  /// Has a block on flash only?
  [[nodiscard]] bool tiered() const;
  /// RAM beside the blocks: root and nodes. Visits every node.
  [[nodiscard]] uint64_t RamBytes() const;
  /// Calls `visit(BlockId)` for every leaf of every tree.
  template <typename Visit>
  void ForEachLeafBlock(const Visit& visit) const {
    for (uint32_t which = 0; which < trees(); ++which) {
      tree(which).ForEachLeaf([&](LeafRef leaf) { visit(leaf.id()); });
    }
  }
  /// The same for the leaves of the elements alone, in the value's order.
  template <typename Visit>
  void ForEachElementLeaf(const Visit& visit) const {
    if (!empty()) tree(0).ForEachLeaf([&](LeafRef leaf) { visit(leaf.id()); });
  }
  /// Calls `visit(BlockId)` for the blocks of large elements in hot leaves; names the cold leaves
  /// that have some.
  void ForEachLargeElementBlock(const std::function<void(BlockId)>& visit, Missing* missing) const;

  /// Names the leaves of the elements [begin, end) in the value's order (hash, position, score).
  void PlanRange(uint64_t begin, uint64_t end, Missing* missing) const {
    tree(0).PlanRange(begin, end, missing);
  }

  [[nodiscard]] const Env& env() const { return *env_; }
  [[nodiscard]] CollectionKind kind() const { return kind_; }

 protected:
  /// What a search that is applied makes of a cold leaf.
  enum class Cold : uint8_t {
    kIsPlanned,  ///< There is none.
    /// All that was planned to be erased was hot then. A cold leaf has inherited the place of one
    /// that was emptied since; what it holds is something else.
    kMeansAbsent,
  };
  [[nodiscard]] Root* root() const {
    return reinterpret_cast<Root*>(*word_);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] Family* family() const { return has_root() ? root()->family : nullptr; }
  [[nodiscard]] uint32_t trees() const { return empty() ? 0 : has_root() ? 2 : 1; }
  /// Tree 0 has the elements; tree 1 is a sorted set's member index.
  [[nodiscard]] Tree tree(uint32_t which) const {
    const LeafKind kind = kind_ == CollectionKind::kHash   ? LeafKind::kHash
                          : kind_ == CollectionKind::kList ? LeafKind::kList
                          : which == 0                     ? LeafKind::kScores
                                                           : LeafKind::kHash;
    if (!has_root()) return {*env_, kind, word_, nullptr, true};
    return {*env_, kind, &root()->tops[which], root()->family, which == 0};
  }
  [[nodiscard]] bool IsLarge(Bytes element) const {
    return element.size() > env_->inline_bytes_max;
  }
  /// Gives the value a root (if it has none) whose tree 0 is what it was. Its leaf must be hot.
  void MakeRoot();
  /// Gives up the root of a value that is empty, or has become small and has no large elements.
  /// True if it did.
  bool DropRootIfSmall();
  void AddToCount(uint64_t delta) {
    if (has_root()) root()->count += delta;
  }
  /// Would a lone leaf be too full with `added` more bytes?
  [[nodiscard]] bool OverflowsLoneLeaf(const LeafView& leaf, uint32_t added) const {
    return !has_root() && leaf.used() + added > env_->leaf_bytes_max;
  }
  /// Sets the word to a tree that was built with `family` (which has a root already).
  void Install(Family* family, uint64_t top, uint64_t index_top, uint64_t count);
  [[nodiscard]] Family* NewFamily() const;
  /// Makes the word what `builder` built; frees what it left behind where `outcome` or its end is
  /// an error, which is returned.
  template <typename Builder>
  [[nodiscard]] Result<void> FinishBuild(Builder* builder, const Result<void>& outcome) {
    Result<uint64_t> word = outcome ? builder->Finish() : Result<uint64_t>(outcome.error());
    if (word) {
      *word_ = *word;
      return {};
    }
    FreeAbandoned(*env_, kind_, builder->Abandon());
    return word.error();
  }

  const Env* env_;
  uint64_t* word_;
  CollectionKind kind_;

 private:
  void ReleaseRoot();
};

}  // namespace flash::values
