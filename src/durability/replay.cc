// replay.cc: see replay.h.
//
// Thread: main.
#include "durability/replay.h"

#include <string>
#include <vector>

#include "durability/replay_command.h"
#include "durability/replay_native.h"
#include "types/type_registry.h"
#include "vk/call_reply.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

Error Misfit(const std::string& what) { return Error{Code::kCorrupt, what}; }

/// Arguments as the server's strings, freed at the end.
class Arguments {
 public:
  explicit Arguments(std::span<const std::string_view> texts) {
    owned_.reserve(texts.size());
    for (const std::string_view text : texts) {
      owned_.push_back(vk::String::Copy(text));
      views_.push_back(owned_.back().get());
    }
  }
  [[nodiscard]] ValkeyModuleString** data() { return views_.data(); }
  [[nodiscard]] size_t size() const { return views_.size(); }
  [[nodiscard]] ValkeyModuleString* at(size_t index) const { return views_[index]; }

 private:
  std::vector<vk::String> owned_;
  std::vector<ValkeyModuleString*> views_;
};

vk::CallReply Call(ValkeyModuleCtx* ctx, std::string_view name, Arguments& arguments) {
  const std::string command(name);
  return vk::CallReply(
      ValkeyModule_Call(ctx, command.c_str(), "v", arguments.data(), arguments.size()));
}

/// Deletes what is of no type of ours among the keys of a command.
bool ClearTheWay(ValkeyModuleCtx* ctx, std::span<const std::string_view> command) {
  Arguments all(command);
  int count = 0;
  int* const indexes =
      ValkeyModule_GetCommandKeys(ctx, all.data(), static_cast<int>(all.size()), &count);
  bool any = false;
  for (int i = 0; i < count; ++i) {
    ValkeyModuleString* const name = all.at(static_cast<size_t>(indexes[i]));
    const vk::Key key(ctx, name, VALKEYMODULE_READ | VALKEYMODULE_WRITE);
    if (!key.exists() || types::TypeRegistry::Find(key.module_type()) != nullptr) continue;
    any |= ValkeyModule_DeleteKey(key.get()) == VALKEYMODULE_OK;
  }
  if (indexes != nullptr) ValkeyModule_Free(indexes);
  return any;
}

bool InCluster(ValkeyModuleCtx* ctx) {
  return (vk::ContextFlags(ctx) & VALKEYMODULE_CTX_FLAGS_CLUSTER) != 0;
}

/// Runs a command of ours; see replay_command.h.
vk::CallReply CallOurs(ValkeyModuleCtx* ctx, std::span<const std::string_view> texts) {
  Arguments arguments(texts);
  return Call(ctx, kReplayCommand, arguments);
}

Result<void> ApplyCommand(ValkeyModuleCtx* ctx, std::span<const std::string_view> texts) {
  if (texts.empty()) return Misfit("a command without a name");
  if (texts[0] == "DEL") {  // Of what a command of ours left empty.
    for (const std::string_view name : texts.subspan(1)) DeleteKey(ctx, name);
    return {};
  }
  // It would write native keys, for which the server asks after slots. The key stays ours.
  if (texts[0] == "FLASH.CONVERT" && InCluster(ctx)) return {};
  vk::CallReply reply = CallOurs(ctx, texts);
  if (reply.is_error() && reply.text().starts_with("WRONGTYPE") && ClearTheWay(ctx, texts)) {
    reply = CallOurs(ctx, texts);
  }
  if (!reply.is_error()) return {};
  return Misfit(std::string(texts[0]) + " answered: " + std::string(reply.text()));
}

/// A command of the server's that has no keys.
Result<void> ApplyNative(ValkeyModuleCtx* ctx, std::span<const std::string_view> texts) {
  Arguments arguments(texts.subspan(1));
  const vk::CallReply reply = Call(ctx, texts[0], arguments);
  if (!reply.is_error()) return {};
  return Misfit(std::string(texts[0]) + " answered: " + std::string(reply.text()));
}

Result<void> SetExpiry(ValkeyModuleCtx* ctx, std::string_view name, uint64_t number) {
  const vk::String text = vk::String::Copy(name);
  const vk::Key key(ctx, text.get(), VALKEYMODULE_READ | VALKEYMODULE_WRITE);
  if (types::TypeRegistry::Find(key.module_type()) == nullptr) {
    return Misfit("an expiry of a key that is not there");
  }
  const mstime_t at_ms = number == 0 ? static_cast<mstime_t>(VALKEYMODULE_NO_EXPIRE)
                                     : static_cast<mstime_t>(number - 1);
  if (ValkeyModule_SetAbsExpire(key.get(), at_ms) == VALKEYMODULE_OK) return {};
  return Misfit("the server refused an expiry");
}

Result<void> Restore(ValkeyModuleCtx* ctx, const Effect& effect) {
  if (Result<void> done = RestoreKey(ctx, effect.texts[0], effect.texts[1]); !done) return done;
  return effect.number == 0 ? Result<void>() : SetExpiry(ctx, effect.texts[0], effect.number);
}

Result<void> Swap(ValkeyModuleCtx* ctx, const Effect& effect) {
  const std::string first = std::to_string(effect.db);
  const std::string second = std::to_string(effect.number);
  const std::string_view texts[] = {"SWAPDB", first, second};
  return ApplyNative(ctx, texts);
}

/// Database by database: FLUSHALL would write a snapshot.
Result<void> Flush(ValkeyModuleCtx* ctx, const Effect& effect) {
  const std::string_view texts[] = {"FLUSHDB", "SYNC"};
  if (effect.number == 0) return ApplyNative(ctx, texts);
  for (uint64_t db = 0; SelectDb(ctx, db); ++db) {
    if (Result<void> done = ApplyNative(ctx, texts); !done) return done;
  }
  return {};
}

/// Texts that an effect of a kind has at least.
size_t TextsOf(EffectKind kind) {
  switch (kind) {
    case EffectKind::kRestore:
    case EffectKind::kRename:
    case EffectKind::kCopy:
      return 2;
    case EffectKind::kSwap:
    case EffectKind::kFlush:
    case EffectKind::kDrained:
      return 0;
    default:
      return 1;
  }
}

}  // namespace

void ReviveDropped(ValkeyModuleCtx* ctx, std::span<const types::DroppedKey> dropped) {
  for (const types::DroppedKey& each : dropped) {
    if (!SelectDb(ctx, static_cast<uint64_t>(each.db))) continue;
    const vk::String name = vk::String::Copy(each.name);
    const vk::Key key(ctx, name.get(), VALKEYMODULE_READ | VALKEYMODULE_WRITE);
    ValkeyModule_ModuleTypeSetValue(key.get(), each.type, each.value);
    ValkeyModule_SetAbsExpire(key.get(), 1);
  }
}

Result<void> ApplyEffect(ValkeyModuleCtx* ctx, const Effect& effect) {
  if (effect.texts.size() < TextsOf(effect.kind)) return Misfit("an effect without its key");
  if (!SelectDb(ctx, effect.db)) return Misfit("a database that is not there");
  const KeyPlace here{effect.db, effect.texts.empty() ? std::string_view() : effect.texts[0]};
  switch (effect.kind) {
    case EffectKind::kOrigin:
    case EffectKind::kDrained:
      return {};
    case EffectKind::kCommand:
      return ApplyCommand(ctx, effect.texts);
    case EffectKind::kDelete:
      DeleteKey(ctx, effect.texts[0]);
      return {};
    case EffectKind::kExpiry:
      return SetExpiry(ctx, effect.texts[0], effect.number);
    case EffectKind::kRestore:
      return Restore(ctx, effect);
    case EffectKind::kRename:
      return CopyKey(ctx, here, {effect.db, effect.texts[1]}, Source::kGoes);
    case EffectKind::kMove:
      return CopyKey(ctx, here, {effect.number, effect.texts[0]}, Source::kGoes);
    case EffectKind::kCopy:
      return CopyKey(ctx, here, {effect.number, effect.texts[1]}, Source::kStays);
    case EffectKind::kSwap:
      return Swap(ctx, effect);
    case EffectKind::kFlush:
      return Flush(ctx, effect);
  }
  return Misfit("an unknown effect");
}

}  // namespace flash::durability
