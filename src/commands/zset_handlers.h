// zset_handlers.h: handlers of the sorted set commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "dispatch/context.h"

namespace flash::commands {

dispatch::Outcome ZAdd(dispatch::Context& ctx);
dispatch::Outcome ZIncrBy(dispatch::Context& ctx);
dispatch::Outcome ZRem(dispatch::Context& ctx);
dispatch::Outcome ZPopMin(dispatch::Context& ctx);
dispatch::Outcome ZPopMax(dispatch::Context& ctx);
dispatch::Outcome BZPopMin(dispatch::Context& ctx);
dispatch::Outcome BZPopMax(dispatch::Context& ctx);
dispatch::Outcome ZScore(dispatch::Context& ctx);
dispatch::Outcome ZMScore(dispatch::Context& ctx);
dispatch::Outcome ZRank(dispatch::Context& ctx);
dispatch::Outcome ZRevRank(dispatch::Context& ctx);
dispatch::Outcome ZCard(dispatch::Context& ctx);
dispatch::Outcome ZCount(dispatch::Context& ctx);
dispatch::Outcome ZLexCount(dispatch::Context& ctx);
dispatch::Outcome ZRange(dispatch::Context& ctx);
dispatch::Outcome ZRangeByScore(dispatch::Context& ctx);
dispatch::Outcome ZRevRangeByScore(dispatch::Context& ctx);
dispatch::Outcome ZRangeByLex(dispatch::Context& ctx);
dispatch::Outcome ZRevRangeByLex(dispatch::Context& ctx);
dispatch::Outcome ZScan(dispatch::Context& ctx);
dispatch::Outcome ZUnionStore(dispatch::Context& ctx);
dispatch::Outcome ZInterStore(dispatch::Context& ctx);
dispatch::Outcome ZDiffStore(dispatch::Context& ctx);
dispatch::Outcome ZRangeStore(dispatch::Context& ctx);

}  // namespace flash::commands
