// effect_test.cc: effects survive encoding; what is cut or damaged is no effect.
//
// Needs neither a server nor a log.
#include "durability/effect.h"

#include <gtest/gtest.h>

#include <string>

namespace flash::durability {
namespace {

std::vector<std::byte> Encoded(const Effect& effect) {
  std::vector<std::byte> bytes;
  EncodeParts(effect,
              [&bytes](Bytes part) { bytes.insert(bytes.end(), part.begin(), part.end()); });
  return bytes;
}

Effect Example() {
  static const std::string long_text(300, 'x');
  return {EffectKind::kCommand,
          15,
          1'700'000'000'001,
          {"FLASH.SET", "key", long_text, std::string_view("\0\xff", 2), ""}};
}

TEST(Effect, SurvivesEncoding) {
  const Effect effect = Example();
  const auto bytes = Encoded(effect);
  EXPECT_EQ(bytes.size(), EncodedBytes(effect));
  const auto decoded = DecodeEffect(bytes);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->kind, effect.kind);
  EXPECT_EQ(decoded->db, effect.db);
  EXPECT_EQ(decoded->number, effect.number);
  EXPECT_EQ(decoded->texts, effect.texts);
}

TEST(Effect, GoldenBytes) {
  const auto bytes = Encoded({EffectKind::kMove, 1, 200, {"ab"}});
  EXPECT_EQ(base::AsText(bytes), std::string_view("\x07\x01\xc8\x01\x01\x02"
                                                  "ab",
                                                  8));
}

TEST(Effect, RefusesEveryCutAndEveryExtension) {
  auto bytes = Encoded(Example());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(DecodeEffect(Bytes(bytes).first(length))) << length;
  }
  bytes.push_back({});
  EXPECT_FALSE(DecodeEffect(bytes));
}

TEST(Effect, RefusesUnknownKinds) {
  auto bytes = Encoded(Example());
  bytes[0] = std::byte{0};
  EXPECT_FALSE(DecodeEffect(bytes));
  bytes[0] = std::byte{kEffectKinds + 1};
  EXPECT_FALSE(DecodeEffect(bytes));
}

TEST(Effect, RefusesImpossibleCounts) {
  // More texts than bytes: nothing may be reserved for them.
  const std::string_view text("\x02\x00\x00\xff\xff\xff\x7f", 7);
  EXPECT_FALSE(DecodeEffect(base::AsBytes(text)));
}

}  // namespace
}  // namespace flash::durability
