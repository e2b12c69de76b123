// ahead_window.h: keys that go out together, in the order of the flash file, in bounded memory.
//
// Knows neither the keyspace nor how values are read. Thread: one. Decision: docs/adr/0025.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "types/type_registry.h"

namespace flash::types {

class AheadWindow {
 public:
  struct Item {
    uint64_t offset = 0;  ///< In the flash file.
    void* value = nullptr;
    const FlashType* type = nullptr;
    uint32_t name_at = 0;
    uint32_t name_bytes = 0;
  };

  explicit AheadWindow(size_t bytes_max) : bytes_max_(bytes_max) {}

  /// What it holds reaches the bound: nothing more should be added. One addition may pass it.
  [[nodiscard]] bool full() const { return bytes() >= bytes_max_; }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] size_t bytes() const { return items_.size() * sizeof(Item) + names_.size(); }

  void Add(std::string_view name, uint64_t offset, void* value, const FlashType* type) {
    items_.push_back({.offset = offset,
                      .value = value,
                      .type = type,
                      .name_at = static_cast<uint32_t>(names_.size()),
                      .name_bytes = static_cast<uint32_t>(name.size())});
    names_.append(name);
  }

  /// All that was added, in the order of the flash file.
  [[nodiscard]] std::span<const Item> Sort() {
    std::sort(items_.begin(), items_.end(),
              [](const Item& a, const Item& b) { return a.offset < b.offset; });
    return items_;
  }
  [[nodiscard]] std::string_view NameOf(const Item& item) const {
    return std::string_view(names_).substr(item.name_at, item.name_bytes);
  }

  /// The next may be twice as large, up to `bytes_max`.
  void Widen(size_t bytes_max) { bytes_max_ = std::min(2 * bytes_max_, bytes_max); }

  /// Empties it, and keeps its memory for the next.
  void Clear() {
    items_.clear();
    names_.clear();
  }

 private:
  size_t bytes_max_;
  std::vector<Item> items_;
  std::string names_;
};

}  // namespace flash::types
