// list_removal.cc: see list_removal.h.
//
// Thread: main.
#include "values/list_removal.h"

#include <algorithm>
#include <cstddef>

namespace flash::values {

/// The list as its tree and its count.
class ListRemoval::Draft : public ListValue {
 public:
  using ListValue::ListValue;
  [[nodiscard]] Tree elements() const { return tree(0); }
  void Erase(uint64_t rank_in_leaf, uint64_t count, Path* path) {
    const auto begin = static_cast<uint32_t>(rank_in_leaf);
    (void)tree(0).Erase(path, begin, begin + static_cast<uint32_t>(count));
    AddToCount(uint64_t{0} - count);
  }
  void DropRoot() { (void)DropRootIfSmall(); }
};

ListRemoval::ListRemoval(const Env& env, uint64_t* word, Bytes element, const Options& options)
    : env_(env),
      word_(word),
      element_(base::AsText(element)),
      options_(options),
      next_(options.from == ListValue::End::kFront ? 0 : ListValue(env, word).size()),
      ahead_(options.budget_bytes) {}

bool ListRemoval::Step(Missing* missing) {
  const bool forward = options_.from == ListValue::End::kFront;
  Draft draft(env_, word_);
  const Tree tree = draft.elements();
  uint64_t position = forward ? next_ : next_ - 1;
  Path path;
  tree.SeekRank(&position, &path);
  if (!FindIn(tree, path, missing)) {
    ahead_.Name(env_, tree, path, forward, missing);
    return false;
  }
  if (options_.limit != 0) {
    const size_t most = std::min<uint64_t>(found_.size(), options_.limit - removed_);
    forward ? found_.resize(most)
            : static_cast<void>(
                  found_.erase(found_.begin(), found_.end() - static_cast<std::ptrdiff_t>(most)));
  }
  const uint64_t count = path.leaf.count();
  const uint64_t before = forward ? next_ : next_ - count;
  TakeOut(&draft, before);
  removed_ += found_.size();
  next_ = forward ? before + count - found_.size() : before;
  const bool at_end = forward ? next_ == draft.size() : next_ == 0;
  if (at_end || (options_.limit != 0 && removed_ == options_.limit)) Finish(&draft);
  return true;
}

bool ListRemoval::FindIn(const Tree& tree, const Path& path, Missing* missing) {
  found_.clear();
  if (!env_.store.IsHot(path.leaf.id())) return false;
  const LeafView leaf = tree.Use(path);
  for (uint32_t i = 0; i < leaf.count(); ++i) {
    const Element element = ParseListEntry(leaf.At(i));
    if (ElementsEqual(env_, element, {base::AsBytes(element_)}, missing) == Order::kEqual) {
      found_.push_back(i);
    }
  }
  return missing->empty();
}

void ListRemoval::TakeOut(Draft* draft, uint64_t before) {
  // From the last on, runs together: what is left of the leaf may join another after each.
  for (size_t end = found_.size(); end > 0;) {
    size_t begin = end - 1;
    while (begin > 0 && found_[begin - 1] + 1 == found_[begin]) --begin;
    uint64_t position = before + found_[begin];
    Path path;
    draft->elements().SeekRank(&position, &path);
    draft->Erase(position, end - begin, &path);
    end = begin;
  }
}

void ListRemoval::Finish(Draft* draft) {
  done_ = true;
  if (removed_ > 0) draft->DropRoot();
}

}  // namespace flash::values
