// hash_value.h: a hash: fields with values, in the order of the fields' keyed hashes.
//
// A handle on the word of a key (collection.h). Plan, fetch, apply: a Plan… names the blocks that
// the operation of the same name needs; once `missing` stays empty the operation may run. Bytes
// passed in must not lie in blocks; elements handed out are views until the next change. Decision:
// docs/adr/0007, 0008. Thread: main.
#pragma once

#include <optional>
#include <span>
#include <utility>

#include "values/collection.h"

namespace flash::values {

class HashValue : public Collection {
 public:
  HashValue(const Env& env, uint64_t* word) : Collection(env, CollectionKind::kHash, word) {}

  /// A command's use of the field's value, planned and applied at once: nullopt if absent, or if
  /// blocks are missing, which are then named. With `missing` null everything must be hot. For the
  /// content of a large value see PlanElement.
  [[nodiscard]] std::optional<Element> Get(Bytes field, Missing* missing = nullptr);
  /// What Get and reading the whole value need.
  void PlanGet(Bytes field, Missing* missing);
  void PlanExists(Bytes field, Missing* missing) { (void)Find(field, missing); }
  [[nodiscard]] bool Exists(Bytes field) { return Find(field, nullptr); }

  /// A Set of the same bytes (address and length) that follows at once does not search again.
  void PlanSet(Bytes field, Missing* missing);
  /// After a PlanSet of the field that missed nothing: does Set to `value` take no RAM?
  [[nodiscard]] bool FitsInPlace(Bytes value) const;
  /// True if the field is new.
  bool Set(Bytes field, Bytes value);

  void PlanErase(Bytes field, Missing* missing);
  /// True if there was such a field. The last field takes the value with it: the word is 0. Several
  /// may be planned and then erased, one of them twice too.
  bool Erase(Bytes field);

  /// Calls `visit(const Element& field, const Element& value)` for the fields of ranks [begin, end)
  /// until it returns false. PlanRange names the leaves.
  template <typename Visit>
  void ForRange(uint64_t begin, uint64_t end, const Visit& visit) const {
    tree(0).ForRange(begin, end, [&](const EntryView& entry) {
      const HashEntry parsed = ParseHashEntry(entry);
      return visit(parsed.field, parsed.value);
    });
  }

  /// A new value from distinct fields in any order; the word must be 0, and stays so upon errors,
  /// which are those of reads. `to_flash`: see DirectPlacer; what fits one leaf is hot all the
  /// same.
  using Pair = std::pair<Bytes, Bytes>;
  [[nodiscard]] Result<void> Build(std::span<const Pair> pairs, bool to_flash);

 private:
  bool Find(Bytes field, Missing* missing, Cold cold = Cold::kIsPlanned);
  void InsertNew(Bytes field, Bytes value);
  void ReplaceValue(Bytes field, Bytes value);

  // What Find found last; good until the next change. `planned_`: by the last call, a PlanSet.
  Bytes planned_;
  uint64_t hash_ = 0;
  Path path_;
  Found found_;
};

}  // namespace flash::values
