// element_walk.cc: see element_walk.h.
//
// Thread: main.
#include "values/element_walk.h"

#include <algorithm>

namespace flash::values {

void Ahead::Name(const Env& env, const Tree& tree, Path path, bool forward, Missing* missing,
                 uint64_t elements) {
  const auto most =
      static_cast<uint32_t>(std::max<uint64_t>(1, budget_bytes_ / env.leaf_bytes_max));
  const uint32_t leaves = std::min(leaves_, most);
  leaves_ = std::min(2 * leaves, most);
  for (uint32_t i = 0; i < leaves; ++i) {
    (void)tree.Plan(path, missing);
    if (path.leaf.count() >= elements) return;
    elements -= path.leaf.count();
    if (!(forward ? Tree::NextLeaf(&path) : Tree::PrevLeaf(&path))) return;
  }
}

ElementWalk::ElementWalk(const Collection& value, const Options& options)
    : env_(&value.env()),
      tree_(value.elements(options.tree)),
      left_(options.end - options.begin),
      reverse_(options.reverse),
      ahead_(options.budget_bytes, options.to_the_end) {
  if (left_ == 0) return;
  uint64_t position = reverse_ ? options.end - 1 : options.begin;
  tree_.SeekRank(&position, &path_);
  position_ = static_cast<uint32_t>(position);
}

bool ElementWalk::Ready(Missing* missing) {
  if (!env_->store.IsHot(path_.leaf.id())) {
    // Of this leaf so many elements are behind the walk.
    const uint32_t passed = reverse_ ? path_.leaf.count() - 1 - position_ : position_;
    ahead_.Name(*env_, tree_, path_, !reverse_, missing, left_ + passed);
    return false;
  }
  if (!used_) {
    used_ = true;
    (void)tree_.Use(path_);
  }
  return true;
}

void ElementWalk::Keep(Missing* missing) const {
  if (left_ > 0) (void)tree_.Plan(path_, missing);
}

void ElementWalk::Advance() {
  if (--left_ == 0) return;
  if (reverse_ ? position_ > 0 : position_ + 1 < path_.leaf.count()) {
    reverse_ ? --position_ : ++position_;
    return;
  }
  const bool more = reverse_ ? Tree::PrevLeaf(&path_) : Tree::NextLeaf(&path_);
  FLASH_CHECK(more);
  position_ = reverse_ ? path_.leaf.count() - 1U : 0;
  used_ = false;
}

}  // namespace flash::values
