// block_numbers.h: numbers without gaps for a set of blocks, in a few bits per block of the
// process.
//
// A snapshot's table refers to values by such numbers, so that a loader needs one word per value
// and no more. Knows neither blocks nor values. Thread: one. Decision: docs/adr/0010.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "store/place.h"

namespace flash::types {

class BlockNumbers {
 public:
  /// For ids below `ids_end`.
  explicit BlockNumbers(BlockId ids_end) : words_(ids_end / 64 + 1) {}

  /// Adds an id to the set. `flag`: one bit that the set keeps with it.
  void Add(BlockId id, bool flag) {
    Word& word = words_[id / 64];
    word.members |= Bit(id);
    if (flag) word.flagged |= Bit(id);
  }
  [[nodiscard]] bool Has(BlockId id) const { return (words_[id / 64].members & Bit(id)) != 0; }
  [[nodiscard]] bool FlagOf(BlockId id) const { return (words_[id / 64].flagged & Bit(id)) != 0; }

  /// Once, when all have been added: gives out the numbers and returns how many.
  uint64_t Number();

  /// How many members have lower ids. Of members, after Number.
  [[nodiscard]] uint64_t NumberOf(BlockId id) const {
    uint64_t number = before_[id / 64 / kWordsPerSum];
    for (size_t i = id / 64 / kWordsPerSum * kWordsPerSum; i < id / 64; ++i) {
      number += static_cast<uint64_t>(std::popcount(words_[i].members));
    }
    return number + static_cast<uint64_t>(std::popcount(words_[id / 64].members & (Bit(id) - 1)));
  }

  /// The value of a member was written.
  void SetDone(BlockId id) { words_[id / 64].done |= Bit(id); }
  [[nodiscard]] bool IsDone(BlockId id) const {
    return id / 64 < words_.size() && (words_[id / 64].done & Bit(id)) != 0;
  }

 private:
  static constexpr size_t kWordsPerSum = 8;
  struct Word {
    uint64_t members = 0, flagged = 0, done = 0;
  };
  static uint64_t Bit(BlockId id) { return uint64_t{1} << (id % 64); }

  std::vector<Word> words_;
  std::vector<uint64_t> before_;  // Members before each kWordsPerSum words.
};

inline uint64_t BlockNumbers::Number() {
  uint64_t members = 0;
  for (size_t i = 0; i < words_.size(); ++i) {
    if (i % kWordsPerSum == 0) before_.push_back(members);
    members += static_cast<uint64_t>(std::popcount(words_[i].members));
  }
  return members;
}

}  // namespace flash::types
