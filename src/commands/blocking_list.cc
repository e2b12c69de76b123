// blocking_list.cc: FLASH.BLPOP, BRPOP and BLMOVE.
//
// Each says what it would wait for before its first gate, so that its client keeps its place among
// those who wait for the same keys even while blocks are brought (docs/adr/0009). Thread: main.
#include "commands/list_handlers.h"
#include "commands/list_parts.h"
#include "commands/parse_number.h"

namespace flash::commands {
namespace {

/// Takes one element, replies key and element, and replicates the plain command.
Outcome TakeOne(Context& ctx, int index, ListKey& key, ListEnd end, const char* command,
                const char* event) {
  Missing missing;
  PlanTake(key, end, 1, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  ValkeyModuleString* const name = ctx.Argument(index);
  ctx.ReplyArray(2);
  ctx.ReplyBulk(vk::BytesOf(name));
  Take(ctx, key, end, 1);
  if (!key.exists()) {
    CommitRemoval(ctx, index, true, event, kListClass);
  } else {
    const std::array<ValkeyModuleString*, 1> args = {name};
    const std::array<KeyChange, 1> changes = {{{name, event, kListClass}}};
    ctx.Commit({command, args}, changes);
  }
  return Outcome::kDone;
}

Outcome BlockingPop(Context& ctx, ListEnd end, const char* command, const char* event) {
  const int last_key = ctx.argc() - 2;
  const Result<int64_t> timeout_ms =
      TimeoutArgument(ctx.Text(ctx.argc() - 1), ValkeyModule_Milliseconds());
  if (!timeout_ms) return ctx.ReplyError(timeout_ms.error());
  ctx.SetKeyWait({kKey, last_key, *timeout_ms, types::ListTypeHandle()});
  for (int i = kKey; i <= last_key; ++i) {
    ListKey key(ctx, i, Access::kWrite);
    if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    if (key.exists()) return TakeOne(ctx, i, key, end, command, event);
  }
  return ctx.MayWait() ? ctx.WaitForKeys() : ctx.ReplyNullArray();
}

}  // namespace

/// FLASH.BLPOP key [key …] timeout
///
/// Reply: key and element; a null array when the time is over.
Outcome BLPop(Context& ctx) { return BlockingPop(ctx, ListEnd::kHead, "FLASH.LPOP", "flash.lpop"); }

/// FLASH.BRPOP key [key …] timeout
///
/// Reply: as BLPOP.
Outcome BRPop(Context& ctx) { return BlockingPop(ctx, ListEnd::kTail, "FLASH.RPOP", "flash.rpop"); }

/// FLASH.BLMOVE source destination LEFT|RIGHT LEFT|RIGHT timeout
///
/// Reply: the element; a null array when the time is over, null where clients cannot wait.
Outcome BLMove(Context& ctx) {
  const Texts texts(ctx);
  const Result<MoveEnds> ends = ParseMoveEnds(texts.args());
  if (!ends) return ctx.ReplyError(ends.error());
  const Result<int64_t> timeout_ms = TimeoutArgument(texts[5], ValkeyModule_Milliseconds());
  if (!timeout_ms) return ctx.ReplyError(timeout_ms.error());
  ctx.SetKeyWait({1, 1, *timeout_ms, types::ListTypeHandle()});
  const std::optional<Outcome> outcome = Move(ctx, *ends, "FLASH.LMOVE", "flash.lmove");
  if (outcome) return *outcome;
  return ctx.MayWait() ? ctx.WaitForKeys() : ctx.ReplyNull();
}

}  // namespace flash::commands
