// copies_at_hand.h: bytes of cold blocks that were read ahead of their turn, each taken once.
//
// They are good as long as no block changes: whoever reads ahead drops what is left before anything
// else runs. Knows neither keys nor how blocks are read. Thread: one. Decision: docs/adr/0027.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/flat_map.h"
#include "store/place.h"

namespace flash::types {

class CopiesAtHand {
 public:
  [[nodiscard]] bool Has(BlockId id) const { return copies_.Find(id) != nullptr; }
  /// What they hold together.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

  /// False, and nothing is kept: all would be more than `bytes_max`, or there is one already.
  bool Add(BlockId id, Bytes bytes, uint64_t bytes_max) {
    if (bytes_ + bytes.size() > bytes_max || Has(id)) return false;
    copies_[id].assign(bytes.begin(), bytes.end());
    bytes_ += bytes.size();
    return true;
  }

  /// False: there is no copy.
  [[nodiscard]] bool Take(BlockId id, std::vector<std::byte>* into) {
    if (copies_.empty()) [[likely]]
      return false;
    std::vector<std::byte>* const copy = copies_.Find(id);
    if (copy == nullptr) return false;
    bytes_ -= copy->size();
    *into = std::move(*copy);
    copies_.Erase(id);
    return true;
  }

  void Drop() {
    if (!copies_.empty()) copies_ = {};
    bytes_ = 0;
  }

 private:
  base::FlatMap<std::vector<std::byte>> copies_;
  uint64_t bytes_ = 0;
};

}  // namespace flash::types
