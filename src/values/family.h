// family.h: the values that share blocks since a COPY, and how many of them have a cold block.
//
// The owner, towards the pool, of every block of a multi-block collection. Lives as long as one of
// its roots does. Counts the cold blocks of all its values together: of one value, or of several
// that are still the same, that says all. Of values that have parted each has to be looked at; that
// is done when somebody asks (SettleTiered). Decision: docs/adr/0008. Thread: main.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_set>

#include "blocks/block_owner.h"
#include "values/leaf_store.h"
#include "values/value_counters.h"

namespace flash::values {

struct Root;

class Family final : public blocks::BlockOwner {
 public:
  explicit Family(ValueCounters* counters) : counters_(counters) {}
  ~Family() override;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  void OnTemperature(BlockId /*id*/, bool cold) override {
    FLASH_DCHECK(cold || cold_ > 0);
    cold ? ++cold_ : --cold_;
    if (kin_ != nullptr || cold_ == (cold ? 1U : 0U)) Count();
  }

  /// A root came or went. Only one that is the value of a key, not a frozen reader's, not one that
  /// is being freed, counts as a value.
  void AddRoot(const Root* root);
  /// Returns true if it was the last, and the family ends with it; it must not be a value any more.
  [[nodiscard]] bool RemoveRoot();
  /// Blocks that nobody can name any more stay behind (their leaf could not be read): so does the
  /// family, which the pool may still call.
  void Abandon() { abandoned_ = true; }
  /// The root is no value of a key any more.
  void RemoveValue(const Root* root);
  /// A root that is there already becomes the value of a key.
  void AddValue(const Root* root);

  /// One of the trees is about to change: from now on the values may differ.
  void OnChange() {
    if (kin_ != nullptr) [[unlikely]]
      Part();
  }

  [[nodiscard]] uint64_t cold() const { return cold_; }
  /// Does a look at `cold` not tell which of the values have a cold block?
  [[nodiscard]] bool parted() const { return kin_ != nullptr && kin_->parted; }

 private:
  friend void SettleTiered(const LeafStore& store, ValueCounters* counters);

  /// What a family of several roots has beside.
  struct Kin {
    uint64_t roots = 1;
    std::unordered_set<const Root*> values;
    bool parted = false;
  };

  [[nodiscard]] uint64_t values() const {
    return kin_ != nullptr ? kin_->values.size() : value_ ? 1 : 0;
  }
  void Count();
  void Part();
  void Report(uint64_t tiered);
  void Settle(const LeafStore& store);

  ValueCounters* counters_;
  std::unique_ptr<Kin> kin_;  // Null: one root. One that is no value, and was not alone, keeps it.
  uint64_t cold_ = 0;
  const Root* only_ = nullptr;  // Without kin: the root.
  uint32_t reported_ = 0;       // Tiered values, as the counters have them.
  bool value_ = false;          // Without kin: is the root a value?
  bool abandoned_ = false;
};

/// Does any block of the value lie on flash only? Visits nodes, and leaves with large elements,
/// until it finds one.
[[nodiscard]] bool HasColdBlock(const LeafStore& store, const Root& root);

/// Brings `tiered_multi_block_values` up to date: looks at the values of families that have parted
/// and changed since.
void SettleTiered(const LeafStore& store, ValueCounters* counters);

/// Ends one holder's share of a block of the family (null: of a lone leaf), whatever its state.
inline void FreeOwned(const LeafStore& store, BlockId id, Family* family) {
  const bool cold_ends = family != nullptr && !store.IsHot(id) && !store.IsShared(id);
  store.Free(id);
  if (cold_ends) family->OnTemperature(id, false);  // The pool does not tell of a free.
}

}  // namespace flash::values
