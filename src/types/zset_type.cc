// zset_type.cc: the elements of sorted sets in RDB files, DUMP payloads and AOFs.
//
// Threads: collection_type.h.
#include "types/zset_type.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "types/collection_type.h"
#include "types/loading.h"
#include "values/value_builders.h"

namespace flash::types {
namespace {

using values::EntryView;
using values::ZSetBuilder;

constexpr const char* kName = "flashzst1";

ValkeyModuleType* handle = nullptr;

Result<void> SaveEntry(const EntryView& entry, ChunkWriter* writer) {
  writer->AddScore(values::ParseScore(entry));
  return SaveElement(values::ParseMember(entry), writer);
}

Result<void> EntryArguments(const EntryView& entry, const PartReader& read,
                            std::vector<std::string>* arguments) {
  arguments->push_back(ScoreText(values::ParseScore(entry)));
  return CopyElement(values::ParseMember(entry), read, &arguments->emplace_back());
}

constexpr const char* kUnordered = "it is damaged: a member comes twice, or in the wrong place";

uint64_t Load(ValkeyModuleIO* io, ChunkReader* reader, uint64_t count) {
  LoadPlacer placer;
  ZSetBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  // A count may be too low: sets were counted wrong for a while, and saved so with all members.
  for (uint64_t i = 0; (i < count || !reader->at_end()) && outcome; ++i) {
    const std::optional<double> score = reader->NextScore();
    const std::optional<Bytes> member = score ? reader->Next() : std::nullopt;
    outcome = member ? builder.Add(*score, *member)
                     : Error{Code::kInvalid, "it is damaged: members are missing"};
    reader->Forget();
  }
  return FinishLoad(io, kName, &builder, outcome, kUnordered);
}

/// The older module did not write them in order: all are read first.
uint64_t LoadOlder(ValkeyModuleIO* io) {
  const uint64_t count = ValkeyModule_LoadUnsigned(io);
  if (ValkeyModule_IsIOError(io) != 0) return 0;
  std::deque<LoadedBuffer> buffers;
  std::vector<std::pair<double, std::string_view>> pairs;
  for (uint64_t i = 0; i < count; ++i) {
    const double score = ValkeyModule_LoadDouble(io);
    const LoadedBuffer& buffer = buffers.emplace_back(io);
    if (!buffer.ok()) return 0;
    // The older module could store NaN, which no command of ours makes: it counts as 0.
    pairs.emplace_back(std::isnan(score) ? 0.0 : score + 0.0, base::AsText(buffer.bytes()));
  }
  std::sort(pairs.begin(), pairs.end());
  LoadPlacer placer;
  ZSetBuilder builder(server::TheEnv(), &placer);
  Result<void> outcome;
  if (pairs.empty()) outcome = Error{Code::kInvalid, "it is damaged: no members"};
  for (const auto& [score, member] : pairs) {
    if (outcome) outcome = builder.Add(score, base::AsBytes(member));
  }
  return FinishLoad(io, kName, &builder, outcome, kUnordered);
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

std::string ScoreText(double score) {
  char buffer[40];
  const int length = std::snprintf(buffer, sizeof(buffer), "%.17g", score);
  return {buffer, static_cast<size_t>(length)};
}

Result<void> RegisterZSetType(ValkeyModuleCtx* ctx) {
  const Result<ValkeyModuleType*> type = RegisterCollectionType<kSpec>(ctx);
  if (!type) return type.error();
  handle = *type;
  return {};
}

}  // namespace flash::types
