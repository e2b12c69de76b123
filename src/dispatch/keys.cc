// keys.cc: see keys.h.
//
// Thread: main.
#include "dispatch/keys.h"

#include "server/freeing.h"
#include "types/string_type.h"
#include "types/type_registry.h"

namespace flash::dispatch {

using values::StringValue;

// --- StringKey, AnyKey
// ------------------------------------------------------------------------------

StringKey::StringKey(const Context& ctx, int index, Context::Access access)
    : key_(ctx.raw(), ctx.Argument(index), ctx.OpenMode(access)) {
  if (key_.module_type() == types::StringTypeHandle()) {
    value_ = StringValue::FromPointer(key_.module_value());
    server::TheStrings().PrefetchEntry(value_);
  } else {
    wrong_type_ = key_.exists();
  }
}

AnyKey::AnyKey(const Context& ctx, int index, Context::Access access)
    : key_(ctx.raw(), ctx.Argument(index), ctx.OpenMode(access)),
      type_(types::TypeRegistry::Find(key_.module_type())),
      exists_(key_.exists()),
      wrong_type_(exists_ && type_ == nullptr) {}

void StringKey::Set(Context& ctx, int argument, mstime_t expire_at_ms) {
  ValkeyModuleKey* const key = key_.get();
  if (exists()) server::TheStrings().Prefetch(value_);
  const mstime_t expiry_now_ms = exists() ? key_.expire_at_ms() : VALKEYMODULE_NO_EXPIRE;
  if (!exists()) {
    value_ = ctx.Make(argument);
    FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key, types::StringTypeHandle(), value_.pointer()) ==
                VALKEYMODULE_OK);
  } else if (!server::TheStrings().TryOverwrite(value_, vk::BytesOf(ctx.Argument(argument)))) {
    value_ = ctx.Make(argument);
    // Unlike SetValue this keeps the expiry, the access time, and fires no event of a deletion.
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key, types::StringTypeHandle(),
                                                    value_.pointer(), &old) == VALKEYMODULE_OK);
    server::FreeString(StringValue::FromPointer(old));
  }
  if (expire_at_ms != expiry_now_ms) {
    FLASH_CHECK(ValkeyModule_SetAbsExpire(key, expire_at_ms) == VALKEYMODULE_OK);
  }
}

void StringKey::Delete() {
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  value_ = StringValue();
}

void AnyKey::Delete() {
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  exists_ = false;
}

// --- CollectionKey
// ----------------------------------------------------------------------------------

CollectionKey::CollectionKey(const Context& ctx, int index, Context::Access access,
                             ValkeyModuleType* type)
    : key_(ctx.raw(), ctx.Argument(index), ctx.OpenMode(access)), type_(type) {
  if (key_.module_type() == type) {
    stored_ = word_ = server::WordOf(key_.module_value());
  } else {
    wrong_type_ = key_.exists();
  }
}

void CollectionKey::Save() {
  if (word_ == stored_) return;
  if (word_ == 0) return Delete();
  if (stored_ == 0) {
    FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key_.get(), type_, server::PointerOf(word_)) ==
                VALKEYMODULE_OK);
  } else {
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key_.get(), type_, server::PointerOf(word_),
                                                    &old) == VALKEYMODULE_OK);
  }
  stored_ = word_;
}

void CollectionKey::SetExpiry(mstime_t at_ms) {
  FLASH_CHECK(ValkeyModule_SetAbsExpire(key_.get(), at_ms) == VALKEYMODULE_OK);
}

void CollectionKey::Delete() {
  if (!present()) return;
  if (stored_ != 0 && stored_ != word_) {
    // What the server would free is gone already, or another value by now.
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key_.get(), type_, server::PointerOf(word_),
                                                    &old) == VALKEYMODULE_OK);
  }
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  stored_ = word_ = 0;
  wrong_type_ = false;
}

void CollectionKey::ReplaceContent(values::CollectionKind kind, uint64_t draft) {
  if (draft == 0) return Delete();
  const uint64_t old = stored_;
  word_ = draft;
  values::Collection(server::TheEnv(), kind, &word_).BecomeValue();
  Save();
  if (old != 0) server::FreeCollection(kind, old);
}

void CollectionKey::Replace(values::CollectionKind kind, uint64_t word) {
  const uint64_t old = stored_;
  if (old == 0) Delete();  // A value of another type.
  word_ = word;
  Save();
  if (old == 0) return;
  server::FreeCollection(kind, old);
  if (key_.expire_at_ms() != VALKEYMODULE_NO_EXPIRE) SetExpiry(VALKEYMODULE_NO_EXPIRE);
}

}  // namespace flash::dispatch
