// collection_type.cc: see collection_type.h.
//
// Threads: as there.
#include "types/collection_type.h"

#include "base/format_ahead.h"
#include "base/varint.h"
#include "server/engine.h"
#include "types/dump_ahead.h"
#include "types/loading.h"
#include "types/value_table.h"
#include "vk/string.h"

namespace flash::types::internal {
namespace {

using values::Collection;
using values::EntryView;

constexpr int kOlderEncoding = 1;
constexpr int kFirstEncoding = 2;  // Of ours.
constexpr int kEncoding = kFirstEncoding + FLASH_FORMAT_AHEAD;

/// Bounds of one command of a rewritten AOF.
constexpr size_t kAofArgumentsMax = 128;
constexpr size_t kAofBytesMax = 256 * kKiB;

/// Emits commands of bounded size.
class AofCommands {
 public:
  AofCommands(const CollectionTypeSpec& spec, ValkeyModuleIO* io, ValkeyModuleString* key)
      : spec_(spec), io_(io), key_(key) {}

  std::vector<std::string>* arguments() { return &arguments_; }
  void EndEntry() {
    size_t bytes = 0;
    for (const std::string& argument : arguments_) bytes += argument.size();
    if (arguments_.size() >= kAofArgumentsMax || bytes >= kAofBytesMax) Emit();
  }
  void Emit() {
    if (arguments_.empty()) return;
    if (spec_.aof_tail != nullptr) arguments_.emplace_back(spec_.aof_tail);
    std::vector<vk::String> owned;
    std::vector<ValkeyModuleString*> views;
    for (const std::string& argument : arguments_) {
      owned.push_back(vk::String::Copy(argument));
      views.push_back(owned.back().get());
    }
    ValkeyModule_EmitAOF(io_, spec_.aof_command, "sv", key_, views.data(), views.size());
    arguments_.clear();
  }

 private:
  const CollectionTypeSpec& spec_;
  ValkeyModuleIO* io_;
  ValkeyModuleString* key_;
  std::vector<std::string> arguments_;
};

}  // namespace

void* LoadCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, int encoding) {
  if (encoding == kOlderEncoding) {
    const uint64_t version = ValkeyModule_LoadUnsigned(io);
    const uint64_t shape = ValkeyModule_LoadUnsigned(io);
    static_cast<void>(ValkeyModule_LoadSigned(io));  // A copy of the expiry, perhaps stale.
    if (ValkeyModule_IsIOError(io) != 0) return nullptr;
    if (version != 1 || shape != spec.older_shape) {
      return FailLoad(io, spec.name, "it is damaged: of another shape");
    }
    return server::PointerOf(spec.load_older(io));
  }
  if (encoding < kFirstEncoding || encoding > kEncoding) {
    return FailLoad(io, spec.name,
                    "encoding " + std::to_string(encoding) +
                        " comes from a newer valkey-flash; this one reads up to " +
                        std::to_string(kEncoding));
  }
  LoadHints hints(io);
  const uint64_t count = hints.number_behind();
  if (ValkeyModule_IsIOError(io) != 0) return nullptr;
  if (count == kUnreadableCount) {
    return FailLoad(io, spec.name, "it could not be read from flash when it was saved");
  }
  if (count == kInTableMark) return LoadReference(io, TypeRegistry::HandleOf(spec.packed));
  if (count == 0 || count > kElementsMax) {
    return FailLoad(io, spec.name, "it is damaged: impossible number of elements");
  }
  ChunkReader reader(io);
  const uint64_t word = spec.load(io, &reader, count);
  if (word != 0) {
    hints.Count(nullptr,
                [&](void*, std::vector<BlockId>* ids) { AppendBlocksOf(spec.kind, word, ids); });
  }
  return server::PointerOf(word);
}

void SaveCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, uint64_t word) {
  const BlockId id = OnlyBlockOf(word);
  if (id != kNoBlock && SaveReference(io, id)) return;
  const uint64_t count = Collection(server::TheEnv(), spec.kind, &word).size();
  if (IsDump()) {
    std::vector<BlockId> ids;
    AppendBlocksOf(spec.kind, word, &ids);
    SaveHints(io, ids);
    DumpAhead::Prepare(id);
  }
  // The count goes out only when the first leaf is at hand, so that the mark can stand in its
  // place.
  bool started = false;
  ChunkWriter writer(io);
  const Result<void> saved = ForEachEntry(spec.kind, word, [&](const EntryView& entry) {
    if (!started) ValkeyModule_SaveUnsigned(io, count);
    started = true;
    return spec.save_entry(entry, &writer);
  });
  if (saved) return writer.Finish();
  FailSave(saved.error());
  // Behind the count it cannot be taken for a chunk: the value is refused either way.
  ValkeyModule_SaveUnsigned(io, kUnreadableCount);
}

void RewriteCollection(const CollectionTypeSpec& spec, ValkeyModuleIO* io, ValkeyModuleString* key,
                       uint64_t word) {
  AofCommands commands(spec, io, key);
  const Result<void> read = ForEachEntry(spec.kind, word, [&](const EntryView& entry) {
    Result<void> added = spec.entry_arguments(entry, ForEachPart, commands.arguments());
    if (added) commands.EndEntry();
    return added;
  });
  if (!read) return FailSave(read.error());
  commands.Emit();
}

void DigestCollection(const CollectionTypeSpec& spec, ValkeyModuleDigest* digest, uint64_t word) {
  std::vector<std::string> arguments;
  const Result<void> read = ForEachEntry(spec.kind, word, [&](const EntryView& entry) {
    arguments.clear();
    Result<void> added = spec.entry_arguments(entry, ForEachPart, &arguments);
    for (const std::string& argument : arguments) {
      ValkeyModule_DigestAddStringBuffer(digest, argument.data(), argument.size());
    }
    if (!spec.ordered) ValkeyModule_DigestEndSequence(digest);
    return added;
  });
  // An unreadable value must not look like a readable one, nor like another unreadable one.
  if (!read) ValkeyModule_DigestAddLongLong(digest, static_cast<long long>(word));
  if (spec.ordered || !read) ValkeyModule_DigestEndSequence(digest);
}

size_t RamOf(values::CollectionKind kind, uint64_t word) {
  const Collection value(server::TheEnv(), kind, &word);
  const blocks::BlockPool& pool = server::Engine::Get().pool();
  size_t bytes = value.RamBytes();
  value.ForEachLeafBlock([&](BlockId id) {
    if (pool.IsHot(id)) bytes += pool.FootprintOf(id);
  });
  values::Missing cold_leaves;
  value.ForEachLargeElementBlock(
      [&](BlockId id) {
        if (pool.IsHot(id)) bytes += pool.FootprintOf(id);
      },
      &cold_leaves);
  return bytes;
}

void AppendBlocksOf(values::CollectionKind kind, uint64_t word, std::vector<BlockId>* ids) {
  const Collection value(server::TheEnv(), kind, &word);
  values::Missing cold_leaves;
  value.ForEachLargeElementBlock([ids](BlockId id) { ids->push_back(id); }, &cold_leaves);
  value.ForEachLeafBlock([ids](BlockId id) { ids->push_back(id); });
}

BlockId OnlyBlockOf(uint64_t word) {
  if (word == 0 || !values::IsLeafWord(word)) return kNoBlock;
  const auto leaf = values::LeafRef::FromWord(word);
  return leaf.large() ? kNoBlock : leaf.id();
}

Residence ResidenceOf(values::CollectionKind kind, uint64_t word) {
  if (word == 0) return Residence::kNoBlocks;
  const Collection value(server::TheEnv(), kind, &word);
  return value.tiered() ? Residence::kCold : Residence::kHot;
}

void* CloneOf(values::CollectionKind kind, const void* value, Collection::Holder holder) {
  uint64_t word = server::WordOf(value);
  return server::PointerOf(Collection(server::TheEnv(), kind, &word).Clone(holder));
}

bool SameContent(values::CollectionKind kind, uint64_t a, uint64_t b) {
  return Collection(server::TheEnv(), kind, &b).IsStill(a);
}

void AppendContentOf(values::CollectionKind kind, uint64_t word, std::vector<BlockId>* ids) {
  Collection(server::TheEnv(), kind, &word).ForEachElementLeaf([ids](BlockId id) {
    ids->push_back(id);
  });
}

void AppendLargeOf(Bytes leaf, std::vector<BlockId>* ids) {
  const values::LeafView view(leaf);
  std::vector<uint64_t> words;
  for (uint32_t i = 0; i < view.count(); ++i) {
    values::AppendLargeWords(view.kind(), view.At(i), &words);
  }
  for (const uint64_t word : words) {
    values::ForEachLargeBlock(word, [ids](BlockId id) { ids->push_back(id); });
  }
}

void LeafArguments(const CollectionTypeSpec& spec, Bytes leaf, const BlockBytes& block_bytes,
                   const ArgumentVisitor& visit) {
  const PartReader read = [&block_bytes](const values::Element& element,
                                         const std::function<void(Bytes)>& part) {
    if (element.large) {
      values::ForEachLargeBlock(element.large_word(), [&](BlockId id) { part(block_bytes(id)); });
    } else {
      part(element.bytes);
    }
    return Result<void>();
  };
  const values::LeafView view(leaf);
  std::vector<std::string> arguments;
  for (uint32_t i = 0; i < view.count(); ++i) {
    arguments.clear();
    FLASH_CHECK(spec.entry_arguments(view.At(i), read, &arguments));
    visit(arguments);
  }
}

void PackLeaf(const CollectionTypeSpec& spec, Bytes block, std::vector<std::byte>* to) {
  const values::LeafView leaf(block);
  base::PutVarint(leaf.count(), to);
  ChunkWriter writer(nullptr);
  for (uint32_t i = 0; i < leaf.count(); ++i) FLASH_CHECK(spec.save_entry(leaf.At(i), &writer));
  const Bytes items = writer.held();
  to->insert(to->end(), items.begin(), items.end());
}

uint64_t UnpackLeaf(const CollectionTypeSpec& spec, ValkeyModuleIO* io, Bytes packed) {
  const std::optional<uint64_t> count = base::TakeVarint(&packed);
  if (!count || *count == 0 || *count > packed.size()) {
    FailLoad(io, spec.name, "it is damaged: impossible number of elements");
    return 0;
  }
  const LoadingCold cold(true);  // The table holds what was cold.
  ChunkReader reader(packed);
  return spec.load(io, &reader, *count);
}

Result<ValkeyModuleType*> Register(ValkeyModuleCtx* ctx, const CollectionTypeSpec& spec,
                                   const ValkeyModuleTypeMethods& methods, FlashType flash_type) {
  ValkeyModuleTypeMethods copy = methods;
  ValkeyModuleType* const type = ValkeyModule_CreateDataType(ctx, spec.name, kEncoding, &copy);
  if (type == nullptr) {
    return Error{Code::kInvalid, std::string("the server refused the data type ") + spec.name};
  }
  flash_type.handle = type;
  flash_type.encoding = kEncoding;
  TypeRegistry::Add(flash_type);
  return type;
}

}  // namespace flash::types::internal
