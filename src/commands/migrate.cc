// migrate.cc: see migrate.h.
//
// Arguments and replies; the moving is in cluster/. Thread: main.
#include "commands/migrate.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cluster/migration.h"
#include "cluster/probe.h"
#include "commands/args.h"
#include "dispatch/dispatcher.h"
#include "dispatch/errors.h"
#include "dispatch/waiting_clients.h"
#include "server/engine.h"
#include "types/migrate_words.h"

namespace flash::commands {
namespace {

using cluster::Migration;
using cluster::Probe;
using dispatch::Answer;
using dispatch::ArgSpec;
using dispatch::ArgType;
using dispatch::KeySpec;
using server::Engine;

/// Of FLASH.MIGRATE.
constexpr int kHost = 1;
constexpr int kPort = 2;
constexpr int kKey = types::kMigrateKey;
constexpr int kDb = 4;
constexpr int kTimeout = 5;
constexpr int kOptions = types::kMigrateOptions;
/// As of the server's MIGRATE, where none or 0 is given.
constexpr uint64_t kTimeoutMs = 1000;
constexpr int kPortMax = 65535;

std::optional<long long> NumberOf(const ValkeyModuleString* string) {
  long long number = 0;
  if (ValkeyModule_StringToLongLong(string, &number) != VALKEYMODULE_OK) return std::nullopt;
  return number;
}

void ReportMigrateKeys(ValkeyModuleCtx* ctx, ValkeyModuleString* const* argv, int argc) {
  constexpr int kMoved =
      VALKEYMODULE_CMD_KEY_RW | VALKEYMODULE_CMD_KEY_ACCESS | VALKEYMODULE_CMD_KEY_DELETE;
  const int first = types::FirstOfMigrateKeys(argc, [argv](int i) { return vk::TextOf(argv[i]); });
  if (first == 0) {
    if (argc > kKey) ValkeyModule_KeyAtPosWithFlags(ctx, kKey, kMoved);
    return;
  }
  for (int i = first; i < argc; ++i) ValkeyModule_KeyAtPosWithFlags(ctx, i, kMoved);
}

/// Null, or the error to reply.
const char* ParseOptions(ValkeyModuleString** argv, int argc, Migration::Request* request) {
  for (int i = kOptions; i < argc; ++i) {
    const int more = argc - 1 - i;
    if (IsWord(vk::TextOf(argv[i]), "copy")) {
      request->copy = true;
    } else if (IsWord(vk::TextOf(argv[i]), "replace")) {
      request->replace = true;
    } else if (IsWord(vk::TextOf(argv[i]), "auth") && more >= 1) {
      request->target.password = vk::TextOf(argv[++i]);
    } else if (IsWord(vk::TextOf(argv[i]), "auth2") && more >= 2) {
      request->target.user = vk::TextOf(argv[++i]);
      request->target.password = vk::TextOf(argv[++i]);
    } else if (IsWord(vk::TextOf(argv[i]), "keys")) {
      if (!vk::TextOf(argv[kKey]).empty()) {
        return "ERR When using MIGRATE KEYS option, the key argument must be set to the empty "
               "string";
      }
      for (++i; i < argc; ++i) request->keys.push_back(vk::String::Hold(argv[i]));
      if (request->keys.empty()) return dispatch::errors::kSyntax;
      return nullptr;
    } else {
      return dispatch::errors::kSyntax;
    }
  }
  request->keys.push_back(vk::String::Hold(argv[kKey]));
  return nullptr;
}

const char* ParseMigrate(ValkeyModuleString** argv, int argc, Migration::Request* request) {
  if (const char* error = ParseOptions(argv, argc, request); error != nullptr) return error;
  const auto port = NumberOf(argv[kPort]);
  const auto timeout_ms = NumberOf(argv[kTimeout]);
  if (!port || !timeout_ms || !NumberOf(argv[kDb])) return dispatch::errors::kNotInteger;
  if (*port < 1 || *port > kPortMax) return "ERR invalid port";
  request->target.host = vk::TextOf(argv[kHost]);
  request->target.port = static_cast<int>(*port);
  request->db = vk::TextOf(argv[kDb]);
  request->timeout_ms = *timeout_ms <= 0 ? kTimeoutMs : static_cast<uint64_t>(*timeout_ms);
  return nullptr;
}

int ReplyText(ValkeyModuleCtx* ctx, const std::string& answer) {
  return dispatch::ReplyAnswer(ctx, answer.c_str());
}

/// What both commands refuse with before anything else; true: they did.
bool Refused(ValkeyModuleCtx* ctx) {
  const char* const refusal = dispatch::NotReady();
  if (refusal == nullptr) return false;
  ValkeyModule_ReplyWithError(ctx, refusal);
  return true;
}

int MigrateCommand(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  if (ValkeyModule_IsKeysPositionRequest(ctx) != 0) {
    ReportMigrateKeys(ctx, argv, argc);
    return VALKEYMODULE_OK;
  }
  if (Refused(ctx)) return VALKEYMODULE_OK;
  Migration::Request request;
  if (const char* error = ParseMigrate(argv, argc, &request); error != nullptr) {
    return ValkeyModule_ReplyWithError(ctx, error);
  }
  const auto migration = std::make_shared<Migration>(std::move(request), ctx);
  return dispatch::TimedJob::Run(ctx, migration, [migration](ValkeyModuleCtx* late) {
    return ReplyText(late, migration->answer());
  });
}

// --- FLASH.MIGRATE.PROBE
// --------------------------------------------------------------------------------

void ReplyState(ValkeyModuleCtx* ctx, const std::string& state, uint64_t capacity_bytes,
                uint64_t free_bytes, const std::string& path) {
  const auto text = [ctx](std::string_view said) {
    ValkeyModule_ReplyWithStringBuffer(ctx, said.data(), said.size());
  };
  ValkeyModule_ReplyWithArray(ctx, 8);
  text("state");
  text(state);
  text("capacity_bytes");
  ValkeyModule_ReplyWithLongLong(ctx, static_cast<long long>(capacity_bytes));
  text("free_bytes");
  ValkeyModule_ReplyWithLongLong(ctx, static_cast<long long>(free_bytes));
  text("path");
  text(path);
}

int ReplyOwnState(ValkeyModuleCtx* ctx) {
  Engine& engine = Engine::Get();
  const store::RecordStore::Stats& store = engine.pool().store_stats();
  constexpr const char* kStates[] = {"recovering", "ready", "error"};
  ReplyState(ctx, kStates[static_cast<size_t>(engine.state())], store.capacity_bytes,
             store.free_bytes, engine.settings().path);
  return VALKEYMODULE_OK;
}

int ReplyProbe(ValkeyModuleCtx* ctx, const cluster::Target& target, const Probe& probe) {
  const cluster::ProbeAnswer& answer = probe.answer();
  const std::string refusal = answer.RefusalOf(target);
  if (!refusal.empty()) return ReplyText(ctx, refusal);
  ReplyState(ctx, answer.state, answer.capacity_bytes, answer.free_bytes, answer.path);
  return VALKEYMODULE_OK;
}

int ProbeCommand(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc) noexcept {
  if (argc == 1) return ReplyOwnState(ctx);
  if (argc != 3) return ValkeyModule_WrongArity(ctx);
  const auto port = NumberOf(argv[kPort]);
  if (!port || *port < 1 || *port > kPortMax) {
    return ValkeyModule_ReplyWithError(ctx, "ERR invalid port");
  }
  cluster::Target target;
  target.host = vk::TextOf(argv[kHost]);
  target.port = static_cast<int>(*port);
  const server::Settings& settings = Engine::Get().settings();
  const auto probe =
      Probe::Start(target, static_cast<int>(kTimeoutMs), settings.migration_probe_cache_sec);
  const auto step = [probe](ValkeyModuleCtx* /*ctx*/) -> Answer {
    return probe->done() ? "OK" : nullptr;
  };
  const auto reply = [probe, target](ValkeyModuleCtx* late, ValkeyModuleString** /*argv*/,
                                     Answer /*answer*/) {
    return ReplyProbe(late, target, *probe);
  };
  if (!probe->done() && dispatch::WaitingClients::Park(ctx, step, reply)) return VALKEYMODULE_OK;
  probe->Wait();
  return ReplyProbe(ctx, target, *probe);
}

// --- Specs
// ----------------------------------------------------------------------------------------------

constexpr uint64_t kMovedFlags = VALKEYMODULE_CMD_KEY_ACCESS | VALKEYMODULE_CMD_KEY_DELETE;
constexpr KeySpec kMigrateKeys[] = {
    {.access = dispatch::KeyAccess::kReadWrite, .flags = kMovedFlags, .begin = kKey},
    {.access = dispatch::KeyAccess::kReadWrite,
     .flags = kMovedFlags | VALKEYMODULE_CMD_KEY_INCOMPLETE,
     .begin = -2,
     .last = -1,
     .keyword = "KEYS"}};
constexpr ArgSpec kKeyOrEmpty[] = {
    {.name = "key", .type = ArgType::kKey},
    {.name = "empty-string", .type = ArgType::kPureToken, .token = "\"\""}};
constexpr ArgSpec kAuth2[] = {{.name = "username"}, {.name = "password"}};
constexpr ArgSpec kAuthentication[] = {{.name = "auth", .token = "AUTH", .optional = true},
                                       {.name = "auth2",
                                        .type = ArgType::kBlock,
                                        .token = "AUTH2",
                                        .optional = true,
                                        .subargs = kAuth2}};
constexpr ArgSpec kMigrateArgs[] = {
    {.name = "host"},
    {.name = "port", .type = ArgType::kInteger},
    {.name = "key-selector", .type = ArgType::kOneOf, .subargs = kKeyOrEmpty},
    {.name = "destination-db", .type = ArgType::kInteger},
    {.name = "timeout", .type = ArgType::kInteger},
    {.name = "copy", .type = ArgType::kPureToken, .token = "COPY", .optional = true},
    {.name = "replace", .type = ArgType::kPureToken, .token = "REPLACE", .optional = true},
    {.name = "authentication",
     .type = ArgType::kOneOf,
     .optional = true,
     .subargs = kAuthentication},
    {.name = "keys",
     .type = ArgType::kKey,
     .token = "KEYS",
     .optional = true,
     .multiple = true,
     .key_spec = 1},
};
constexpr dispatch::CommandSpec kMigrate = {
    .name = "FLASH.MIGRATE",
    .arity = -6,
    .flags = "write",
    .acl = "write keyspace slow dangerous",
    .keys = kMigrateKeys,
    .args = kMigrateArgs,
    .summary = "Moves keys to another server, reading cold values ahead.",
    .complexity = "As MIGRATE, and a read of each cold block.",
    .group = "admin",
};

constexpr ArgSpec kProbeTarget[] = {{.name = "host"}, {.name = "port", .type = ArgType::kInteger}};
constexpr ArgSpec kProbeArgs[] = {
    {.name = "target", .type = ArgType::kBlock, .optional = true, .subargs = kProbeTarget}};
constexpr dispatch::CommandSpec kProbe = {
    .name = "FLASH.MIGRATE.PROBE",
    .arity = -1,
    .flags = "readonly admin",
    .acl = "admin slow",
    .args = kProbeArgs,
    .summary = "Tells state, capacity and free room of this server's tier, or of another's.",
    .complexity = "O(1)",
    .group = "admin",
};

constexpr dispatch::CommandEntry kEntries[] = {
    {&kMigrate, MigrateCommand},
    {&kProbe, ProbeCommand},
};

}  // namespace

std::span<const dispatch::CommandEntry> MigrateCommands() { return kEntries; }

}  // namespace flash::commands
