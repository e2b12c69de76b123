// zset_build.cc: sorted sets made at once, and the member index made when a lone leaf gets a root;
// see zset_value.h.
//
// Thread: main.
#include <algorithm>
#include <vector>

#include "values/value_builders.h"
#include "values/zset_value.h"

namespace flash::values {
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
  DirectPlacer hot(env_->store, false);
  SortedBuilder index(*env_, family(), &hot);
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    const ElementDraft member(ParseMember(leaf.At(i)));
    const ScoreDraft score(ParseScore(leaf.At(i)));
    FLASH_CHECK(index.Add(ElementHash(*env_, member.element()),
                          EntryDraft::OfHash(member, score.bytes(), false)));
  }
  root()->tops[1] = *index.Finish();
}

Result<void> ZSetValue::Build(std::span<const Pair> pairs, bool to_flash) {
  FLASH_DCHECK(empty());
  std::vector<uint32_t> order(pairs.size());
  for (uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    if (pairs[a].first != pairs[b].first) return pairs[a].first < pairs[b].first;
    return base::AsText(pairs[a].second) < base::AsText(pairs[b].second);
  });
  DirectPlacer placer(env_->store, to_flash);
  ZSetBuilder builder(*env_, &placer);
  Result<void> outcome;
  for (const uint32_t i : order) {
    if (outcome) outcome = builder.Add(pairs[i].first, pairs[i].second);
  }
  return FinishBuild(&builder, outcome);
}

}  // namespace flash::values
