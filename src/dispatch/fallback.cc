// fallback.cc: see fallback.h.
//
// Thread: main.
#include "dispatch/fallback.h"

#include <cerrno>
#include <string_view>

#include "dispatch/adopting.h"
#include "dispatch/errors.h"
#include "types/list_type.h"
#include "types/zset_type.h"
#include "vk/key.h"

namespace flash::dispatch {
namespace {

using types::NativeShape;

constexpr std::string_view kPrefix = "FLASH.";
constexpr std::string_view kNoUser = "cannot run as user";
constexpr const char* kRefused = "ERR the server refused its own command on a native key";

/// The shape that a command works on; kNone of those that have no native counterpart.
NativeShape ShapeOf(const CommandSpec& spec) {
  const std::string_view group = spec.group;
  if (group == "string") return NativeShape::kString;
  if (group == "hash") return NativeShape::kHash;
  if (group == "list") return NativeShape::kList;
  if (group == "sorted-set") return NativeShape::kZSet;
  return NativeShape::kNone;
}

/// Does a command replace this key whatever it holds? SET and MSET do not.
bool Replaces(const KeySpec& keys, NativeShape shape) {
  return keys.access == KeyAccess::kOverwrite && shape != NativeShape::kString;
}

/// What a command's keys are.
struct Keys {
  std::vector<int> native;  // Of the command's shape.
  bool ours = false;
  bool others = false;                      // Native ones of another shape.
  bool source = false;                      // The first key exists.
  NativeShape first = NativeShape::kOther;  // Of the first that exists; kNone: ours.
};

void LookAt(const Context& ctx, int index, NativeShape shape, bool replaced, Keys* keys) {
  const vk::Key key(ctx.raw(), ctx.Argument(index), vk::Key::kPeek);
  if (!key.exists()) return;
  const NativeShape found = types::ShapeOf(key);
  if (keys->first == NativeShape::kOther) keys->first = found;
  if (index == ctx.spec().keys[0].begin) keys->source = true;
  if (found == NativeShape::kNone) {
    keys->ours = true;
  } else if (replaced) {
    return;
  } else if (found == shape) {
    keys->native.push_back(index);
  } else {
    keys->others = true;
  }
}

Keys LookAtKeys(const Context& ctx, NativeShape shape) {
  Keys keys;
  for (const KeySpec& some : ctx.spec().keys) {
    CommandSpec one;
    one.keys = {&some, 1};
    ForEachKey(one, ctx.arguments(), ctx.argc(),
               [&](int index) { LookAt(ctx, index, shape, Replaces(some, shape), &keys); });
  }
  return keys;
}

/// What was done elsewhere already is repeated on what is there, by the form that it has.
bool IsRepetition(const Context& ctx) {
  constexpr uint32_t kRepeats = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
  return server::Engine::Get().replaying() || (vk::ContextFlags(ctx.raw()) & kRepeats) != 0;
}

Outcome RunNative(Context& ctx) {
  ++server::Engine::Get().counters().native_fallbacks;
  if (ctx.spec().native != nullptr) return ctx.spec().native(ctx);
  const std::span<ValkeyModuleString* const> args(ctx.arguments() + 1,
                                                  static_cast<size_t>(ctx.argc() - 1));
  return ReplyAs(ctx, CallNative(ctx, ctx.spec().name + kPrefix.size(), args));
}

}  // namespace

Outcome RunWithFallback(Context& ctx) {
  const CommandSpec& spec = ctx.spec();
  const NativeShape shape = ShapeOf(spec);
  if (shape == NativeShape::kNone || ctx.planning()) return spec.handler(ctx);
  const Keys keys = LookAtKeys(ctx, shape);
  if (keys.native.empty() || IsRepetition(ctx)) return spec.handler(ctx);
  if (spec.native != nullptr) return RunNative(ctx);
  // A pop from the first of several keys that there is has to do with no other key.
  const bool first_only = spec.Has("blocking") && spec.keys.size() == 1;
  if (first_only) return keys.first == shape ? RunNative(ctx) : spec.handler(ctx);
  if (keys.others || (spec.Has("blocking") && !keys.source)) return spec.handler(ctx);
  if (!keys.ours) return RunNative(ctx);
  for (const int index : keys.native) {
    const Result<bool> adopted = AdoptKey(ctx.raw(), ctx.Argument(index));
    if (!adopted) return ctx.ReplyError(AdoptErrorText(adopted.error()).c_str());
  }
  return spec.handler(ctx);
}

bool MayFallBack(const Context& ctx) { return FallsBack() && !IsRepetition(ctx); }

bool IsNative(const Context& ctx, int key, NativeShape shape) {
  return types::ShapeOf(vk::Key(ctx.raw(), ctx.Argument(key), vk::Key::kPeek)) == shape;
}

vk::CallReply CallNative(const Context& ctx, const char* command,
                         std::span<ValkeyModuleString* const> args) {
  const Context::ServersOwn servers_own;
  auto** const words = const_cast<ValkeyModuleString**>(args.data());  // NOLINT
  errno = 0;
  vk::CallReply reply(ValkeyModule_Call(ctx.raw(), command, "!EC0v", words, args.size()));
  // Where there is no user (a command of another module's) there are no rules, either.
  if (errno == ENOTSUP && reply.is_error() && reply.text().find(kNoUser) != reply.text().npos) {
    reply = vk::CallReply(ValkeyModule_Call(ctx.raw(), command, "!E0v", words, args.size()));
  }
  return reply;
}

Outcome ReplyAs(const Context& ctx, const vk::CallReply& reply) {
  if (reply.get() == nullptr ||
      ValkeyModule_ReplyWithCallReply(ctx.raw(), reply.get()) != VALKEYMODULE_OK) {
    ValkeyModule_ReplyWithError(ctx.raw(), kRefused);
  }
  return Outcome::kDone;
}

bool MayServe(const vk::Key& key, const ValkeyModuleType* type) {
  if (key.module_type() == type) return true;
  if (!FallsBack()) return false;
  const NativeShape shape = types::ShapeOf(key);
  return (type == types::ListTypeHandle() && shape == NativeShape::kList) ||
         (type == types::ZSetTypeHandle() && shape == NativeShape::kZSet);
}

}  // namespace flash::dispatch
