// flat_map.h: a hash table of small values by number, in one array.
//
// For what every read passes several times: a std::unordered_map allocates for each entry and
// divides for each look-up. Linear probing; when an entry goes, those behind it move up, so that
// nothing is left in its place. Values move: no pointer to one outlives the next change of the
// table. Knows nothing of its values. Thread: one owner.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/result.h"

namespace flash::base {

/// `Value` can be moved and made without arguments. 0 is no key.
template <typename Value>
class FlatMap {
 public:
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }

  /// Null: there is none.
  [[nodiscard]] Value* Find(uint64_t key) {
    return const_cast<Value*>(std::as_const(*this).Find(key));  // NOLINT
  }
  [[nodiscard]] const Value* Find(uint64_t key) const {
    if (size_ == 0) return nullptr;
    const Slot& slot = slots_[IndexOf(key)];
    return slot.key == key ? &slot.value : nullptr;
  }

  /// The value of a key that is there.
  [[nodiscard]] Value& At(uint64_t key) { return *Checked(Find(key)); }
  [[nodiscard]] const Value& At(uint64_t key) const { return *Checked(Find(key)); }

  /// The value of a key; a fresh one if it is not there.
  Value& operator[](uint64_t key) {
    FLASH_DCHECK(key != 0);
    if ((size_ + 1) * 2 > slots_.size()) Rebuild(std::max(kSlotsMin, slots_.size() * 2));
    Slot& slot = slots_[IndexOf(key)];
    if (slot.key == 0) {
      slot.key = key;
      ++size_;
    }
    return slot.value;
  }

  /// False: it is not there.
  bool Erase(uint64_t key) {
    if (size_ == 0) return false;
    size_t hole = IndexOf(key);
    if (slots_[hole].key != key) return false;
    for (size_t at = Behind(hole); slots_[at].key != 0; at = Behind(at)) {
      // It may move up unless its own place lies behind the hole.
      const size_t distance = (at - HomeOf(slots_[at].key)) & mask();
      if (distance < ((at - hole) & mask())) continue;
      slots_[hole] = std::move(slots_[at]);
      hole = at;
    }
    slots_[hole] = Slot();
    --size_;
    // What a burst took is given back, but not the little that one of each turn takes.
    if (slots_.size() > kSlotsKept && size_ * 16 < slots_.size()) Rebuild(slots_.size() / 4);
    return true;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    Value value{};
  };
  static constexpr size_t kSlotsMin = 64;
  static constexpr size_t kSlotsKept = 2048;

  template <typename Pointer>
  [[nodiscard]] static Pointer Checked(Pointer found) {
    FLASH_CHECK(found != nullptr);
    return found;
  }
  [[nodiscard]] size_t mask() const { return slots_.size() - 1; }
  [[nodiscard]] size_t Behind(size_t at) const { return (at + 1) & mask(); }
  /// Spreads numbers that follow each other over the table.
  [[nodiscard]] size_t HomeOf(uint64_t key) const {
    return static_cast<size_t>((key * 0x9e3779b97f4a7c15) >> shift_);
  }
  /// Where the key is, or else would be.
  [[nodiscard]] size_t IndexOf(uint64_t key) const {
    size_t at = HomeOf(key);
    while (slots_[at].key != key && slots_[at].key != 0) at = Behind(at);
    return at;
  }
  void Rebuild(size_t slots) {
    std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(slots));
    shift_ = 64 - std::countr_zero(slots);
    for (Slot& slot : before) {
      if (slot.key != 0) slots_[IndexOf(slot.key)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // A power of two, at most half full.
  int shift_ = 0;
  size_t size_ = 0;
};

}  // namespace flash::base
