// few.h: a list that needs no allocation while it is short.
//
// For what a command has one of nearly always, and ten thousand of sometimes. Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

namespace flash::base {

template <typename T, size_t kInPlace>
class Few {
 public:
  using value_type = T;
  using const_iterator = const T*;

  void push_back(const T& value) {
    if (size_ < kInPlace) {
      few_[size_++] = value;
      return;
    }
    if (size_ == kInPlace) many_.assign(few_.begin(), few_.end());
    many_.push_back(value);
    ++size_;
  }
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] const T* begin() const { return size_ <= kInPlace ? few_.data() : many_.data(); }
  [[nodiscard]] const T* end() const { return begin() + size_; }
  [[nodiscard]] const T& operator[](size_t i) const { return begin()[i]; }

 private:
  size_t size_ = 0;
  std::array<T, kInPlace> few_{};
  std::vector<T> many_;  // All of them, once they do not fit.
};

}  // namespace flash::base
