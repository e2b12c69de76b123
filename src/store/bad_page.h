// bad_page.h: where in a range that failed as a whole the first page is that cannot be read.
//
// Bisection: of [begin, end) with a bad page in it the lower half is read; if that fails the page
// is in there, else in the upper half. A page counts as bad once it failed alone. It asks for reads
// and is told their outcome; does none itself. Thread: one owner.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace flash::store {

class BadPage {
 public:
  /// `begin` and `end` are multiples of `page_bytes`, end behind begin.
  BadPage(uint64_t begin, uint64_t end, uint32_t page_bytes)
      : begin_(begin), end_(end), page_bytes_(page_bytes) {}

  /// The page is known: begin() to end(), everything before it was read.
  [[nodiscard]] bool found() const { return failed_alone_; }
  /// There is none any more: every page was read.
  [[nodiscard]] bool gone() const { return begin_ == end_; }
  [[nodiscard]] uint64_t begin() const { return begin_; }
  [[nodiscard]] uint64_t end() const { return end_; }

  /// Next to be read, while nothing is found: from begin() to here.
  [[nodiscard]] uint64_t probe_end() const {
    return begin_ + base::AlignUp((end_ - begin_) / 2, page_bytes_);
  }
  void OnProbe(bool readable) {
    const uint64_t end = probe_end();
    if (readable) {
      begin_ = end;
    } else {
      end_ = end;
      failed_alone_ = end_ - begin_ <= page_bytes_;
    }
  }

 private:
  uint64_t begin_;
  uint64_t end_;
  uint32_t page_bytes_;
  bool failed_alone_ = false;
};

}  // namespace flash::store
