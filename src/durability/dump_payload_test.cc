// dump_payload_test.cc: payloads as servers make them, and what is none.
//
// Thread: the test's.
#include "durability/dump_payload.h"

#include <gtest/gtest.h>

#include <string>

namespace flash::durability {
namespace {

std::string FromHex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

/// DUMP of a FLASH string "v" and of a FLASH hash {f: v}, by Valkey 8.0.1.
constexpr std::string_view kString = "07817e56ac86cb6bd4020201050176000b00ba38287a8aa6dd39";
constexpr std::string_view kHash = "07817e56ac861b21d4020201050401660176000b00c8dd1300e1b72640";

TEST(DumpPayload, TypesEncodingAndValue) {
  const std::string string = FromHex(kString);
  const auto of_string = ParseDump(string);
  ASSERT_TRUE(of_string);
  EXPECT_EQ(of_string->type_name, "flashstr1");
  EXPECT_EQ(of_string->encoding, 2);
  EXPECT_EQ(of_string->value, FromHex("0201050176"));
  const std::string hash = FromHex(kHash);
  const auto of_hash = ParseDump(hash);
  ASSERT_TRUE(of_hash);
  EXPECT_EQ(of_hash->type_name, "flashhsh1");
  EXPECT_EQ(of_hash->value, FromHex("0201050401660176"));
}

TEST(DumpPayload, HeadAndTailAreThoseOfServers) {
  for (const std::string_view hex : {kString, kHash}) {
    const std::string dump = FromHex(hex);
    const auto parsed = ParseDump(dump);
    ASSERT_TRUE(parsed);
    const std::string made = DumpHead(parsed->type_name, parsed->encoding) +
                             std::string(parsed->value) + std::string(DumpTail());
    ASSERT_EQ(made.size(), dump.size());
    EXPECT_EQ(made.substr(0, made.size() - 10), dump.substr(0, dump.size() - 10));
  }
}

TEST(DumpPayload, OtherPayloadsAreNone) {
  EXPECT_FALSE(ParseDump(""));
  EXPECT_FALSE(ParseDump(FromHex("0001760b00ba38287a8aa6dd39aaaaaaaaaaaaaaaaaaaa")));  // Native.
  std::string cut = FromHex(kString).substr(0, 20);
  EXPECT_FALSE(ParseDump(cut));
  std::string odd = FromHex(kString);
  odd[1] = '\x05';
  EXPECT_FALSE(ParseDump(odd));
}

}  // namespace
}  // namespace flash::durability
