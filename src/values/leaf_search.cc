// leaf_search.cc: see leaf_search.h.
//
// Thread: main.
#include "values/leaf_search.h"

#include <algorithm>

#include "values/keyed_hash.h"

namespace flash::values {

namespace {

/// The field of entry `i` without its value, where it is as short as almost all are: data null
/// where not.
inline Bytes ShortFieldAt(const LeafView& leaf, uint32_t i) {
  const std::byte* at = leaf.heap() + leaf.Begin(i);
  const auto low = static_cast<uint32_t>(at[0]);
  if ((leaf.Slot(i) & kKeyLarge) != 0 || low >= 0x80) [[unlikely]]
    return {};
  return {at + 1, low};
}

uint64_t HashOfLong(const Env& env, const LeafView& leaf, uint32_t i) {
  return ElementHash(env, ParseHashEntry(leaf.At(i)).field);
}

/// The field's hash, without parsing the value.
inline uint64_t HashAt(const Env& env, const LeafView& leaf, uint32_t i) {
  const Bytes field = ShortFieldAt(leaf, i);
  return field.data() != nullptr ? KeyedHash(env, field) : HashOfLong(env, leaf, i);
}

/// Entries with hashes below the sought one end before `begin`, those above begin at `end`; at `at`
/// there is an equal one, unless begin == end.
struct Narrowed {
  uint32_t begin;
  uint32_t end;
  uint32_t at;
};

/// How far into the bounds the hash lies, 0 to 1. Halved, numbers are signed ones too, which the
/// processor converts at once.
inline double Part(uint64_t hash, HashBounds bounds) {
  const auto half = [](uint64_t distance) {
    return static_cast<double>(static_cast<int64_t>(distance / 2));
  };
  return half(hash - bounds.low) / (half(bounds.high - bounds.low) + 1.0);
}

/// Asks for the lines that the first guesses will most likely need, slots and entries at once: in a
/// collection that no cache of the processor holds their misses would otherwise follow each other.
void PrefetchAround(const LeafView& leaf, double part) {
  constexpr int kLine = 64;
  const uint32_t count = leaf.count();
  const auto slot = static_cast<int32_t>(part * static_cast<int32_t>(count)) * int32_t{kSlotBytes};
  const auto entry = static_cast<int32_t>(
      part * static_cast<int32_t>(leaf.size() - kLeafHeaderBytes - kSlotBytes * count));
  __builtin_prefetch(leaf.heap() - kLeafHeaderBytes + leaf.size() - slot - kSlotBytes);
  for (int line = -2; line <= 2; ++line) __builtin_prefetch(leaf.heap() + entry + line * kLine);
}

/// Guesses by interpolation, which brings a uniform set within an entry or two in as many steps as
/// bisection needs for a handful; after a few steps without an end it bisects.
inline Narrowed Narrow(const Env& env, LeafView leaf, uint64_t hash, HashBounds bounds) {
  constexpr uint32_t kGuessesMax = 6;
  uint32_t begin = 0;
  uint32_t end = leaf.count();
  // Once the hash lies in the bounds, it lies in all that follow.
  uint32_t guesses = hash >= bounds.low && hash <= bounds.high ? kGuessesMax : 0;
  double part = guesses > 0 ? Part(hash, bounds) : 0;
  if (end >= 32 && guesses > 0) PrefetchAround(leaf, part);
  while (begin < end) {
    const uint32_t count = end - begin;
    uint32_t at = begin + count / 2;
    if (guesses > 0 && count > 2) {
      --guesses;
      at = std::min(begin + static_cast<uint32_t>(static_cast<int64_t>(part * count)), end - 1);
    }
    const uint64_t there = HashAt(env, leaf, at);
    if (there == hash) return {begin, end, at};
    if (there < hash) {
      begin = at + 1;
      bounds.low = there;
    } else {
      end = at;
      bounds.high = there;
    }
    if (guesses > 0) part = Part(hash, bounds);
  }
  return {begin, end, begin};
}

}  // namespace

uint64_t EntryHash(const Env& env, const EntryView& entry) {
  return ElementHash(env, ParseHashEntry(entry).field);
}

uint32_t LowerHash(const Env& env, const LeafView& leaf, uint64_t hash, HashBounds bounds) {
  const Narrowed narrowed = Narrow(env, leaf, hash, bounds);
  uint32_t at = narrowed.at;
  while (at > narrowed.begin && HashAt(env, leaf, at - 1) == hash) --at;
  return at;
}

/// Flattened, so that no guess calls the hash function.
[[gnu::flatten]] Found FindField(const Env& env, LeafView leaf, const Element& field, uint64_t hash,
                                 HashBounds bounds, Missing* missing) {
  const Narrowed narrowed = Narrow(env, leaf, hash, bounds);
  if (narrowed.begin == narrowed.end) return {narrowed.begin, false, false};
  const Bytes there = ShortFieldAt(leaf, narrowed.at);
  if (there.data() != nullptr && !field.large && there.size() == field.bytes.size() &&
      base::AsText(there) == base::AsText(field.bytes)) [[likely]] {
    return {narrowed.at, true, false};
  }
  // Another field with this hash, or a large one.
  uint32_t i = narrowed.at;
  while (i > narrowed.begin && HashAt(env, leaf, i - 1) == hash) --i;
  for (; i < narrowed.end && HashAt(env, leaf, i) == hash; ++i) {
    switch (CompareElements(env, ParseHashEntry(leaf.At(i)).field, field, missing)) {
      case Order::kEqual:
        return {i, true, false};
      case Order::kGreater:
        return {i, false, false};
      case Order::kUnknown:
        return {i, false, true};
      case Order::kLess:
        break;
    }
  }
  return {i, false, false};
}

namespace {

/// Where an entry with the bound's score lies as seen from it: kLess is before.
Order CompareToBound(const Env& env, const EntryView& entry, const ScoreBound& bound,
                     Missing* missing) {
  if (bound.side == ScoreBound::Side::kBeforeScore) return Order::kGreater;
  if (bound.side == ScoreBound::Side::kAfterScore) return Order::kLess;
  return CompareElements(env, ParseMember(entry), bound.member, missing);
}

}  // namespace

Found FindBound(const Env& env, LeafView leaf, const ScoreBound& bound, Missing* missing) {
  uint32_t begin = 0;
  uint32_t end = leaf.count();
  while (begin < end) {
    const uint32_t at = begin + (end - begin) / 2;
    const std::byte* entry = leaf.heap() + leaf.Begin(at);
    const double score = (leaf.Slot(at) & kScoreInt) != 0 ? base::LoadLe<int32_t>(entry)
                                                          : base::LoadLe<double>(entry);
    if (score < bound.score) {
      begin = at + 1;
      continue;
    }
    if (score > bound.score) {
      end = at;
      continue;
    }
    const Order order = CompareToBound(env, leaf.At(at), bound, missing);
    if (order == Order::kUnknown) return {0, false, true};
    if (order == Order::kEqual) {
      const bool after = bound.side == ScoreBound::Side::kAfterMember;
      return {after ? at + 1 : at, true, false};
    }
    if (order == Order::kLess) {
      begin = at + 1;
    } else {
      end = at;
    }
  }
  return {begin, false, false};
}

Found ScanForMember(const Env& env, const LeafView& leaf, const Element& member, Missing* missing) {
  const uint32_t count = leaf.count();
  const bool plain = !member.large && member.bytes.size() >= sizeof(uint64_t);
  // Equally long members mostly differ near their ends.
  uint64_t tail = 0;
  if (plain) tail = base::LoadLe<uint64_t>(member.bytes.data() + member.bytes.size() - 8);
  uint32_t begin = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const uint16_t slot = leaf.Slot(i);
    const uint32_t end = slot & uint32_t{kSlotEndMask};
    const uint32_t here = end - begin;
    begin = end;
    if ((slot & kLargeFlags) == 0 && !member.large) {
      const uint32_t score_bytes = (slot & kScoreInt) != 0 ? sizeof(int32_t) : sizeof(double);
      if (here != member.bytes.size() + score_bytes) continue;
      if (plain && base::LoadLe<uint64_t>(leaf.heap() + end - 8) != tail) continue;
    }
    const Order order = ElementsEqual(env, ParseMember(leaf.At(i)), member, missing);
    if (order == Order::kEqual) return {i, true, false};
    if (order == Order::kUnknown) return {i, false, true};
  }
  return {count, false, false};
}

}  // namespace flash::values
