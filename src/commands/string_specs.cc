// string_specs.cc: the string commands as the server's tables describe their native counterparts.
//
// Facts only; the handlers are in strings.cc. Thread: main, at load.
#include <array>

#include "commands/on_native.h"
#include "commands/set_options.h"
#include "commands/string_handlers.h"
#include "commands/strings.h"
#include "dispatch/dispatcher.h"

namespace flash::commands {
namespace {

using dispatch::ArgSpec;
using dispatch::ArgType;
using dispatch::CommandEntry;
using dispatch::CommandSpec;
using dispatch::Dispatcher;
using dispatch::KeyAccess;
using dispatch::KeySpec;

constexpr uint64_t kAccess = VALKEYMODULE_CMD_KEY_ACCESS;
constexpr uint64_t kUpdate = VALKEYMODULE_CMD_KEY_UPDATE;

constexpr ArgSpec kKeyArg[] = {{.name = "key", .type = ArgType::kKey}};
constexpr ArgSpec kKeysArg[] = {{.name = "key", .type = ArgType::kKey, .multiple = true}};

// --- FLASH.GET ----------------------------------------------------------------------------------

constexpr KeySpec kGetKeys[] = {{.access = KeyAccess::kReadOnly, .flags = kAccess}};
constexpr CommandSpec kGet = {
    .name = "FLASH.GET",
    .arity = 2,
    .flags = "readonly fast",
    .acl = "read string fast",
    .keys = kGetKeys,
    .args = kKeyArg,
    .summary = "Returns the string value of a key.",
    .complexity = "O(1)",
    .group = "string",
    .handler = Get,
};

// --- FLASH.SET ----------------------------------------------------------------------------------

/// That GET reads the key, too, its handler checks: see dispatch/read_permission.h.
constexpr KeySpec kSetKeys[] = {{.access = KeyAccess::kOverwrite, .flags = kUpdate}};
constexpr ArgSpec kConditions[] = {
    {.name = "nx", .type = ArgType::kPureToken, .token = "NX"},
    {.name = "xx", .type = ArgType::kPureToken, .token = "XX"},
    {.name = "comparison-value",
     .type = ArgType::kString,
     .token = "IFEQ",
     .server_since = kVersionWithIfeq},
};
constexpr ArgSpec kExpirations[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT"},
    {.name = "keepttl", .type = ArgType::kPureToken, .token = "KEEPTTL"},
};
constexpr ArgSpec kSetArgs[] = {
    {.name = "key", .type = ArgType::kKey},
    {.name = "value", .type = ArgType::kString},
    {.name = "condition", .type = ArgType::kOneOf, .optional = true, .subargs = kConditions},
    {.name = "get", .type = ArgType::kPureToken, .token = "GET", .optional = true},
    {.name = "expiration", .type = ArgType::kOneOf, .optional = true, .subargs = kExpirations},
};
constexpr CommandSpec kSet = {
    .name = "FLASH.SET",
    .arity = -3,
    .flags = "write deny-oom",
    .acl = "write string slow",
    .keys = kSetKeys,
    .args = kSetArgs,
    .summary =
        "Sets the string value of a FLASH key. The key is created if it doesn't exist; a "
        "key of another type is left alone.",
    .complexity = "O(1)",
    .group = "string",
    .handler = Set,
};

// --- FLASH.MGET ---------------------------------------------------------------------------------

constexpr KeySpec kMGetKeys[] = {{.access = KeyAccess::kReadOnly, .flags = kAccess, .last = -1}};
constexpr CommandSpec kMGet = {
    .name = "FLASH.MGET",
    .arity = -2,
    .flags = "readonly fast",
    .acl = "read string fast",
    .keys = kMGetKeys,
    .args = kKeysArg,
    .summary =
        "Atomically returns the string values of one or more keys; cold ones are read in "
        "parallel.",
    .complexity = "O(N) where N is the number of keys to retrieve.",
    .tips = "request_policy:multi_shard",
    .group = "string",
    .handler = MGet,
    .native = MGetOnNative,
};

// --- FLASH.MSET ---------------------------------------------------------------------------------

constexpr KeySpec kMSetKeys[] = {
    {.access = KeyAccess::kOverwrite, .flags = kUpdate, .last = -1, .step = 2}};
constexpr ArgSpec kPair[] = {
    {.name = "key", .type = ArgType::kKey},
    {.name = "value", .type = ArgType::kString},
};
constexpr ArgSpec kMSetArgs[] = {
    {.name = "data", .type = ArgType::kBlock, .multiple = true, .subargs = kPair}};
constexpr CommandSpec kMSet = {
    .name = "FLASH.MSET",
    .arity = -3,
    .flags = "write deny-oom",
    .acl = "write string slow",
    .keys = kMSetKeys,
    .args = kMSetArgs,
    .summary = "Atomically creates or modifies the string values of one or more FLASH keys.",
    .complexity = "O(N) where N is the number of keys to set.",
    .tips = "request_policy:multi_shard response_policy:all_succeeded",
    .group = "string",
    .handler = MSet,
};

// --- FLASH.DEL ----------------------------------------------------------------------------------

constexpr KeySpec kDelKeys[] = {
    {.access = KeyAccess::kRemove, .flags = VALKEYMODULE_CMD_KEY_DELETE, .last = -1}};
constexpr CommandSpec kDel = {
    .name = "FLASH.DEL",
    .arity = -2,
    .flags = "write",
    .acl = "write keyspace slow",
    .keys = kDelKeys,
    .args = kKeysArg,
    .summary = "Deletes one or more FLASH keys of any shape; none, if one key is of another type.",
    .complexity = "O(N) where N is the number of keys that will be removed.",
    .tips = "request_policy:multi_shard response_policy:agg_sum",
    .group = "generic",
    .handler = Del,
};

constexpr std::array kCommands = {
    CommandEntry{&kGet, Dispatcher::Run<kGet>},   CommandEntry{&kSet, Dispatcher::Run<kSet>},
    CommandEntry{&kMGet, Dispatcher::Run<kMGet>}, CommandEntry{&kMSet, Dispatcher::Run<kMSet>},
    CommandEntry{&kDel, Dispatcher::Run<kDel>},
};

}  // namespace

std::span<const CommandEntry> StringCommands() { return kCommands; }

}  // namespace flash::commands
