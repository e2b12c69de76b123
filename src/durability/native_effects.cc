// native_effects.cc: see native_effects.h.
//
// Thread: main.
#include "durability/native_effects.h"

#include <string>
#include <string_view>
#include <utility>

#include "dispatch/context.h"
#include "durability/dump_payload.h"
#include "durability/test_switches.h"
#include "types/last_copy.h"
#include "types/native_form.h"
#include "types/save_support.h"
#include "types/type_registry.h"
#include "vk/key.h"
#include "vk/log.h"
#include "vk/server_events.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

constexpr const char* kReplayEvent = "flash.replay";

/// The first half of RENAME or MOVE has been told: which key has left, and whether it is ours.
struct Leaving {
  bool under_way = false;
  uint64_t db = 0;
  std::string key;
};

struct NativeState {
  Journal* journal = nullptr;
  void (*on_replay)(ValkeyModuleCtx*) = nullptr;
  bool follows = false;
  uint64_t left_db = 0;  // By the key that is being moved.
  bool muted = false;
  Leaving leaving;
};

NativeState& State() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static NativeState* const state = new NativeState;
  return *state;
}

bool Listens() { return !State().muted && State().journal->taking() && !types::IsConverting(); }

uint64_t DbOf(ValkeyModuleCtx* ctx) {
  return static_cast<uint64_t>(ValkeyModule_GetSelectedDb(ctx));
}

void OnKey(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* data) {
  if (!Listens()) return;
  ValkeyModuleKey* const key = static_cast<ValkeyModuleKeyInfo*>(data)->key;
  if (types::TypeRegistry::Find(ValkeyModule_ModuleTypeGetType(key)) == nullptr) return;
  const std::string_view name = vk::TextOf(ValkeyModule_GetKeyNameFromModuleKey(key));
  const auto db = static_cast<uint64_t>(ValkeyModule_GetDbIdFromModuleKey(key));
  Journal& journal = *State().journal;
  switch (sub) {
    case VALKEYMODULE_SUBEVENT_KEY_DELETED:
      if (!dispatch::Context::InHandler()) journal.HoldDeletion(ctx, db, name);
      return;
    case VALKEYMODULE_SUBEVENT_KEY_OVERWRITTEN:
      if (dispatch::Context::InHandler()) return;
      return journal.Add(ctx, {EffectKind::kDelete, db, 0, {name}});
    default:  // Expired or evicted: also when a handler's look at the key brings it about.
      return journal.Add(ctx, {EffectKind::kDelete, db, 0, {name}}, false);
  }
}

/// The expiry of a key of ours as effects have it; nothing if it is none of ours.
std::optional<uint64_t> ExpiryOf(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const vk::Key key(ctx, name, vk::Key::kPeek);
  if (types::TypeRegistry::Find(key.module_type()) == nullptr) return std::nullopt;
  const mstime_t at_ms = key.expire_at_ms();
  return at_ms == VALKEYMODULE_NO_EXPIRE ? 0 : static_cast<uint64_t>(at_ms) + 1;
}

void OnRestored(ValkeyModuleCtx* ctx, ValkeyModuleString* name, uint64_t expiry) {
  const uint64_t failed_before = types::FailedSaves();
  // Not by DUMP: a key of a slot that is on its way here the server gives to nobody, as it sees
  // the call, and DUMP may be hidden.
  const vk::Key key(ctx, name, vk::Key::kPeek);
  const types::FlashType& type = *types::TypeRegistry::Find(key.module_type());
  const vk::String value = vk::String::Adopt(
      ValkeyModule_SaveDataTypeToString(nullptr, key.module_value(), type.handle));
  if (!value || types::FailedSaves() != failed_before) {
    return State().journal->Miss(ctx, "a restored key could not be read from flash");
  }
  const std::string head = DumpHead(type.name, type.encoding);
  State().journal->Add(ctx, {.kind = EffectKind::kRestore,
                             .db = DbOf(ctx),
                             .number = expiry,
                             .texts = {vk::TextOf(name), head, value.text(), DumpTail()},
                             .last_in_pieces = 3});
}

void OnArrived(ValkeyModuleCtx* ctx, std::string_view event, ValkeyModuleString* name) {
  Leaving& leaving = State().leaving;
  if (!leaving.under_way) return;
  leaving.under_way = false;
  if (event == "rename_to") {
    State().journal->Add(ctx,
                         {EffectKind::kRename, leaving.db, 0, {leaving.key, vk::TextOf(name)}});
  } else {
    State().journal->Add(ctx, {EffectKind::kMove, leaving.db, DbOf(ctx), {leaving.key}});
  }
}

void OnCopied(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const types::LastCopy& copy = types::TheLastCopy();
  if (copy.to != vk::TextOf(name)) return;
  State().journal->Add(ctx, {EffectKind::kCopy,
                             static_cast<uint64_t>(copy.from_db),
                             static_cast<uint64_t>(copy.to_db),
                             {copy.from, copy.to}});
}

/// Valkey 8.1 tells of a key's arrival on the connection of whoever moved or copied it, and leaves
/// that in the key's database. Of a native key that was copied nobody knows where it came from.
class DatabaseKept {
 public:
  DatabaseKept(ValkeyModuleCtx* ctx, std::string_view event, ValkeyModuleString* name) : ctx_(ctx) {
    if ((vk::ServerVersion() >> 8) != 0x0801) return;
    const types::LastCopy& copy = types::TheLastCopy();
    if (event == "move_from") State().left_db = DbOf(ctx);
    if (event == "move_to") back_to_ = State().left_db;
    if (event == "copy_to" && copy.to == vk::TextOf(name)) {
      back_to_ = static_cast<uint64_t>(copy.from_db);
    }
  }
  ~DatabaseKept() {
    if (back_to_) ValkeyModule_SelectDb(ctx_, static_cast<int>(*back_to_));
  }
  DatabaseKept(const DatabaseKept&) = delete;
  DatabaseKept& operator=(const DatabaseKept&) = delete;

 private:
  ValkeyModuleCtx* ctx_;
  std::optional<uint64_t> back_to_;
};

int OnNotification(ValkeyModuleCtx* ctx, int type, const char* event_name,
                   ValkeyModuleString* name) {
  const std::string_view event = event_name;
  if (type == VALKEYMODULE_NOTIFY_MODULE) {
    if (event == kReplayEvent && State().on_replay != nullptr) State().on_replay(ctx);
    return VALKEYMODULE_OK;
  }
  const DatabaseKept database_kept(ctx, event, name);
  if (!Listens() || dispatch::Context::InHandler()) return VALKEYMODULE_OK;
  if (event == "rename_from" || event == "move_from") {
    Leaving& leaving = State().leaving;
    leaving.db = DbOf(ctx);
    leaving.key = vk::TextOf(name);
    leaving.under_way = State().journal->TakeBackDeletion(leaving.db, leaving.key);
    return VALKEYMODULE_OK;
  }
  if (event == "rename_to" || event == "move_to") {
    OnArrived(ctx, event, name);
    return VALKEYMODULE_OK;
  }
  const bool expiry_changed = event == "expire" || event == "persist";
  if (!expiry_changed && event != "restore" && event != "copy_to") return VALKEYMODULE_OK;
  const std::optional<uint64_t> expiry = ExpiryOf(ctx, name);
  if (!expiry) return VALKEYMODULE_OK;
  if (expiry_changed) {
    State().journal->Add(ctx, {EffectKind::kExpiry, DbOf(ctx), *expiry, {vk::TextOf(name)}});
  } else if (event == "restore") {
    OnRestored(ctx, name, *expiry);
  } else {
    OnCopied(ctx, name);
  }
  return VALKEYMODULE_OK;
}

void OnSwapDb(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t /*sub*/, void* data) {
  if (!Listens()) return;
  const auto* const swap = static_cast<ValkeyModuleSwapDbInfo*>(data);
  State().journal->Add(ctx, {EffectKind::kSwap,
                             static_cast<uint64_t>(swap->dbnum_first),
                             static_cast<uint64_t>(swap->dbnum_second),
                             {}});
}

void OnFlush(ValkeyModuleCtx* ctx, ValkeyModuleEvent /*event*/, uint64_t sub, void* data) {
  if (sub != VALKEYMODULE_SUBEVENT_FLUSHDB_START || !Listens()) return;
  const auto* const flush = static_cast<ValkeyModuleFlushInfo*>(data);
  const bool all = flush->dbnum < 0;
  State().journal->HoldFlush(ctx, all ? 0 : static_cast<uint64_t>(flush->dbnum), all);
}

/// Of a value that becomes native the log keeps how it became so.
void OnConversion(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  if (!Listens()) return;
  State().journal->Add(ctx,
                       {EffectKind::kCommand, DbOf(ctx), 0, {"FLASH.CONVERT", vk::TextOf(name)}});
}

}  // namespace

Result<void> StartNativeEffects(ValkeyModuleCtx* ctx, Journal* journal,
                                void (*on_replay)(ValkeyModuleCtx*)) {
  State().journal = journal;
  State().on_replay = on_replay;
  types::SetConversionHook(OnConversion);
  Result<void> listens = vk::Listen(ctx, {{ValkeyModuleEvent_Key, OnKey},
                                          {ValkeyModuleEvent_SwapDB, OnSwapDb},
                                          {ValkeyModuleEvent_FlushDB, OnFlush}});
  if (!listens) return listens;
  if (ValkeyModule_SubscribeToKeyspaceEvents(ctx, VALKEYMODULE_NOTIFY_MODULE, OnNotification) !=
      VALKEYMODULE_OK) {
    return Error{Code::kUnsupported, "the server does not offer key space notifications"};
  }
  return {};
}

void FollowNotifications(ValkeyModuleCtx* ctx) {
  if (std::exchange(State().follows, true)) return;
  if (ValkeyModule_SubscribeToKeyspaceEvents(ctx, VALKEYMODULE_NOTIFY_GENERIC, OnNotification) !=
      VALKEYMODULE_OK) {
    vk::LogWarning("the server does not tell of EXPIRE, RENAME and the like: the log misses them");
  }
}

void RunInNotification(ValkeyModuleCtx* ctx) {
  const vk::String no_key = vk::String::Copy("");
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_MODULE, kReplayEvent, no_key.get());
}

void MuteNativeEffects(bool mute) { State().muted = mute; }

}  // namespace flash::durability
