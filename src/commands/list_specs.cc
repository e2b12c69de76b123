// list_specs.cc: the list commands as the server's tables describe their native counterparts.
//
// Facts only; the handlers are in list.cc, list_edit.cc and blocking_list.cc. Thread: main, at
// load.
#include <array>

#include "commands/collections.h"
#include "commands/list_handlers.h"
#include "commands/spec_parts.h"
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

constexpr const char* kGroup = "list";

constexpr KeySpec kMoveKeys[] = {
    {.access = KeyAccess::kReadWrite, .flags = kKeyAccess | kKeyDelete},
    {.access = KeyAccess::kReadWrite, .flags = kKeyInsert, .begin = 2},
};

constexpr ArgSpec kTimeout = {.name = "timeout", .type = ArgType::kDouble};
constexpr ArgSpec kElementsArgs[] = {kKeyArgument, {.name = "element", .multiple = true}};
constexpr ArgSpec kPopArgs[] = {kKeyArgument,
                                {.name = "count", .type = ArgType::kInteger, .optional = true}};
constexpr ArgSpec kBoundsArgs[] = {kKeyArgument,
                                   {.name = "start", .type = ArgType::kInteger},
                                   {.name = "stop", .type = ArgType::kInteger}};
constexpr ArgSpec kIndexArgs[] = {kKeyArgument, {.name = "index", .type = ArgType::kInteger}};
constexpr ArgSpec kSetArgs[] = {
    kKeyArgument, {.name = "index", .type = ArgType::kInteger}, {.name = "element"}};
constexpr ArgSpec kSides[] = {{.name = "before", .type = ArgType::kPureToken, .token = "BEFORE"},
                              {.name = "after", .type = ArgType::kPureToken, .token = "AFTER"}};
constexpr ArgSpec kInsertArgs[] = {kKeyArgument,
                                   {.name = "where", .type = ArgType::kOneOf, .subargs = kSides},
                                   {.name = "pivot"},
                                   {.name = "element"}};
constexpr ArgSpec kRemArgs[] = {
    kKeyArgument, {.name = "count", .type = ArgType::kInteger}, {.name = "element"}};
constexpr ArgSpec kEnds[] = {{.name = "left", .type = ArgType::kPureToken, .token = "LEFT"},
                             {.name = "right", .type = ArgType::kPureToken, .token = "RIGHT"}};
constexpr ArgSpec kSource = {.name = "source", .type = ArgType::kKey};
constexpr ArgSpec kDestination = {.name = "destination", .type = ArgType::kKey, .key_spec = 1};
constexpr ArgSpec kFrom = {.name = "wherefrom", .type = ArgType::kOneOf, .subargs = kEnds};
constexpr ArgSpec kTo = {.name = "whereto", .type = ArgType::kOneOf, .subargs = kEnds};
constexpr ArgSpec kMoveArgs[] = {kSource, kDestination, kFrom, kTo};
constexpr ArgSpec kPopPushArgs[] = {kSource, kDestination};
constexpr ArgSpec kBlockingMoveArgs[] = {kSource, kDestination, kFrom, kTo, kTimeout};
constexpr ArgSpec kBlockingPopArgs[] = {{.name = "key", .type = ArgType::kKey, .multiple = true},
                                        kTimeout};

constexpr const char* kPushComplexity = "O(1) for each element.";
constexpr const char* kPopComplexity = "O(N), N being the number of elements returned.";

constexpr CommandSpec kLPush =
    SpecOf(kGroup,
           {"FLASH.LPUSH", -3, "write deny-oom fast", "write list fast", kPushComplexity,
            "Puts elements in front of a FLASH list, creating it if there is none."},
           kInserted, kElementsArgs, LPush);
constexpr CommandSpec kRPush =
    SpecOf(kGroup,
           {"FLASH.RPUSH", -3, "write deny-oom fast", "write list fast", kPushComplexity,
            "Puts elements behind a FLASH list, creating it if there is none."},
           kInserted, kElementsArgs, RPush);
constexpr CommandSpec kLPushX =
    SpecOf(kGroup,
           {"FLASH.LPUSHX", -3, "write deny-oom fast", "write list fast", kPushComplexity,
            "Puts elements in front of a FLASH list that exists."},
           kInserted, kElementsArgs, LPushX);
constexpr CommandSpec kRPushX =
    SpecOf(kGroup,
           {"FLASH.RPUSHX", -3, "write deny-oom fast", "write list fast", kPushComplexity,
            "Puts elements behind a FLASH list that exists."},
           kInserted, kElementsArgs, RPushX);
constexpr CommandSpec kLPop =
    SpecOf(kGroup,
           {"FLASH.LPOP", -2, "write fast", "write list fast", kPopComplexity,
            "Takes the first elements off a list; the key goes with the last one."},
           kPopped, kPopArgs, LPop);
constexpr CommandSpec kRPop =
    SpecOf(kGroup,
           {"FLASH.RPOP", -2, "write fast", "write list fast", kPopComplexity,
            "Takes the last elements off a list; the key goes with the last one."},
           kPopped, kPopArgs, RPop);
constexpr CommandSpec kLLen = SpecOf(
    kGroup,
    {"FLASH.LLEN", 2, "readonly fast", "read list fast", "O(1)", "Returns the number of elements."},
    kLookedAt, kKeyOnly, LLen);
constexpr CommandSpec kLRange =
    SpecOf(kGroup,
           {"FLASH.LRANGE", 4, "readonly", "read list slow",
            "O(log(M)+N) for N elements returned of a list of M.", "Returns a range of elements."},
           kRead, kBoundsArgs, LRange);
constexpr CommandSpec kLIndex =
    SpecOf(kGroup,
           {"FLASH.LINDEX", 3, "readonly", "read list slow",
            "O(log(M)), M being the number of elements.", "Returns the element at an index."},
           kRead, kIndexArgs, LIndex);
constexpr CommandSpec kLSet =
    SpecOf(kGroup,
           {"FLASH.LSET", 4, "write deny-oom", "write list slow",
            "O(log(M)), M being the number of elements.", "Replaces the element at an index."},
           kUpdated, kSetArgs, LSet);
constexpr CommandSpec kLInsert =
    SpecOf(kGroup,
           {"FLASH.LINSERT", 5, "write deny-oom", "write list slow",
            "O(N), N being the number of elements before the pivot.",
            "Puts an element before or behind the first one that equals a pivot."},
           kInserted, kInsertArgs, LInsert);
constexpr CommandSpec kLRem =
    SpecOf(kGroup,
           {"FLASH.LREM", 4, "write", "write list slow", "O(N), N being the number of elements.",
            "Removes elements that equal a given one; the key goes with the last element."},
           kDeletedFrom, kRemArgs, LRem);
constexpr CommandSpec kLTrim = SpecOf(
    kGroup,
    {"FLASH.LTRIM", 4, "write", "write list slow", "O(N), N being the number of elements removed.",
     "Keeps a range of elements and removes the others; the key goes with the last element."},
    kDeletedFrom, kBoundsArgs, LTrim);
constexpr CommandSpec kLMove = SpecOf(
    kGroup,
    {"FLASH.LMOVE", 5, "write deny-oom", "write list slow", "O(1)",
     "Moves an element from an end of one list to an end of another, or of the same, and returns "
     "it."},
    kMoveKeys, kMoveArgs, LMove);
constexpr CommandSpec kRPopLPush = SpecOf(
    kGroup,
    {"FLASH.RPOPLPUSH", 3, "write deny-oom", "write list slow", "O(1)",
     "Moves the last element of a list to the front of another, or of the same, and returns it."},
    kMoveKeys, kPopPushArgs, RPopLPush);
constexpr CommandSpec kBLPop = SpecOf(
    kGroup,
    {"FLASH.BLPOP", -3, "write blocking", "write list slow blocking",
     "O(N), N being the number of keys.",
     "Takes the first element of the first list that is not empty; waits for one if all are."},
    kPoppedMany, kBlockingPopArgs, BLPop);
constexpr CommandSpec kBRPop = SpecOf(
    kGroup,
    {"FLASH.BRPOP", -3, "write blocking", "write list slow blocking",
     "O(N), N being the number of keys.",
     "Takes the last element of the first list that is not empty; waits for one if all are."},
    kPoppedMany, kBlockingPopArgs, BRPop);
constexpr CommandSpec kBLMove =
    SpecOf(kGroup,
           {"FLASH.BLMOVE", 6, "write deny-oom blocking", "write list slow blocking", "O(1)",
            "Moves an element between lists as FLASH.LMOVE does; waits for one if there is none."},
           kMoveKeys, kBlockingMoveArgs, BLMove);

constexpr std::array kCommands = {
    CommandEntry{&kLPush, Dispatcher::Run<kLPush>},
    CommandEntry{&kRPush, Dispatcher::Run<kRPush>},
    CommandEntry{&kLPushX, Dispatcher::Run<kLPushX>},
    CommandEntry{&kRPushX, Dispatcher::Run<kRPushX>},
    CommandEntry{&kLPop, Dispatcher::Run<kLPop>},
    CommandEntry{&kRPop, Dispatcher::Run<kRPop>},
    CommandEntry{&kLLen, Dispatcher::Run<kLLen>},
    CommandEntry{&kLRange, Dispatcher::Run<kLRange>},
    CommandEntry{&kLIndex, Dispatcher::Run<kLIndex>},
    CommandEntry{&kLSet, Dispatcher::Run<kLSet>},
    CommandEntry{&kLInsert, Dispatcher::Run<kLInsert>},
    CommandEntry{&kLRem, Dispatcher::Run<kLRem>},
    CommandEntry{&kLTrim, Dispatcher::Run<kLTrim>},
    CommandEntry{&kLMove, Dispatcher::Run<kLMove>},
    CommandEntry{&kRPopLPush, Dispatcher::Run<kRPopLPush>},
    CommandEntry{&kBLPop, Dispatcher::Run<kBLPop>},
    CommandEntry{&kBRPop, Dispatcher::Run<kBRPop>},
    CommandEntry{&kBLMove, Dispatcher::Run<kBLMove>},
};

}  // namespace

std::span<const CommandEntry> ListCommands() { return kCommands; }

}  // namespace flash::commands
