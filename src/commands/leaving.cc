// leaving.cc: see leaving.h.
//
// CONVERT is a command like any other: what it lacks, the whole value, is brought, and it runs
// again. DRAIN works from timers (drain.h) and its client waits. Thread: main.
#include "commands/leaving.h"

#include <strings.h>

#include <array>
#include <memory>
#include <string>

#include "commands/drain.h"
#include "commands/parse_number.h"
#include "commands/spec_parts.h"
#include "dispatch/dispatcher.h"
#include "dispatch/errors.h"
#include "dispatch/keys.h"
#include "server/engine.h"
#include "types/native_form.h"

namespace flash::commands {
namespace {

using dispatch::ArgSpec;
using dispatch::ArgType;
using dispatch::Context;
using dispatch::Outcome;
using server::Engine;

constexpr int kKey = 1;

std::string HiddenError(const char* command) {
  return "ERR native values are made by the server's " + std::string(command) +
         ", which is hidden from modules (rename-command); nothing was changed";
}

// --- FLASH.CONVERT
// --------------------------------------------------------------------------------------

/// Makes a key a native one of the same content.
/// Reply: 1; 0 if there is no such key or it is not one of ours. Errors: FLASHIO; OOM, where the
/// native form would exceed maxmemory. The key is untouched then.
Outcome Convert(Context& ctx) {
  dispatch::AnyKey key(ctx, kKey, Context::Access::kWrite);
  if (!key.exists() || key.wrong_type()) return ctx.ReplyInteger(0);
  const types::FlashType& type = *key.type();
  void* const value = key.value();
  const bool resident = types::IsResident(type, value);
  if (!resident) {
    if (auto closed = ctx.GateContents(type, value)) return *closed;
  }
  if (auto closed = ctx.GateApply()) return *closed;
  if (const char* hidden = types::HiddenCommand(ctx.raw(), type); hidden != nullptr) {
    // The log tells of one that could be converted then: it stays what it is.
    if (Engine::Get().replaying()) return ctx.ReplyInteger(0);
    return ctx.ReplyError(HiddenError(hidden).c_str());
  }
  ValkeyModuleString* const name = ctx.Argument(kKey);
  key.Close();
  if (resident) {
    types::BecomeNativeResident(ctx.raw(), name, value);
  } else {
    types::Contents& contents = ctx.PreparedContents();
    const uint64_t bytes = types::NativeBytes(contents.bytes());
    if (types::Exceeds(types::Maxmemory(ctx.raw()), bytes)) {
      return ctx.ReplyError(dispatch::errors::kOutOfMemory);
    }
    types::BecomeNative(ctx.raw(), name, &contents);
  }
  ValkeyModule_NotifyKeyspaceEvent(ctx.raw(), VALKEYMODULE_NOTIFY_GENERIC, "flash.convert", name);
  ++Engine::Get().counters().converted;
  return ctx.ReplyInteger(1);
}

// --- FLASH.DRAIN
// ----------------------------------------------------------------------------------------

/// Null, or the error to reply.
const char* ParseDrain(ValkeyModuleString** argv, int argc, Drain::Options* options) {
  for (int i = 1; i < argc; ++i) {
    const std::string word(vk::TextOf(argv[i]));
    const bool more = i + 1 < argc;
    if (strcasecmp(word.c_str(), "FORCE") == 0) {
      options->force = true;
    } else if (strcasecmp(word.c_str(), "ALLDBS") == 0) {
      options->all_databases = true;
    } else if (strcasecmp(word.c_str(), "MATCH") == 0 && more) {
      options->match = std::string(vk::TextOf(argv[++i]));
    } else if (strcasecmp(word.c_str(), "COUNT") == 0 && more) {
      long long count = 0;
      if (ValkeyModule_StringToLongLong(argv[++i], &count) != VALKEYMODULE_OK) {
        return dispatch::errors::kNotInteger;
      }
      if (count < 0) return "ERR COUNT must not be negative";
      options->count = static_cast<uint64_t>(count);
    } else {
      return dispatch::errors::kSyntax;
    }
  }
  return nullptr;
}

/// RAM that all cold values will take as native ones, by the compression so far.
uint64_t ProjectedColdBytes() {
  const store::RecordStore::Stats& store = Engine::Get().pool().store_stats();
  const double growth =
      store.put_stored_bytes == 0
          ? 1.0
          : static_cast<double>(store.put_raw_bytes) / static_cast<double>(store.put_stored_bytes);
  return types::NativeBytes(
      static_cast<uint64_t>(static_cast<double>(store.used_bytes) * std::max(growth, 1.0)));
}

int ReplyFigures(ValkeyModuleCtx* ctx, const Drain& drain) {
  if (drain.error() != nullptr) return ValkeyModule_ReplyWithError(ctx, drain.error());
  const Drain::Figures& figures = drain.figures();
  ValkeyModule_ReplyWithArray(ctx, 4);
  for (const uint64_t figure :
       {figures.converted, figures.skipped, figures.errors, figures.scanned}) {
    ValkeyModule_ReplyWithLongLong(ctx, static_cast<long long>(figure));
  }
  return VALKEYMODULE_OK;
}

/// The guard's error; empty: go on.
std::string OverMaxmemory(ValkeyModuleCtx* ctx) {
  const uint64_t maxmemory = types::Maxmemory(ctx);
  const uint64_t cold = ProjectedColdBytes();
  if (!types::Exceeds(maxmemory, cold)) return {};
  const auto used = static_cast<uint64_t>(static_cast<double>(ValkeyModule_GetUsedMemoryRatio()) *
                                          static_cast<double>(maxmemory));
  return "ERR FLASH.DRAIN would exceed maxmemory (used_memory=" + std::to_string(used) +
         " + projected_cold=" + std::to_string(cold) + " > maxmemory=" + std::to_string(maxmemory) +
         "); pass FORCE to override";
}

int DrainCommand(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  Drain::Options options;
  if (const char* error = ParseDrain(argv, argc, &options); error != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, error);
  }
  if (const char* refusal = dispatch::NotReady(); refusal != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, refusal);
  }
  if (Drain::Current() != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, "ERR FLASH.DRAIN: drain already in progress");
  }
  for (const types::FlashType& type : types::TypeRegistry::All()) {
    const char* const hidden = types::HiddenCommand(ctx, type);
    if (hidden != nullptr) return ValkeyModule_ReplyWithError(ctx, HiddenError(hidden).c_str());
  }
  if (!options.force) {
    const std::string over = OverMaxmemory(ctx);
    if (!over.empty()) return ValkeyModule_ReplyWithError(ctx, over.c_str());
  }
  const auto drain = std::make_shared<Drain>(options, ctx);
  return dispatch::TimedJob::Run(
      ctx, drain, [drain](ValkeyModuleCtx* late) { return ReplyFigures(late, *drain); });
}

// --- Specs
// ----------------------------------------------------------------------------------------------

constexpr dispatch::CommandSpec kConvert = {
    .name = "FLASH.CONVERT",
    .arity = 2,
    .flags = "write deny-oom",
    .acl = "write slow",
    .keys = kReadUpdated,
    .args = kKeyOnly,
    .summary = "Turns a FLASH key into a native one of the same content and time to live.",
    .complexity = "O(N) where N is the number of elements of the value.",
    .group = "admin",
    .handler = Convert,
};

constexpr ArgSpec kDrainArgs[] = {
    {.name = "pattern", .type = ArgType::kPattern, .token = "MATCH", .optional = true},
    {.name = "count", .type = ArgType::kInteger, .token = "COUNT", .optional = true},
    {.name = "force", .type = ArgType::kPureToken, .token = "FORCE", .optional = true},
    {.name = "alldbs", .type = ArgType::kPureToken, .token = "ALLDBS", .optional = true},
};
constexpr dispatch::CommandSpec kDrain = {
    .name = "FLASH.DRAIN",
    .arity = -1,
    .flags = "write admin",
    .acl = "write admin slow dangerous",
    .args = kDrainArgs,
    .summary = "Turns the FLASH keys of the database, or of all, into native ones.",
    .complexity = "O(N) where N is the number of keys, and elements of those converted.",
    .group = "admin",
};

constexpr dispatch::CommandEntry kEntries[] = {
    {&kConvert, dispatch::Dispatcher::Run<kConvert>},
    {&kDrain, DrainCommand},
};

}  // namespace

std::span<const dispatch::CommandEntry> LeavingCommands() { return kEntries; }

}  // namespace flash::commands
