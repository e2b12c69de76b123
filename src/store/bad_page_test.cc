// bad_page_test.cc: whichever pages are bad, the first of them is found.
//
// Reads nothing: the test says which probes succeed. Thread: one.
#include "store/bad_page.h"

#include <gtest/gtest.h>

namespace flash::store {
namespace {

constexpr uint32_t kPage = 512;

TEST(BadPage, FindsTheFirstOne) {
  for (uint64_t pages = 1; pages <= 40; ++pages) {
    for (uint64_t first = 0; first < pages; ++first) {
      for (uint64_t second = first; second < pages; ++second) {
        const uint64_t begin = 7 * kPage;
        BadPage page(begin, begin + pages * kPage, kPage);
        int probes = 0;
        while (!page.found()) {
          const uint64_t from = (page.begin() - begin) / kPage;
          const uint64_t to = (page.probe_end() - begin) / kPage;
          ASSERT_LT(from, to);
          page.OnProbe((first < from || first >= to) && (second < from || second >= to));
          ++probes;
        }
        ASSERT_EQ(page.begin(), begin + first * kPage);
        ASSERT_EQ(page.end(), begin + (first + 1) * kPage);
        ASSERT_LE(probes, 7);
      }
    }
  }
}

TEST(BadPage, MayBeGoneMeanwhile) {
  for (uint64_t pages = 1; pages <= 40; ++pages) {
    BadPage page(0, pages * kPage, kPage);
    for (int probes = 0; !page.gone(); ++probes) {
      ASSERT_FALSE(page.found());
      ASSERT_LE(probes, 7);
      page.OnProbe(true);
    }
  }
}

}  // namespace
}  // namespace flash::store
