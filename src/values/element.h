// element.h: what entries mean: fields, values, members, scores, and elements too large for a leaf.
//
// Reads entries of leaves, compares elements that may lie partly in blocks of their own, and drafts
// new entries. Knows no tree. Format: docs/format/leaf.md. Thread: main.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "values/env.h"
#include "values/large_element.h"
#include "values/leaf.h"

namespace flash::values {

inline constexpr uint32_t kLargePrefixBytes = 32;
inline constexpr uint32_t kLargeRefBytes = 24 + kLargePrefixBytes;

/// An element as stored: its bytes, or the leaf's 56 bytes about a large one. A view.
struct Element {
  Bytes bytes;
  bool large = false;

  [[nodiscard]] uint64_t size() const {
    return large ? base::LoadLe<uint64_t>(bytes.data()) : bytes.size();
  }
  /// Of a large one.
  [[nodiscard]] uint64_t large_hash() const { return base::LoadLe<uint64_t>(bytes.data() + 8); }
  [[nodiscard]] uint64_t large_word() const { return base::LoadLe<uint64_t>(bytes.data() + 16); }
};

struct HashEntry {
  Element field;
  Element value;
};
[[nodiscard]] inline HashEntry ParseHashEntry(const EntryView& entry) {
  const bool value_large = (entry.flags & kValueLarge) != 0;
  if ((entry.flags & kKeyLarge) != 0) {
    return {{entry.bytes.first(kLargeRefBytes), true},
            {entry.bytes.subspan(kLargeRefBytes), value_large}};
  }
  const std::byte* at = entry.bytes.data();
  const auto low = static_cast<uint32_t>(at[0]);
  const uint32_t head = low < 0x80 ? 1 : 2;
  const uint32_t length = low < 0x80 ? low : (low & 0x7fU) | static_cast<uint32_t>(at[1]) << 7;
  return {{{at + head, length}, false},
          {{at + head + length, entry.bytes.size() - head - length}, value_large}};
}

[[nodiscard]] inline Element ParseListEntry(const EntryView& entry) {
  return {entry.bytes, (entry.flags & kValueLarge) != 0};
}
/// A score in as few bytes as there are for it: a 32-bit integer, or a double.
class ScoreDraft {
 public:
  explicit ScoreDraft(double score);
  [[nodiscard]] Bytes bytes() const { return Bytes(bytes_).first(size_); }
  [[nodiscard]] bool is_integer() const { return size_ == sizeof(int32_t); }

 private:
  std::array<std::byte, sizeof(double)> bytes_;
  uint32_t size_;
};
[[nodiscard]] inline double DecodeScore(Bytes bytes) {
  return bytes.size() == sizeof(int32_t) ? base::LoadLe<int32_t>(bytes.data())
                                         : base::LoadLe<double>(bytes.data());
}

[[nodiscard]] inline uint32_t ScoreBytes(const EntryView& entry) {
  return (entry.flags & kScoreInt) != 0 ? sizeof(int32_t) : sizeof(double);
}
[[nodiscard]] inline double ParseScore(const EntryView& entry) {
  return DecodeScore(entry.bytes.first(ScoreBytes(entry)));
}
[[nodiscard]] inline Element ParseMember(const EntryView& entry) {
  return {entry.bytes.subspan(ScoreBytes(entry)), (entry.flags & kKeyLarge) != 0};
}
/// Field or member of an entry.
[[nodiscard]] Element ParseKey(LeafKind kind, const EntryView& entry);

/// The keyed hash of an element, without its blocks.
[[nodiscard]] inline uint64_t ElementHash(const Env& env, const Element& element) {
  return element.large ? element.large_hash() : env.HashOf(element.bytes);
}

/// Reads an element's bytes wherever they lie, run by run.
class ElementReader {
 public:
  ElementReader(const Env& env, const Element& element)
      : env_(&env), element_(element), size_(element.size()) {}
  [[nodiscard]] uint64_t size() const { return size_; }

  /// The bytes from `offset` (below size) on as far as they lie together. Their block is named in
  /// `missing`, hot or cold, so that it stays until all is there; empty where it is cold. Null:
  /// nothing is cold, or it is a bug.
  [[nodiscard]] Bytes At(uint64_t offset, Missing* missing) const;

 private:
  const Env* env_;
  Element element_;
  uint64_t size_;
};

enum class Order : uint8_t { kLess, kEqual, kGreater, kUnknown };

/// Compares as memcmp does, a prefix first. kUnknown: blocks are cold, named in `missing`. Most
/// comparisons with a large element end in its prefix.
[[nodiscard]] Order CompareElements(const Env& env, const Element& a, const Element& b,
                                    Missing* missing);

/// Are they equal? Length and hash are asked before bytes. Never kLess or kGreater for equal ones;
/// kLess stands for "differ".
[[nodiscard]] Order ElementsEqual(const Env& env, const Element& a, const Element& b,
                                  Missing* missing);

/// Length of the common prefix, or nullopt where a block is cold.
[[nodiscard]] std::optional<uint64_t> CommonPrefix(const Env& env, const Element& a,
                                                   const Element& b, Missing* missing);

/// Names the blocks of a large element; nothing for others.
void PlanElement(const Env& env, const Element& element, Missing* missing);

/// Appends the bytes of an element, all hot, to `to`.
void AppendElement(const Env& env, const Element& element, std::string* to);

/// A copy of an element, all hot.
[[nodiscard]] inline std::string ElementText(const Env& env, const Element& element) {
  std::string text;
  AppendElement(env, element, &text);
  return text;
}

/// Ends this leaf's share of a large element; nothing for others.
inline void ReleaseElement(const Env& env, const Element& element, Family* family) {
  if (element.large) ReleaseLarge(env.store, element.large_word(), family);
}
/// One more share of a large element, for a copied leaf.
inline void ShareElement(const Env& env, const Element& element) {
  if (element.large) ShareLarge(env.store, element.large_word());
}
/// One more share of each large element of an entry.
void ShareEntry(const Env& env, LeafKind kind, const EntryView& entry);
/// The words of an entry's large elements.
void AppendLargeWords(LeafKind kind, const EntryView& entry, std::vector<uint64_t>* words);

/// An element about to be stored: inline, or moved to blocks of its own. Refers to the bytes it was
/// made from.
class ElementDraft {
 public:
  ElementDraft() = default;
  /// Copies `bytes` to blocks of `family` if they are too long for a leaf.
  ElementDraft(const Env& env, Bytes bytes, Family* family) : bytes_(bytes) {
    if (bytes.size() <= env.inline_bytes_max) [[likely]]
      return;
    Refer(env, StoreLarge(env.store, bytes, family));
  }
  /// The same to blocks that `placer` makes. Errors: kNoSpace.
  [[nodiscard]] static Result<ElementDraft> Place(const Env& env, Bytes bytes, Family* family,
                                                  BlockPlacer* placer);
  /// The same content as `element`; of a large one the reference is copied and no share is taken.
  explicit ElementDraft(const Element& element);

  [[nodiscard]] bool large() const { return large_; }
  [[nodiscard]] Bytes stored() const { return large_ ? Bytes(ref_) : bytes_; }
  [[nodiscard]] Element element() const { return {stored(), large_}; }

 private:
  void Refer(const Env& env, uint64_t word);

  Bytes bytes_;
  std::array<std::byte, kLargeRefBytes> ref_;
  bool large_ = false;
};

/// An entry about to be stored: up to three runs of bytes and flags. Refers to its elements.
class EntryDraft {
 public:
  static EntryDraft OfHash(const ElementDraft& field, Bytes value, bool value_large);
  static EntryDraft OfHash(const ElementDraft& field, const ElementDraft& value) {
    return OfHash(field, value.stored(), value.large());
  }
  static EntryDraft OfList(const ElementDraft& element);
  static EntryDraft OfScore(const ScoreDraft& score, const ElementDraft& member);

  [[nodiscard]] uint32_t bytes() const {
    return head_bytes_ + static_cast<uint32_t>(a_.size() + b_.size());
  }
  [[nodiscard]] uint16_t flags() const { return flags_; }
  [[nodiscard]] bool has_large() const { return (flags_ & kLargeFlags) != 0; }
  void WriteTo(MutableBytes entry) const;

 private:
  std::array<std::byte, 8> head_;
  uint32_t head_bytes_ = 0;
  uint16_t flags_ = 0;
  Bytes a_;
  Bytes b_;
};

}  // namespace flash::values
