// fallback.h: with flash.native-fallback, commands of ours on native keys are the server's own.
//
// Decided by the types of a command's keys before its handler runs; the reply is passed on as it
// is. Knows of commands what their specs say. Thread: main. Decision: docs/adr/0019.
#pragma once

#include <optional>

#include "dispatch/context.h"
#include "server/engine.h"
#include "types/native_value.h"
#include "vk/call_reply.h"

namespace flash::dispatch {

/// May commands of ours work on native keys?
[[nodiscard]] inline bool FallsBack() { return server::Engine::Get().settings().native_fallback; }

/// May this run do so? What repeats a change made elsewhere goes by the form that is there.
[[nodiscard]] bool MayFallBack(const Context& ctx);

/// The handler, or what stands for it where keys are native. Every run of a command that may change
/// or reply anything goes through this.
[[nodiscard]] Outcome RunWithFallback(Context& ctx);
[[nodiscard]] inline Outcome RunHandler(Context& ctx) {
  if (FallsBack()) [[unlikely]]
    return RunWithFallback(ctx);
  return ctx.spec().handler(ctx);
}

/// Is this key native and of that shape, and may a command work on it?
[[nodiscard]] bool IsNative(const Context& ctx, int key, types::NativeShape shape);

/// Runs a command of the server's own for the caller, by whose rules it is allowed or not;
/// replicated as itself.
[[nodiscard]] vk::CallReply CallNative(const Context& ctx, const char* command,
                                       std::span<ValkeyModuleString* const> args);

/// Passes the reply of the server's own command on.
Outcome ReplyAs(const Context& ctx, const vk::CallReply& reply);

/// May a key that has become ready serve a command that waits for values of `type`?
[[nodiscard]] bool MayServe(const vk::Key& key, const ValkeyModuleType* type);

}  // namespace flash::dispatch
