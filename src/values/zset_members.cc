// zset_members.cc: places among a set's members by their text alone, for ranges by member over
// several scores.
//
// The tree is ordered by score first, so nodes say nothing of texts: leaves are asked. See
// zset_value.h. Thread: main.
#include <algorithm>

#include "values/zset_value.h"

namespace flash::values {

Order ZSetValue::CompareAt(uint64_t rank, const Element& text, Missing* missing) const {
  const Tree scores = tree(0);
  Path path;
  scores.SeekRank(&rank, &path);
  if (missing != nullptr && !scores.Plan(path, missing)) return Order::kUnknown;
  const EntryView entry = scores.Look(path).At(static_cast<uint32_t>(rank));
  return CompareElements(*env_, ParseMember(entry), text, missing);
}

std::optional<uint64_t> ZSetValue::RankByMember(const Element& text, bool after,
                                                Missing* missing) const {
  // Each round looks at elements evenly spread over what is left. Cold ones are fetched at once:
  // bisection alone would wait for one leaf after the other. Few enough that both bounds of a range
  // pin no more than a portion (docs/adr/0012).
  constexpr uint64_t kParts = 16;
  uint64_t low = 0;
  uint64_t high = size();
  while (low < high) {
    const uint64_t step = (high - low + kParts - 1) / kParts;
    uint64_t first = 0;
    uint64_t last = (high - low + step - 1) / step;
    const uint64_t probes = last;
    while (first < last) {
      const uint64_t middle = first + (last - first) / 2;
      const Order order = CompareAt(low + middle * step, text, missing);
      if (order == Order::kUnknown) {
        for (uint64_t i = first; i < last; ++i) {
          if (i != middle) (void)CompareAt(low + i * step, text, missing);
        }
        return std::nullopt;
      }
      const bool before = order == Order::kLess || (after && order == Order::kEqual);
      before ? first = middle + 1 : last = middle;
    }
    if (first < probes) high = low + first * step;
    if (first > 0) low += (first - 1) * step + 1;
  }
  return low;
}

}  // namespace flash::values
