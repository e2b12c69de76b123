// list_removal.h: takes elements equal to one out of a list of any size, leaf by leaf.
//
// Works on a draft that nobody else sees; goes on where it stopped once the leaves it named are
// hot. Knows no key. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <string>
#include <vector>

#include "values/element_walk.h"
#include "values/list_value.h"

namespace flash::values {

class ListRemoval {
 public:
  struct Options {
    ListValue::End from = ListValue::End::kFront;
    uint64_t limit = 0;  ///< Most elements removed; 0: all.
    uint64_t budget_bytes = 0;
  };

  /// `word` is the draft's, which is not empty, and outlives this object.
  ListRemoval(const Env& env, uint64_t* word, Bytes element, const Options& options);

  [[nodiscard]] bool done() const { return done_; }
  [[nodiscard]] uint64_t removed() const { return removed_; }

  /// Searches one more leaf and takes out what it finds. False: blocks are missing, which are
  /// named, and nothing has changed since the last step.
  [[nodiscard]] bool Step(Missing* missing);

 private:
  class Draft;

  [[nodiscard]] bool FindIn(const Tree& tree, const Path& path, Missing* missing);
  void TakeOut(Draft* draft, uint64_t before);
  void Finish(Draft* draft);

  const Env& env_;
  uint64_t* word_;
  std::string element_;
  Options options_;
  uint64_t next_;  // Forward: rank of the next leaf's first element; backward: behind its last.
  uint64_t removed_ = 0;
  bool done_ = false;
  std::vector<uint32_t> found_;  // Positions in the leaf, ascending.
  Ahead ahead_;
};

}  // namespace flash::values
