// rewrite_ahead.cc: see rewrite_ahead.h.
//
// Which keys are next: of a whole data set, those that a scan of the database finds; of slots that
// are exported, those of the slot that the server is at and of others of the same migration.
// Thread: the only one of a forked child.
#include "types/rewrite_ahead.h"

#include <algorithm>
#include <vector>

#include "server/engine.h"
#include "server/events.h"
#include "types/ahead_window.h"
#include "types/save_support.h"
#include "types/slot_exports.h"
#include "types/type_registry.h"
#include "vk/call_reply.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::types {
namespace {

constexpr size_t kSlots = 16384;
/// Names and places of keys whose values go out together: the first time few, then ever more.
constexpr size_t kFirstWindowBytes = 4 * kKiB;
constexpr size_t kWindowBytes = 8 * kMiB;
/// Blocks that are read by one call, of those.
constexpr size_t kBlocksTogether = size_t{1} << 15;
/// The other keys of a larger slot are read when they are asked for: names alone would be MiBs.
constexpr long long kSlotKeysMax = 1 << 15;
/// Looking at a key costs a quarter of a microsecond, by name one; a read that is waited for 60.
constexpr uint64_t kKeysPerColdMax = 200;
constexpr uint64_t kNamesPerColdMax = 50;

class RewriteAhead {
 public:
  RewriteAhead() : done_(pool_.block_ids_end() / 64 + 1) {}

  [[nodiscard]] bool Written(ValkeyModuleIO* io, ValkeyModuleString* key, BlockId id) {
    if (IsDone(id)) return true;
    if (!IsForThis(id)) return false;
    Seek(ValkeyModule_GetDbIdFromIO(io), key);
    Gather();
    Write(io);
    const bool written = IsDone(id);
    // The caller writes it otherwise, and its expiry follows: never again.
    SetDone(id);
    return written;
  }

 private:
  [[nodiscard]] bool IsDone(BlockId id) const { return (done_[id / 64] >> (id % 64) & 1) != 0; }
  void SetDone(BlockId id) { done_[id / 64] |= uint64_t{1} << (id % 64); }
  /// Two keys may share a block, and one bit cannot tell which of them was written.
  [[nodiscard]] bool IsForThis(BlockId id) const {
    return id != kNoBlock && !IsDone(id) && !pool_.IsHot(id) && !pool_.IsShared(id);
  }

  /// Begins anew where the server has come to another database, or to a slot that was not looked
  /// at.
  void Seek(int db, ValkeyModuleString* key) {
    const int slot = whole_ ? 0 : static_cast<int>(ValkeyModule_ClusterKeySlot(key));
    if (db == db_ && (whole_ || looked_at_[static_cast<size_t>(slot)])) return;
    if (db != db_) {
      ValkeyModule_SelectDb(ctx_, db);
      ValkeyModule_ScanCursorRestart(cursor_);
      looked_at_.assign(kSlots, false);
      db_ = db;
    }
    const uint64_t keys_max =
        pool_.stats().cold_single_blocks * (whole_ ? kKeysPerColdMax : kNamesPerColdMax);
    ended_ = ValkeyModule_DbSize(ctx_) > keys_max;
    slot_ = slot;
  }

  void Gather() {
    if (!whole_) return GatherSlots();
    while (!ended_ && !window_.full()) {
      ended_ = ValkeyModule_Scan(ctx_, cursor_, OnScanned, this) == 0;
    }
  }

  static void OnScanned(ValkeyModuleCtx* /*ctx*/, ValkeyModuleString* name, ValkeyModuleKey* key,
                        void* self) {
    if (key != nullptr) static_cast<RewriteAhead*>(self)->Consider(name, key);
  }

  /// Slots that are exported together, from the one at which the server is.
  void GatherSlots() {
    if (ended_) return;
    GatherSlot(slot_);
    for (const SlotExports::Range& range : TheSlotExports().With(slot_)) {
      for (int slot = std::max(range.first, slot_ + 1); slot <= range.last; ++slot) {
        if (window_.full()) return;
        GatherSlot(slot);
      }
    }
    ended_ = true;
  }

  void GatherSlot(int slot) {
    if (looked_at_[static_cast<size_t>(slot)]) return;
    looked_at_[static_cast<size_t>(slot)] = true;
    const vk::CallReply names(ValkeyModule_Call(ctx_, "CLUSTER", "cll", "GETKEYSINSLOT",
                                                static_cast<long long>(slot), kSlotKeysMax));
    if (names.type() != VALKEYMODULE_REPLY_ARRAY) return;
    const size_t count = ValkeyModule_CallReplyLength(names.get());
    for (size_t i = 0; i < count; ++i) {
      const auto name = vk::String::Adopt(ValkeyModule_CreateStringFromCallReply(
          ValkeyModule_CallReplyArrayElement(names.get(), i)));
      const vk::Key key(ctx_, name.get(), vk::Key::kPeek);
      if (key.exists()) Consider(name.get(), key.get());
    }
  }

  void Consider(ValkeyModuleString* name, ValkeyModuleKey* key) {
    const FlashType* const type = TypeRegistry::Find(ValkeyModule_ModuleTypeGetType(key));
    if (type == nullptr) return;
    void* const value = ValkeyModule_ModuleTypeGetValue(key);
    const BlockId id = type->only_block(value);
    if (IsForThis(id)) window_.Add(vk::TextOf(name), pool_.OffsetOf(id), value, type);
  }

  void Write(ValkeyModuleIO* io) {
    std::vector<BlockId> ids;
    for (auto left = window_.Sort(); !left.empty() && ValkeyModule_IsIOError(io) == 0;) {
      const auto items = left.first(std::min(left.size(), kBlocksTogether));
      left = left.subspan(items.size());
      ids.clear();
      for (const auto& item : items) ids.push_back(item.type->only_block(item.value));
      (void)VisitForSave(ids, [&](size_t index, Result<Bytes> bytes) {
        if (!bytes) return FailSave(bytes.error());
        const BlockAtHand at_hand(ids[index], *bytes);
        const auto name = vk::String::Copy(window_.NameOf(items[index]));
        items[index].type->rewrite(io, name.get(), items[index].value);
        SetDone(ids[index]);
      });
    }
    if (window_.full()) window_.Widen(kWindowBytes);
    window_.Clear();
  }

  blocks::BlockPool& pool_ = server::Engine::Get().pool();
  ValkeyModuleCtx* ctx_ = server::DetachedContext();
  ValkeyModuleScanCursor* cursor_ = ValkeyModule_ScanCursorCreate();
  const bool whole_ = IsAofRewrite();
  std::vector<uint64_t> done_;  // A bit per block.
  AheadWindow window_{kFirstWindowBytes};
  int db_ = -1;
  int slot_ = 0;
  std::vector<bool> looked_at_;  // By slot, of this database.
  bool ended_ = false;           // Nothing more is to be found here, or it does not pay.
};

/// Of this process, which ends with the rewrite.
constinit RewriteAhead* ahead = nullptr;

}  // namespace

bool WrittenAhead(ValkeyModuleIO* io, ValkeyModuleString* key, BlockId id) {
  if (id == kNoBlock || !InForkedChild() || !server::Engine::IsOpen()) return false;
  // raw new: lives until the child exits.
  if (ahead == nullptr) ahead = new RewriteAhead;
  return ahead->Written(io, key, id);
}

}  // namespace flash::types
