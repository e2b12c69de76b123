// settings_table.h: the one table of all settings: name, kind, bounds, changeable or not, words.
//
// Registration with the server, the parsing of loadmodule arguments and the table in
// docs/settings.md come from it; defaults are those of struct Settings. Knows nothing of the
// server's API. Thread: any (constants).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/settings.h"

namespace flash::server {

enum class SettingKind : uint8_t {
  kText,
  kBytes,  ///< A number with an optional unit: b, k, kb, m, mb, g, gb, t, tb (kb = 1024, k = 1000).
  kNumber,
  kYesNo,
  kChoice,
};

struct SettingSpec {
  std::string_view name;  // Without "flash.".
  SettingKind kind = SettingKind::kNumber;
  uint64_t min = 0;  // kBytes and kNumber.
  uint64_t max = 0;
  std::span<const std::string_view> choices;  // kChoice; the value is the index.
  bool run_time = false;                      // May CONFIG SET change it?
  std::string_view doc;                       // One or two sentences for docs/settings.md.

  std::string Settings::*text = nullptr;  // kText; the others go through get and set.
  uint64_t (*get)(const Settings&) = nullptr;
  void (*set)(Settings&, uint64_t) = nullptr;
};

/// All settings, in the order of the documentation.
[[nodiscard]] std::span<const SettingSpec> SettingsTable();

/// The row of a name, with or without "flash.", in any case; null if there is none.
[[nodiscard]] const SettingSpec* FindSetting(std::string_view name);

/// "unknown setting 'x'", with the nearest name that exists.
[[nodiscard]] std::string UnknownSettingMessage(std::string_view name);

/// Does `value` suit the row? Errors: kInvalid, with words that name the bounds but not the
/// setting.
[[nodiscard]] Result<void> CheckSetting(const SettingSpec& spec, uint64_t value);
[[nodiscard]] Result<void> CheckSettingText(const SettingSpec& spec, std::string_view value);

/// Parses, checks and stores `text`. Errors: kInvalid; `settings` unchanged.
[[nodiscard]] Result<void> AssignSetting(Settings& settings, const SettingSpec& spec,
                                         std::string_view text);

/// The value as people write it: "256mb", "everysec", "yes".
[[nodiscard]] std::string FormatSetting(const Settings& settings, const SettingSpec& spec);

/// The Markdown table of docs/settings.md.
[[nodiscard]] std::string SettingsMarkdown();

}  // namespace flash::server
