// Tests of the window of keys that go out together: its order, its names, its bounds.
//
// Knows no server and no type: values are addresses of anything. Thread: one.
#include "types/ahead_window.h"

#include <gtest/gtest.h>

namespace flash::types {
namespace {

TEST(AheadWindowTest, KeysComeInTheOrderOfTheFileWithTheirNames) {
  AheadWindow window(1000);
  EXPECT_TRUE(window.empty());
  int values[3];
  window.Add("third", 900, &values[2], nullptr);
  window.Add("", 100, &values[0], nullptr);
  window.Add(std::string_view("se\0cond", 7), 500, &values[1], nullptr);
  std::vector<std::string_view> names;
  std::vector<void*> found;
  for (const auto& item : window.Sort()) {
    names.push_back(window.NameOf(item));
    found.push_back(item.value);
  }
  EXPECT_EQ(names, (std::vector<std::string_view>{"", std::string_view("se\0cond", 7), "third"}));
  EXPECT_EQ(found, (std::vector<void*>{&values[0], &values[1], &values[2]}));
  window.Clear();
  EXPECT_TRUE(window.empty());
  EXPECT_TRUE(window.Sort().empty());
}

TEST(AheadWindowTest, ItIsFullAtItsBound) {
  AheadWindow window(1000);
  while (!window.full()) window.Add("0123456789", 1, nullptr, nullptr);
  EXPECT_GE(window.bytes(), 1000U);
  EXPECT_LT(window.bytes(), 1000 + 10 + sizeof(AheadWindow::Item));
  window.Clear();
  EXPECT_FALSE(window.full());
  EXPECT_EQ(window.bytes(), 0U);
}

TEST(AheadWindowTest, TheBoundDoublesUpToAMaximum) {
  AheadWindow window(1000);
  window.Widen(1500);
  while (!window.full()) window.Add("", 1, nullptr, nullptr);
  EXPECT_GE(window.bytes(), 1500U);
  EXPECT_LT(window.bytes(), 1500 + sizeof(AheadWindow::Item));
}

}  // namespace
}  // namespace flash::types
