// node.h: an inner node of a counted tree: children, how many elements each has, what parts them.
//
// Always in RAM; counts its holders, so that trees can share it. The functions here change one node
// and know neither paths nor leaves' bytes. Layout and arithmetic: docs/adr/0008. Thread: main.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "values/env.h"

namespace flash::values {

/// A leaf as its parent knows it, in one word: BlockId << 20 | count << 4 | large << 1 | 1.
class LeafRef {
 public:
  static constexpr uint32_t kCountMax = 0xffff;

  LeafRef() = default;
  LeafRef(BlockId id, uint32_t count, bool large)
      : word_(id << 20 | uint64_t{count} << 4 | uint64_t{large} << 1 | 1) {
    FLASH_DCHECK(count <= kCountMax);
  }
  static LeafRef FromWord(uint64_t word) {
    LeafRef ref;
    ref.word_ = word;
    return ref;
  }
  [[nodiscard]] uint64_t word() const { return word_; }
  [[nodiscard]] BlockId id() const { return word_ >> 20; }
  [[nodiscard]] uint32_t count() const { return static_cast<uint32_t>(word_ >> 4 & kCountMax); }
  /// May the leaf hold large elements? Then it has to be read before it can be freed.
  [[nodiscard]] bool large() const { return (word_ & 2) != 0; }

 private:
  uint64_t word_ = 0;
};

/// A top or child is a leaf, a node, or (tops only) nothing.
[[nodiscard]] inline bool IsLeafWord(uint64_t word) { return (word & 1) != 0; }

enum class Separators : uint8_t { kNone, kHash, kBytes };

/// The least key of what lies right of it, or of what the tree's order needs of it.
struct Separator {
  uint64_t hash = 0;
  std::string bytes;
};

/// (score, member) as bytes that order as the elements do; the member's are not copied.
class ScoreKey {
 public:
  ScoreKey(double score, Bytes member);
  /// Behind every member with this score.
  static ScoreKey AfterScore(double score);

  /// The first 8 bytes, those of the score, as a number that orders as they do.
  [[nodiscard]] uint64_t head() const { return head_; }
  [[nodiscard]] std::string_view member() const { return base::AsText(member_); }
  /// The 8 bytes of the member from `from` on likewise, zeros behind the end.
  [[nodiscard]] uint64_t MemberWindow(uint64_t from) const;

 private:
  uint64_t head_;
  Bytes member_;
};

/// Bytes in an allocation of their own: a node's common prefix, a separator too long for 8 bytes.
struct LongBytes;

struct Node {
  uint32_t refs = 1;
  uint16_t count = 0;
  uint16_t capacity = 0;
  uint8_t level = 0;  ///< 0: the children are leaves.
  Separators separators = Separators::kNone;
  bool has_long = false;        ///< kBytes: some separator is a LongBytes.
  uint8_t score_skip = 0;       ///< kBytes: first bytes of scores that all separators share.
  uint8_t score_zeros = 0;      ///< kBytes: zeros at the scores' ends in all separators.
  LongBytes* prefix = nullptr;  ///< kBytes: the first bytes, and what the members begin with.

  /// Children: LeafRef words or nodes.
  [[nodiscard]] uint64_t* words() { return reinterpret_cast<uint64_t*>(this + 1); }
  [[nodiscard]] const uint64_t* words() const {
    return reinterpret_cast<const uint64_t*>(this + 1);
  }
  /// What parts child i from child i - 1, encoded; the first is unused. Not for kNone.
  [[nodiscard]] uint64_t* encoded() { return words() + capacity; }
  [[nodiscard]] const uint64_t* encoded() const { return words() + capacity; }
  /// Elements below each child. Above level 0.
  [[nodiscard]] uint64_t* counts() {
    return words() + (separators == Separators::kNone ? 1 : 2) * size_t{capacity};
  }
  [[nodiscard]] const uint64_t* counts() const {
    return words() + (separators == Separators::kNone ? 1 : 2) * size_t{capacity};
  }
  [[nodiscard]] Node* child(uint32_t i) const {
    return reinterpret_cast<Node*>(words()[i]);  // NOLINT(performance-no-int-to-ptr)
  }
  [[nodiscard]] LeafRef leaf(uint32_t i) const { return LeafRef::FromWord(words()[i]); }
  [[nodiscard]] uint64_t CountOf(uint32_t i) const {
    return level == 0 ? leaf(i).count() : counts()[i];
  }
  [[nodiscard]] uint64_t Total() const;
};

[[nodiscard]] inline Node* NodeOf(uint64_t word) {
  return reinterpret_cast<Node*>(word);  // NOLINT(performance-no-int-to-ptr)
}
[[nodiscard]] inline uint64_t WordOf(const Node* node) { return reinterpret_cast<uint64_t>(node); }

[[nodiscard]] Node* NewNode(Separators separators, uint8_t level, uint32_t capacity);
/// Releases the node's own memory, whatever it refers to.
void DeleteNode(Node* node);
/// RAM of the node.
[[nodiscard]] uint64_t NodeBytes(const Node* node);

/// A copy with one holder; takes a share of every child.
[[nodiscard]] Node* CopyNode(const LeafStore& store, const Node& node);

/// The same node with room for more children; the old one is gone.
[[nodiscard]] Node* GrowNode(Node* node, uint32_t capacity);

/// Inserts a child before child `at`; `separator` parts child `separator_at` from the one before.
/// There must be room.
void InsertChild(Node* node, uint32_t at, uint64_t word, uint64_t count, uint32_t separator_at,
                 const Separator& separator);
void RemoveChild(Node* node, uint32_t at);
[[nodiscard]] Separator SeparatorAt(const Node* node, uint32_t at);

/// Moves the children from `at` (1 to count - 1) on to a new node; `between` parts the two.
[[nodiscard]] Node* SplitNode(Node* node, uint32_t at, Separator* between);

/// Moves all children of `right` behind those of `left`, which is as large as needed; deletes
/// `right`.
void JoinNodes(Node* left, Node* right, const Separator& between);

/// The last of `count` encoded separators that is not above `wanted`; the first is below all.
[[nodiscard]] inline uint32_t LastUpTo(uint64_t wanted, const uint64_t* encoded, uint32_t count) {
  uint32_t at = 0;
  while (count > 1) {
    const uint32_t half = count / 2;
    at = encoded[at + half] <= wanted ? at + half : at;
    count -= half;
  }
  return at;
}

/// The child that has, or would have, the key.
[[nodiscard]] inline uint32_t PickByHash(const Node* node, uint64_t hash) {
  return LastUpTo(hash, node->encoded(), node->count);
}
[[nodiscard]] uint32_t PickByBytes(const Node* node, const ScoreKey& key);
/// The child with the element at `*rank`, which becomes the rank below it; the last for a rank
/// beyond the end.
[[nodiscard]] uint32_t PickByRank(const Node* node, uint64_t* rank);

/// Elements below the children before `at`.
[[nodiscard]] uint64_t CountBefore(const Node* node, uint32_t at);

}  // namespace flash::values
