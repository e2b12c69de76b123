// zset_handlers.h: handlers of the sorted set commands, for their specs.
//
// Each may be run again from the top (docs/adr/0006). Thread: main.
#pragma once

#include "server/context.h"

namespace flash::commands {

server::Outcome ZAdd(server::Context& ctx);
server::Outcome ZIncrBy(server::Context& ctx);
server::Outcome ZRem(server::Context& ctx);
server::Outcome ZPopMin(server::Context& ctx);
server::Outcome ZPopMax(server::Context& ctx);
server::Outcome BZPopMin(server::Context& ctx);
server::Outcome BZPopMax(server::Context& ctx);
server::Outcome ZScore(server::Context& ctx);
server::Outcome ZMScore(server::Context& ctx);
server::Outcome ZRank(server::Context& ctx);
server::Outcome ZRevRank(server::Context& ctx);
server::Outcome ZCard(server::Context& ctx);
server::Outcome ZCount(server::Context& ctx);
server::Outcome ZLexCount(server::Context& ctx);
server::Outcome ZRange(server::Context& ctx);
server::Outcome ZRangeByScore(server::Context& ctx);
server::Outcome ZRevRangeByScore(server::Context& ctx);
server::Outcome ZRangeByLex(server::Context& ctx);
server::Outcome ZRevRangeByLex(server::Context& ctx);
server::Outcome ZScan(server::Context& ctx);
server::Outcome ZUnionStore(server::Context& ctx);
server::Outcome ZInterStore(server::Context& ctx);
server::Outcome ZDiffStore(server::Context& ctx);
server::Outcome ZRangeStore(server::Context& ctx);

}  // namespace flash::commands
