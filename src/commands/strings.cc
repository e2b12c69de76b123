// strings.cc: handlers of the string commands; see strings.h. Their specs: string_specs.cc.
//
// The order of checks is the native one, but that a key of another type is refused before anything
// is decided. Thread: main.
#include <array>
#include <string>
#include <vector>

#include "commands/on_native.h"
#include "commands/set_options.h"
#include "commands/string_handlers.h"
#include "dispatch/errors.h"
#include "dispatch/fallback.h"
#include "dispatch/keys.h"
#include "dispatch/read_permission.h"

namespace flash::commands {
namespace {

using dispatch::AnyKey;
using dispatch::Context;
using dispatch::KeyChange;
using dispatch::MayReadToo;
using dispatch::Outcome;
using dispatch::StringKey;
using values::StringValue;
namespace errors = dispatch::errors;

using Access = Context::Access;

constexpr const char* kSetEvent = "flash.set";
constexpr const char* kDelEvent = "flash.del";

/// Argument 0 of the commands that set is the name, 1 the key, 2 the value.
constexpr int kKey = 1;
constexpr int kValue = 2;

Outcome ReplyOld(Context& ctx, const StringKey& key) {
  return key.exists() ? ctx.ReplyBulk(ctx.Read(key.value())) : ctx.ReplyNull();
}

/// SET as replicas and the AOF are to do it: unconditionally, with the moment of expiry.
void CommitSet(Context& ctx, const SetOptions& options) {
  std::array<KeyChange, 2> changes = {{
      {ctx.Argument(kKey), kSetEvent, VALKEYMODULE_NOTIFY_GENERIC},
      {ctx.Argument(kKey), "expire", VALKEYMODULE_NOTIFY_GENERIC},
  }};
  const std::span<const KeyChange> told(changes.data(), options.has_expire ? 2 : 1);
  const bool plain = ctx.argc() == 3 || (ctx.argc() == 5 && options.expire_is_pxat) ||
                     (ctx.argc() == 4 && options.keep_ttl);
  if (plain) return ctx.Commit({}, told);

  std::vector<ValkeyModuleString*> args = {ctx.Argument(kKey), ctx.Argument(kValue)};
  vk::String word;
  vk::String moment;
  if (options.has_expire) {
    word = vk::String::Copy("PXAT");
    moment = vk::String::Copy(std::to_string(options.expire_at_ms));
    args.push_back(word.get());
    args.push_back(moment.get());
  } else if (options.keep_ttl) {
    word = vk::String::Copy("KEEPTTL");
    args.push_back(word.get());
  }
  ctx.Commit({ctx.spec().name, args}, told);
}

/// SET with a moment that is over: the key goes, as if it had been set and had expired.
Outcome SetExpired(Context& ctx, const SetOptions& options, StringKey& key) {
  if (auto closed = ctx.GateApply()) return *closed;
  if (options.get) ReplyOld(ctx, key);
  if (key.exists()) {
    key.Delete();
    const std::array<ValkeyModuleString*, 1> args = {ctx.Argument(kKey)};
    const std::array<KeyChange, 1> changes = {ExpiredAtOnce(ctx.Argument(kKey))};
    ctx.Commit({"DEL", args}, changes);
  }
  return options.get ? Outcome::kDone : ctx.ReplyOk();
}

}  // namespace

/// FLASH.SET key value [NX | XX | IFEQ value] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
///
/// Reply: OK, or null where the condition does not hold; with GET the old value or null.
Outcome Set(Context& ctx) {
  SetOptions options;
  if (ctx.argc() > 3 && !ParseSetOptions(ctx, &options)) return Outcome::kDone;

  if (options.get && !MayReadToo(ctx, kKey)) return ctx.ReplyError(errors::kNoKeyPermission);

  StringKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  const bool found = key.exists();
  const bool compare =
      options.ifeq != 0 && found && key.value().bytes() == ctx.Text(options.ifeq).size();
  if ((options.get && found) || compare) {
    if (options.get) {
      if (auto closed = ctx.GateReply(key.value().bytes())) return *closed;
    }
    if (auto closed = ctx.GateRead(key.value())) return *closed;
  }

  bool holds = !(options.nx && found) && !(options.xx && !found);
  if (options.ifeq != 0) {
    holds = compare && ctx.Equals(key.value(), vk::BytesOf(ctx.Argument(options.ifeq)));
  }
  if (!holds) return options.get ? ReplyOld(ctx, key) : ctx.ReplyNull();
  if (options.has_expire && IsPast(ctx, options.expire_at_ms)) {
    return SetExpired(ctx, options, key);
  }

  if (auto closed = ctx.GateMakeOver(kValue, found ? &key.value() : nullptr)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  options.get ? ReplyOld(ctx, key) : ctx.ReplyOk();  // Meanwhile the block's entry arrives.
  mstime_t expire_at_ms = VALKEYMODULE_NO_EXPIRE;
  if (options.has_expire) expire_at_ms = options.expire_at_ms;
  if (options.keep_ttl && found) expire_at_ms = key.expire_at_ms();
  key.Set(ctx, kValue, expire_at_ms);
  CommitSet(ctx, options);
  return Outcome::kDone;
}

/// FLASH.GET key
///
/// Reply: the value, or null.
Outcome Get(Context& ctx) {
  StringKey key(ctx, kKey, Access::kRead);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyNull();
  }
  key.Close();  // Meanwhile the block's entry arrives.
  if (auto closed = ctx.GateReply(key.value().bytes())) return *closed;
  if (auto closed = ctx.GateRead(key.value())) return *closed;
  return ctx.ReplyBulk(ctx.Read(key.value()));
}

/// FLASH.MGET key [key …]
///
/// Reply: an array of values and nulls: null also for a key that holds no FLASH string.
Outcome MGet(Context& ctx) {
  std::vector<StringValue> values;  // By argument; the empty handle where there is no key.
  std::vector<StringValue> present;
  uint64_t reply_bytes = 0;
  values.reserve(static_cast<size_t>(ctx.argc() - 1));
  present.reserve(static_cast<size_t>(ctx.argc() - 1));
  for (int i = kKey; i < ctx.argc(); ++i) {
    const StringKey key(ctx, i, Access::kRead);
    values.push_back(key.value());
    if (!key.exists()) continue;
    present.push_back(key.value());
    reply_bytes += key.value().bytes();
  }
  if (auto closed = ctx.GateReply(reply_bytes)) return *closed;
  if (auto closed = ctx.GateReadAll(present)) return *closed;
  ctx.ReplyArray(static_cast<long>(values.size()));
  for (const StringValue& value : values) {
    value.empty_handle() ? ctx.ReplyNull() : ctx.ReplyBulk(ctx.Read(value));
  }
  return Outcome::kDone;
}

/// FLASH.MSET key value [key value …]
///
/// Reply: OK. All or nothing, as to errors.
Outcome MSet(Context& ctx) {
  if (ctx.argc() % 2 == 0) return ctx.ReplyWrongArity();
  std::vector<int> value_indexes;
  for (int i = kKey; i < ctx.argc(); i += 2) {
    if (StringKey(ctx, i, Access::kWrite).wrong_type()) return ctx.ReplyError(errors::kWrongType);
    value_indexes.push_back(i + 1);
  }
  if (auto closed = ctx.GateMake(value_indexes)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;

  std::vector<KeyChange> changes;
  for (int i = kKey; i < ctx.argc(); i += 2) {
    // Opened anew: the same key may have been set a moment ago.
    StringKey(ctx, i, Access::kWrite).Set(ctx, i + 1, VALKEYMODULE_NO_EXPIRE);
    changes.push_back({ctx.Argument(i), kSetEvent});
  }
  ctx.Commit({}, changes);
  return ctx.ReplyOk();
}

/// FLASH.DEL key [key …]
///
/// Reply: integer, keys deleted. Errors: WRONGTYPE if one is no FLASH key; nothing is deleted then.
Outcome Del(Context& ctx) {
  if (dispatch::MayFallBack(ctx)) return DelOnNative(ctx);
  for (int i = kKey; i < ctx.argc(); ++i) {
    if (AnyKey(ctx, i, Access::kWrite).wrong_type()) return ctx.ReplyError(errors::kWrongType);
  }
  if (auto closed = ctx.GateApply()) return *closed;
  return DelOurs(ctx, 0);
}

Outcome DelOurs(Context& ctx, long long deleted_before) {
  std::vector<ValkeyModuleString*> deleted;
  std::vector<KeyChange> changes;
  for (int i = kKey; i < ctx.argc(); ++i) {
    AnyKey key(ctx, i, Access::kWrite);
    if (!key.exists()) continue;  // Also the second time that a key is named.
    key.Delete();
    deleted.push_back(ctx.Argument(i));
    changes.push_back({ctx.Argument(i), kDelEvent});
  }
  if (!deleted.empty()) ctx.Commit({ctx.spec().name, deleted}, changes);
  return ctx.ReplyInteger(deleted_before + static_cast<long long>(deleted.size()));
}

}  // namespace flash::commands
