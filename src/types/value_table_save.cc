// value_table_save.cc: writing the table of cold values; see value_table.h.
//
// One pass over the keyspace finds the blocks that are whole values; passes over the block table
// bring them in the order of the flash file, a bounded number at a time. What cannot be read is
// left to its key, which fails the save. Thread: main, or the only one of a forked child.
#include <algorithm>
#include <memory>
#include <numeric>
#include <vector>

#include "io/flash_file.h"
#include "server/engine.h"
#include "server/events.h"
#include "server/value_env.h"
#include "types/block_numbers.h"
#include "types/save_support.h"
#include "types/type_registry.h"
#include "types/value_table.h"
#include "values/leaf.h"

namespace flash::types {
namespace {

constexpr size_t kChunkBytes = 256 * kKiB;
/// Blocks gathered by one pass over the block table, 16 bytes each.
constexpr size_t kPassBlocks = size_t{1} << 20;
/// Blocks that are read by one call, of those.
constexpr size_t kBlocksTogether = size_t{1} << 15;
/// The file is counted in this many spans, or in spans of 1 MiB.
constexpr uint64_t kSpansMax = uint64_t{1} << 20;

/// Of the snapshot that is being written; null: it has no table.
// raw new: exists while a save runs.
constinit BlockNumbers* numbers = nullptr;

// --- Which blocks are whole values
// -------------------------------------------------------------

struct Scan {
  const blocks::BlockPool* pool;
  BlockNumbers* found;
};

void OnKey(ValkeyModuleCtx* /*ctx*/, ValkeyModuleString* /*name*/, ValkeyModuleKey* key,
           void* data) {
  if (key == nullptr) return;
  const FlashType* const type = TypeRegistry::Find(ValkeyModule_ModuleTypeGetType(key));
  if (type == nullptr) return;
  const BlockId id = type->only_block(ValkeyModule_ModuleTypeGetValue(key));
  if (id == kNoBlock) return;
  const Scan& scan = *static_cast<const Scan*>(data);
  // Two keys may share a block; a value of the table is handed over once.
  if (scan.pool->IsHot(id) || scan.pool->IsShared(id)) return;
  scan.found->Add(id, type->packed == values::PackedKind::kString);
}

void FindValues(Scan scan) {
  ValkeyModuleCtx* const ctx = server::DetachedContext();
  const int selected = ValkeyModule_GetSelectedDb(ctx);
  ValkeyModuleScanCursor* const cursor = ValkeyModule_ScanCursorCreate();
  for (int db = 0; ValkeyModule_SelectDb(ctx, db) == VALKEYMODULE_OK; ++db) {
    ValkeyModule_ScanCursorRestart(cursor);
    while (ValkeyModule_Scan(ctx, cursor, OnKey, &scan) != 0) {
    }
  }
  ValkeyModule_ScanCursorDestroy(cursor);
  ValkeyModule_SelectDb(ctx, selected);
}

values::PackedKind KindOf(bool is_string, Bytes block) {
  if (is_string) return values::PackedKind::kString;
  switch (values::LeafView(block).kind()) {
    case values::LeafKind::kHash:
      return values::PackedKind::kHash;
    case values::LeafKind::kList:
      return values::PackedKind::kList;
    case values::LeafKind::kScores:
      break;
  }
  return values::PackedKind::kZSet;
}

// --- Writing them
// ------------------------------------------------------------------------------

class TableWriter {
 public:
  TableWriter(ValkeyModuleIO* io, const blocks::BlockPool& pool, BlockNumbers* found)
      : io_(io), pool_(pool), numbers_(*found) {}

  void Run() {
    CountSpans();
    for (uint64_t begin = 0; begin < counts_.size();) {
      uint64_t end = begin;
      size_t blocks = 0;
      while (end < counts_.size() && (end == begin || blocks + counts_[end] <= kPassBlocks)) {
        blocks += counts_[end++];
      }
      if (blocks > 0) WritePass(begin * span_bytes_, end * span_bytes_, blocks);
      begin = end;
    }
    values::PackEnd(&chunk_);
    Flush();
  }

 private:
  struct Located {
    uint64_t offset;
    BlockId id;
  };

  void CountSpans() {
    const uint64_t capacity = server::Engine::Get().file().capacity_bytes();
    span_bytes_ = std::max(capacity / kSpansMax, kMiB);
    counts_.resize(capacity / span_bytes_ + 1);
    pool_.ForEachColdSingle(0, UINT64_MAX, [this](BlockId id, uint64_t offset) {
      if (numbers_.Has(id)) ++counts_[std::min(offset / span_bytes_, counts_.size() - 1)];
    });
  }

  void WritePass(uint64_t begin, uint64_t end, size_t blocks) {
    located_.clear();
    located_.reserve(blocks);
    pool_.ForEachColdSingle(begin, end, [this](BlockId id, uint64_t offset) {
      if (numbers_.Has(id)) located_.push_back({offset, id});
    });
    std::sort(located_.begin(), located_.end(),
              [](const Located& a, const Located& b) { return a.offset < b.offset; });
    for (size_t at = 0; at < located_.size(); at += kBlocksTogether) {
      ids_.clear();
      const size_t stop = std::min(located_.size(), at + kBlocksTogether);
      for (size_t i = at; i < stop; ++i) ids_.push_back(located_[i].id);
      (void)VisitForSave(ids_, [this](size_t index, Result<Bytes> bytes) {
        if (bytes) Add(ids_[index], *bytes);
      });
    }
  }

  void Add(BlockId id, Bytes block) {
    const values::PackedKind kind = KindOf(numbers_.FlagOf(id), block);
    packed_.clear();
    TypeRegistry::Find(kind)->pack(block, &packed_);
    values::PackValue({numbers_.NumberOf(id), kind, packed_}, &chunk_);
    numbers_.SetDone(id);
    if (chunk_.size() >= kChunkBytes) Flush();
  }

  void Flush() {
    ValkeyModule_SaveStringBuffer(io_, base::AsText(chunk_).data(), chunk_.size());
    chunk_.clear();
  }

  ValkeyModuleIO* io_;
  const blocks::BlockPool& pool_;
  BlockNumbers& numbers_;
  uint64_t span_bytes_ = 0;
  std::vector<uint32_t> counts_;  // Values by the span of the file in which they begin.
  std::vector<Located> located_;
  std::vector<BlockId> ids_;
  std::vector<std::byte> packed_;
  std::vector<std::byte> chunk_;
};

}  // namespace

void SaveValueTable(ValkeyModuleIO* io) {
  ForgetValueTable();
  if (!server::Engine::IsOpen()) return;
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const auto& blocks = pool.stats().blocks;
  if (std::accumulate(blocks.begin() + 1, blocks.end(), uint64_t{0}) == 0) return;
  ValkeyModule_SaveUnsigned(io, kSeedMark);
  ValkeyModule_SaveUnsigned(io, server::TheEnv().hash_seed);
  std::unique_ptr<BlockNumbers> found;
  uint64_t count = 0;
  if (pool.has_store() && pool.stats().cold_single_blocks != 0 && CanVisitForSave()) {
    found = std::make_unique<BlockNumbers>(pool.block_ids_end());
    FindValues({&pool, found.get()});
    count = found->Number();
  }
  ValkeyModule_SaveUnsigned(io, count);
  if (count == 0) return;
  TableWriter(io, pool, found.get()).Run();
  numbers = found.release();
}

bool SaveReference(ValkeyModuleIO* io, BlockId id) {
  if (numbers == nullptr || !numbers->IsDone(id)) return false;
  ValkeyModule_SaveUnsigned(io, kInTableMark);
  ValkeyModule_SaveUnsigned(io, numbers->NumberOf(id));
  return true;
}

void ForgetValueTable() {
  delete numbers;
  numbers = nullptr;
}

}  // namespace flash::types
