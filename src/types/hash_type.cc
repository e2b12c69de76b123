// hash_type.cc: the elements of hashes in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/hash_type.h"

#include <algorithm>
#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/hash_value.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::HashEntry;
using values::HashValue;

constexpr const char* kName = "flashhsh1";

ValkeyModuleType* handle = nullptr;

Result<void> SaveEntry(const EntryView& entry, ChunkWriter* writer) {
  const HashEntry pair = values::ParseHashEntry(entry);
  if (Result<void> done = SaveElement(pair.field, writer); !done) return done;
  return SaveElement(pair.value, writer);
}

Result<void> EntryArguments(const EntryView& entry, const PartReader& read,
                            std::vector<std::string>* arguments) {
  const HashEntry pair = values::ParseHashEntry(entry);
  if (Result<void> done = CopyElement(pair.field, read, &arguments->emplace_back()); !done)
    return done;
  return CopyElement(pair.value, read, &arguments->emplace_back());
}

/// Fields of a damaged input may come twice; a hash has each once.
bool AreDistinct(const std::vector<HashValue::Pair>& pairs) {
  std::vector<std::string_view> fields;
  fields.reserve(pairs.size());
  for (const HashValue::Pair& pair : pairs) fields.push_back(base::AsText(pair.first));
  std::sort(fields.begin(), fields.end());
  return std::adjacent_find(fields.begin(), fields.end()) == fields.end();
}

uint64_t BuildFrom(ValkeyModuleIO* io, const std::vector<HashValue::Pair>& pairs, uint64_t bytes) {
  if (!AreDistinct(pairs)) {
    FailLoad(io, kName, "it is damaged: a field comes twice");
    return 0;
  }
  const Result<bool> to_flash = MakeRoomToLoad(bytes);
  if (!to_flash) {
    FailLoad(io, kName, kNoRoomToLoad);
    return 0;
  }
  uint64_t word = 0;
  HashValue(server::TheEnv(), &word).Build(pairs, *to_flash);
  return word;
}

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  std::vector<HashValue::Pair> pairs;
  for (uint64_t i = 0; i < count; ++i) {
    const std::optional<Bytes> field = reader->Next();
    const std::optional<Bytes> value = field ? reader->Next() : std::nullopt;
    if (!value) {
      FailLoad(io, kName, "it is damaged: fields are missing");
      return 0;
    }
    pairs.emplace_back(*field, *value);
  }
  if (!reader->at_end()) {
    FailLoad(io, kName, "it is damaged: more follows its fields");
    return 0;
  }
  return BuildFrom(io, pairs, reader->bytes());
}

/// The next of the older module's strings: four bytes of length, and the bytes.
std::optional<Bytes> NextOlder(Bytes* rest) {
  if (rest->size() < sizeof(uint32_t)) return std::nullopt;
  const auto length = base::LoadLe<uint32_t>(rest->data());
  if (rest->size() - sizeof(uint32_t) < length) return std::nullopt;
  const Bytes bytes = rest->subspan(sizeof(uint32_t), length);
  *rest = rest->subspan(sizeof(uint32_t) + length);
  return bytes;
}

uint64_t LoadOlder(ValkeyModuleIO* io) {
  const LoadedBuffer buffer(io);
  if (!buffer.ok()) return 0;
  Bytes rest = buffer.bytes();
  uint32_t count = 0;
  if (rest.size() >= sizeof(count)) {
    count = base::LoadLe<uint32_t>(rest.data());
    rest = rest.subspan(sizeof(count));
  }
  std::vector<HashValue::Pair> pairs;
  for (uint32_t i = 0; i < count; ++i) {
    const std::optional<Bytes> field = NextOlder(&rest);
    const std::optional<Bytes> value = field ? NextOlder(&rest) : std::nullopt;
    if (!value) break;
    pairs.emplace_back(*field, *value);
  }
  if (pairs.empty() || pairs.size() != count || !rest.empty()) {
    FailLoad(io, kName, "it is damaged: fields do not fit their buffer");
    return 0;
  }
  return BuildFrom(io, pairs, buffer.bytes().size());
}

constexpr CollectionTypeSpec kSpec = {
    .name = kName,
    .kind = values::CollectionKind::kHash,
    .packed = values::PackedKind::kHash,
    .older_shape = 2,
    .save_entry = SaveEntry,
    .load = Load,
    .load_older = LoadOlder,
    .entry_arguments = EntryArguments,
    .native_command = "HSET",
    .aof_command = "FLASH.HSET",
    .aof_tail = "KEEPTTL",  // So that no pair is taken for a clause.
};

}  // namespace

ValkeyModuleType* HashTypeHandle() { return handle; }

Result<void> RegisterHashType(ValkeyModuleCtx* ctx) {
  const Result<ValkeyModuleType*> type = RegisterCollectionType<kSpec>(ctx);
  if (!type) return type.error();
  handle = *type;
  return {};
}

}  // namespace flash::types
