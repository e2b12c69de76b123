// collection_key.h: a key opened by a handler as a hash, a list or a sorted set.
//
// The key's value is one word, which changes as the collection does: after a change, Save makes the
// word the key's, creating or deleting the key where needed. Knows no command. Thread: main.
#pragma once

#include "server/context.h"
#include "values/collection.h"
#include "vk/key.h"

namespace flash::server {

/// What every collection of this process works with: the engine's pool and counters.
[[nodiscard]] const values::Env& TheEnv();

/// The word of a collection as the server keeps it.
[[nodiscard]] inline uint64_t WordOf(const void* pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}
[[nodiscard]] inline void* PointerOf(uint64_t word) {
  return reinterpret_cast<void*>(static_cast<uintptr_t>(word));  // NOLINT: an encoded word.
}

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
      : CollectionKey(ctx, index, access, kType()), value_(TheEnv(), &word_) {
    value_.Prefetch();
  }
  Value* operator->() { return &value_; }
  Value& operator*() { return value_; }

 private:
  Value value_;
};

/// Ends a value: what takes long, or has to be read first, beside the event loop.
void FreeCollection(values::CollectionKind kind, uint64_t word);

/// Whether FreeCollection has left anything to do beside the event loop.
[[nodiscard]] bool AnyCollectionToFree();
/// Does it now, waiting on this thread. The caller holds no pins.
void FinishFreeingCollections();

}  // namespace flash::server
