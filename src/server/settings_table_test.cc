// settings_table_test.cc: parsing and bounds of every row, and docs/settings.md against the table.
//
// FLASH_UPDATE_DOCS=1 writes the table into docs/settings.md instead of comparing. Runs without a
// server. Thread: main.
#include "server/settings_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

namespace flash::server {
namespace {

std::string ErrorOf(const Result<void>& result) {
  return result ? "(accepted)" : result.error().message;
}

std::string Assign(std::string_view name, std::string_view text, Settings* settings) {
  return ErrorOf(AssignSetting(*settings, *FindSetting(name), text));
}

TEST(SettingsTable, NamesAreUniqueAndFoundByBothForms) {
  std::set<std::string_view> names;
  for (const SettingSpec& spec : SettingsTable()) {
    EXPECT_TRUE(names.insert(spec.name).second) << spec.name;
    EXPECT_EQ(FindSetting(spec.name), &spec);
    EXPECT_EQ(FindSetting("flash." + std::string(spec.name)), &spec);
    EXPECT_EQ(FindSetting("FLASH." + std::string(spec.name)), &spec);
    EXPECT_FALSE(spec.doc.empty()) << spec.name;
  }
  EXPECT_EQ(FindSetting("flash.nothing"), nullptr);
  EXPECT_EQ(FindSetting(""), nullptr);
}

TEST(SettingsTable, EveryDefaultIsWithinItsBounds) {
  const Settings defaults;
  for (const SettingSpec& spec : SettingsTable()) {
    if (spec.get == nullptr) continue;
    EXPECT_EQ(ErrorOf(CheckSetting(spec, spec.get(defaults))), "(accepted)") << spec.name;
  }
}

TEST(SettingsTable, BoundsAreAcceptedAndTheirNeighboursAreNot) {
  for (const SettingSpec& spec : SettingsTable()) {
    if (spec.kind != SettingKind::kBytes && spec.kind != SettingKind::kNumber) continue;
    EXPECT_EQ(ErrorOf(CheckSetting(spec, spec.min)), "(accepted)") << spec.name;
    EXPECT_EQ(ErrorOf(CheckSetting(spec, spec.max)), "(accepted)") << spec.name;
    EXPECT_NE(ErrorOf(CheckSetting(spec, spec.max + 1)), "(accepted)") << spec.name;
    if (spec.min > 0) {
      EXPECT_NE(ErrorOf(CheckSetting(spec, spec.min - 1)), "(accepted)") << spec.name;
    }
  }
}

TEST(AssignSetting, ByteSizesTakeUnits) {
  Settings settings;
  const auto capacity = [&](std::string_view text) {
    EXPECT_EQ(Assign("capacity-bytes", text, &settings), "(accepted)") << text;
    return settings.capacity_bytes;
  };
  EXPECT_EQ(capacity("16777216"), 16 * kMiB);
  EXPECT_EQ(capacity("16mb"), 16 * kMiB);
  EXPECT_EQ(capacity("10GB"), 10 * kGiB);
  EXPECT_EQ(capacity("2g"), 2'000'000'000u);
  EXPECT_EQ(capacity("64tb"), 64 * kTiB);
}

TEST(AssignSetting, SaysWhatIsWrongAndWhatWouldBeRight) {
  Settings settings;
  EXPECT_EQ(Assign("capacity-bytes", "1kb", &settings), "must be from 16mb to 65536gb, not 1kb");
  EXPECT_EQ(Assign("capacity-bytes", "99999999999999999gb", &settings).substr(0, 31),
            "must be from 16mb to 65536gb, n");
  EXPECT_EQ(Assign("capacity-bytes", "10 apples", &settings),
            "has an unknown unit ' apples': use kb, mb, gb or tb");
  EXPECT_EQ(Assign("capacity-bytes", "much", &settings),
            "must be a size such as 16mb or 65536gb, not 'much'");
  EXPECT_EQ(Assign("capacity-bytes", "-1", &settings),
            "must be a size such as 16mb or 65536gb, not '-1'");
  EXPECT_EQ(Assign("io-threads", "257", &settings), "must be from 0 to 256, not 257");
  EXPECT_EQ(Assign("io-threads", "2kb", &settings), "must be a number from 0 to 256, not '2kb'");
  EXPECT_EQ(Assign("sync", "sometimes", &settings),
            "must be one of always, everysec, no, not 'sometimes'");
  EXPECT_EQ(Assign("replica-tier-enabled", "1", &settings), "must be one of no, yes, not '1'");
  EXPECT_EQ(Assign("path", "", &settings), "must name a file");
  EXPECT_EQ(settings.capacity_bytes, Settings().capacity_bytes);
  EXPECT_EQ(settings.sync, SyncPolicy::kEverySecond);
}

TEST(AssignSetting, ChoicesInAnyCase) {
  Settings settings;
  EXPECT_EQ(Assign("flash.sync", "ALWAYS", &settings), "(accepted)");
  EXPECT_EQ(settings.sync, SyncPolicy::kAlways);
  EXPECT_EQ(Assign("flash.compression", "none", &settings), "(accepted)");
  EXPECT_FALSE(settings.compression_lz4);
  EXPECT_EQ(Assign("flash.native-fallback", "Yes", &settings), "(accepted)");
  EXPECT_TRUE(settings.native_fallback);
}

TEST(AssignSetting, AutomaticThreadsReadBackAsANumber) {
  Settings settings;
  EXPECT_EQ(Assign("io-threads", "0", &settings), "(accepted)");
  EXPECT_GE(settings.io_threads, 1u);
  EXPECT_LE(settings.io_threads, 8u);
}

TEST(FormatSetting, RoundTripsThroughAssign) {
  Settings settings;
  for (const SettingSpec& spec : SettingsTable()) {
    if (spec.text != nullptr && (settings.*spec.text).empty()) continue;
    const std::string shown = FormatSetting(settings, spec);
    Settings again;
    EXPECT_EQ(ErrorOf(AssignSetting(again, spec, shown)), "(accepted)") << spec.name;
    if (shown != "0") {
      EXPECT_EQ(FormatSetting(again, spec), shown) << spec.name;
    }
  }
}

TEST(UnknownSettingMessage, NamesTheNearest) {
  EXPECT_NE(UnknownSettingMessage("flash.cache-size").find("'flash.cache-size-bytes'"),
            std::string::npos);
  EXPECT_NE(UnknownSettingMessage("pth").find("'flash.path'"), std::string::npos);
  EXPECT_NE(UnknownSettingMessage(std::string(5000, 'x')).find("unknown setting"),
            std::string::npos);
}

TEST(Docs, SettingsPageHoldsTheTable) {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  const auto page = root / "docs" / "settings.md";
  std::ifstream file(page);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::string begin = "<!-- table: begin -->\n";
  const size_t from = text.find(begin);
  const size_t to = text.find("<!-- table: end -->");
  ASSERT_TRUE(from != std::string::npos && to != std::string::npos) << page;
  const size_t start = from + begin.size();
  if (std::getenv("FLASH_UPDATE_DOCS") != nullptr) {
    std::ofstream(page) << text.replace(start, to - start, SettingsMarkdown());
    return;
  }
  EXPECT_EQ(text.substr(start, to - start), SettingsMarkdown());
}

}  // namespace
}  // namespace flash::server
