// element.cc: see element.h.
//
// Thread: main.
#include "values/element.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

namespace flash::values {
namespace {

Order FromInt(int order) {
  return order < 0 ? Order::kLess : order > 0 ? Order::kGreater : Order::kEqual;
}

Order CompareSizes(uint64_t a, uint64_t b) {
  return a < b ? Order::kLess : a > b ? Order::kGreater : Order::kEqual;
}

/// Of a large element: names what is needed to compare it from `offset` on. That is twice as much
/// each time, so that a long comparison takes few rounds of reads and a short one reads little; and
/// what was compared before, so that it does not leave meanwhile.
void NameAhead(const Env& env, const Element& element, uint64_t offset, Missing* missing) {
  if (!element.large) return;
  const uint64_t end = std::min(element.size(), 2 * offset + kMiB);
  const uint64_t word = element.large_word();
  const uint64_t step = IsRope(word) ? RopeOf(word)->piece_bytes : element.size();
  for (uint64_t at = 0; at < end; at += step) {
    static_cast<void>(missing->Need(env.store, LargePieceAt(word, at).id));
  }
}

/// The whole of a large element can be read. Names what is missing.
bool HasWhole(const Env& env, const Element& element, Missing* missing) {
  if (!element.large || missing == nullptr) return true;
  bool hot = true;
  ForEachLargeBlock(element.large_word(),
                    [&](BlockId id) { hot = missing->Need(env.store, id) && hot; });
  return hot;
}

}  // namespace

ScoreDraft::ScoreDraft(double score) : size_(sizeof(double)) {
  constexpr double kMin = std::numeric_limits<int32_t>::min();
  constexpr double kMax = std::numeric_limits<int32_t>::max();
  if (score >= kMin && score <= kMax) {
    const auto integer = static_cast<int32_t>(score);
    // -0 is not the integer 0.
    if (integer == score && (integer != 0 || !std::signbit(score))) {
      size_ = sizeof(integer);
      base::StoreLe(bytes_.data(), integer);
      return;
    }
  }
  base::StoreLe(bytes_.data(), score);
}

Element ParseKey(LeafKind kind, const EntryView& entry) {
  return kind == LeafKind::kHash ? ParseHashEntry(entry).field : ParseMember(entry);
}

Bytes ElementReader::At(uint64_t offset, Missing* missing) const {
  if (!element_.large) return element_.bytes.subspan(offset);
  if (offset < kLargePrefixBytes) return element_.bytes.subspan(24 + offset);
  const LargePiece piece = LargePieceAt(element_.large_word(), offset);
  if (missing == nullptr) {
    FLASH_CHECK(env_->store.IsHot(piece.id));
  } else if (!missing->Need(env_->store, piece.id)) {
    return {};
  }
  return env_->store.Read(piece.id).subspan(piece.offset);
}

std::optional<uint64_t> CommonPrefix(const Env& env, const Element& a, const Element& b,
                                     Missing* missing) {
  const ElementReader left(env, a);
  const ElementReader right(env, b);
  const uint64_t both = std::min(left.size(), right.size());
  if (a.large && b.large && a.large_word() == b.large_word()) return both;
  uint64_t at = 0;
  while (at < both) {
    const Bytes x = left.At(at, missing);
    const Bytes y = right.At(at, missing);
    if (x.empty() || y.empty()) {
      NameAhead(env, a, at, missing);
      NameAhead(env, b, at, missing);
      return std::nullopt;
    }
    const size_t run = std::min({x.size(), y.size(), static_cast<size_t>(both - at)});
    const auto differ =
        std::mismatch(x.begin(), x.begin() + static_cast<ptrdiff_t>(run), y.begin());
    const auto same = static_cast<size_t>(differ.first - x.begin());
    at += same;
    if (same < run) break;
  }
  return at;
}

Order CompareElements(const Env& env, const Element& a, const Element& b, Missing* missing) {
  if (!a.large && !b.large) {
    const size_t both = std::min(a.bytes.size(), b.bytes.size());
    const int order = both == 0 ? 0 : std::memcmp(a.bytes.data(), b.bytes.data(), both);
    return order != 0 ? FromInt(order) : CompareSizes(a.bytes.size(), b.bytes.size());
  }
  const auto same = CommonPrefix(env, a, b, missing);
  if (!same) return Order::kUnknown;
  const uint64_t size_a = a.size();
  const uint64_t size_b = b.size();
  if (*same == std::min(size_a, size_b)) return CompareSizes(size_a, size_b);
  const std::byte x = ElementReader(env, a).At(*same, missing)[0];
  const std::byte y = ElementReader(env, b).At(*same, missing)[0];
  return x < y ? Order::kLess : Order::kGreater;
}

Order ElementsEqual(const Env& env, const Element& a, const Element& b, Missing* missing) {
  if (a.size() != b.size()) return Order::kLess;
  if ((a.large || b.large) && ElementHash(env, a) != ElementHash(env, b)) return Order::kLess;
  // They are equal, in all likelihood.
  const bool same = a.large && b.large && a.large_word() == b.large_word();
  if (!same && (!HasWhole(env, a, missing) || !HasWhole(env, b, missing))) return Order::kUnknown;
  const Order order = CompareElements(env, a, b, missing);
  return order == Order::kGreater ? Order::kLess : order;
}

void PlanElement(const Env& env, const Element& element, Missing* missing) {
  if (!element.large) return;
  missing->AddLarge(element.size());
  ForEachLargeBlock(element.large_word(), [&](BlockId id) { missing->Need(env.store, id); });
}

void AppendElement(const Env& env, const Element& element, std::string* to) {
  if (!element.large) {
    to->append(base::AsText(element.bytes));
    return;
  }
  ForEachLargeBlock(element.large_word(),
                    [&](BlockId id) { to->append(base::AsText(env.store.Touch(id))); });
}

void AppendLargeWords(LeafKind kind, const EntryView& entry, std::vector<uint64_t>* words) {
  if ((entry.flags & kKeyLarge) != 0) words->push_back(ParseKey(kind, entry).large_word());
  if ((entry.flags & kValueLarge) == 0) return;
  const Element value =
      kind == LeafKind::kHash ? ParseHashEntry(entry).value : ParseListEntry(entry);
  words->push_back(value.large_word());
}

void ShareEntry(const Env& env, LeafKind kind, const EntryView& entry) {
  if ((entry.flags & kLargeFlags) == 0) return;
  std::vector<uint64_t> words;
  AppendLargeWords(kind, entry, &words);
  for (const uint64_t word : words) ShareLarge(env.store, word);
}

Result<ElementDraft> ElementDraft::Place(const Env& env, Bytes bytes, Family* family,
                                         BlockPlacer* placer) {
  ElementDraft draft;
  draft.bytes_ = bytes;
  if (bytes.size() <= env.inline_bytes_max) return draft;
  const Result<uint64_t> word = PlaceLarge(env.store, bytes, family, placer);
  if (!word) return word.error();
  draft.Refer(env, *word);
  return draft;
}

void ElementDraft::Refer(const Env& env, uint64_t word) {
  large_ = true;
  base::StoreLe<uint64_t>(ref_.data(), bytes_.size());
  base::StoreLe<uint64_t>(ref_.data() + 8, env.HashOf(bytes_));
  base::StoreLe<uint64_t>(ref_.data() + 16, word);
  std::memcpy(ref_.data() + 24, bytes_.data(), kLargePrefixBytes);
}

ElementDraft::ElementDraft(const Element& element) : bytes_(element.bytes), large_(element.large) {
  if (large_) std::memcpy(ref_.data(), element.bytes.data(), kLargeRefBytes);
}

EntryDraft EntryDraft::OfHash(const ElementDraft& field, Bytes value, bool value_large) {
  EntryDraft draft;
  draft.a_ = field.stored();
  draft.b_ = value;
  draft.flags_ =
      static_cast<uint16_t>((field.large() ? kKeyLarge : 0) | (value_large ? kValueLarge : 0));
  if (field.large()) return draft;
  const auto length = static_cast<uint32_t>(draft.a_.size());
  draft.head_bytes_ = length < 0x80 ? 1 : 2;
  draft.head_[0] = static_cast<std::byte>(length < 0x80 ? length : 0x80 | (length & 0x7f));
  draft.head_[1] = static_cast<std::byte>(length >> 7);
  return draft;
}

EntryDraft EntryDraft::OfList(const ElementDraft& element) {
  EntryDraft draft;
  draft.a_ = element.stored();
  draft.flags_ = element.large() ? kValueLarge : uint16_t{0};
  return draft;
}

EntryDraft EntryDraft::OfScore(const ScoreDraft& score, const ElementDraft& member) {
  EntryDraft draft;
  const Bytes bytes = score.bytes();
  draft.head_bytes_ = static_cast<uint32_t>(bytes.size());
  std::memcpy(draft.head_.data(), bytes.data(), bytes.size());
  draft.a_ = member.stored();
  draft.flags_ = static_cast<uint16_t>((member.large() ? kKeyLarge : 0) |
                                       (score.is_integer() ? kScoreInt : 0));
  return draft;
}

void EntryDraft::WriteTo(MutableBytes entry) const {
  std::byte* to = entry.data();
  if (entry.empty()) return;  // Which may be nowhere.
  std::memcpy(to, head_.data(), head_bytes_);
  to += head_bytes_;
  if (!a_.empty()) std::memcpy(to, a_.data(), a_.size());
  to += a_.size();
  if (!b_.empty()) std::memcpy(to, b_.data(), b_.size());
}

}  // namespace flash::values
