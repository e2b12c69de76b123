// blocking_zset.cc: FLASH.BZPOPMIN and BZPOPMAX.
//
// They say what they would wait for before their first gate, so that their client keeps its place
// among those who wait for the same keys even while blocks are brought (docs/adr/0009).
// Thread: main.
#include "commands/parse_number.h"
#include "commands/zset_handlers.h"
#include "commands/zset_parts.h"

namespace flash::commands {
namespace {

/// Takes one member, replies key, member and score, and replicates the plain command.
Outcome TakeOne(Context& ctx, int index, ZSetKey& key, ZEnd end, const char* command,
                const char* event) {
  Missing missing;
  PlanTakeRanked(key, end, 1, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  ValkeyModuleString* const name = ctx.Argument(index);
  ctx.ReplyArray(3);
  ctx.ReplyBulk(vk::BytesOf(name));
  TakeRanked(ctx, key, end, 1, false);
  if (!key.exists()) {
    CommitRemoval(ctx, index, true, event, kZSetClass);
  } else {
    const std::array<ValkeyModuleString*, 1> args = {name};
    const std::array<KeyChange, 1> changes = {{{name, event, kZSetClass}}};
    ctx.Commit({command, args}, changes);
  }
  return Outcome::kDone;
}

Outcome BlockingPop(Context& ctx, ZEnd end, const char* command, const char* event) {
  const int last_key = ctx.argc() - 2;
  const Result<int64_t> timeout_ms =
      TimeoutArgument(ctx.Text(ctx.argc() - 1), ValkeyModule_Milliseconds());
  if (!timeout_ms) return ctx.ReplyError(timeout_ms.error());
  ctx.SetKeyWait({kKey, last_key, *timeout_ms, types::ZSetTypeHandle()});
  for (int i = kKey; i <= last_key; ++i) {
    ZSetKey key(ctx, i, Access::kWrite);
    if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    if (key.exists()) return TakeOne(ctx, i, key, end, command, event);
  }
  return ctx.MayWait() ? ctx.WaitForKeys() : ctx.ReplyNullArray();
}

}  // namespace

/// FLASH.BZPOPMIN key [key …] timeout
///
/// Reply: key, member and score; a null array when the time is over.
Outcome BZPopMin(Context& ctx) {
  return BlockingPop(ctx, ZEnd::kMin, "FLASH.ZPOPMIN", "flash.zpopmin");
}

/// FLASH.BZPOPMAX key [key …] timeout
///
/// Reply: as BZPOPMIN.
Outcome BZPopMax(Context& ctx) {
  return BlockingPop(ctx, ZEnd::kMax, "FLASH.ZPOPMAX", "flash.zpopmax");
}

}  // namespace flash::commands
