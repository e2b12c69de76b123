// settings_registry.cc: the callbacks that the server's configuration calls, one set for all rows.
//
// See settings_registry.h. Thread: main.
#include "server/settings_registry.h"

#include <array>
#include <string>
#include <vector>

#include "vk/log.h"
#include "vk/string.h"

namespace flash::server {
namespace {

struct Binding {
  Settings* values = nullptr;
  void (*on_change)(const SettingSpec&) = nullptr;  // Null while loading.
};
constinit Binding binding;

const SettingSpec& SpecOf(void* privdata) { return *static_cast<const SettingSpec*>(privdata); }

int Refuse(ValkeyModuleString** error, const std::string& why) {
  *error = vk::String::Copy(why).Release();
  return VALKEYMODULE_ERR;
}

/// Makes `next` the settings in force, or refuses because `spec` is not for run time.
int Adopt(const SettingSpec& spec, Settings next, ValkeyModuleString** error) {
  const bool changed = FormatSetting(next, spec) != FormatSetting(*binding.values, spec);
  const bool loaded = binding.on_change != nullptr;
  if (loaded && changed && !spec.run_time) {
    return Refuse(error,
                  "can't set immutable config: set it in the configuration and restart the server");
  }
  *binding.values = std::move(next);
  if (loaded && changed) binding.on_change(spec);
  return VALKEYMODULE_OK;
}

int SetNumeric(const char* /*name*/, long long value, void* privdata, ValkeyModuleString** error) {
  const SettingSpec& spec = SpecOf(privdata);
  if (value < 0) {
    const std::string bounds = CheckSetting(spec, UINT64_MAX).error().message;
    return Refuse(error, bounds.substr(0, bounds.rfind(' ') + 1) + std::to_string(value));
  }
  const auto number = static_cast<uint64_t>(value);
  if (const Result<void> checked = CheckSetting(spec, number); !checked) {
    return Refuse(error, checked.error().message);
  }
  Settings next = *binding.values;
  spec.set(next, number);
  return Adopt(spec, std::move(next), error);
}

int SetChoice(const char* /*name*/, int value, void* privdata, ValkeyModuleString** error) {
  const SettingSpec& spec = SpecOf(privdata);
  Settings next = *binding.values;
  spec.set(next, static_cast<uint64_t>(value));
  return Adopt(spec, std::move(next), error);
}

int SetText(const char* /*name*/, ValkeyModuleString* value, void* privdata,
            ValkeyModuleString** error) {
  const SettingSpec& spec = SpecOf(privdata);
  const std::string_view text = vk::TextOf(value);
  if (const Result<void> checked = CheckSettingText(spec, text); !checked) {
    return Refuse(error, checked.error().message);
  }
  Settings next = *binding.values;
  next.*spec.text = text;
  return Adopt(spec, std::move(next), error);
}

long long GetNumeric(const char* /*name*/, void* privdata) {
  return static_cast<long long>(SpecOf(privdata).get(*binding.values));
}
int GetChoice(const char* /*name*/, void* privdata) {
  return static_cast<int>(SpecOf(privdata).get(*binding.values));
}
/// The server copies the text and does not free the string, so one at a time is kept.
ValkeyModuleString* GetText(const char* /*name*/, void* privdata) {
  // raw new: never destroyed, because the server's allocator must not be used at exit.
  static vk::String* const kept = new vk::String;
  *kept = vk::String::Copy(*binding.values.*SpecOf(privdata).text);
  return kept->get();
}

int RegisterChoice(ValkeyModuleCtx* ctx, const char* name, const SettingSpec& spec, int value,
                   void* privdata) {
  std::vector<std::string> words(spec.choices.begin(), spec.choices.end());
  std::vector<const char*> names;
  std::vector<int> values;
  for (const std::string& word : words) {
    names.push_back(word.c_str());
    values.push_back(static_cast<int>(values.size()));
  }
  return ValkeyModule_RegisterEnumConfig(
      ctx, name, value, VALKEYMODULE_CONFIG_DEFAULT, names.data(), values.data(),
      static_cast<int>(names.size()), GetChoice, SetChoice, nullptr, privdata);
}

/// Registers one row; its default is its present value. Immutable rows too are registered as
/// changeable: the server's own refusal would not say what to do, and would refuse an unchanged
/// value.
int Register(ValkeyModuleCtx* ctx, const SettingSpec& spec) {
  const std::string name(spec.name);
  auto* const privdata = const_cast<SettingSpec*>(&spec);  // Only read.
  if (spec.kind == SettingKind::kText) {
    return ValkeyModule_RegisterStringConfig(
        ctx, name.c_str(), (*binding.values.*spec.text).c_str(), VALKEYMODULE_CONFIG_DEFAULT,
        GetText, SetText, nullptr, privdata);
  }
  const uint64_t value = spec.get(*binding.values);
  if (spec.kind == SettingKind::kChoice) {
    return RegisterChoice(ctx, name.c_str(), spec, static_cast<int>(value), privdata);
  }
  if (spec.kind == SettingKind::kYesNo) {
    return ValkeyModule_RegisterBoolConfig(ctx, name.c_str(), static_cast<int>(value),
                                           VALKEYMODULE_CONFIG_DEFAULT, GetChoice, SetChoice,
                                           nullptr, privdata);
  }
  const unsigned flags = spec.kind == SettingKind::kBytes
                             ? static_cast<unsigned>(VALKEYMODULE_CONFIG_MEMORY)
                             : static_cast<unsigned>(VALKEYMODULE_CONFIG_DEFAULT);
  // The bounds are checked in SetNumeric, whose words are the same on every route.
  return ValkeyModule_RegisterNumericConfig(ctx, name.c_str(), static_cast<long long>(value), flags,
                                            INT64_MIN, INT64_MAX, GetNumeric, SetNumeric, nullptr,
                                            privdata);
}

Result<void> ParseArguments(std::span<ValkeyModuleString* const> arguments, Settings& settings) {
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string_view name = vk::TextOf(arguments[i]);
    const SettingSpec* const spec = FindSetting(name);
    if (spec == nullptr) return Error{Code::kInvalid, UnknownSettingMessage(name)};
    if (i + 1 == arguments.size()) {
      return Error{Code::kInvalid,
                   "setting '" + std::string(name) + "' has no value: give one after it"};
    }
    if (const auto done = AssignSetting(settings, *spec, vk::TextOf(arguments[i + 1])); !done) {
      return Error{Code::kInvalid,
                   "setting 'flash." + std::string(spec->name) + "' " + done.error().message};
    }
  }
  return {};
}

}  // namespace

Result<void> LoadSettings(ValkeyModuleCtx* ctx, std::span<ValkeyModuleString* const> arguments,
                          Settings* into) {
  binding = {into, nullptr};
  if (Result<void> parsed = ParseArguments(arguments, *into); !parsed) return parsed;
  for (const SettingSpec& spec : SettingsTable()) {
    if (spec.set != nullptr) spec.set(*into, spec.get(*into));  // Resolves what "automatic" means.
    if (Register(ctx, spec) != VALKEYMODULE_OK) {
      return Error{Code::kInvalid,
                   "the server refused the setting flash." + std::string(spec.name)};
    }
  }
  if (ValkeyModule_LoadConfigs(ctx) != VALKEYMODULE_OK) return Error{Code::kInvalid, {}};
  return {};
}

Result<bool> ResolveClusterMode(ValkeyModuleCtx* ctx, ClusterMode mode) {
  const bool enabled = (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_CLUSTER) != 0;
  if (mode == ClusterMode::kAuto || (mode == ClusterMode::kYes) == enabled) return enabled;
  return Error{Code::kInvalid, std::string("setting 'flash.cluster-mode-enabled' is ") +
                                   (enabled ? "no" : "yes") +
                                   ", but the server has cluster-enabled " +
                                   (enabled ? "yes" : "no") + ": make them agree, or use auto"};
}

void BindSettings(Settings* in_force, void (*on_change)(const SettingSpec&)) {
  binding = {in_force, on_change};
}

}  // namespace flash::server
