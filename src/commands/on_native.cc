// on_native.cc: see on_native.h.
//
// The server's own command comes first where it may be refused, so that a refusal has changed
// nothing. Thread: main.
#include "commands/on_native.h"

#include <vector>

#include "commands/args.h"
#include "commands/collection_parts.h"
#include "commands/parse_hash.h"
#include "commands/string_handlers.h"
#include "dispatch/errors.h"
#include "dispatch/fallback.h"
#include "dispatch/keys.h"

namespace flash::commands {
namespace {

using dispatch::CallNative;
using dispatch::Context;
using dispatch::Outcome;
using dispatch::ReplyAs;
using dispatch::StringKey;
using types::NativeShape;
using values::StringValue;

/// Of one key of FLASH.DEL.
enum class Deletes : uint8_t { kNothing, kOurs, kNative, kRefused };

Deletes LookAt(const Context& ctx, int index) {
  const dispatch::AnyKey key(ctx, index, Context::Access::kWrite);
  if (!key.exists()) return Deletes::kNothing;
  if (!key.wrong_type()) return Deletes::kOurs;
  const vk::Key native(ctx.raw(), ctx.Argument(index), vk::Key::kPeek);
  return types::ShapeOf(native) == NativeShape::kOther ? Deletes::kRefused : Deletes::kNative;
}

}  // namespace

Outcome MGetOnNative(Context& ctx) {
  std::vector<StringValue> values;  // By argument; the empty handle where there is no FLASH string.
  std::vector<StringValue> present;
  std::vector<int> natives;  // Arguments.
  for (int i = 1; i < ctx.argc(); ++i) {
    const StringKey key(ctx, i, Context::Access::kRead);
    values.push_back(key.value());
    if (key.exists()) present.push_back(key.value());
    if (key.wrong_type() && IsNative(ctx, i, NativeShape::kString)) natives.push_back(i);
  }
  if (auto closed = ctx.GateReadAll(present)) return *closed;
  std::vector<ValkeyModuleString*> names;
  names.reserve(natives.size());
  for (const int i : natives) names.push_back(ctx.Argument(i));
  const vk::CallReply reply = CallNative(ctx, "MGET", names);
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) return ReplyAs(ctx, reply);
  ctx.ReplyArray(static_cast<long>(values.size()));
  size_t next = 0;
  for (int i = 1; i < ctx.argc(); ++i) {
    const StringValue& value = values[static_cast<size_t>(i - 1)];
    if (next < natives.size() && natives[next] == i) {
      ValkeyModule_ReplyWithCallReply(ctx.raw(),
                                      ValkeyModule_CallReplyArrayElement(reply.get(), next++));
    } else {
      value.empty_handle() ? ctx.ReplyNull() : ctx.ReplyBulk(ctx.Read(value));
    }
  }
  return Outcome::kDone;
}

Outcome HSetOnNative(Context& ctx) {
  const Texts texts(ctx);
  const Result<HSetRequest> request = ParseHSet(texts.args(), ValkeyModule_Milliseconds());
  if (!request) return ctx.ReplyError(request.error());
  ValkeyModuleString** const args = ctx.arguments();
  const vk::CallReply reply = CallNative(ctx, "HSET", {args + 1, request->pairs_end - 1});
  if (!reply.is_error() && request->sets_expiry) {
    // A part of FLASH.HSET: who may use that needs no permission for PEXPIREAT.
    const Context::ServersOwn servers_own;
    const vk::CallReply expired(ValkeyModule_Call(ctx.raw(), "PEXPIREAT", "!sl", args[1],
                                                  static_cast<long long>(request->expire_at_ms)));
  }
  return ReplyAs(ctx, reply);
}

Outcome DelOnNative(Context& ctx) {
  std::vector<ValkeyModuleString*> native;
  for (int i = 1; i < ctx.argc(); ++i) {
    const Deletes deletes = LookAt(ctx, i);
    if (deletes == Deletes::kRefused) return ctx.ReplyError(errors::kWrongType);
    if (deletes == Deletes::kNative) native.push_back(ctx.Argument(i));
  }
  if (auto closed = ctx.GateApply()) return *closed;
  long long deleted = 0;
  if (!native.empty()) {
    ++server::Engine::Get().counters().native_fallbacks;
    const vk::CallReply reply = CallNative(ctx, "DEL", native);
    if (reply.type() != VALKEYMODULE_REPLY_INTEGER) return ReplyAs(ctx, reply);
    deleted = reply.integer();
  }
  return DelOurs(ctx, deleted);
}

}  // namespace flash::commands
