// node.cc: see node.h. Separators of bytes: see node_separators.cc.
//
// Thread: main.
#include "values/node.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "base/memory.h"
#include "values/node_separators.h"

namespace flash::values {
namespace {

size_t NodeSize(Separators separators, uint8_t level, uint32_t capacity) {
  const size_t arrays = 1U + (separators == Separators::kNone ? 0U : 1U) + (level == 0 ? 0U : 1U);
  return sizeof(Node) + arrays * capacity * sizeof(uint64_t);
}

void OpenGap(uint64_t* array, uint32_t count, uint32_t at) {
  std::memmove(array + at + 1, array + at, (count - at) * sizeof(uint64_t));
}
void CloseGap(uint64_t* array, uint32_t count, uint32_t at) {
  std::memmove(array + at, array + at + 1, (count - at - 1) * sizeof(uint64_t));
}
void CopyWords(uint64_t* to, const uint64_t* from, size_t count) {
  std::memcpy(to, from, count * sizeof(uint64_t));
}

}  // namespace

uint64_t Node::Total() const { return CountBefore(this, count); }

Node* NewNode(Separators separators, uint8_t level, uint32_t capacity) {
  Node* node = new (base::Allocate(NodeSize(separators, level, capacity))) Node;
  node->capacity = static_cast<uint16_t>(capacity);
  node->level = level;
  node->separators = separators;
  return node;
}

void DeleteNode(Node* node) {
  if (node->separators == Separators::kBytes) ReleaseSeparators(node);
  base::Release(node);
}

uint64_t NodeBytes(const Node* node) {
  uint64_t bytes = base::UsableSize(const_cast<Node*>(node));  // NOLINT: malloc's signature.
  if (node->separators == Separators::kBytes) bytes += SeparatorBytes(node);
  return bytes;
}

Node* CopyNode(const LeafStore& store, const Node& node) {
  Node* copy = NewNode(node.separators, node.level, node.capacity);
  copy->count = node.count;
  CopyWords(copy->words(), node.words(), node.count);
  for (uint32_t i = 0; i < node.count; ++i) {
    if (node.level == 0) {
      store.Share(node.leaf(i).id());
    } else {
      ++node.child(i)->refs;
    }
  }
  if (node.level > 0) CopyWords(copy->counts(), node.counts(), node.count);
  if (node.separators == Separators::kHash) CopyWords(copy->encoded(), node.encoded(), node.count);
  if (node.separators == Separators::kBytes) CopySeparators(copy, node);
  return copy;
}

Node* GrowNode(Node* node, uint32_t capacity) {
  Node* grown = NewNode(node->separators, node->level, capacity);
  grown->refs = node->refs;
  grown->count = node->count;
  grown->has_long = node->has_long;
  grown->prefix = node->prefix;
  grown->score_skip = node->score_skip;
  grown->score_zeros = node->score_zeros;
  CopyWords(grown->words(), node->words(), node->count);
  if (node->separators != Separators::kNone) {
    CopyWords(grown->encoded(), node->encoded(), node->count);
  }
  if (node->level > 0) CopyWords(grown->counts(), node->counts(), node->count);
  base::Release(node);  // What its separators refer to lives on in the new one.
  return grown;
}

void InsertChild(Node* node, uint32_t at, uint64_t word, uint64_t count, uint32_t separator_at,
                 const Separator& separator) {
  const uint32_t before = node->count;
  FLASH_DCHECK(before < node->capacity && at <= before);
  OpenGap(node->words(), before, at);
  node->words()[at] = word;
  if (node->level > 0) {
    OpenGap(node->counts(), before, at);
    node->counts()[at] = count;
  }
  node->count = static_cast<uint16_t>(before + 1);
  if (node->separators == Separators::kNone) return;
  if (before == 0) {
    node->encoded()[0] = 0;
    return;
  }
  OpenGap(node->encoded(), before, separator_at);
  if (node->separators == Separators::kHash) {
    node->encoded()[separator_at] = separator.hash;
  } else {
    node->encoded()[separator_at] = 0;
    SetSeparator(node, separator_at, separator.bytes);
  }
}

void RemoveChild(Node* node, uint32_t at) {
  const uint32_t before = node->count;
  CloseGap(node->words(), before, at);
  if (node->level > 0) CloseGap(node->counts(), before, at);
  node->count = static_cast<uint16_t>(before - 1);
  if (node->separators == Separators::kNone) return;
  // Without its first child a node begins with the second, whose separator nobody needs then.
  const uint32_t gone = std::max(at, 1U);
  if (gone >= before) return;
  if (node->separators == Separators::kBytes) ReleaseSeparator(node, gone);
  CloseGap(node->encoded(), before, gone);
}

Separator SeparatorAt(const Node* node, uint32_t at) {
  if (node->separators == Separators::kHash) return {node->encoded()[at], {}};
  if (node->separators == Separators::kBytes) return {0, FullSeparator(node, at)};
  return {};
}

Node* SplitNode(Node* node, uint32_t at, Separator* between) {
  FLASH_DCHECK(at >= 1 && at < node->count);
  const uint32_t moved = node->count - at;
  const uint32_t capacity = static_cast<uint32_t>(base::AlignUp(moved, 8));
  Node* right = NewNode(node->separators, node->level, capacity);
  *between = SeparatorAt(node, at);
  right->count = static_cast<uint16_t>(moved);
  CopyWords(right->words(), node->words() + at, moved);
  if (node->level > 0) CopyWords(right->counts(), node->counts() + at, moved);
  if (node->separators == Separators::kHash) {
    CopyWords(right->encoded(), node->encoded() + at, moved);
  } else if (node->separators == Separators::kBytes) {
    SplitSeparators(node, at, right);
  }
  node->count = static_cast<uint16_t>(at);
  return right;
}

void JoinNodes(Node* left, Node* right, const Separator& between) {
  FLASH_DCHECK(uint32_t{left->count} + right->count <= left->capacity);
  for (uint32_t i = 0; i < right->count; ++i) {
    InsertChild(left, left->count, right->words()[i], right->CountOf(i), left->count,
                i == 0 ? between : SeparatorAt(right, i));
  }
  DeleteNode(right);
}

uint32_t PickByRank(const Node* node, uint64_t* rank) {
  uint32_t at = 0;
  const uint32_t last = node->count - 1U;
  uint64_t left = *rank;
  for (uint64_t here = 0; at < last && left >= (here = node->CountOf(at)); ++at) left -= here;
  *rank = left;
  return at;
}

uint64_t CountBefore(const Node* node, uint32_t at) {
  // In four sums, which the processor adds up side by side.
  std::array<uint64_t, 4> sums{};
  const uint64_t* of = node->level == 0 ? node->words() : node->counts();
  const uint32_t shift = node->level == 0 ? 4 : 0;
  const uint64_t mask = node->level == 0 ? LeafRef::kCountMax : ~uint64_t{0};
  uint32_t i = 0;
  for (; i + 4 <= at; i += 4) {
    for (uint32_t j = 0; j < 4; ++j) sums[j] += of[i + j] >> shift & mask;
  }
  for (; i < at; ++i) sums[0] += of[i] >> shift & mask;
  return sums[0] + sums[1] + sums[2] + sums[3];
}

}  // namespace flash::values
