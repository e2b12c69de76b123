// zset_build.cc: sorted sets made at once, and the member index made when a lone leaf gets a root;
// see zset_value.h.
//
// Thread: main.
#include <algorithm>
#include <array>
#include <deque>
#include <vector>

#include "values/tree_builder.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

struct Indexed {
  uint64_t hash;
  std::string_view text;  // Of a large member, its reference.
  bool large;
  double score;
};

/// The tree by member hash. Members of equal hash must be ordered as FindField expects.
uint64_t BuildIndexOf(const Env& env, std::vector<Indexed>* members, Family* family,
                      bool to_flash) {
  std::sort(members->begin(), members->end(), [&](const Indexed& a, const Indexed& b) {
    if (a.hash != b.hash) return a.hash < b.hash;
    return CompareElements(env, {base::AsBytes(a.text), a.large}, {base::AsBytes(b.text), b.large},
                           nullptr) == Order::kLess;
  });
  TreeBuilder builder(env, LeafKind::kHash, family, to_flash);
  for (const Indexed& member : *members) {
    const ScoreDraft value(member.score);
    const ElementDraft field(Element{base::AsBytes(member.text), member.large});
    builder.Append(EntryDraft::OfHash(field, value.bytes(), false));
  }
  return builder.Finish();
}

}  // namespace

void ZSetValue::MakeIndexedRoot() {
  if (has_root()) return;
  MakeRoot();
  BuildIndex();
}

void ZSetValue::BuildIndex() {
  if (tree(0).empty()) return;
  Path path;
  tree(0).SeekFirst(&path);
  const LeafView leaf = tree(0).Look(path);
  std::vector<Indexed> members;
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    const Element member = ParseMember(leaf.At(i));
    members.push_back({ElementHash(*env_, member), base::AsText(member.bytes), member.large,
                       ParseScore(leaf.At(i))});
  }
  root()->tops[1] = BuildIndexOf(*env_, &members, family(), false);
}

void ZSetValue::Build(std::span<const Pair> pairs, bool to_flash) {
  FLASH_DCHECK(empty());
  uint64_t bytes = LeafUsed(0, 0);
  bool large = false;
  for (const Pair& pair : pairs) {
    bytes += pair.second.size() + sizeof(double) + kSlotBytes;
    large = large || IsLarge(pair.second);
  }
  if (!large && bytes <= env_->leaf_bytes_max) {
    for (const Pair& pair : pairs) (void)Set(pair.second, pair.first);
    return;
  }
  std::vector<uint32_t> order(pairs.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (pairs[a].first != pairs[b].first) return pairs[a].first < pairs[b].first;
    return base::AsText(pairs[a].second) < base::AsText(pairs[b].second);
  });
  Family* fresh = NewFamily();
  Install(fresh, 0, 0, pairs.size());
  TreeBuilder builder(*env_, LeafKind::kScores, fresh, to_flash);
  std::vector<Indexed> members;
  std::deque<ElementDraft> large_members;  // Their references must stay where they are.
  for (const uint32_t i : order) {
    const auto& [score, text] = pairs[i];
    const ElementDraft member(*env_, text, fresh);
    builder.Append(EntryDraft::OfScore(ScoreDraft(score), member));
    if (member.large()) large_members.push_back(member);
    const Bytes stored = member.large() ? large_members.back().stored() : text;
    members.push_back({env_->HashOf(text), base::AsText(stored), member.large(), score});
  }
  root()->tops[0] = builder.Finish();
  root()->tops[1] = BuildIndexOf(*env_, &members, fresh, to_flash);
}

}  // namespace flash::values
