// zset_type.cc: the elements of sorted sets in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/zset_type.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/zset_value.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::ZSetValue;

constexpr const char* kName = "flashzst1";

ValkeyModuleType* handle = nullptr;

/// Reads back as the same double.
std::string ScoreText(double score) {
  char buffer[40];
  const int length = std::snprintf(buffer, sizeof(buffer), "%.17g", score);
  return {buffer, static_cast<size_t>(length)};
}

Result<void> SaveEntry(const EntryView& entry, ChunkWriter* writer) {
  writer->AddScore(values::ParseScore(entry));
  return SaveElement(values::ParseMember(entry), writer);
}

Result<void> EntryArguments(const EntryView& entry, const PartReader& read,
                            std::vector<std::string>* arguments) {
  arguments->push_back(ScoreText(values::ParseScore(entry)));
  return CopyElement(values::ParseMember(entry), read, &arguments->emplace_back());
}

/// Members of a damaged input may come twice; a set has each once.
bool AreDistinct(const std::vector<ZSetValue::Pair>& pairs) {
  std::vector<std::string_view> members;
  members.reserve(pairs.size());
  for (const ZSetValue::Pair& pair : pairs) members.push_back(base::AsText(pair.second));
  std::sort(members.begin(), members.end());
  return std::adjacent_find(members.begin(), members.end()) == members.end();
}

uint64_t BuildFrom(ValkeyModuleIO* io, const std::vector<ZSetValue::Pair>& pairs, uint64_t bytes) {
  if (!AreDistinct(pairs)) {
    FailLoad(io, kName, "it is damaged: a member comes twice");
    return 0;
  }
  const Result<bool> to_flash = MakeRoomToLoad(2 * bytes);  // Members are in both trees.
  if (!to_flash) {
    FailLoad(io, kName, kNoRoomToLoad);
    return 0;
  }
  uint64_t word = 0;
  ZSetValue(server::TheEnv(), &word).Build(pairs, *to_flash);
  return word;
}

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  std::vector<ZSetValue::Pair> pairs;
  for (uint64_t i = 0; i < count; ++i) {
    const std::optional<double> score = reader->NextScore();
    const std::optional<Bytes> member = score ? reader->Next() : std::nullopt;
    if (!member) {
      FailLoad(io, kName, "it is damaged: members are missing");
      return 0;
    }
    pairs.emplace_back(*score, *member);
  }
  if (!reader->at_end()) {
    FailLoad(io, kName, "it is damaged: more follows its members");
    return 0;
  }
  return BuildFrom(io, pairs, reader->bytes());
}

uint64_t LoadOlder(ValkeyModuleIO* io) {
  const uint64_t count = ValkeyModule_LoadUnsigned(io);
  if (ValkeyModule_IsIOError(io) != 0) return 0;
  std::deque<LoadedBuffer> buffers;
  std::vector<ZSetValue::Pair> pairs;
  uint64_t bytes = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const double score = ValkeyModule_LoadDouble(io);
    const LoadedBuffer& buffer = buffers.emplace_back(io);
    if (!buffer.ok()) return 0;
    // The older module could store NaN, which no command of ours makes: it counts as 0.
    pairs.emplace_back(std::isnan(score) ? 0.0 : score + 0.0, buffer.bytes());
    bytes += buffer.bytes().size() + sizeof(double);
  }
  if (pairs.empty()) {
    FailLoad(io, kName, "it is damaged: no members");
    return 0;
  }
  return BuildFrom(io, pairs, bytes);
}

constexpr CollectionTypeSpec kSpec = {
    .name = kName,
    .kind = values::CollectionKind::kZSet,
    .packed = values::PackedKind::kZSet,
    .older_shape = 4,
    .save_entry = SaveEntry,
    .load = Load,
    .load_older = LoadOlder,
    .entry_arguments = EntryArguments,
    .native_command = "ZADD",
    .aof_command = "FLASH.ZADD",
};

}  // namespace

ValkeyModuleType* ZSetTypeHandle() { return handle; }

Result<void> RegisterZSetType(ValkeyModuleCtx* ctx) {
  const Result<ValkeyModuleType*> type = RegisterCollectionType<kSpec>(ctx);
  if (!type) return type.error();
  handle = *type;
  return {};
}

}  // namespace flash::types
