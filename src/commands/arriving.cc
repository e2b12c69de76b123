// arriving.cc: see arriving.h.
//
// Thread: main.
#include "commands/arriving.h"

#include <strings.h>

#include <memory>
#include <string>
#include <vector>

#include "commands/adopt_scan.h"
#include "commands/drain.h"
#include "commands/spec_parts.h"
#include "dispatch/adopting.h"
#include "dispatch/dispatcher.h"
#include "dispatch/errors.h"
#include "types/adoption.h"
#include "vk/server_info.h"

namespace flash::commands {
namespace {

using dispatch::ArgSpec;
using dispatch::ArgType;
using dispatch::Context;
using dispatch::Outcome;

constexpr int kKey = 1;

// --- FLASH.ADOPT
// --------------------------------------------------------------------------------------

Outcome ReplyAdopted(Context& ctx, const Result<bool>& adopted) {
  if (!adopted) return ctx.ReplyError(dispatch::AdoptErrorText(adopted.error()).c_str());
  return ctx.ReplyInteger(*adopted ? 1 : 0);
}

/// In parts, while others are served; if one of them changes the value, anew.
Outcome AdoptLong(Context& ctx, ValkeyModuleString* name) {
  auto* work = ctx.DoneWork<dispatch::AdoptWork>();
  if (work == nullptr || work->HasChanged(ctx.raw())) {
    if (auto closed = ctx.GateWork(std::make_shared<dispatch::AdoptWork>(ctx.raw(), name))) {
      return *closed;
    }
    work = ctx.DoneWork<dispatch::AdoptWork>();
  }
  if (auto closed = ctx.GateApply()) return *closed;
  return ReplyAdopted(ctx, work->Install(ctx.raw()));
}

/// Makes a native key a FLASH key of the same content.
/// Reply: 1; 0 if there is no such key or it is a FLASH key. Errors: WRONGTYPE, there is no FLASH
/// form of its value; FLASHFULL; FLASHIO. The key is untouched then.
Outcome Adopt(Context& ctx) {
  ValkeyModuleString* const name = ctx.Argument(kKey);
  if (ctx.MayWait() && types::Adoption::TakesLong(ctx.raw(), name)) return AdoptLong(ctx, name);
  if (auto closed = ctx.GateApply()) return *closed;
  return ReplyAdopted(ctx, dispatch::AdoptKey(ctx.raw(), name));
}

// --- FLASH.ADOPT.SCAN
// ---------------------------------------------------------------------------------

/// A number behind a word of ours. Null, or the error to reply.
const char* ParseBound(ValkeyModuleString* text, std::optional<uint64_t>* bound) {
  long long number = 0;
  if (ValkeyModule_StringToLongLong(text, &number) != VALKEYMODULE_OK || number < 0 ||
      number > INT64_MAX / 1000) {
    return dispatch::errors::kNotInteger;
  }
  *bound = static_cast<uint64_t>(number);
  return nullptr;
}

/// What is not ours is SCAN's, which checks it. Null, or the error to reply.
const char* ParseScan(ValkeyModuleString** argv, int argc, AdoptScan::Options* options,
                      std::vector<ValkeyModuleString*>* scan) {
  scan->push_back(argv[1]);
  for (int i = 2; i < argc; i += 2) {
    if (i + 1 == argc) return dispatch::errors::kSyntax;
    const std::string word(vk::TextOf(argv[i]));
    const char* error = nullptr;
    if (strcasecmp(word.c_str(), "MINBYTES") == 0) {
      error = ParseBound(argv[i + 1], &options->min_bytes);
    } else if (strcasecmp(word.c_str(), "MINIDLE") == 0) {
      error = ParseBound(argv[i + 1], &options->min_idle_s);
    } else if (strcasecmp(word.c_str(), "MATCH") == 0 || strcasecmp(word.c_str(), "COUNT") == 0) {
      scan->insert(scan->end(), {argv[i], argv[i + 1]});
    } else {
      error = dispatch::errors::kSyntax;
    }
    if (error != nullptr) return error;
  }
  return nullptr;
}

bool KeepsFrequencies(ValkeyModuleCtx* ctx) {
  const vk::ServerInfo memory(ctx, "memory");
  return memory.Text("maxmemory_policy").find("lfu") != std::string_view::npos;
}

/// Why no key can be adopted now; null: some may be.
const char* Refusal(ValkeyModuleCtx* ctx, const AdoptScan::Options& options) {
  if (dispatch::NotReady() != nullptr) return dispatch::NotReady();
  if (dispatch::WriteRefusal() != nullptr) return dispatch::WriteRefusal();
  if (Drain::Current() != nullptr) return "ERR FLASH.ADOPT.SCAN: a FLASH.DRAIN is in progress";
  if (options.min_idle_s && KeepsFrequencies(ctx)) {
    return "ERR an LFU maxmemory policy is selected: idle times are not kept, and MINIDLE cannot "
           "be used";
  }
  return nullptr;
}

int AdoptScanCommand(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  AdoptScan::Options options;
  std::vector<ValkeyModuleString*> words;
  if (const char* error = ParseScan(argv, argc, &options, &words); error != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, error);
  }
  if (const char* refusal = Refusal(ctx, options); refusal != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, refusal);
  }
  const auto scan = std::make_shared<AdoptScan>(options, ctx);
  if (!scan->Find(ctx, words)) return VALKEYMODULE_OK;
  return dispatch::TimedJob::Run(ctx, scan,
                                 [scan](ValkeyModuleCtx* late) { return scan->Reply(late); });
}

// --- Specs
// ----------------------------------------------------------------------------------------------

constexpr dispatch::CommandSpec kAdopt = {
    .name = "FLASH.ADOPT",
    .arity = 2,
    .flags = "write",
    .acl = "write slow",
    .keys = kReadUpdated,
    .args = kKeyOnly,
    .summary =
        "Turns a native string, hash, list or sorted set into a FLASH key of the same content and "
        "time to live.",
    .complexity = "O(N) where N is the number of elements of the value.",
    .group = "admin",
    .handler = Adopt,
};

constexpr ArgSpec kScanArgs[] = {
    {.name = "cursor", .type = ArgType::kInteger},
    {.name = "pattern", .type = ArgType::kPattern, .token = "MATCH", .optional = true},
    {.name = "count", .type = ArgType::kInteger, .token = "COUNT", .optional = true},
    {.name = "bytes", .type = ArgType::kInteger, .token = "MINBYTES", .optional = true},
    {.name = "seconds", .type = ArgType::kInteger, .token = "MINIDLE", .optional = true},
};
constexpr dispatch::CommandSpec kAdoptScan = {
    .name = "FLASH.ADOPT.SCAN",
    .arity = -2,
    .flags = "write",
    .acl = "write slow",
    .args = kScanArgs,
    .summary =
        "Iterates over the keys of the database as SCAN does and turns native ones into "
        "FLASH keys; returns the next cursor and the keys that were turned.",
    .complexity = "As SCAN, and O(N) where N is the number of elements of the values turned.",
    .tips = "nondeterministic_output request_policy:special response_policy:special",
    .group = "admin",
};

constexpr dispatch::CommandEntry kEntries[] = {
    {&kAdopt, dispatch::Dispatcher::Run<kAdopt>},
    {&kAdoptScan, AdoptScanCommand},
};

}  // namespace

std::span<const dispatch::CommandEntry> ArrivingCommands() { return kEntries; }

}  // namespace flash::commands
