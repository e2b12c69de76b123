// node_separators.cc: see node_separators.h.
//
// Thread: main.
#include "values/node_separators.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

#include "base/memory.h"

namespace flash::values {

/// Behind the header, in the same allocation: the bytes.
struct LongBytes {
  uint32_t size;
  [[nodiscard]] char* data() { return reinterpret_cast<char*>(this + 1); }
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(this + 1), size};
  }
};

namespace {

constexpr uint64_t kLengthMask = 0xff;
constexpr uint64_t kLong = 0xff;
constexpr uint64_t kBehind = 0xfe;  // As a length: behind all with the same bytes.
constexpr uint32_t kInPlaceMax = 7;
constexpr uint32_t kScoreBytes = 8;

LongBytes* NewLong(std::string_view text) {
  FLASH_CHECK(text.size() < UINT32_MAX);
  auto* bytes = new (base::Allocate(sizeof(LongBytes) + text.size())) LongBytes;
  bytes->size = static_cast<uint32_t>(text.size());
  std::memcpy(bytes->data(), text.data(), text.size());
  return bytes;
}

bool IsLong(uint64_t encoded) { return (encoded & kLengthMask) == kLong; }
LongBytes* LongOf(uint64_t encoded) {
  return reinterpret_cast<LongBytes*>(encoded >> 8);  // NOLINT(performance-no-int-to-ptr)
}

/// What the separators of a node have in common and do not repeat: their first `skip` bytes, which
/// are of the score; zeros at the score's end; and what follows the score in those that go so far.
struct Common {
  uint32_t skip = 0;
  uint32_t zeros = 0;
  std::string_view head;    // `skip` bytes.
  std::string_view member;  // Shorter than that of any separator that has one.

  [[nodiscard]] uint32_t kept() const { return kScoreBytes - skip - zeros; }
};

Common CommonOf(const Node* node) {
  Common common;
  common.skip = node->score_skip;
  common.zeros = node->score_zeros;
  if (node->prefix == nullptr) return common;
  const std::string_view text = node->prefix->text();
  common.head = {text.data(), common.skip};
  common.member = {text.data() + common.skip, text.size() - common.skip};
  return common;
}

bool HasMember(std::string_view full) { return full.size() > kScoreBytes; }

uint32_t ZerosAtEnd(std::string_view full) {
  if (!HasMember(full)) return kScoreBytes - static_cast<uint32_t>(full.size());
  uint32_t zeros = 0;
  while (zeros < kScoreBytes && full[kScoreBytes - 1 - zeros] == 0) ++zeros;
  return zeros;
}

bool Fits(const Common& common, std::string_view full) {
  if (full.size() < common.skip || full.substr(0, common.skip) != common.head) return false;
  if (ZerosAtEnd(full) < common.zeros) return false;
  if (!HasMember(full)) return true;
  const std::string_view member = full.substr(kScoreBytes);
  return member.size() > common.member.size() && member.starts_with(common.member);
}

/// Encodes a separator that fits. Whether it has a member shows in its length: more than `kept`.
uint64_t Encode(Node* node, const Common& common, std::string_view full) {
  std::string rest(full.substr(common.skip, common.kept()));
  if (HasMember(full)) rest.append(full.substr(kScoreBytes + common.member.size()));
  if (rest.size() > kInPlaceMax) {
    node->has_long = true;
    return reinterpret_cast<uint64_t>(NewLong(full)) << 8 | kLong;
  }
  uint64_t encoded = rest.size();
  for (uint32_t i = 0; i < rest.size(); ++i) {
    encoded |= static_cast<uint64_t>(static_cast<uint8_t>(rest[i])) << (56 - 8 * i);
  }
  return encoded;
}

std::string_view CommonPrefixOf(std::string_view a, std::string_view b) {
  const auto differ = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return a.substr(0, static_cast<size_t>(differ.first - a.begin()));
}

Common FindCommon(const std::vector<std::string>& all) {
  Common common;
  if (all.empty()) return common;
  common.head = std::string_view(all[0]).substr(0, kScoreBytes);
  common.zeros = kScoreBytes;
  bool has_member = false;
  for (const std::string& full : all) {
    common.head = CommonPrefixOf(common.head, full);
    common.zeros = std::min(common.zeros, ZerosAtEnd(full));
    if (!HasMember(full)) continue;
    const std::string_view member = std::string_view(full).substr(kScoreBytes);
    common.member = CommonPrefixOf(has_member ? common.member : member, member);
    common.member = common.member.substr(0, member.size() - 1);
    has_member = true;
  }
  common.head = common.head.substr(0, kScoreBytes - common.zeros);
  common.skip = static_cast<uint32_t>(common.head.size());
  return common;
}

/// Encodes all separators of a node, which has none that refer to memory, from 1 on.
void EncodeAll(Node* node, const std::vector<std::string>& all) {
  const Common common = FindCommon(all);
  const std::string text = std::string(common.head).append(common.member);
  base::Release(node->prefix);
  node->prefix = text.empty() ? nullptr : NewLong(text);
  node->score_skip = static_cast<uint8_t>(common.skip);
  node->score_zeros = static_cast<uint8_t>(common.zeros);
  node->has_long = false;
  node->encoded()[0] = 0;
  for (uint32_t i = 0; i < all.size(); ++i) node->encoded()[i + 1] = Encode(node, common, all[i]);
}

/// The key, whose first bytes are those common to the node, as a separator would be encoded; where
/// no separator could be so, as what lies before or behind all that have its score.
uint64_t EncodeKey(const Common& common, const ScoreKey& key) {
  const uint32_t kept = common.kept();
  const uint64_t score =
      kept == 0 ? 0 : key.head() << (8 * common.skip) & ~uint64_t{0} << (64 - 8 * kept);
  const uint64_t below = kept == 0 ? ~uint64_t{0} : (uint64_t{1} << (64 - 8 * kept)) - 1;
  const uint64_t behind = (score | below) & ~kLengthMask;
  const uint64_t dropped = common.zeros == 0 ? 0 : key.head() << (8 * (kScoreBytes - common.zeros));
  if (dropped != 0) return behind | kBehind;
  const size_t shared = common.member.size();
  if (shared > 0) {
    const int order = key.member().substr(0, shared).compare(common.member);
    if (order > 0) return behind | kBehind;
    if (order < 0) return (score & ~kLengthMask) | kept;
  }
  const uint64_t rest = key.member().size() - shared;
  const uint64_t window = kept == 8 ? 0 : key.MemberWindow(shared) >> (8 * kept);
  const uint64_t length = std::min<uint64_t>(kept + std::min<uint64_t>(rest, 8), kInPlaceMax + 1);
  return ((score | window) & ~kLengthMask) | length;
}

/// Negative: the key is before `text`; 0: text is a prefix of the key, or equal.
int CompareKey(const ScoreKey& key, std::string_view text) {
  const uint64_t ordered = __builtin_bswap64(key.head());
  std::array<char, kScoreBytes> head;
  std::memcpy(head.data(), &ordered, head.size());
  const size_t of_head = std::min(text.size(), head.size());
  const int order = of_head == 0 ? 0 : std::memcmp(head.data(), text.data(), of_head);
  if (order != 0 || text.size() <= kScoreBytes) return order;
  const std::string_view member = text.substr(kScoreBytes);
  return key.member().substr(0, member.size()).compare(member);
}

}  // namespace

ScoreKey::ScoreKey(double score, Bytes member) : member_(member) {
  // Of an IEEE number all bits are flipped if it is negative, else the sign: then they order as
  // unsigned integers. -0 is made +0 first, for they are equal.
  const double positive_zero = score == 0 ? 0.0 : score;
  uint64_t bits = 0;
  std::memcpy(&bits, &positive_zero, sizeof(bits));
  const uint64_t sign = uint64_t{1} << 63;
  bits = (bits & sign) != 0 ? ~bits : bits | sign;
  head_ = bits;
}

uint64_t ScoreKey::MemberWindow(uint64_t from) const {
  const uint64_t there = member_.size() > from ? member_.size() - from : 0;
  uint64_t window = 0;
  if (there >= 8) {
    std::memcpy(&window, member_.data() + from, 8);
    return __builtin_bswap64(window);
  }
  for (uint64_t i = 0; i < there; ++i) {
    window |= static_cast<uint64_t>(member_[from + i]) << (56 - 8 * i);
  }
  return window;
}

ScoreKey ScoreKey::AfterScore(double score) {
  ScoreKey key(score, {});
  ++key.head_;
  return key;
}

void SetSeparator(Node* node, uint32_t at, std::string_view full) {
  const Common common = CommonOf(node);
  if (node->count > 2 && Fits(common, full)) {
    node->encoded()[at] = Encode(node, common, full);
    return;
  }
  std::vector<std::string> all;
  for (uint32_t i = 1; i < node->count; ++i) {
    all.push_back(i == at ? std::string(full) : FullSeparator(node, i));
    ReleaseSeparator(node, i);
  }
  EncodeAll(node, all);
}

std::string FullSeparator(const Node* node, uint32_t at) {
  const uint64_t encoded = node->encoded()[at];
  if (IsLong(encoded)) return std::string(LongOf(encoded)->text());
  const Common common = CommonOf(node);
  std::string rest;
  for (uint32_t i = 0; i < (encoded & kLengthMask); ++i) {
    rest.push_back(static_cast<char>(encoded >> (56 - 8 * i) & 0xff));
  }
  std::string full(common.head);
  full.append(rest, 0, common.kept());
  if (rest.size() <= common.kept()) return full;
  full.append(common.zeros, 0).append(common.member);
  return full.append(rest, common.kept(), std::string::npos);
}

void ReleaseSeparator(Node* node, uint32_t at) {
  const uint64_t encoded = node->encoded()[at];
  if (IsLong(encoded)) base::Release(LongOf(encoded));
  node->encoded()[at] = 0;
}

void ReleaseSeparators(Node* node) {
  for (uint32_t i = 1; node->has_long && i < node->count; ++i) ReleaseSeparator(node, i);
  base::Release(node->prefix);
  node->prefix = nullptr;
}

void CopySeparators(Node* copy, const Node& node) {
  copy->prefix = node.prefix == nullptr ? nullptr : NewLong(node.prefix->text());
  copy->score_skip = node.score_skip;
  copy->score_zeros = node.score_zeros;
  copy->has_long = node.has_long;
  copy->encoded()[0] = 0;
  for (uint32_t i = 1; i < node.count; ++i) {
    const uint64_t encoded = node.encoded()[i];
    copy->encoded()[i] =
        IsLong(encoded) ? reinterpret_cast<uint64_t>(NewLong(LongOf(encoded)->text())) << 8 | kLong
                        : encoded;
  }
}

void SplitSeparators(Node* node, uint32_t at, Node* right) {
  std::vector<std::string> left_side;
  std::vector<std::string> right_side;
  for (uint32_t i = 1; i < node->count; ++i) {
    if (i < at) left_side.push_back(FullSeparator(node, i));
    if (i > at) right_side.push_back(FullSeparator(node, i));
    ReleaseSeparator(node, i);
  }
  EncodeAll(node, left_side);
  EncodeAll(right, right_side);
}

uint64_t SeparatorBytes(const Node* node) {
  uint64_t bytes = node->prefix == nullptr ? 0 : base::UsableSize(node->prefix);
  for (uint32_t i = 1; node->has_long && i < node->count; ++i) {
    const uint64_t encoded = node->encoded()[i];
    if (IsLong(encoded)) bytes += base::UsableSize(LongOf(encoded));
  }
  return bytes;
}

uint32_t PickByBytes(const Node* node, const ScoreKey& key) {
  const Common common = CommonOf(node);
  for (uint32_t i = 0; i < common.skip; ++i) {
    const auto here = static_cast<uint8_t>(key.head() >> (56 - 8 * i));
    const auto there = static_cast<uint8_t>(common.head[i]);
    if (here != there) return here < there ? 0 : node->count - 1U;
  }
  const uint64_t wanted = EncodeKey(common, key);
  const uint64_t* encoded = node->encoded();
  if (!node->has_long) return LastUpTo(wanted, encoded, node->count);
  uint32_t at = 0;
  for (uint32_t left = node->count; left > 1;) {
    const uint32_t half = left / 2;
    const uint64_t there = encoded[at + half];
    const bool before =
        IsLong(there) ? CompareKey(key, LongOf(there)->text()) >= 0 : there <= wanted;
    at = before ? at + half : at;
    left -= half;
  }
  return at;
}

}  // namespace flash::values
