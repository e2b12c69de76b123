// spec_parts.h: what the specs of many commands have in common.
//
// Facts only; knows no handler. Thread: main, at load.
#pragma once

#include "dispatch/command_spec.h"

namespace flash::commands {

inline constexpr uint64_t kKeyAccess = VALKEYMODULE_CMD_KEY_ACCESS;
inline constexpr uint64_t kKeyUpdate = VALKEYMODULE_CMD_KEY_UPDATE;
inline constexpr uint64_t kKeyInsert = VALKEYMODULE_CMD_KEY_INSERT;
inline constexpr uint64_t kKeyDelete = VALKEYMODULE_CMD_KEY_DELETE;

// The one key of a command.
inline constexpr dispatch::KeySpec kLookedAt[] = {{.access = dispatch::KeyAccess::kReadOnly}};
inline constexpr dispatch::KeySpec kRead[] = {
    {.access = dispatch::KeyAccess::kReadOnly, .flags = kKeyAccess}};
inline constexpr dispatch::KeySpec kUpdated[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyUpdate}};
inline constexpr dispatch::KeySpec kReadUpdated[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyUpdate}};
inline constexpr dispatch::KeySpec kInserted[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyInsert}};
inline constexpr dispatch::KeySpec kDeletedFrom[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyDelete}};
inline constexpr dispatch::KeySpec kPopped[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyDelete}};
/// All arguments but the last.
inline constexpr dispatch::KeySpec kPoppedMany[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyDelete, .last = -2}};

inline constexpr dispatch::ArgSpec kKeyArgument = {.name = "key", .type = dispatch::ArgType::kKey};
inline constexpr dispatch::ArgSpec kKeyOnly[] = {kKeyArgument};

struct Facts {
  const char* name;
  int arity;
  const char* flags;
  const char* acl;
  const char* complexity;
  const char* summary;
};

/// A spec of `group`.
constexpr dispatch::CommandSpec SpecOf(const char* group, const Facts& facts,
                                       std::span<const dispatch::KeySpec> keys,
                                       std::span<const dispatch::ArgSpec> args,
                                       dispatch::Handler handler, const char* tips = nullptr) {
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
  };
}

}  // namespace flash::commands
