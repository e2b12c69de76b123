// spec_parts.h: what the specs of many commands have in common.
//
// Facts only; knows no handler. Thread: main, at load.
#pragma once

#include <string_view>

#include "server/command_spec.h"

namespace flash::commands {

inline constexpr uint64_t kKeyAccess = VALKEYMODULE_CMD_KEY_ACCESS;
inline constexpr uint64_t kKeyUpdate = VALKEYMODULE_CMD_KEY_UPDATE;
inline constexpr uint64_t kKeyInsert = VALKEYMODULE_CMD_KEY_INSERT;
inline constexpr uint64_t kKeyDelete = VALKEYMODULE_CMD_KEY_DELETE;

// The one key of a command.
inline constexpr server::KeySpec kLookedAt[] = {{.access = server::KeyAccess::kReadOnly}};
inline constexpr server::KeySpec kRead[] = {
    {.access = server::KeyAccess::kReadOnly, .flags = kKeyAccess}};
inline constexpr server::KeySpec kUpdated[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyUpdate}};
inline constexpr server::KeySpec kReadUpdated[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyUpdate}};
inline constexpr server::KeySpec kInserted[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyInsert}};
inline constexpr server::KeySpec kDeletedFrom[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyDelete}};
inline constexpr server::KeySpec kPopped[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyDelete}};
/// All arguments but the last.
inline constexpr server::KeySpec kPoppedMany[] = {
    {.access = server::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyDelete, .last = -2}};

inline constexpr server::ArgSpec kKeyArgument = {.name = "key", .type = server::ArgType::kKey};
inline constexpr server::ArgSpec kKeyOnly[] = {kKeyArgument};

struct Facts {
  const char* name;
  int arity;
  const char* flags;
  const char* acl;
  const char* complexity;
  const char* summary;
};

constexpr bool HasFlag(std::string_view flags, std::string_view flag) {
  return flags.find(flag) != std::string_view::npos;
}

/// A spec of `group`; whether it writes follows from the flags.
constexpr server::CommandSpec SpecOf(const char* group, const Facts& facts,
                                     std::span<const server::KeySpec> keys,
                                     std::span<const server::ArgSpec> args, server::Handler handler,
                                     const char* tips = nullptr) {
  return {
      .name = facts.name,
      .arity = facts.arity,
      .flags = facts.flags,
      .acl = facts.acl,
      .keys = keys,
      .args = args,
      .summary = facts.summary,
      .complexity = facts.complexity,
      .tips = tips,
      .group = group,
      .handler = handler,
      .write = HasFlag(facts.flags, "write"),
      .deny_oom = HasFlag(facts.flags, "deny-oom"),
  };
}

}  // namespace flash::commands
