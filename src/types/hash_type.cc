// hash_type.cc: the elements of hashes in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/hash_type.h"

#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/value_builders.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::HashBuilder;
using values::HashEntry;

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

constexpr const char* kRepeated = "it is damaged: a field comes twice";

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  LoadPlacer placer;
  HashBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  for (uint64_t i = 0; i < count && outcome; ++i) {
    const std::optional<Bytes> field = reader->Next();
    const std::optional<Bytes> value = field ? reader->Next() : std::nullopt;
    outcome = value ? builder.Add(*field, *value)
                    : Error{Code::kInvalid, "it is damaged: fields are missing"};
    reader->Forget();
  }
  if (outcome && !reader->at_end()) {
    outcome = Error{Code::kInvalid, "it is damaged: more follows its fields"};
  }
  return FinishLoad(io, kName, &builder, outcome, kRepeated);
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

constexpr const char* kUnfit = "it is damaged: fields do not fit their buffer";

uint64_t LoadOlder(ValkeyModuleIO* io) {
  const LoadedBuffer buffer(io);
  if (!buffer.ok()) return 0;
  Bytes rest = buffer.bytes();
  uint32_t count = 0;
  if (rest.size() >= sizeof(count)) {
    count = base::LoadLe<uint32_t>(rest.data());
    rest = rest.subspan(sizeof(count));
  }
  LoadPlacer placer;
  HashBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  for (uint32_t i = 0; i < count && outcome; ++i) {
    const std::optional<Bytes> field = NextOlder(&rest);
    const std::optional<Bytes> value = field ? NextOlder(&rest) : std::nullopt;
    outcome = value ? builder.Add(*field, *value) : Error{Code::kInvalid, kUnfit};
  }
  if (outcome && (count == 0 || !rest.empty())) outcome = Error{Code::kInvalid, kUnfit};
  return FinishLoad(io, kName, &builder, outcome, kRepeated);
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
