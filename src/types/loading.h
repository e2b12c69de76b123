// loading.h: what is different while a value, or all of the data, is being loaded.
//
// RDB and AOF files, full synchronisation, and RESTORE alone. While data loads the event loop does
// not turn, so nothing happens beside it. Thread: main.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "blocks/block_pool.h"
#include "values/block_placer.h"
#include "vk/api.h"

namespace flash::types {

/// Runs `attempt` until it answers something else than kBusy, waiting on this thread for `bytes` of
/// room; see BlockPool::AwaitRoomFor. Frees what is gone before anything fails for want of room. A
/// value that comes alone, by RESTORE, holds up everybody meanwhile, so it does not wait for long;
/// while data loads, waiting makes sense as long as the device answers at all.
[[nodiscard]] Result<void> AwaitRoomToLoad(uint64_t bytes,
                                           const blocks::BlockPool::Attempt& attempt);

inline constexpr const char* kNoRoomToLoad =
    "the cache and the flash file are full (flash.capacity-bytes)";

/// The value that is loaded while one of these lives was cold where it was written: its blocks go
/// straight to flash if there is a tier with room.
class LoadingCold {
 public:
  explicit LoadingCold(bool cold);
  LoadingCold(const LoadingCold&) = delete;
  LoadingCold& operator=(const LoadingCold&) = delete;
  ~LoadingCold();
  [[nodiscard]] static bool Now();

 private:
  bool before_;
};

/// What a DUMP payload says ahead of a value, in force while this lives.
class LoadHints {
 public:
  /// Reads them, if there are any, and the number behind them.
  explicit LoadHints(ValkeyModuleIO* io);
  [[nodiscard]] uint64_t number_behind() const { return number_behind_; }
  /// Counts a value that FLASH.MIGRATE sent, by what its blocks take, as the sender does.
  void Count(void* value,
             const std::function<void(void* value, std::vector<BlockId>* ids)>& append_blocks);

 private:
  uint64_t hints_ = 0;
  uint64_t number_behind_ = 0;
  std::optional<LoadingCold> cold_;
};

/// May `bytes` stay in RAM beyond the bound, where neither cache nor tier has room? A replica
/// applies what its primary has acknowledged. And how much a tier holds depends a little on the
/// order in which it is filled: while data loads, up to an eighth of the capacity (at most the
/// cache's size or 64 MiB) may be beyond the bound, or what one server held could not be loaded by
/// the next.
[[nodiscard]] bool MustLoad(uint64_t bytes);

/// Places the blocks of a value that is loaded: hot while there is room, else straight to flash,
/// waiting for it, or the other way round for one that was cold; in RAM beyond the bound where
/// MustLoad says so.
class LoadPlacer final : public values::BlockPlacer {
 public:
  /// `must`: what is placed was acknowledged once, and stays in RAM beyond the bound in any case.
  explicit LoadPlacer(bool must = false) : must_(must) {}
  LoadPlacer(const LoadPlacer&) = delete;
  LoadPlacer& operator=(const LoadPlacer&) = delete;
  ~LoadPlacer() override { Hold(0, 0); }

  [[nodiscard]] Result<BlockId> Place(Bytes payload, values::Family* family) override;
  [[nodiscard]] Result<void> AwaitRoom(uint64_t bytes) override;
  [[nodiscard]] uint64_t memory_bytes_max() const override;
  void Hold(uint64_t bytes, uint64_t pinned_bytes) override;
  [[nodiscard]] blocks::WaitCause cause() const override { return blocks::WaitCause::kLoading; }

 private:
  [[nodiscard]] bool Must(uint64_t bytes) const { return must_ || MustLoad(bytes); }

  bool must_;
  uint64_t held_bytes_ = 0;
  uint64_t pinned_bytes_ = 0;
};

}  // namespace flash::types
