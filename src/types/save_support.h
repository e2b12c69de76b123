// save_support.h: the bytes of blocks for RDB, DUMP and AOF, and what happens when they cannot be
// read.
//
// The same type callbacks run in a forked child (own descriptor, no rings) and in the server itself
// (SAVE, DUMP, MIGRATE). The server has no call by which a save callback fails; what is done
// instead: docs/format/rdb.md. Knows no value type. Thread: main, or the only one of a forked
// child.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "blocks/block_pool.h"
#include "store/place.h"
#include "types/copies_at_hand.h"
#include "vk/api.h"

namespace flash::types {

/// Remembers which process is the server and follows SAVE. Once, at load. Errors: kUnsupported.
[[nodiscard]] Result<void> StartSaveSupport(ValkeyModuleCtx* ctx);

[[nodiscard]] bool InForkedChild();
/// Is the whole data set being written to an AOF in this process? Fork-safe.
[[nodiscard]] bool IsAofRewrite();

/// Copies the bytes of a block, hot or cold. Errors: kIo, kCorrupt, kTimeout: call FailSave.
/// Fork-safe.
[[nodiscard]] Result<void> CopyForSave(BlockId id, std::vector<std::byte>* into);

/// While one lives, CopyForSave and what builds upon it take this block's bytes from memory. For a
/// visitor of VisitForSave, which must not read. One at a time. Fork-safe.
class BlockAtHand {
 public:
  BlockAtHand(BlockId id, Bytes bytes);
  BlockAtHand(const BlockAtHand&) = delete;
  BlockAtHand& operator=(const BlockAtHand&) = delete;
  ~BlockAtHand();
};

/// Of the server itself: CopyForSave takes what is there from here.
[[nodiscard]] CopiesAtHand& TheCopiesAtHand();

/// Whether this process can read many blocks together; else use CopyForSave. Fork-safe.
[[nodiscard]] bool CanVisitForSave();

/// Calls `visit` once for each block with its index in `ids` and its bytes or why there are none,
/// in the order that reads them fastest. Nothing moves meanwhile: the visitor must not call the
/// pool. False, and nothing was visited: it cannot. Fork-safe.
[[nodiscard]] bool VisitForSave(std::span<const BlockId> ids,
                                const blocks::BlockPool::VisitBytes& visit);

/// Copies the bytes of blocks, hot or cold, in the order of `ids`, reading them together. For sets
/// of a few MiB. Errors: as CopyForSave. Fork-safe.
[[nodiscard]] Result<void> CopyAllForSave(std::span<const BlockId> ids,
                                          std::vector<std::vector<std::byte>>* into);

/// Calls `visit` with the bytes of one block after the other, of up to 1 MiB each, reading several
/// ahead. Errors: as CopyForSave; then it was not called for all. Fork-safe.
[[nodiscard]] Result<void> ForEachPieceForSave(std::span<const BlockId> ids,
                                               const std::function<void(Bytes)>& visit);

/// Ahead of a value in a DUMP payload: hints about it follow, as one number.
inline constexpr uint64_t kHintsMark = UINT64_MAX - 3;
inline constexpr uint64_t kColdHint = 1;      ///< It was cold, and is to be where it is restored.
inline constexpr uint64_t kMigratedHint = 2;  ///< FLASH.MIGRATE sends it.

/// Is what is being written a DUMP payload, or MIGRATE's?
[[nodiscard]] bool IsDump();

/// Writes hints about the value with these blocks, if there are any to give. In a dump only.
void SaveHints(ValkeyModuleIO* io, std::span<const BlockId> ids);

/// While one lives, payloads are FLASH.MIGRATE's, of a value that was `cold` or not before it was
/// read for that.
class MigrationDump {
 public:
  explicit MigrationDump(bool cold);
  MigrationDump(const MigrationDump&) = delete;
  MigrationDump& operator=(const MigrationDump&) = delete;
  ~MigrationDump();
};

/// Most of these blocks are on flash only. Of none: no.
[[nodiscard]] bool AreMostlyCold(std::span<const BlockId> ids);

/// Makes the save in progress fail. In a child: logs and exits with status 1, without a return. In
/// the server: logs and removes the temporary file of a SAVE; the caller then writes a mark that no
/// loader accepts. Fork-safe.
void FailSave(const Error& why);
/// How often that has come about in this process: DUMP does not tell.
[[nodiscard]] uint64_t FailedSaves();

}  // namespace flash::types
