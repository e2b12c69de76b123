// element_walk.h: all elements of a value, entry by entry, with few of its leaves hot at a time.
//
// For values of any size: the walk names the leaf it stands on and some that lie ahead, and goes on
// when they are hot. The value must not change meanwhile: walk over a frozen clone. Brings nothing
// itself. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <cstdint>

#include "values/collection.h"

namespace flash::values {

/// Names leaves ahead of a place: one at first, twice as many each time, up to a budget; or as many
/// as that from the beginning, for whoever is certain to need them.
class Ahead {
 public:
  static constexpr uint64_t kAll = ~uint64_t{0};

  explicit Ahead(uint64_t budget_bytes, bool certain = false)
      : budget_bytes_(budget_bytes), leaves_(certain ? kCertain : 1) {}

  /// Names the leaf of `path` and the next ones, forward or backward, but none that only has
  /// elements behind the next `elements`.
  void Name(const Env& env, const Tree& tree, Path path, bool forward, Missing* missing,
            uint64_t elements = kAll);

 private:
  static constexpr uint32_t kCertain = ~uint32_t{0};

  uint64_t budget_bytes_;
  uint32_t leaves_;
};

class ElementWalk {
 public:
  struct Options {
    uint64_t begin = 0;  ///< Ranks [begin, end) of the tree's order.
    uint64_t end = 0;
    bool reverse = false;
    uint32_t tree = 0;  ///< 1: the member index of a sorted set with a root.
    uint64_t budget_bytes = 0;
    bool to_the_end = false;  ///< The walk is certain to reach its end.
  };

  /// `value` is a handle on a word that outlives the walk and does not change.
  ElementWalk(const Collection& value, const Options& options);

  [[nodiscard]] bool AtEnd() const { return left_ == 0; }
  /// Elements still to come.
  [[nodiscard]] uint64_t left() const { return left_; }
  /// The leaf is hot, and Entry may be asked for; else it is named, with some that follow.
  [[nodiscard]] bool Ready(Missing* missing);
  /// The current element; valid until the pool is driven.
  [[nodiscard]] EntryView Entry() const { return View().At(position_); }
  [[nodiscard]] LeafKind kind() const { return tree_.kind(); }
  void Advance();
  /// As Ready, and names nothing.
  [[nodiscard]] bool IsHot() const { return env_->store.IsHot(path_.leaf.id()); }
  /// The current element is the first, in its order, of its leaf.
  [[nodiscard]] bool IsAtLeafBegin() const {
    return position_ == (reverse_ ? path_.leaf.count() - 1U : 0);
  }
  /// Names the leaf it stands on, so that it stays while another walk's leaves are brought.
  void Keep(Missing* missing) const;

 private:
  [[nodiscard]] LeafView View() const { return tree_.Look(path_); }

  const Env* env_;
  Tree tree_;
  Path path_;
  uint32_t position_ = 0;
  uint64_t left_;
  bool reverse_;
  bool used_ = false;  // The eviction policy heard of the leaf.
  Ahead ahead_;
};

}  // namespace flash::values
