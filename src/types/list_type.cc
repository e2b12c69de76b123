// list_type.cc: the elements of lists in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/list_type.h"

#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/list_value.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::ListValue;

constexpr const char* kName = "flashlst1";

ValkeyModuleType* handle = nullptr;

Result<void> SaveEntry(const EntryView& entry, ChunkWriter* writer) {
  return SaveElement(values::ParseListEntry(entry), writer);
}

Result<void> EntryArguments(const EntryView& entry, const PartReader& read,
                            std::vector<std::string>* arguments) {
  return CopyElement(values::ParseListEntry(entry), read, &arguments->emplace_back());
}

uint64_t BuildFrom(ValkeyModuleIO* io, const std::vector<Bytes>& elements, uint64_t bytes) {
  const Result<bool> to_flash = MakeRoomToLoad(bytes);
  if (!to_flash) {
    FailLoad(io, kName, kNoRoomToLoad);
    return 0;
  }
  uint64_t word = 0;
  ListValue(server::TheEnv(), &word).Build(elements, *to_flash);
  return word;
}

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  std::vector<Bytes> elements;
  for (uint64_t i = 0; i < count; ++i) {
    const std::optional<Bytes> element = reader->Next();
    if (!element) {
      FailLoad(io, kName, "it is damaged: elements are missing");
      return 0;
    }
    elements.push_back(*element);
  }
  if (!reader->at_end()) {
    FailLoad(io, kName, "it is damaged: more follows its elements");
    return 0;
  }
  return BuildFrom(io, elements, reader->bytes());
}

uint64_t LoadOlder(ValkeyModuleIO* io) {
  const uint64_t count = ValkeyModule_LoadUnsigned(io);
  if (ValkeyModule_IsIOError(io) != 0) return 0;
  std::deque<LoadedBuffer> buffers;
  std::vector<Bytes> elements;
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const LoadedBuffer& buffer = buffers.emplace_back(io);
    if (!buffer.ok()) return 0;
    elements.push_back(buffer.bytes());
    bytes += buffer.bytes().size();
  }
  if (elements.empty()) {
    FailLoad(io, kName, "it is damaged: no elements");
    return 0;
  }
  return BuildFrom(io, elements, bytes);
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
