// value_table_load.cc: reading the table of values at the head of a snapshot; see value_table.h.
//
// Each value goes to flash as it comes; one word per value waits for the key. Thread: main.
#include <array>
#include <memory>
#include <string>
#include <unordered_map>

#include "server/events.h"
#include "server/freeing.h"
#include "server/value_env.h"
#include "types/collection_io.h"
#include "types/type_registry.h"
#include "types/value_table.h"

namespace flash::types {
namespace {

/// More than any process can have had.
constexpr uint64_t kValuesMax = kBlockIdMax;

/// Values by number, in pages: a damaged table cannot ask for more memory than it has values.
class LoadedValues {
 public:
  /// False: there is one with this number.
  [[nodiscard]] bool Put(uint64_t number, values::PackedKind kind, void* value) {
    std::unique_ptr<Page>& page = pages_[number / kPageValues];
    if (page == nullptr) page = std::make_unique<Page>();
    const size_t at = number % kPageValues;
    if (page->kinds[at] != 0) return false;
    page->kinds[at] = static_cast<uint8_t>(kind);
    page->values[at] = value;
    return true;
  }

  /// Null: none of this kind has this number.
  [[nodiscard]] void* Take(uint64_t number, values::PackedKind kind) {
    const auto page = pages_.find(number / kPageValues);
    if (page == pages_.end()) return nullptr;
    const size_t at = number % kPageValues;
    if (page->second->kinds[at] != static_cast<uint8_t>(kind)) return nullptr;
    page->second->kinds[at] = kTaken;
    return page->second->values[at];
  }

  void FreeAll() {
    for (const auto& [number, page] : pages_) {
      for (size_t at = 0; at < kPageValues; ++at) {
        const FlashType* const type =
            TypeRegistry::Find(static_cast<values::PackedKind>(page->kinds[at]));
        if (type != nullptr) type->free_now(page->values[at]);
      }
    }
    pages_.clear();
  }

 private:
  static constexpr size_t kPageValues = 512;
  static constexpr uint8_t kTaken = 0xff;
  struct Page {
    std::array<void*, kPageValues> values{};
    std::array<uint8_t, kPageValues> kinds{};  // 0: no value; a PackedKind; kTaken.
  };
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages_;
};

LoadedValues& TheLoadedValues() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static LoadedValues* const loaded = new LoadedValues;
  return *loaded;
}

bool Fail(ValkeyModuleIO* io, const char* why) {
  ValkeyModule_LogIOError(io, VALKEYMODULE_LOGLEVEL_WARNING,
                          "the table of values cannot be loaded: %s", why);
  return false;
}

bool LoadChunk(ValkeyModuleIO* io, Bytes bytes, uint64_t count, bool* ended) {
  values::ChunkOfValues chunk(bytes);
  while (const std::optional<values::PackedValue> packed = chunk.Next()) {
    if (packed->number >= count) return Fail(io, "it is damaged: impossible number");
    const FlashType* const type = TypeRegistry::Find(packed->kind);
    void* const value = type->unpack(io, packed->bytes);
    if (value == nullptr) return false;
    if (!TheLoadedValues().Put(packed->number, packed->kind, value)) {
      type->free_now(value);
      return Fail(io, "it is damaged: a number comes twice");
    }
  }
  if (chunk.damaged()) return Fail(io, "it is damaged: values do not fit their chunk");
  *ended = chunk.ended();
  return true;
}

/// Old data that is being freed may be in the way; old data that stays is.
void AdoptSeed(uint64_t seed) {
  if (server::AdoptHashSeed(seed) || server::LoadsBesideOldData()) return;
  if (server::FinishFrees()) server::AdoptHashSeed(seed);
}

bool LoadChunks(ValkeyModuleIO* io) {
  uint64_t count = ValkeyModule_LoadUnsigned(io);
  if (count == kSeedMark && ValkeyModule_IsIOError(io) == 0) {
    const uint64_t seed = ValkeyModule_LoadUnsigned(io);
    count = ValkeyModule_LoadUnsigned(io);
    if (ValkeyModule_IsIOError(io) != 0) return false;
    server::FinishFreesWhileLoading();
    AdoptSeed(seed);
    if (count == 0) return true;
  }
  if (ValkeyModule_IsIOError(io) != 0) return false;
  if (count == 0 || count > kValuesMax) return Fail(io, "it is damaged: impossible size");
  for (bool ended = false; !ended;) {
    const LoadedBuffer chunk(io);
    if (!chunk.ok()) return false;
    if (chunk.bytes().empty()) return Fail(io, "it is damaged: an empty chunk");
    if (!LoadChunk(io, chunk.bytes(), count, &ended)) return false;
  }
  return true;
}

}  // namespace

bool LoadValueTable(ValkeyModuleIO* io) {
  DropLoadedValues();
  if (LoadChunks(io)) return true;
  DropLoadedValues();
  return false;
}

void* LoadReference(ValkeyModuleIO* io, const ValkeyModuleType* handle) {
  const uint64_t number = ValkeyModule_LoadUnsigned(io);
  if (ValkeyModule_IsIOError(io) != 0) return nullptr;
  const FlashType* const type = TypeRegistry::Find(handle);
  void* const value = TheLoadedValues().Take(number, type->packed);
  if (value == nullptr) {
    FailLoad(io, type->name, "it is damaged: its value is not in the table before the keys");
  }
  return value;
}

void DropLoadedValues() { TheLoadedValues().FreeAll(); }

}  // namespace flash::types
