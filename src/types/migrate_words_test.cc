// migrate_words_test.cc: KEYS is found where the server finds it.
//
// Thread: one.
#include "types/migrate_words.h"

#include <gtest/gtest.h>

#include <vector>

namespace flash::types {
namespace {

int FirstOf(const std::vector<std::string_view>& words) {
  return FirstOfMigrateKeys(static_cast<int>(words.size()),
                            [&words](int i) { return words[static_cast<size_t>(i)]; });
}

TEST(MigrateWords, KeysAreBehindTheWord) {
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9", "KEYS", "a"}), 7);
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9", "copy", "Replace", "kEyS", "a"}), 9);
}

TEST(MigrateWords, APasswordIsNoWord) {
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9", "AUTH", "keys", "KEYS", "a"}), 9);
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9", "auth2", "keys", "keys", "KEYS"}), 10);
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9", "AUTH2", "KEYS"}), 0);
}

TEST(MigrateWords, OneKeyAloneIsNamedElsewhere) {
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "keys", "0", "9", "KEYS", "a"}), 0);
  EXPECT_EQ(FirstOf({"MIGRATE", "h", "1", "", "0", "9"}), 0);
  EXPECT_EQ(FirstOf({"MIGRATE"}), 0);
}

}  // namespace
}  // namespace flash::types
