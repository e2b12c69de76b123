// leaf_search.h: finding a key inside one leaf.
//
// Hash leaves by interpolation over hashes that are computed, score leaves by bisection. Knows no
// tree. Format: docs/format/leaf.md; why no stored hashes: docs/adr/0007. Thread: main.
#pragma once

#include <cstdint>

#include "values/element.h"

namespace flash::values {

struct Found {
  uint32_t position = 0;  ///< Of the entry, or where it belongs.
  bool found = false;
  bool unknown = false;  ///< A block was cold and named; the rest means nothing.
};

/// All hashes of a leaf are in [low, high], as far as known.
struct HashBounds {
  uint64_t low = 0;
  uint64_t high = ~uint64_t{0};
};

/// The entry of `field` in a hash leaf.
[[nodiscard]] Found FindField(const Env& env, LeafView leaf, const Element& field, uint64_t hash,
                              HashBounds bounds, Missing* missing);

/// The first entry of a hash leaf whose hash is not below `hash`.
[[nodiscard]] uint32_t LowerHash(const Env& env, const LeafView& leaf, uint64_t hash,
                                 HashBounds bounds);

/// The hash of an entry of a hash leaf.
[[nodiscard]] uint64_t EntryHash(const Env& env, const EntryView& entry);

/// A point between the elements of a sorted set.
struct ScoreBound {
  enum class Side : uint8_t {
    kBeforeScore,   ///< Before all members with this score.
    kBeforeMember,  ///< Before (score, member).
    kAfterMember,   ///< Behind (score, member).
    kAfterScore,    ///< Behind all members with this score.
  };
  double score = 0;
  Element member;
  Side side = Side::kBeforeScore;
};

/// How many entries of a score leaf lie before the bound; `found`: the next (kBeforeMember) or last
/// (kAfterMember) one is (score, member).
[[nodiscard]] Found FindBound(const Env& env, LeafView leaf, const ScoreBound& bound,
                              Missing* missing);

/// The entry of `member` in a score leaf, searched from the front.
[[nodiscard]] Found ScanForMember(const Env& env, const LeafView& leaf, const Element& member,
                                  Missing* missing);

}  // namespace flash::values
