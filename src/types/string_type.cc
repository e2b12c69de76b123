// string_type.cc: callbacks of the type `flashstr1`: load, save, rewrite, free, copy, digest.
//
// Threads: rdb_save and aof_rewrite also run in forked children, free also on the server's
// lazy-free thread (where it only queues); everything else on the main thread.
#include "types/string_type.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/format_ahead.h"
#include "server/engine.h"
#include "server/freeing.h"
#include "server/value_env.h"
#include "types/collection_io.h"
#include "types/dump_ahead.h"
#include "types/last_copy.h"
#include "types/limbo.h"
#include "types/loading.h"
#include "types/rewrite_ahead.h"
#include "types/save_support.h"
#include "types/type_registry.h"
#include "types/value_table.h"
#include "vk/log.h"

namespace flash::types {
namespace {

using values::StringBuilder;
using values::Strings;
using values::StringValue;

constexpr const char* kTypeName = "flashstr1";
constexpr int kFirstEncoding = 2;  // Of ours.
constexpr int kEncodingVersion = kFirstEncoding + FLASH_FORMAT_AHEAD;
constexpr int kOlderEncodingVersion = 1;
constexpr uint64_t kOlderShapeString = 1;
constexpr uint64_t kPieceBytesMax = kMiB;
constexpr uint64_t kUnreadableMark = UINT64_MAX;
/// Values above this are digested by their hash, so that the size of blocks does not show.
constexpr uint64_t kDigestWholeBytesMax = 64;

bool Reads(int encoding) { return encoding >= kFirstEncoding && encoding <= kEncodingVersion; }

void AppendBlocks(void* pointer, std::vector<BlockId>* ids) {
  server::TheStrings().AppendBlocks(StringValue::FromPointer(pointer), ids);
}

// --- Loading
// ----------------------------------------------------------------------------------------

/// Appends one piece: hot while there is room, else straight to flash, waiting for it; or the other
/// way round (LoadingCold).
Result<void> AppendLoaded(StringBuilder* builder, Bytes piece, bool must) {
  blocks::BlockPool& pool = server::Engine::Get().pool();
  const auto append_hot = [&] {
    Result<void> admitted = pool.Admit(piece.size());
    if (admitted) builder->AppendHot(piece);
    return admitted;
  };
  const auto append = [&] {
    if (!LoadingCold::Now() && append_hot()) return Result<void>();
    Result<void> appended = builder->AppendCold(piece);
    // With a full tier, RAM is the only place: perhaps something can still leave it.
    return appended || appended.code() == Code::kBusy ? appended : append_hot();
  };
  if (append()) return {};
  Result<void> appended = AwaitRoomToLoad(piece.size(), append);
  if (appended || !(must || MustLoad(piece.size()))) return appended;
  builder->AppendHot(piece);
  return {};
}

/// Cuts what comes in pieces of any length into pieces of the builder's.
class PieceCutter {
 public:
  explicit PieceCutter(StringBuilder* builder, bool must = false)
      : builder_(builder), must_(must) {}

  [[nodiscard]] Result<void> Add(Bytes bytes) {
    while (!bytes.empty()) {
      const size_t wanted = builder_->next_bytes() - held_.size();
      const Bytes part = bytes.first(std::min(wanted, bytes.size()));
      bytes = bytes.subspan(part.size());
      if (held_.empty() && part.size() == wanted) {
        if (Result<void> done = Append(part); !done) return done;
        continue;
      }
      held_.insert(held_.end(), part.begin(), part.end());
      if (held_.size() < builder_->next_bytes()) continue;
      if (Result<void> done = Append(held_); !done) return done;
      held_.clear();
    }
    return {};
  }

 private:
  [[nodiscard]] Result<void> Append(Bytes piece) { return AppendLoaded(builder_, piece, must_); }

  StringBuilder* builder_;
  bool must_;
  std::vector<std::byte> held_;
};

void LogLoadFailure(ValkeyModuleIO* io, const std::string& why) {
  ValkeyModule_LogIOError(io, VALKEYMODULE_LOGLEVEL_WARNING, "%s", why.c_str());
}

void* LoadPieces(ValkeyModuleIO* io, uint64_t length) {
  StringBuilder builder(&server::TheStrings(), length);
  PieceCutter cutter(&builder);
  for (uint64_t left = length; left > 0;) {
    const LoadedBuffer piece(io);
    if (!piece.ok()) return nullptr;
    if (piece.bytes().empty() || piece.bytes().size() > left) {
      LogLoadFailure(io, "a flashstr1 value is damaged: its pieces do not fit its length");
      return nullptr;
    }
    left -= piece.bytes().size();
    if (Result<void> added = cutter.Add(piece.bytes()); !added) {
      return FailLoad(io, kTypeName, kNoRoomToLoad);
    }
  }
  return builder.Finish().pointer();
}

void* LoadOlder(ValkeyModuleIO* io) {
  const uint64_t version = ValkeyModule_LoadUnsigned(io);
  const uint64_t shape = ValkeyModule_LoadUnsigned(io);
  static_cast<void>(ValkeyModule_LoadSigned(io));  // A copy of the expiry, perhaps stale.
  if (ValkeyModule_IsIOError(io) != 0) return nullptr;
  if (version != 1 || shape != kOlderShapeString) {
    LogLoadFailure(io, "a flashstr1 value of encoding 1 is damaged: it is no string");
    return nullptr;
  }
  const LoadedBuffer value(io);
  if (!value.ok()) return nullptr;
  StringBuilder builder(&server::TheStrings(), value.bytes().size());
  PieceCutter cutter(&builder);
  if (Result<void> added = cutter.Add(value.bytes()); !added) {
    return FailLoad(io, kTypeName, kNoRoomToLoad);
  }
  return builder.Finish().pointer();
}

void* RdbLoad(ValkeyModuleIO* io, int encoding_version) noexcept {
  if (encoding_version == kOlderEncodingVersion) return LoadOlder(io);
  if (!Reads(encoding_version)) {
    LogLoadFailure(io, "flashstr1 values of encoding " + std::to_string(encoding_version) +
                           " come from a newer valkey-flash; this one reads up to " +
                           std::to_string(kEncodingVersion));
    return nullptr;
  }
  LoadHints hints(io);
  const uint64_t length = hints.number_behind();
  if (ValkeyModule_IsIOError(io) != 0) return nullptr;
  if (length == kUnreadableMark) {
    LogLoadFailure(io, "a flashstr1 value could not be read from flash when it was saved");
    return nullptr;
  }
  if (length == kInTableMark) return LoadReference(io, StringTypeHandle());
  if (length > values::kStringBytesMax) {
    LogLoadFailure(io, "a flashstr1 value is damaged: impossible length");
    return nullptr;
  }
  void* const value = LoadPieces(io, length);
  if (value != nullptr) hints.Count(value, AppendBlocks);
  return value;
}

/// The table of ours; or what the older module kept before and after the keys, which nobody needs.
int AuxLoad(ValkeyModuleIO* io, int encoding_version, int when) noexcept {
  if (encoding_version == kOlderEncodingVersion) {
    const LoadedBuffer ignored(io);
    return ignored.ok() ? VALKEYMODULE_OK : VALKEYMODULE_ERR;
  }
  if (!Reads(encoding_version) || when != VALKEYMODULE_AUX_BEFORE_RDB) {
    LogLoadFailure(io, "what was stored before or after the keys, of encoding " +
                           std::to_string(encoding_version) +
                           ", comes from a newer valkey-flash; this one reads up to " +
                           std::to_string(kEncodingVersion));
    return VALKEYMODULE_ERR;
  }
  return LoadValueTable(io) ? VALKEYMODULE_OK : VALKEYMODULE_ERR;
}

/// A string of the table.
void* Unpack(ValkeyModuleIO* io, Bytes packed) {
  StringBuilder builder(&server::TheStrings(), packed.size());
  const LoadingCold cold(true);  // The table holds what was cold.
  PieceCutter cutter(&builder);
  if (Result<void> added = cutter.Add(packed); !added) {
    return FailLoad(io, kTypeName, kNoRoomToLoad);
  }
  return builder.Finish().pointer();
}

// --- Saving
// -----------------------------------------------------------------------------------------

/// Calls `use` with the bytes of the value, block by block; what is always in RAM in one piece.
template <typename Use>
Result<void> ForEachPiece(const StringValue& value, Use use) {
  Strings& strings = server::TheStrings();
  if (strings.BlockCount(value) == 0) {
    use(strings.View(value, Strings::Use::kPeek));
    return {};
  }
  std::vector<BlockId> ids;
  strings.AppendBlocks(value, &ids);
  if (ids.size() == 1 && strings.pool().IsHot(ids[0])) {
    use(strings.pool().Read(ids[0]));
    return {};
  }
  uint64_t bytes = 0;
  Result<void> read = ForEachPieceForSave(ids, [&](Bytes piece) {
    bytes += piece.size();
    use(piece);
  });
  if (read && bytes != value.bytes()) return Code::kCorrupt;
  return read;
}

BlockId OnlyBlockOf(void* pointer) {
  const StringValue value = StringValue::FromPointer(pointer);
  return value.form() == StringValue::Form::kBlock ? server::TheStrings().BlockAt(value, 0)
                                                   : kNoBlock;
}

Residence ResidenceOf(void* pointer) {
  const StringValue value = StringValue::FromPointer(pointer);
  const values::Strings& strings = server::TheStrings();
  if (strings.BlockCount(value) == 0) return Residence::kNoBlocks;
  return strings.IsHot(value) ? Residence::kHot : Residence::kCold;
}

void Pack(Bytes block, std::vector<std::byte>* to) {
  to->insert(to->end(), block.begin(), block.end());
}

void AuxSave(ValkeyModuleIO* io, int when) noexcept {
  if (when == VALKEYMODULE_AUX_BEFORE_RDB) SaveValueTable(io);
}

void SaveBuffer(ValkeyModuleIO* io, Bytes bytes) {
  while (!bytes.empty()) {
    const Bytes part = bytes.first(std::min<size_t>(bytes.size(), kPieceBytesMax));
    bytes = bytes.subspan(part.size());
    ValkeyModule_SaveStringBuffer(io, base::AsText(part).data(), part.size());
  }
}

void RdbSave(ValkeyModuleIO* io, void* pointer) noexcept {
  const StringValue value = StringValue::FromPointer(pointer);
  const BlockId id = OnlyBlockOf(pointer);
  if (id != kNoBlock && SaveReference(io, id)) return;
  if (IsDump()) {
    std::vector<BlockId> ids;
    AppendBlocks(pointer, &ids);
    SaveHints(io, ids);
    DumpAhead::Prepare(id);
  }
  // The length goes out only when the first block is at hand, so that the mark can stand in its
  // place.
  bool started = false;
  const Result<void> saved = ForEachPiece(value, [&](Bytes piece) {
    if (!started) ValkeyModule_SaveUnsigned(io, value.bytes());
    started = true;
    SaveBuffer(io, piece);
  });
  if (saved) return;
  FailSave(saved.error());
  // After the length a second one cannot be taken for a piece: the value is refused either way.
  ValkeyModule_SaveUnsigned(io, kUnreadableMark);
}

void Rewrite(ValkeyModuleIO* io, ValkeyModuleString* key, void* pointer) {
  const StringValue value = StringValue::FromPointer(pointer);
  std::vector<std::byte> whole;
  whole.reserve(value.bytes());
  const Result<void> copied = ForEachPiece(
      value, [&whole](Bytes piece) { whole.insert(whole.end(), piece.begin(), piece.end()); });
  if (!copied) return FailSave(copied.error());
  ValkeyModule_EmitAOF(io, "FLASH.SET", "sb", key, base::AsText(whole).data(), whole.size());
}

void AofRewrite(ValkeyModuleIO* io, ValkeyModuleString* key, void* pointer) noexcept {
  if (!WrittenAhead(io, key, OnlyBlockOf(pointer))) Rewrite(io, key, pointer);
}

/// A hash of bytes that come in pieces of any length, the same for any cut.
class PieceHash {
 public:
  void Add(Bytes bytes) {
    while (!bytes.empty()) {
      const Bytes part = bytes.first(std::min(bytes.size(), kStepBytes - held_.size()));
      held_.insert(held_.end(), part.begin(), part.end());
      bytes = bytes.subspan(part.size());
      if (held_.size() == kStepBytes) Fold();
    }
  }
  [[nodiscard]] uint64_t Finish() {
    Fold();
    return sum_;
  }

 private:
  static constexpr size_t kStepBytes = 64 * kKiB;
  void Fold() {
    sum_ = base::Checksum(held_, sum_);
    held_.clear();
  }
  uint64_t sum_ = 0;
  std::vector<std::byte> held_;
};

void Digest(ValkeyModuleDigest* digest, void* pointer) noexcept {
  const StringValue value = StringValue::FromPointer(pointer);
  PieceHash hash;
  const Result<void> read = ForEachPiece(value, [&](Bytes piece) {
    if (value.bytes() <= kDigestWholeBytesMax) {
      ValkeyModule_DigestAddStringBuffer(digest, base::AsText(piece).data(), piece.size());
    }
    hash.Add(piece);
  });
  if (value.bytes() > kDigestWholeBytesMax) {
    ValkeyModule_DigestAddLongLong(digest, static_cast<long long>(value.bytes()));
    // An unreadable value must not look like a readable one, nor like another unreadable one.
    const uint64_t sum = read ? hash.Finish() : value.bits();
    ValkeyModule_DigestAddLongLong(digest, static_cast<long long>(sum));
  }
  ValkeyModule_DigestEndSequence(digest);
}

// --- Life
// -------------------------------------------------------------------------------------------

void FreeNow(void* pointer) { server::FreeString(StringValue::FromPointer(pointer)); }

void Free(void* pointer) noexcept {
  if (Limbo::Keep(pointer)) return;
  server::FreeOnAnyThread(FreeNow, pointer);
}

/// Always small: the main thread frees at once, so that eviction sees the memory come back.
size_t FreeEffort(ValkeyModuleKeyOptCtx* /*ctx*/, const void* /*pointer*/) noexcept { return 1; }

void* Copy(ValkeyModuleKeyOptCtx* ctx, const void* pointer) noexcept {
  NoteCopy(ctx);
  return server::TheStrings().Share(StringValue::FromPointer(pointer)).pointer();
}

size_t MemoryUsage(ValkeyModuleKeyOptCtx* /*ctx*/, const void* pointer,
                   size_t /*samples*/) noexcept {
  return server::TheStrings().RamBytes(StringValue::FromPointer(pointer));
}

void* Freeze(const void* pointer) {
  return server::TheStrings().Share(StringValue::FromPointer(pointer)).pointer();
}

/// What was shared is not overwritten in place.
bool IsSame(const void* frozen, const void* pointer) { return frozen == pointer; }

void AppendContent(const void* pointer, std::vector<BlockId>* ids) {
  server::TheStrings().AppendBlocks(StringValue::FromPointer(pointer), ids);
}

}  // namespace

Result<void*> BuildString(Bytes bytes, bool must) {
  StringBuilder builder(&server::TheStrings(), bytes.size());
  PieceCutter cutter(&builder, must);
  if (Result<void> added = cutter.Add(bytes); !added) return added.error();
  return builder.Finish().pointer();
}

Result<void> RegisterStringType(ValkeyModuleCtx* ctx) {
  ValkeyModuleTypeMethods methods{};
  methods.version = VALKEYMODULE_TYPE_METHOD_VERSION;
  methods.rdb_load = [](ValkeyModuleIO* io, int encoding) noexcept {
    return Limbo::Loaded(io, StringTypeHandle(), RdbLoad(io, encoding));
  };
  methods.rdb_save = RdbSave;
  methods.aof_rewrite = AofRewrite;
  methods.aux_load = AuxLoad;
  methods.aux_save2 = AuxSave;
  methods.aux_save_triggers = VALKEYMODULE_AUX_BEFORE_RDB;
  methods.digest = Digest;
  methods.free = Free;
  methods.free_effort2 = FreeEffort;
  methods.copy2 = Copy;
  methods.mem_usage2 = MemoryUsage;
  internal::string_type_handle =
      ValkeyModule_CreateDataType(ctx, kTypeName, kEncodingVersion, &methods);
  if (StringTypeHandle() == nullptr) {
    return Error{Code::kInvalid, "the server refused the data type flashstr1"};
  }
  TypeRegistry::Add({.name = kTypeName,
                     .encoding = kEncodingVersion,
                     .handle = StringTypeHandle(),
                     .append_blocks = AppendBlocks,
                     .residence = ResidenceOf,
                     .packed = values::PackedKind::kString,
                     .only_block = OnlyBlockOf,
                     .only_block_bytes = [](void* value) -> uint64_t {
                       return StringValue::FromPointer(value).bytes();
                     },
                     .pack = Pack,
                     .unpack = Unpack,
                     .free_now = FreeNow,
                     .rewrite = Rewrite,
                     .elements = [](const void*) { return uint64_t{1}; },
                     .freeze = Freeze,
                     .copy = Freeze,
                     .same = IsSame,
                     .append_content = AppendContent,
                     .native_command = "SET"});
  return {};
}

}  // namespace flash::types
