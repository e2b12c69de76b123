// zset_specs.cc: the sorted set commands as the server's tables describe their native counterparts.
//
// Facts only; the handlers are in the zset*.cc files and blocking_zset.cc. Thread: main, at load.
#include <array>

#include "commands/collections.h"
#include "commands/spec_parts.h"
#include "commands/zset_handlers.h"
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

constexpr const char* kGroup = "sorted-set";

constexpr KeySpec kStoreKeys[] = {
    {.access = KeyAccess::kOverwrite, .flags = kKeyUpdate},
    {.access = KeyAccess::kReadOnly,
     .flags = kKeyAccess,
     .begin = 2,
     .keynum_index = 0,
     .keynum_first = 1},
};
constexpr KeySpec kRangeStoreKeys[] = {
    {.access = KeyAccess::kOverwrite, .flags = kKeyUpdate},
    {.access = KeyAccess::kReadOnly, .flags = kKeyAccess, .begin = 2},
};

// --- Arguments ----------------------------------------------------------------------------------

constexpr ArgSpec Token(const char* name, const char* token, bool optional = false) {
  return {.name = name, .type = ArgType::kPureToken, .token = token, .optional = optional};
}

constexpr ArgSpec kConditions[] = {Token("nx", "NX"), Token("xx", "XX")};
constexpr ArgSpec kComparisons[] = {Token("gt", "GT"), Token("lt", "LT")};
constexpr ArgSpec kPair[] = {{.name = "score", .type = ArgType::kDouble}, {.name = "member"}};
constexpr ArgSpec kAddArgs[] = {
    kKeyArgument,
    {.name = "condition", .type = ArgType::kOneOf, .optional = true, .subargs = kConditions},
    {.name = "comparison", .type = ArgType::kOneOf, .optional = true, .subargs = kComparisons},
    Token("change", "CH", true),
    Token("increment", "INCR", true),
    {.name = "data", .type = ArgType::kBlock, .multiple = true, .subargs = kPair},
};
constexpr ArgSpec kIncrByArgs[] = {
    kKeyArgument, {.name = "increment", .type = ArgType::kInteger}, {.name = "member"}};
constexpr ArgSpec kMemberArgs[] = {kKeyArgument, {.name = "member"}};
constexpr ArgSpec kMembersArgs[] = {kKeyArgument, {.name = "member", .multiple = true}};
constexpr ArgSpec kPopArgs[] = {kKeyArgument,
                                {.name = "count", .type = ArgType::kInteger, .optional = true}};
constexpr ArgSpec kBlockingPopArgs[] = {{.name = "key", .type = ArgType::kKey, .multiple = true},
                                        {.name = "timeout", .type = ArgType::kDouble}};
constexpr ArgSpec kRankArgs[] = {
    kKeyArgument, {.name = "member"}, Token("withscore", "WITHSCORE", true)};
constexpr ArgSpec kMinMaxArgs[] = {kKeyArgument,
                                   {.name = "min", .type = ArgType::kDouble},
                                   {.name = "max", .type = ArgType::kDouble}};
constexpr ArgSpec kLexMinMaxArgs[] = {kKeyArgument, {.name = "min"}, {.name = "max"}};

constexpr ArgSpec kLimitParts[] = {{.name = "offset", .type = ArgType::kInteger},
                                   {.name = "count", .type = ArgType::kInteger}};
constexpr ArgSpec kLimit = {.name = "limit",
                            .type = ArgType::kBlock,
                            .token = "LIMIT",
                            .optional = true,
                            .subargs = kLimitParts};
constexpr ArgSpec kSortings[] = {Token("byscore", "BYSCORE"), Token("bylex", "BYLEX")};
constexpr ArgSpec kSortBy = {
    .name = "sortby", .type = ArgType::kOneOf, .optional = true, .subargs = kSortings};
constexpr ArgSpec kRev = Token("rev", "REV", true);
constexpr ArgSpec kWithScores = Token("withscores", "WITHSCORES", true);
constexpr ArgSpec kRangeArgs[] = {kKeyArgument, {.name = "start"}, {.name = "stop"}, kSortBy, kRev,
                                  kLimit,       kWithScores};
constexpr ArgSpec kByScoreArgs[] = {kKeyArgument,
                                    {.name = "min", .type = ArgType::kDouble},
                                    {.name = "max", .type = ArgType::kDouble},
                                    kWithScores,
                                    kLimit};
constexpr ArgSpec kRevByScoreArgs[] = {kKeyArgument,
                                       {.name = "max", .type = ArgType::kDouble},
                                       {.name = "min", .type = ArgType::kDouble},
                                       kWithScores,
                                       kLimit};
constexpr ArgSpec kByLexArgs[] = {kKeyArgument, {.name = "min"}, {.name = "max"}, kLimit};
constexpr ArgSpec kRevByLexArgs[] = {kKeyArgument, {.name = "max"}, {.name = "min"}, kLimit};
constexpr ArgSpec kScanArgs[] = {
    kKeyArgument,
    {.name = "cursor", .type = ArgType::kInteger},
    {.name = "pattern", .type = ArgType::kPattern, .token = "MATCH", .optional = true},
    {.name = "count", .type = ArgType::kInteger, .token = "COUNT", .optional = true},
    Token("noscores", "NOSCORES", true),
};

constexpr ArgSpec kDestination = {.name = "destination", .type = ArgType::kKey};
constexpr ArgSpec kNumKeys = {.name = "numkeys", .type = ArgType::kInteger};
constexpr ArgSpec kSources = {
    .name = "key", .type = ArgType::kKey, .multiple = true, .key_spec = 1};
constexpr ArgSpec kAggregates[] = {Token("sum", "SUM"), Token("min", "MIN"), Token("max", "MAX")};
constexpr ArgSpec kStoreArgs[] = {
    kDestination,
    kNumKeys,
    kSources,
    {.name = "weight",
     .type = ArgType::kInteger,
     .token = "WEIGHTS",
     .optional = true,
     .multiple = true},
    {.name = "aggregate",
     .type = ArgType::kOneOf,
     .token = "AGGREGATE",
     .optional = true,
     .subargs = kAggregates},
};
constexpr ArgSpec kDiffStoreArgs[] = {kDestination, kNumKeys, kSources};
constexpr ArgSpec kRangeStoreArgs[] = {{.name = "dst", .type = ArgType::kKey},
                                       {.name = "src", .type = ArgType::kKey, .key_spec = 1},
                                       {.name = "min"},
                                       {.name = "max"},
                                       kSortBy,
                                       kRev,
                                       kLimit};

// --- Commands -----------------------------------------------------------------------------------

constexpr const char* kReadFast = "read sortedset fast";
constexpr const char* kReadSlow = "read sortedset slow";
constexpr const char* kWriteFast = "write sortedset fast";
constexpr const char* kWriteSlow = "write sortedset slow";
constexpr const char* kEach = "O(N*log(M)) for N members given, M being the size of the set.";
constexpr const char* kOne = "O(log(M)), M being the size of the set.";
constexpr const char* kRangeCost =
    "O(log(M)+N) for N members returned, M being the size of the set.";
constexpr const char* kPopCost = "O(N*log(M)) for N members taken, M being the size of the set.";
constexpr const char* kStoreCost =
    "O(N)+O(M*log(M)) for N members of all sources together and M of the result.";

constexpr CommandSpec kZAdd = SpecOf(
    kGroup,
    {"FLASH.ZADD", -4, "write deny-oom fast", kWriteFast, kEach,
     "Adds members to a FLASH sorted set, or changes their scores; creates the set if there is "
     "none."},
    kUpdated, kAddArgs, ZAdd);
constexpr CommandSpec kZIncrBy =
    SpecOf(kGroup,
           {"FLASH.ZINCRBY", 4, "write deny-oom fast", kWriteFast, kOne,
            "Adds to the score of a member; one that is missing starts at 0."},
           kReadUpdated, kIncrByArgs, ZIncrBy);
constexpr CommandSpec kZRem = SpecOf(kGroup,
                                     {"FLASH.ZREM", -3, "write fast", kWriteFast, kEach,
                                      "Removes members; the key goes with the last one."},
                                     kDeletedFrom, kMembersArgs, ZRem);
constexpr CommandSpec kZPopMin =
    SpecOf(kGroup,
           {"FLASH.ZPOPMIN", -2, "write fast", kWriteFast, kPopCost,
            "Takes the members with the lowest scores; the key goes with the last one."},
           kPopped, kPopArgs, ZPopMin);
constexpr CommandSpec kZPopMax =
    SpecOf(kGroup,
           {"FLASH.ZPOPMAX", -2, "write fast", kWriteFast, kPopCost,
            "Takes the members with the highest scores; the key goes with the last one."},
           kPopped, kPopArgs, ZPopMax);
constexpr CommandSpec kBZPopMin = SpecOf(
    kGroup,
    {"FLASH.BZPOPMIN", -3, "write fast blocking", "write sortedset fast blocking", kOne,
     "Takes the member with the lowest score of the first set that is not empty; waits for one if "
     "all are."},
    kPoppedMany, kBlockingPopArgs, BZPopMin);
constexpr CommandSpec kBZPopMax = SpecOf(
    kGroup,
    {"FLASH.BZPOPMAX", -3, "write fast blocking", "write sortedset fast blocking", kOne,
     "Takes the member with the highest score of the first set that is not empty; waits for one if "
     "all are."},
    kPoppedMany, kBlockingPopArgs, BZPopMax);
constexpr CommandSpec kZScore = SpecOf(
    kGroup, {"FLASH.ZSCORE", 3, "readonly fast", kReadFast, kOne, "Returns the score of a member."},
    kRead, kMemberArgs, ZScore);
constexpr CommandSpec kZMScore =
    SpecOf(kGroup,
           {"FLASH.ZMSCORE", -3, "readonly fast", kReadFast, kEach,
            "Returns the scores of several members; cold ones are read in parallel."},
           kRead, kMembersArgs, ZMScore);
constexpr CommandSpec kZRank =
    SpecOf(kGroup,
           {"FLASH.ZRANK", -3, "readonly fast", kReadFast, kOne,
            "Returns the position of a member, counted from the lowest score."},
           kRead, kRankArgs, ZRank);
constexpr CommandSpec kZRevRank =
    SpecOf(kGroup,
           {"FLASH.ZREVRANK", -3, "readonly fast", kReadFast, kOne,
            "Returns the position of a member, counted from the highest score."},
           kRead, kRankArgs, ZRevRank);
constexpr CommandSpec kZCard =
    SpecOf(kGroup,
           {"FLASH.ZCARD", 2, "readonly fast", kReadFast, "O(1)", "Returns the number of members."},
           kLookedAt, kKeyOnly, ZCard);
constexpr CommandSpec kZCount = SpecOf(
    kGroup, {"FLASH.ZCOUNT", 4, "readonly fast", kReadFast, kOne, "Counts members by score."},
    kRead, kMinMaxArgs, ZCount);
constexpr CommandSpec kZLexCount = SpecOf(
    kGroup,
    {"FLASH.ZLEXCOUNT", 4, "readonly fast", kReadFast, kOne, "Counts members by their bytes."},
    kRead, kLexMinMaxArgs, ZLexCount);
constexpr CommandSpec kZRange = SpecOf(kGroup,
                                       {"FLASH.ZRANGE", -4, "readonly", kReadSlow, kRangeCost,
                                        "Returns members by position, score or bytes."},
                                       kRead, kRangeArgs, ZRange);
constexpr CommandSpec kZRangeByScore = SpecOf(
    kGroup,
    {"FLASH.ZRANGEBYSCORE", -4, "readonly", kReadSlow, kRangeCost, "Returns members by score."},
    kRead, kByScoreArgs, ZRangeByScore);
constexpr CommandSpec kZRevRangeByScore =
    SpecOf(kGroup,
           {"FLASH.ZREVRANGEBYSCORE", -4, "readonly", kReadSlow, kRangeCost,
            "Returns members by score, the highest first."},
           kRead, kRevByScoreArgs, ZRevRangeByScore);
constexpr CommandSpec kZRangeByLex = SpecOf(
    kGroup,
    {"FLASH.ZRANGEBYLEX", -4, "readonly", kReadSlow, kRangeCost, "Returns members by their bytes."},
    kRead, kByLexArgs, ZRangeByLex);
constexpr CommandSpec kZRevRangeByLex =
    SpecOf(kGroup,
           {"FLASH.ZREVRANGEBYLEX", -4, "readonly", kReadSlow, kRangeCost,
            "Returns members by their bytes, the greatest first."},
           kRead, kRevByLexArgs, ZRevRangeByLex);
constexpr CommandSpec kZScan =
    SpecOf(kGroup,
           {"FLASH.ZSCAN", -3, "readonly", kReadSlow,
            "O(1) for each call, O(M) for a whole iteration over M members.",
            "Iterates over members and scores."},
           kRead, kScanArgs, ZScan, "nondeterministic_output");
constexpr CommandSpec kZUnionStore =
    SpecOf(kGroup,
           {"FLASH.ZUNIONSTORE", -4, "write deny-oom", kWriteSlow, kStoreCost,
            "Stores the union of FLASH sorted sets in a key."},
           kStoreKeys, kStoreArgs, ZUnionStore);
constexpr CommandSpec kZInterStore =
    SpecOf(kGroup,
           {"FLASH.ZINTERSTORE", -4, "write deny-oom", kWriteSlow, kStoreCost,
            "Stores the intersection of FLASH sorted sets in a key."},
           kStoreKeys, kStoreArgs, ZInterStore);
constexpr CommandSpec kZDiffStore = SpecOf(
    kGroup,
    {"FLASH.ZDIFFSTORE", -4, "write deny-oom", kWriteSlow, kStoreCost,
     "Stores what the first of some FLASH sorted sets has and the others have not in a key."},
    kStoreKeys, kDiffStoreArgs, ZDiffStore);
constexpr CommandSpec kZRangeStore =
    SpecOf(kGroup,
           {"FLASH.ZRANGESTORE", -5, "write deny-oom", kWriteSlow,
            "O(log(M)+N*log(N)) for N members stored, M being the size of the source.",
            "Stores a range of a FLASH sorted set in a key."},
           kRangeStoreKeys, kRangeStoreArgs, ZRangeStore);

constexpr std::array kCommands = {
    CommandEntry{&kZAdd, Dispatcher::Run<kZAdd>},
    CommandEntry{&kZIncrBy, Dispatcher::Run<kZIncrBy>},
    CommandEntry{&kZRem, Dispatcher::Run<kZRem>},
    CommandEntry{&kZPopMin, Dispatcher::Run<kZPopMin>},
    CommandEntry{&kZPopMax, Dispatcher::Run<kZPopMax>},
    CommandEntry{&kBZPopMin, Dispatcher::Run<kBZPopMin>},
    CommandEntry{&kBZPopMax, Dispatcher::Run<kBZPopMax>},
    CommandEntry{&kZScore, Dispatcher::Run<kZScore>},
    CommandEntry{&kZMScore, Dispatcher::Run<kZMScore>},
    CommandEntry{&kZRank, Dispatcher::Run<kZRank>},
    CommandEntry{&kZRevRank, Dispatcher::Run<kZRevRank>},
    CommandEntry{&kZCard, Dispatcher::Run<kZCard>},
    CommandEntry{&kZCount, Dispatcher::Run<kZCount>},
    CommandEntry{&kZLexCount, Dispatcher::Run<kZLexCount>},
    CommandEntry{&kZRange, Dispatcher::Run<kZRange>},
    CommandEntry{&kZRangeByScore, Dispatcher::Run<kZRangeByScore>},
    CommandEntry{&kZRevRangeByScore, Dispatcher::Run<kZRevRangeByScore>},
    CommandEntry{&kZRangeByLex, Dispatcher::Run<kZRangeByLex>},
    CommandEntry{&kZRevRangeByLex, Dispatcher::Run<kZRevRangeByLex>},
    CommandEntry{&kZScan, Dispatcher::Run<kZScan>},
    CommandEntry{&kZUnionStore, Dispatcher::Run<kZUnionStore>},
    CommandEntry{&kZInterStore, Dispatcher::Run<kZInterStore>},
    CommandEntry{&kZDiffStore, Dispatcher::Run<kZDiffStore>},
    CommandEntry{&kZRangeStore, Dispatcher::Run<kZRangeStore>},
};

}  // namespace

std::span<const CommandEntry> ZSetCommands() { return kCommands; }

}  // namespace flash::commands
