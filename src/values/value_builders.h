// value_builders.h: hashes, lists and sorted sets made at once, element by element, in bounded
// memory.
//
// For what is loaded, restored or stored as a whole. What fits one leaf becomes hot; of larger
// values the leaves go where the placer says, as they fill. After an error, and instead of Finish,
// Abandon. Decision: docs/adr/0018. Thread: main.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "values/collection.h"
#include "values/sorted_builder.h"

namespace flash::values {

/// What the three have in common: a value of several blocks under construction, and its elements
/// while they are few.
class ValueBuilder : protected Collection {
 public:
  ValueBuilder(const Env& env, CollectionKind kind, BlockPlacer* placer);
  ValueBuilder(const ValueBuilder&) = delete;
  ValueBuilder& operator=(const ValueBuilder&) = delete;
  using Collection::kind;

 protected:
  /// Does the value still fit one leaf with this added? Once it does not, never again.
  [[nodiscard]] bool StaysSmall(uint64_t bytes, bool large);
  [[nodiscard]] bool small() const { return small_; }
  /// Before a small value is made: its word is 0 from then on.
  [[nodiscard]] Result<void> BeginSmall();
  /// The word of the value, which is the caller's.
  [[nodiscard]] uint64_t TakeWord() { return std::exchange(built_, 0); }
  [[nodiscard]] uint64_t* word() { return &built_; }
  /// Ends the builders of the value's trees, in order. The word of the value. Errors: theirs.
  template <typename... Builders>
  [[nodiscard]] Result<uint64_t> FinishTrees(uint64_t count, Builders*... builders) {
    uint32_t which = 0;
    Error failure;
    const auto finish = [&](auto* builder) {
      const Result<uint64_t> top = builder->Finish();
      if (!top) {
        failure = top.error();
        return false;
      }
      root()->tops[which++] = *top;
      root()->count = count;
      return true;
    };
    if (!(finish(builders) && ...)) return failure;
    return TakeWord();
  }
  /// Words of values that only hold these trees of the family.
  [[nodiscard]] std::vector<uint64_t> ToFree(std::span<const uint64_t> tops, uint32_t which);

  BlockPlacer& placer_;
  uint64_t built_ = 0;

 private:
  uint64_t small_bytes_ = LeafUsed(0, 0);
  bool small_ = true;
};

class HashBuilder : public ValueBuilder {
 public:
  HashBuilder(const Env& env, BlockPlacer* placer);
  /// Distinct fields in any order. Errors: kNoSpace; kInvalid, a field came twice; of reads.
  [[nodiscard]] Result<void> Add(Bytes field, Bytes value);
  /// See SortedBuilder.
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, Missing* missing);
  /// The word of the value, 0 of none. Errors: as Add.
  [[nodiscard]] Result<uint64_t> Finish();
  /// Words of values to be freed.
  [[nodiscard]] std::vector<uint64_t> Abandon();

 private:
  SortedBuilder fields_;
  uint64_t count_ = 0;
};

class ListBuilder : public ValueBuilder {
 public:
  ListBuilder(const Env& env, BlockPlacer* placer);
  /// The next element. Errors: kNoSpace.
  [[nodiscard]] Result<void> Add(Bytes element);
  [[nodiscard]] Result<uint64_t> Finish();
  [[nodiscard]] std::vector<uint64_t> Abandon();

 private:
  [[nodiscard]] Result<void> Append(Bytes element);

  TreeBuilder elements_;
  std::vector<std::string> few_;
  uint64_t count_ = 0;
};

class ZSetBuilder : public ValueBuilder {
 public:
  ZSetBuilder(const Env& env, BlockPlacer* placer);
  /// Distinct members, ascending by score and member. Errors: kNoSpace; kInvalid, they are not; of
  /// reads.
  [[nodiscard]] Result<void> Add(double score, Bytes member);
  /// See SortedBuilder.
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, Missing* missing);
  [[nodiscard]] Result<uint64_t> Finish();
  [[nodiscard]] std::vector<uint64_t> Abandon();

 private:
  [[nodiscard]] Result<void> Append(double score, Bytes member);

  TreeBuilder scores_;
  SortedBuilder index_;
  std::vector<std::pair<double, std::string>> few_;
  std::optional<std::pair<double, std::string>> last_;
  uint64_t count_ = 0;
};

/// A sorted set of more than one leaf, from members in any order; its end comes in parts, so that
/// nobody waits on this thread.
class UnorderedZSetBuilder : public ValueBuilder {
 public:
  /// Each is told what its tree holds.
  struct Placers {
    BlockPlacer* scores = nullptr;
    BlockPlacer* members = nullptr;
  };
  UnorderedZSetBuilder(const Env& env, const Placers& placers);
  /// Distinct members. Errors: kNoSpace; kInvalid, they are not; of reads.
  [[nodiscard]] Result<void> Add(double score, Bytes member);
  /// See SortedBuilder.
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, Missing* missing);
  [[nodiscard]] Result<uint64_t> Finish();
  [[nodiscard]] std::vector<uint64_t> Abandon();

 private:
  SortedBuilder scores_;
  SortedBuilder index_;
  uint64_t count_ = 0;
};

}  // namespace flash::values
