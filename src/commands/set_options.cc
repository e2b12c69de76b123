// set_options.cc: see set_options.h.
//
// Thread: main.
#include "commands/set_options.h"

#include <strings.h>

#include <limits>

#include "dispatch/errors.h"
#include "server/engine.h"

namespace flash::commands {
namespace {

using dispatch::Context;
namespace errors = dispatch::errors;

enum class Expire : uint8_t { kNone, kEx, kPx, kExAt, kPxAt };

struct ExpireOption {
  const char* word;
  Expire kind;
};
constexpr ExpireOption kExpireOptions[] = {
    {"EX", Expire::kEx}, {"PX", Expire::kPx}, {"EXAT", Expire::kExAt}, {"PXAT", Expire::kPxAt}};

Expire ExpireOf(const char* word) {
  for (const ExpireOption& option : kExpireOptions) {
    if (strcasecmp(word, option.word) == 0) return option.kind;
  }
  return Expire::kNone;
}

bool ServerHasIfeq() {
  static const bool has = vk::ServerVersion() >= kVersionWithIfeq;
  return has;
}

/// Turns the number behind EX, PX, EXAT or PXAT into Unix milliseconds. False: an error was
/// replied.
bool ResolveExpire(Context& ctx, Expire kind, int index, mstime_t* at_ms) {
  long long number = 0;
  if (ValkeyModule_StringToLongLong(ctx.Argument(index), &number) != VALKEYMODULE_OK) {
    ctx.ReplyError(errors::kNotInteger);
    return false;
  }
  constexpr long long kMax = std::numeric_limits<long long>::max();
  const bool seconds = kind == Expire::kEx || kind == Expire::kExAt;
  const bool relative = kind == Expire::kEx || kind == Expire::kPx;
  bool valid = number > 0 && (!seconds || number <= kMax / 1000);
  if (valid && seconds) number *= 1000;
  if (valid && relative)
    valid = !__builtin_add_overflow(number, ValkeyModule_Milliseconds(), &number);
  if (!valid) {
    ctx.ReplyInvalidExpire();
    return false;
  }
  *at_ms = number;
  return true;
}

}  // namespace

bool ParseSetOptions(Context& ctx, SetOptions* options) {
  Expire expire = Expire::kNone;
  int expire_index = 0;
  for (int i = 3; i < ctx.argc(); ++i) {
    const char* const word = ctx.Text(i).data();
    const bool has_next = i + 1 < ctx.argc();
    const Expire kind = ExpireOf(word);
    if (strcasecmp(word, "NX") == 0 && !options->xx && options->ifeq == 0) {
      options->nx = true;
    } else if (strcasecmp(word, "XX") == 0 && !options->nx && options->ifeq == 0) {
      options->xx = true;
    } else if (strcasecmp(word, "IFEQ") == 0 && ServerHasIfeq() && has_next && !options->nx &&
               !options->xx && options->ifeq == 0) {
      options->ifeq = ++i;
    } else if (strcasecmp(word, "GET") == 0) {
      options->get = true;
    } else if (strcasecmp(word, "KEEPTTL") == 0 && expire == Expire::kNone) {
      options->keep_ttl = true;
    } else if (kind != Expire::kNone && (expire == Expire::kNone || expire == kind) &&
               !options->keep_ttl && has_next) {
      expire = kind;
      expire_index = ++i;
    } else {
      ctx.ReplyError(errors::kSyntax);
      return false;
    }
  }
  if (expire == Expire::kNone) return true;
  options->has_expire = true;
  options->expire_is_pxat = expire == Expire::kPxAt;
  return ResolveExpire(ctx, expire, expire_index, &options->expire_at_ms);
}

bool IsPast(const Context& ctx, mstime_t at_ms) {
  if (at_ms > ValkeyModule_Milliseconds()) return false;
  if (server::Engine::Get().replaying()) return false;
  constexpr uint32_t kObedient = VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICA;
  return (vk::ContextFlags(ctx.raw()) & kObedient) == 0;
}

dispatch::KeyChange ExpiredAtOnce(ValkeyModuleString* key) {
  constexpr uint32_t kVersionWithExpired = 0x00080100;
  if (vk::ServerVersion() < kVersionWithExpired) return {key, "del"};
  return {key, "expired", VALKEYMODULE_NOTIFY_EXPIRED};
}

}  // namespace flash::commands
