// hash_specs.cc: the hash commands as the server's tables describe their native counterparts.
//
// Facts only; the handlers are in hash.cc. Thread: main, at load.
#include <array>

#include "commands/collections.h"
#include "commands/hash_handlers.h"
#include "commands/on_native.h"
#include "commands/spec_parts.h"
#include "dispatch/dispatcher.h"

namespace flash::commands {
namespace {

using dispatch::ArgSpec;
using dispatch::ArgType;
using dispatch::CommandEntry;
using dispatch::CommandSpec;
using dispatch::Dispatcher;

constexpr const char* kGroup = "hash";

constexpr ArgSpec kFieldArgs[] = {kKeyArgument, {.name = "field"}};
constexpr ArgSpec kFieldsArgs[] = {kKeyArgument, {.name = "field", .multiple = true}};
constexpr ArgSpec kPair[] = {{.name = "field"}, {.name = "value"}};
constexpr ArgSpec kExpirations[] = {
    {.name = "seconds", .type = ArgType::kInteger, .token = "EX"},
    {.name = "milliseconds", .type = ArgType::kInteger, .token = "PX"},
    {.name = "unix-time-seconds", .type = ArgType::kUnixTime, .token = "EXAT"},
    {.name = "unix-time-milliseconds", .type = ArgType::kUnixTime, .token = "PXAT"},
    {.name = "keepttl", .type = ArgType::kPureToken, .token = "KEEPTTL"},
};
constexpr ArgSpec kHSetArgs[] = {
    kKeyArgument,
    {.name = "data", .type = ArgType::kBlock, .multiple = true, .subargs = kPair},
    {.name = "expiration", .type = ArgType::kOneOf, .optional = true, .subargs = kExpirations},
};

constexpr CommandSpec kHSetAlone = SpecOf(
    kGroup,
    {"FLASH.HSET", -4, "write deny-oom fast", "write hash fast",
     "O(log(M)) for each field, M being the number of fields of the hash.",
     "Sets fields of a FLASH hash, creating it if there is none; a clause at the very end sets the "
     "time to live of the whole key."},
    kUpdated, kHSetArgs, HSet);
constexpr CommandSpec WithNative(CommandSpec spec, dispatch::Handler native) {
  spec.native = native;
  return spec;
}
constexpr CommandSpec kHSet = WithNative(kHSetAlone, HSetOnNative);
constexpr CommandSpec kHGet = SpecOf(
    kGroup,
    {"FLASH.HGET", 3, "readonly fast", "read hash fast",
     "O(log(M)), M being the number of fields of the hash.", "Returns the value of a field."},
    kRead, kFieldArgs, HGet);
constexpr CommandSpec kHMGet =
    SpecOf(kGroup,
           {"FLASH.HMGET", -3, "readonly fast", "read hash fast",
            "O(N*log(M)) for N fields asked for, M being the number of fields of the hash.",
            "Returns the values of several fields; cold ones are read in parallel."},
           kRead, kFieldsArgs, HMGet);
constexpr CommandSpec kHGetAll =
    SpecOf(kGroup,
           {"FLASH.HGETALL", 2, "readonly", "read hash slow",
            "O(N), N being the number of fields of the hash.", "Returns all fields and values."},
           kRead, kKeyOnly, HGetAll, "nondeterministic_output_order");
constexpr CommandSpec kHDel =
    SpecOf(kGroup,
           {"FLASH.HDEL", -3, "write fast", "write hash fast",
            "O(N*log(M)) for N fields to remove, M being the number of fields of the hash.",
            "Removes fields; the key goes with the last one."},
           kDeletedFrom, kFieldsArgs, HDel);
constexpr CommandSpec kHExists = SpecOf(
    kGroup,
    {"FLASH.HEXISTS", 3, "readonly fast", "read hash fast",
     "O(log(M)), M being the number of fields of the hash.", "Tells whether a field exists."},
    kLookedAt, kFieldArgs, HExists);
constexpr CommandSpec kHLen = SpecOf(
    kGroup,
    {"FLASH.HLEN", 2, "readonly fast", "read hash fast", "O(1)", "Returns the number of fields."},
    kLookedAt, kKeyOnly, HLen);

constexpr std::array kCommands = {
    CommandEntry{&kHSet, Dispatcher::Run<kHSet>},
    CommandEntry{&kHGet, Dispatcher::Run<kHGet>},
    CommandEntry{&kHMGet, Dispatcher::Run<kHMGet>},
    CommandEntry{&kHGetAll, Dispatcher::Run<kHGetAll>},
    CommandEntry{&kHDel, Dispatcher::Run<kHDel>},
    CommandEntry{&kHExists, Dispatcher::Run<kHExists>},
    CommandEntry{&kHLen, Dispatcher::Run<kHLen>},
};

}  // namespace

std::span<const CommandEntry> HashCommands() { return kCommands; }

}  // namespace flash::commands
