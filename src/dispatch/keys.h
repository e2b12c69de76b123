// keys.h: keys opened by handlers: as a string, as a collection, or as a key of any FLASH shape.
//
// A collection's value is one word, which changes as the collection does: after a change, Save
// makes the word the key's, creating or deleting the key where needed. Know no command. Thread:
// main.
#pragma once

#include "dispatch/context.h"
#include "server/value_env.h"
#include "types/hash_type.h"
#include "types/list_type.h"
#include "types/type_registry.h"
#include "types/zset_type.h"
#include "values/collection.h"
#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/zset_value.h"
#include "vk/key.h"

namespace flash::dispatch {

/// A key opened by a handler, as a FLASH string.
class StringKey {
 public:
  StringKey(const Context& ctx, int index, Context::Access access);

  [[nodiscard]] bool exists() const { return !value_.empty_handle(); }
  /// The key holds something else; nothing but an error may follow.
  [[nodiscard]] bool wrong_type() const { return wrong_type_; }
  [[nodiscard]] const values::StringValue& value() const { return value_; }
  /// Absolute Unix time in milliseconds, VALKEYMODULE_NO_EXPIRE for none.
  [[nodiscard]] mstime_t expire_at_ms() const { return key_.expire_at_ms(); }

  /// Replaces or creates the value by one made of an argument that passed GateMake, and sets its
  /// expiry. Commit after.
  void Set(Context& ctx, int argument, mstime_t expire_at_ms);
  /// Deletes the key. Commit after.
  void Delete();
  /// Gives the key back early; the value stays as it is until something changes the key.
  void Close() { key_.Close(); }

 private:
  vk::Key key_;
  values::StringValue value_;
  bool wrong_type_ = false;
};

/// A key opened by a handler that takes FLASH keys of any shape.
class AnyKey {
 public:
  AnyKey(const Context& ctx, int index, Context::Access access);

  [[nodiscard]] bool exists() const { return exists_; }
  /// The key holds a value that is not this module's.
  [[nodiscard]] bool wrong_type() const { return wrong_type_; }
  /// Of a FLASH key.
  [[nodiscard]] const types::FlashType* type() const { return type_; }
  [[nodiscard]] void* value() const { return key_.module_value(); }
  /// Gives the key back early.
  void Close() { key_.Close(); }
  /// Deletes the key. Commit after.
  void Delete();

 private:
  vk::Key key_;
  const types::FlashType* type_ = nullptr;
  bool exists_ = false;
  bool wrong_type_ = false;
};

/// A key opened by a handler as a hash, a list or a sorted set.
class CollectionKey {
 public:
  CollectionKey(const Context& ctx, int index, Context::Access access, ValkeyModuleType* type);
  CollectionKey(const CollectionKey&) = delete;
  CollectionKey& operator=(const CollectionKey&) = delete;

  /// There is a value of the type asked for, and it is not empty.
  [[nodiscard]] bool exists() const { return word_ != 0; }
  /// The key holds something else; nothing but an error, or Replace, may follow.
  [[nodiscard]] bool wrong_type() const { return wrong_type_; }
  /// The key holds anything at all, as the server sees it.
  [[nodiscard]] bool present() const { return stored_ != 0 || wrong_type_; }

  /// Makes the key what its collection has become: after every change, before Commit.
  void Save();
  /// The moment of expiry, Unix milliseconds, of a key that exists now.
  void SetExpiry(mstime_t at_ms);
  /// Deletes the key, whatever it holds.
  void Delete();
  /// Puts what the collection, which may be empty, is to become in its place; the expiry stays. 0:
  /// deletes the key. Instead of Save.
  void ReplaceContent(values::CollectionKind kind, uint64_t draft);
  /// Puts another value of this key's kind, without expiry, in the place of whatever the key holds.
  void Replace(values::CollectionKind kind, uint64_t word);

 protected:
  uint64_t word_ = 0;  ///< The collection changes it.

 private:
  vk::Key key_;
  ValkeyModuleType* type_;
  uint64_t stored_ = 0;  // What the server has.
  bool wrong_type_ = false;
};

/// With the operations of one value class: `key->Get(field)`. Neither copied nor moved.
template <typename Value, ValkeyModuleType* (*kType)()>
class KeyOf : public CollectionKey {
 public:
  KeyOf(const Context& ctx, int index, Context::Access access)
      : CollectionKey(ctx, index, access, kType()), value_(server::TheEnv(), &word_) {
    value_.Prefetch();
  }
  Value* operator->() { return &value_; }
  Value& operator*() { return value_; }

 private:
  Value value_;
};

using HashKey = KeyOf<values::HashValue, types::HashTypeHandle>;
using ListKey = KeyOf<values::ListValue, types::ListTypeHandle>;
using ZSetKey = KeyOf<values::ZSetValue, types::ZSetTypeHandle>;

}  // namespace flash::dispatch
