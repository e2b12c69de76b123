// position.h: up to where a snapshot holds the log, and when a snapshot counts.
//
// Each RDB says {log id, LSN} in an aux field of a data type that has no keys. A snapshot counts
// when whoever wrote it said that it succeeded and the server's RDB file has been replaced: a
// child writes both to a page that it shares with the server. Thread: main, or the only one of a
// forked child. Decision: docs/adr/0015.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "log/log_format.h"
#include "vk/api.h"

namespace flash::durability {

struct Position {
  log::LogId id{};  // All zero: none.
  log::Lsn lsn = 0;
  [[nodiscard]] bool none() const { return id == log::LogId{}; }
  friend bool operator==(const Position&, const Position&) = default;
};

/// What a log continues: the first effect of each.
struct Origin {
  enum class Kind : uint8_t {
    kFile = 1,      ///< An RDB without a position, or none: `file` tells which.
    kPosition = 2,  ///< An RDB with this position.
    kMemory = 3,    ///< What was in RAM: no file on disk, until a snapshot of the log stands.
  };
  Kind kind = Kind::kMemory;
  Position position;
  std::string file;
};
[[nodiscard]] std::string EncodeOrigin(const Origin& origin);
[[nodiscard]] std::optional<Origin> DecodeOrigin(std::string_view text);

/// Tells one RDB file from another: size and time of change; "none" if there is no such file.
[[nodiscard]] std::string FileMark(const std::string& path);

/// What goes into snapshots.
using PositionSource = Position (*)();

/// Registers the data type and prepares the shared page. Once, at load. Errors: kInvalid, kIo.
[[nodiscard]] Result<void> StartPositions(ValkeyModuleCtx* ctx, PositionSource source);

/// The position of the RDB loaded last; none if it had none.
[[nodiscard]] Position LoadedPosition();
void ForgetLoadedPosition();

/// The server's RDB file, relative to its working directory. Before each snapshot.
void SetSnapshotPath(const std::string& path);
/// Of the server's event of this kind, in whichever process.
void OnPersistence(uint64_t sub);
/// The position of a snapshot that has come to stand since the last call. While no child lives.
[[nodiscard]] std::optional<Position> TakeSnapshot();

}  // namespace flash::durability
