// replay_native.cc: see replay_native.h.
//
// Thread: main.
#include "durability/replay_native.h"

#include <string>
#include <utility>

#include "durability/dump_payload.h"
#include "types/type_registry.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::durability {
namespace {

constexpr int kWrite = VALKEYMODULE_READ | VALKEYMODULE_WRITE;

Error Misfit(std::string what) { return Error{Code::kCorrupt, std::move(what)}; }

const types::FlashType* TypeNamed(std::string_view name) {
  for (const types::FlashType& type : types::TypeRegistry::All()) {
    if (name == type.name) return &type;
  }
  return nullptr;
}

/// Takes the value over.
Result<void> Put(ValkeyModuleCtx* ctx, std::string_view name, const types::FlashType& type,
                 void* value, mstime_t expire_at_ms) {
  const vk::String text = vk::String::Copy(name);
  const vk::Key key(ctx, text.get(), kWrite);
  if (ValkeyModule_ModuleTypeSetValue(key.get(), type.handle, value) != VALKEYMODULE_OK) {
    type.free_now(value);
    return Misfit("the server refused a value");
  }
  if (expire_at_ms != VALKEYMODULE_NO_EXPIRE) {
    ValkeyModule_SetAbsExpire(key.get(), expire_at_ms);
  }
  return {};
}

}  // namespace

bool SelectDb(ValkeyModuleCtx* ctx, uint64_t db) {
  return db <= INT32_MAX && ValkeyModule_SelectDb(ctx, static_cast<int>(db)) == VALKEYMODULE_OK;
}

void DeleteKey(ValkeyModuleCtx* ctx, std::string_view name) {
  const vk::String text = vk::String::Copy(name);
  const vk::Key key(ctx, text.get(), kWrite);
  if (key.exists()) ValkeyModule_DeleteKey(key.get());
}

Result<void> CopyKey(ValkeyModuleCtx* ctx, KeyPlace from, KeyPlace to, Source source) {
  if (!SelectDb(ctx, to.db) || !SelectDb(ctx, from.db)) {
    return Misfit("a database that is not there");
  }
  const vk::String text = vk::String::Copy(from.name);
  vk::Key key(ctx, text.get(), kWrite);
  const types::FlashType* const type = types::TypeRegistry::Find(key.module_type());
  if (type == nullptr) return Misfit("a key that is not there was moved or copied");
  if (from.db == to.db && from.name == to.name) return {};
  const mstime_t expire_at_ms = key.expire_at_ms();
  void* const value = type->copy(key.module_value());
  if (source == Source::kGoes) ValkeyModule_DeleteKey(key.get());
  key.Close();
  FLASH_CHECK(SelectDb(ctx, to.db));
  return Put(ctx, to.name, *type, value, expire_at_ms);
}

Result<void> RestoreKey(ValkeyModuleCtx* ctx, std::string_view name, std::string_view dump) {
  const std::optional<DumpPayload> parsed = ParseDump(dump);
  const types::FlashType* const type = parsed ? TypeNamed(parsed->type_name) : nullptr;
  if (type == nullptr) return Misfit("what was restored is of no type of ours");
  if (parsed->encoding > type->encoding) {
    return Misfit("what was restored, of encoding " + std::to_string(parsed->encoding) +
                  ", comes from a newer valkey-flash; this one reads up to " +
                  std::to_string(type->encoding));
  }
  const vk::String bytes = vk::String::Copy(parsed->value);
  void* const value =
      ValkeyModule_LoadDataTypeFromStringEncver(bytes.get(), type->handle, parsed->encoding);
  if (value == nullptr) return Misfit("what was restored cannot be loaded");
  return Put(ctx, name, *type, value, VALKEYMODULE_NO_EXPIRE);
}

}  // namespace flash::durability
