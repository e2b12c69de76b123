// list_type.cc: the elements of lists in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/list_type.h"

#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/value_builders.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::ListBuilder;

constexpr const char* kName = "flashlst1";

ValkeyModuleType* handle = nullptr;

Result<void> SaveEntry(const EntryView& entry, ChunkWriter* writer) {
  return SaveElement(values::ParseListEntry(entry), writer);
}

Result<void> EntryArguments(const EntryView& entry, const PartReader& read,
                            std::vector<std::string>* arguments) {
  return CopyElement(values::ParseListEntry(entry), read, &arguments->emplace_back());
}

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  LoadPlacer placer;
  ListBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  for (uint64_t i = 0; i < count && outcome; ++i) {
    const std::optional<Bytes> element = reader->Next();
    outcome = element ? builder.Add(*element)
                      : Error{Code::kInvalid, "it is damaged: elements are missing"};
    reader->Forget();
  }
  if (outcome && !reader->at_end()) {
    outcome = Error{Code::kInvalid, "it is damaged: more follows its elements"};
  }
  return FinishLoad(io, kName, &builder, outcome, "");
}

uint64_t LoadOlder(ValkeyModuleIO* io) {
  const uint64_t count = ValkeyModule_LoadUnsigned(io);
  if (ValkeyModule_IsIOError(io) != 0) return 0;
  LoadPlacer placer;
  ListBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  if (count == 0) outcome = Error{Code::kInvalid, "it is damaged: no elements"};
  for (uint64_t i = 0; i < count && outcome; ++i) {
    const LoadedBuffer buffer(io);
    outcome = buffer.ok() ? builder.Add(buffer.bytes()) : Error{Code::kInvalid, "it ends early"};
  }
  return FinishLoad(io, kName, &builder, outcome, "");
}

constexpr CollectionTypeSpec kSpec = {
    .name = kName,
    .kind = values::CollectionKind::kList,
    .packed = values::PackedKind::kList,
    .older_shape = 3,
    .save_entry = SaveEntry,
    .load = Load,
    .load_older = LoadOlder,
    .entry_arguments = EntryArguments,
    .native_command = "RPUSH",
    .aof_command = "FLASH.RPUSH",
    .ordered = true,
};

}  // namespace

ValkeyModuleType* ListTypeHandle() { return handle; }

Result<void> RegisterListType(ValkeyModuleCtx* ctx) {
  const Result<ValkeyModuleType*> type = RegisterCollectionType<kSpec>(ctx);
  if (!type) return type.error();
  handle = *type;
  return {};
}

}  // namespace flash::types
