// position.cc: see position.h.
//
// Thread: as there.
#include "durability/position.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "base/bytes.h"
#include "base/format_ahead.h"
#include "vk/log.h"

namespace flash::durability {
namespace {

constexpr const char* kTypeName = "flashlog1";
constexpr int kFirstEncoding = 1;
constexpr int kEncoding = kFirstEncoding + FLASH_FORMAT_AHEAD;

/// Which file stands at a path.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  int64_t written_sec = 0;
  int64_t written_nsec = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// What whoever saves tells the server, through memory shared with it.
struct Report {
  Position position;
  FileIdentity before;
  FileIdentity after;
  bool is_rdb = false;  // And not the preamble of an AOF.
  bool has_position = false;
  bool stands = false;
};

struct PositionState {
  PositionSource source = nullptr;
  Report* report = nullptr;
  std::string path;
  Position loaded;
};

PositionState& State() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static PositionState* const state = new PositionState;
  return *state;
}

FileIdentity IdentityOf(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
}

void AuxSave(ValkeyModuleIO* io, int when) noexcept {
  if (when != VALKEYMODULE_AUX_BEFORE_RDB) return;
  const Position position = State().source();
  if (position.none()) return;
  const std::string_view id = base::AsText(position.id);
  ValkeyModule_SaveStringBuffer(io, id.data(), id.size());
  ValkeyModule_SaveUnsigned(io, position.lsn);
  State().report->position = position;
  State().report->has_position = true;
}

int AuxLoad(ValkeyModuleIO* io, int encoding, int when) noexcept {
  const bool reads = encoding >= kFirstEncoding && encoding <= kEncoding;
  if (!reads || when != VALKEYMODULE_AUX_BEFORE_RDB) {
    vk::LogWarning("the log position of this RDB, of encoding " + std::to_string(encoding) +
                   ", comes from a newer valkey-flash; this one reads up to " +
                   std::to_string(kEncoding));
    return VALKEYMODULE_ERR;
  }
  size_t bytes = 0;
  char* const id = ValkeyModule_LoadStringBuffer(io, &bytes);
  const uint64_t lsn = ValkeyModule_LoadUnsigned(io);
  Position position;
  const bool valid =
      ValkeyModule_IsIOError(io) == 0 && id != nullptr && bytes == position.id.size();
  if (valid) {
    std::memcpy(position.id.data(), id, bytes);
    position.lsn = lsn;
    State().loaded = position;
  }
  if (id != nullptr) ValkeyModule_Free(id);
  return valid ? VALKEYMODULE_OK : VALKEYMODULE_ERR;
}

}  // namespace

std::string EncodeOrigin(const Origin& origin) {
  std::string text(1, static_cast<char>(origin.kind));
  text += base::AsText(origin.position.id);
  std::byte lsn[sizeof(uint64_t)];
  base::StoreLe(lsn, origin.position.lsn);
  text += base::AsText(Bytes(lsn));
  return text + origin.file;
}

std::optional<Origin> DecodeOrigin(std::string_view text) {
  Origin origin;
  const size_t fixed = 1 + origin.position.id.size() + sizeof(uint64_t);
  if (text.size() < fixed || text[0] < 1 || text[0] > 3) return std::nullopt;
  origin.kind = static_cast<Origin::Kind>(text[0]);
  std::memcpy(origin.position.id.data(), text.data() + 1, origin.position.id.size());
  origin.position.lsn =
      base::LoadLe<uint64_t>(base::AsBytes(text).subspan(1 + origin.position.id.size()).data());
  origin.file = text.substr(fixed);
  return origin;
}

std::string FileMark(const std::string& path) {
  struct stat found {};
  if (stat(path.c_str(), &found) != 0) return "none";
  return std::to_string(found.st_size) + ":" + std::to_string(found.st_mtim.tv_sec) + "." +
         std::to_string(found.st_mtim.tv_nsec);
}

Result<void> StartPositions(ValkeyModuleCtx* ctx, PositionSource source) {
  State().source = source;
  void* const page =
      mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return Error{Code::kIo, "no memory to share with the server's children"};
  State().report = ::new (page) Report;
  ValkeyModuleTypeMethods methods{};
  methods.version = VALKEYMODULE_TYPE_METHOD_VERSION;
  // There are no values of this type.
  methods.rdb_load = [](ValkeyModuleIO*, int) noexcept -> void* { return nullptr; };
  methods.rdb_save = [](ValkeyModuleIO*, void*) noexcept {};
  methods.aof_rewrite = [](ValkeyModuleIO*, ValkeyModuleString*, void*) noexcept {};
  methods.free = [](void*) noexcept {};
  methods.aux_load = AuxLoad;
  methods.aux_save2 = AuxSave;
  methods.aux_save_triggers = VALKEYMODULE_AUX_BEFORE_RDB;
  if (ValkeyModule_CreateDataType(ctx, kTypeName, kEncoding, &methods) == nullptr) {
    return Error{Code::kInvalid, std::string("the server refused the data type ") + kTypeName};
  }
  return {};
}

Position LoadedPosition() { return State().loaded; }
void ForgetLoadedPosition() { State().loaded = {}; }
void SetSnapshotPath(const std::string& path) { State().path = path; }

void OnPersistence(uint64_t sub) {
  PositionState& state = State();
  Report& report = *state.report;
  switch (sub) {
    case VALKEYMODULE_SUBEVENT_PERSISTENCE_RDB_START:
    case VALKEYMODULE_SUBEVENT_PERSISTENCE_SYNC_RDB_START:
      report = {};
      report.is_rdb = true;
      report.before = IdentityOf(state.path);
      return;
    case VALKEYMODULE_SUBEVENT_PERSISTENCE_ENDED:
      report.after = IdentityOf(state.path);
      // A synchronisation through a socket leaves the file as it was.
      report.stands = report.is_rdb && report.has_position && !(report.after == report.before) &&
                      !(report.after == FileIdentity{});
      return;
    default:  // Also the start of an AOF rewrite, whose preamble has a position too.
      report = {};
  }
}

std::optional<Position> TakeSnapshot() {
  PositionState& state = State();
  if (!state.report->stands) return std::nullopt;
  const Report report = std::exchange(*state.report, {});
  if (!(IdentityOf(state.path) == report.after)) return std::nullopt;
  return report.position;
}

}  // namespace flash::durability
