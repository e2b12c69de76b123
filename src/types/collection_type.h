// collection_type.h: what the data types of hashes, lists and sorted sets have in common.
//
// Freeing (also on the server's lazy-free thread), copying, memory usage, registration, and the
// frame of loading and saving; each type adds its elements. Threads: rdb_save and aof_rewrite also
// run in forked children, free also on the lazy-free thread; everything else on the main thread.
#pragma once

#include "server/freeing.h"
#include "server/value_env.h"
#include "types/collection_io.h"
#include "types/last_copy.h"
#include "types/limbo.h"
#include "types/rewrite_ahead.h"
#include "types/type_registry.h"

namespace flash::types {

/// One type's own part.
struct CollectionTypeSpec {
  const char* name = nullptr;  // As TYPE answers.
  values::CollectionKind kind{};
  values::PackedKind packed{};
  /// Shape number of the older module.
  uint64_t older_shape = 0;
  /// Writes the entry of the elements' tree. Errors: a block could not be read.
  Result<void> (*save_entry)(const values::EntryView& entry, ChunkWriter* writer) = nullptr;
  /// Reads `count` elements, and nothing must follow them; their word, or 0 after FailLoad.
  uint64_t (*load)(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) = nullptr;
  /// The same of the older module's form, behind its head.
  uint64_t (*load_older)(ValkeyModuleIO* io) = nullptr;
  /// Appends what one entry adds to the arguments of the command that makes it.
  Result<void> (*entry_arguments)(const values::EntryView& entry, const PartReader& read,
                                  std::vector<std::string>* arguments) = nullptr;
  const char* native_command = nullptr;
  const char* aof_command = nullptr;
  const char* aof_tail = nullptr;  // Last argument of each command, if any.
  /// The elements in order are part of the value.
  bool ordered = false;
};

/// Registers the type; `kSpec` outlives the process. Errors: kInvalid.
template <const CollectionTypeSpec& kSpec>
[[nodiscard]] Result<ValkeyModuleType*> RegisterCollectionType(ValkeyModuleCtx* ctx);

namespace internal {

void* LoadCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, int encoding);
void SaveCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, uint64_t word);
void RewriteCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, ValkeyModuleString* key,
                       uint64_t word);
void DigestCollection(const CollectionTypeSpec& spec, ValkeyModuleDigest* digest, uint64_t word);
[[nodiscard]] size_t RamOf(values::CollectionKind kind, uint64_t word);
void AppendBlocksOf(values::CollectionKind kind, uint64_t word, std::vector<BlockId>* ids);
[[nodiscard]] BlockId OnlyBlockOf(uint64_t word);
[[nodiscard]] Residence ResidenceOf(values::CollectionKind kind, uint64_t word);
[[nodiscard]] void* CloneOf(values::CollectionKind kind, const void* value,
                            values::Collection::Holder holder);
[[nodiscard]] bool SameContent(values::CollectionKind kind, uint64_t a, uint64_t b);
void AppendContentOf(values::CollectionKind kind, uint64_t word, std::vector<BlockId>* ids);
void AppendLargeOf(Bytes leaf, std::vector<BlockId>* ids);
void LeafArguments(const CollectionTypeSpec& spec, Bytes leaf, const BlockBytes& block_bytes,
                   const ArgumentVisitor& visit);
void PackLeaf(const CollectionTypeSpec& spec, Bytes block, std::vector<std::byte>* to);
[[nodiscard]] uint64_t UnpackLeaf(const CollectionTypeSpec& spec, ValkeyModuleIO* io, Bytes packed);
[[nodiscard]] Result<ValkeyModuleType*> Register(ValkeyModuleCtx* ctx,
                                                 const CollectionTypeSpec& spec,
                                                 const ValkeyModuleTypeMethods& methods,
                                                 FlashType type);

}  // namespace internal

template <const CollectionTypeSpec& kSpec>
Result<ValkeyModuleType*> RegisterCollectionType(ValkeyModuleCtx* ctx) {
  using values::Collection;
  ValkeyModuleTypeMethods methods{};
  methods.version = VALKEYMODULE_TYPE_METHOD_VERSION;
  methods.rdb_load = [](ValkeyModuleIO* io, int encoding) noexcept -> void* {
    return Limbo::Loaded(io, TypeRegistry::HandleOf(kSpec.packed),
                         internal::LoadCollection(kSpec, io, encoding));
  };
  methods.rdb_save = [](ValkeyModuleIO* io, void* value) noexcept {
    internal::SaveCollection(kSpec, io, server::WordOf(value));
  };
  methods.aof_rewrite = [](ValkeyModuleIO* io, ValkeyModuleString* key, void* value) noexcept {
    if (WrittenAhead(io, key, internal::OnlyBlockOf(server::WordOf(value)))) return;
    internal::RewriteCollection(kSpec, io, key, server::WordOf(value));
  };
  methods.digest = [](ValkeyModuleDigest* digest, void* value) noexcept {
    internal::DigestCollection(kSpec, digest, server::WordOf(value));
  };
  methods.free = [](void* value) noexcept {
    if (Limbo::Keep(value)) return;
    server::FreeOnAnyThread(
        [](void* pointer) { server::FreeCollection(kSpec.kind, server::WordOf(pointer)); }, value);
  };
  // Always small: the main thread frees, so that eviction sees the memory come back.
  methods.free_effort2 = [](ValkeyModuleKeyOptCtx*, const void*) noexcept -> size_t { return 1; };
  methods.copy2 = [](ValkeyModuleKeyOptCtx* keys, const void* value) noexcept -> void* {
    NoteCopy(keys);
    return internal::CloneOf(kSpec.kind, value, Collection::Holder::kKey);
  };
  methods.mem_usage2 = [](ValkeyModuleKeyOptCtx*, const void* value, size_t) noexcept -> size_t {
    return internal::RamOf(kSpec.kind, server::WordOf(value));
  };
  FlashType type{.name = kSpec.name, .packed = kSpec.packed};
  type.append_blocks = [](void* value, std::vector<BlockId>* ids) {
    internal::AppendBlocksOf(kSpec.kind, server::WordOf(value), ids);
  };
  type.residence = [](void* value) {
    return internal::ResidenceOf(kSpec.kind, server::WordOf(value));
  };
  type.only_block = [](void* value) { return internal::OnlyBlockOf(server::WordOf(value)); };
  type.only_block_bytes = [](void*) -> uint64_t { return server::TheEnv().leaf_bytes_max; };
  type.pack = [](Bytes block, std::vector<std::byte>* to) { internal::PackLeaf(kSpec, block, to); };
  type.unpack = [](ValkeyModuleIO* io, Bytes packed) {
    return server::PointerOf(internal::UnpackLeaf(kSpec, io, packed));
  };
  type.rewrite = [](ValkeyModuleIO* io, ValkeyModuleString* key, void* value) {
    internal::RewriteCollection(kSpec, io, key, server::WordOf(value));
  };
  type.free_now = [](void* value) { server::FreeCollection(kSpec.kind, server::WordOf(value)); };
  type.native_command = kSpec.native_command;
  type.elements = [](const void* value) {
    uint64_t word = server::WordOf(value);
    return Collection(server::TheEnv(), kSpec.kind, &word).size();
  };
  type.freeze = [](const void* value) {
    return internal::CloneOf(kSpec.kind, value, Collection::Holder::kReader);
  };
  type.copy = [](const void* value) {
    return internal::CloneOf(kSpec.kind, value, Collection::Holder::kKey);
  };
  type.same = [](const void* frozen, const void* value) {
    return internal::SameContent(kSpec.kind, server::WordOf(frozen), server::WordOf(value));
  };
  type.append_content = [](const void* value, std::vector<BlockId>* ids) {
    internal::AppendContentOf(kSpec.kind, server::WordOf(value), ids);
  };
  type.append_large = internal::AppendLargeOf;
  type.leaf_arguments = [](Bytes leaf, const BlockBytes& block_bytes,
                           const ArgumentVisitor& visit) {
    internal::LeafArguments(kSpec, leaf, block_bytes, visit);
  };
  return internal::Register(ctx, kSpec, methods, type);
}

}  // namespace flash::types
