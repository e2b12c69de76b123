// context.cc: see context.h.
//
// Thread: main.
#include "server/context.h"

#include <algorithm>
#include <string>

#include "server/engine.h"
#include "server/errors.h"
#include "server/string_type.h"
#include "server/type_registry.h"
#include "vk/blocked_client.h"

namespace flash::server {

using values::StringValue;

// --- StringKey
// --------------------------------------------------------------------------------------

void StringKey::Set(Context& ctx, int argument, mstime_t expire_at_ms) {
  ValkeyModuleKey* const key = key_.get();
  if (exists()) TheStrings().Prefetch(value_);
  const mstime_t expiry_now_ms = exists() ? key_.expire_at_ms() : VALKEYMODULE_NO_EXPIRE;
  if (!exists()) {
    value_ = ctx.Make(argument);
    FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key, StringTypeHandle(), value_.pointer()) ==
                VALKEYMODULE_OK);
  } else if (!TheStrings().TryOverwrite(value_, vk::BytesOf(ctx.Argument(argument)))) {
    value_ = ctx.Make(argument);
    // Unlike SetValue this keeps the expiry, the access time, and fires no event of a deletion.
    void* old = nullptr;
    FLASH_CHECK(ValkeyModule_ModuleTypeReplaceValue(key, StringTypeHandle(), value_.pointer(),
                                                    &old) == VALKEYMODULE_OK);
    FreeString(StringValue::FromPointer(old));
  }
  if (expire_at_ms != expiry_now_ms) {
    FLASH_CHECK(ValkeyModule_SetAbsExpire(key, expire_at_ms) == VALKEYMODULE_OK);
  }
}

void StringKey::Delete() {
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  value_ = StringValue();
}

void AnyKey::Delete() {
  FLASH_CHECK(ValkeyModule_DeleteKey(key_.get()) == VALKEYMODULE_OK);
  exists_ = false;
}

// --- Keys
// -------------------------------------------------------------------------------------------

int Context::OpenMode(Access access) const {
  if (planning()) return vk::Key::kPeek;
  const int again = mode_ == Mode::kLast ? vk::Key::kAgain : 0;
  return again |
         (access == Access::kWrite ? VALKEYMODULE_READ | VALKEYMODULE_WRITE : VALKEYMODULE_READ);
}

AnyKey Context::OpenAny(int index, Access access) {
  AnyKey key;
  key.key_ = vk::Key(ctx_, argv_[index], OpenMode(access));
  key.exists_ = key.key_.exists();
  key.wrong_type_ = key.exists_ && TypeRegistry::Find(key.key_.module_type()) == nullptr;
  return key;
}

StringKey Context::OpenString(int index, Access access) {
  StringKey key;
  key.key_ = vk::Key(ctx_, argv_[index], OpenMode(access));
  if (key.key_.module_type() == StringTypeHandle()) {
    key.value_ = StringValue::FromPointer(key.key_.module_value());
    TheStrings().PrefetchEntry(key.value_);
  } else {
    key.wrong_type_ = key.key_.exists();
  }
  return key;
}

void Context::SetPoolQuiet(bool quiet) { Engine::Get().pool().SetQuiet(quiet); }

// --- Gates
// ------------------------------------------------------------------------------------------

Outcome Context::Close(Need::Kind kind) {
  need_.kind = kind;
  return Outcome::kPark;
}

namespace {

/// Such a value is read where it lies, or put together within a command.
bool IsReadDirectly(const StringValue& value) {
  return values::Strings::IsContiguous(value) || value.bytes() <= DirectBytesMax();
}

}  // namespace

bool Context::CanReadAll(std::span<const StringValue> wanted) const {
  const values::Strings& strings = TheStrings();
  return std::all_of(wanted.begin(), wanted.end(), [&](StringValue value) {
    if (strings.BlockCount(value) == 0) return true;
    if (prepared_ != nullptr && prepared_->gathered != nullptr &&
        prepared_->gathered->Find(value).data() != nullptr) {
      return true;
    }
    return IsReadDirectly(value) && strings.IsHot(value);
  });
}

std::optional<Outcome> Context::GateReadAll(std::span<const StringValue> wanted) {
  if (CanReadAll(wanted)) return std::nullopt;
  if (prepared_ != nullptr && prepared_->read_failure) {
    return ReplyReadFailure(*prepared_->read_failure);
  }
  const values::Strings& strings = TheStrings();
  uint64_t total_bytes = 0;
  for (const StringValue value : wanted) {
    if (strings.BlockCount(value) > 0) total_bytes += value.bytes();
  }
  const uint64_t worth_caching = Engine::Get().settings().cache_size_bytes / 8;
  if (total_bytes <= std::max(worth_caching, DirectBytesMax())) {
    for (const StringValue value : wanted) strings.AppendMissing(value, &need_.blocks);
    if (!need_.blocks.empty()) {
      // All of them, so that those in RAM are there still when the others have come.
      need_.blocks.clear();
      for (const StringValue value : wanted) strings.AppendBlocks(value, &need_.blocks);
      // What is put together in slices is planned once more when its blocks have come.
      need_.all_for_reading =
          !spec_.write && std::all_of(wanted.begin(), wanted.end(), IsReadDirectly);
      return Close(Need::Kind::kBlocks);
    }
  }
  need_.values.assign(wanted.begin(), wanted.end());
  return Close(Need::Kind::kGather);
}

std::optional<Outcome> Context::GateMissing(values::Missing& missing) {
  if (prepared_ != nullptr && prepared_->read_failure) {
    return ReplyReadFailure(*prepared_->read_failure);
  }
  need_.blocks = missing.ids();
  return Close(Need::Kind::kBlocks);
}

bool Context::MayWait() const {
  return planning() || (vk::ContextFlags(ctx_) & vk::kNoBlockingFlags) == 0;
}

bool Context::MustApply() const {
  constexpr uint32_t kAcknowledged =
      VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
  return (vk::ContextFlags(ctx_) & kAcknowledged) != 0;
}

std::optional<Outcome> Context::GateMake(std::span<const int> arguments) {
  if (prepared_ != nullptr && prepared_->built != nullptr) {
    // Of what could not be built past the cache, Make makes a hot value.
    if (!prepared_->built->outcome() && !MustApply()) return ReplyFull();
    return std::nullopt;
  }
  uint64_t hot_bytes = 0;
  for (const int index : arguments) hot_bytes += values::Strings::HotBytesOf(Text(index).size());
  if (hot_bytes == 0) return std::nullopt;
  if (hot_bytes <= DirectBytesMax()) return GateRoom(hot_bytes);
  for (const int index : arguments) {
    need_.sources.push_back({index, argv_[index]});
  }
  return Close(Need::Kind::kBuild);
}

std::optional<Outcome> Context::GateRoom(uint64_t bytes) {
  if (prepared_ != nullptr && prepared_->room.bytes() >= bytes) return std::nullopt;
  const Result<void> admitted = Engine::Get().pool().Admit(bytes);
  if (admitted) return std::nullopt;
  const bool waited_in_vain = prepared_ != nullptr && prepared_->full;
  if (admitted.code() != Code::kBusy || waited_in_vain) {
    if (MustApply()) return std::nullopt;
    return ReplyFull();
  }
  need_.room_bytes = bytes;
  return Close(Need::Kind::kRoom);
}

// --- Behind the gates
// -------------------------------------------------------------------------------

Bytes Context::Read(const StringValue& value) {
  if (prepared_ != nullptr && prepared_->gathered != nullptr) {
    if (const Bytes bytes = prepared_->gathered->Find(value); bytes.data() != nullptr) return bytes;
  }
  if (values::Strings::IsContiguous(value)) return TheStrings().View(value, use());
  scratch_.resize(value.bytes());
  TheStrings().CopyTo(value, scratch_, use());
  return scratch_;
}

bool Context::Equals(const StringValue& value, Bytes bytes) {
  if (value.bytes() != bytes.size()) return false;
  const Bytes own = Read(value);
  return std::equal(own.begin(), own.end(), bytes.begin());
}

StringValue Context::Make(int argument) {
  FLASH_CHECK(!planning());
  if (prepared_ != nullptr && prepared_->built != nullptr) {
    const StringValue built = prepared_->built->Take(argument);
    if (!built.empty_handle()) return built;
  }
  return TheStrings().Create(vk::BytesOf(argv_[argument]));
}

void Context::Commit(const Effect& effect, std::span<const KeyChange> changes) {
  FLASH_CHECK(!planning());
  for (const KeyChange& change : changes) ValkeyModule_SignalModifiedKey(ctx_, change.key);
  if (effect.command == nullptr) {
    ValkeyModule_ReplicateVerbatim(ctx_);
  } else {
    ValkeyModule_Replicate(ctx_, effect.command, "v",
                           const_cast<ValkeyModuleString**>(effect.args.data()),  // NOLINT
                           effect.args.size());
  }
  for (const KeyChange& change : changes) {
    ValkeyModule_NotifyKeyspaceEvent(ctx_, change.event_class, change.event, change.key);
  }
}

// --- Replies
// ----------------------------------------------------------------------------------------

Outcome Context::ReplyOk() {
  if (!planning()) ValkeyModule_ReplyWithSimpleString(ctx_, "OK");
  return Outcome::kDone;
}

Outcome Context::ReplyNull() {
  if (!planning()) ValkeyModule_ReplyWithNull(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyInteger(long long number) {
  if (!planning()) ValkeyModule_ReplyWithLongLong(ctx_, number);
  return Outcome::kDone;
}

void Context::ReplyArray(long count) {
  if (!planning()) ValkeyModule_ReplyWithArray(ctx_, count);
}

void Context::ReplyMap(long pairs) {
  if (!planning()) ValkeyModule_ReplyWithMap(ctx_, pairs);
}

Outcome Context::ReplyNullArray() {
  if (!planning()) ValkeyModule_ReplyWithNullArray(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyDouble(double number) {
  if (!planning()) ValkeyModule_ReplyWithDouble(ctx_, number);
  return Outcome::kDone;
}

Outcome Context::ReplyError(const char* text) {
  if (!planning()) ValkeyModule_ReplyWithError(ctx_, text);
  return Outcome::kDone;
}

Outcome Context::ReplyWrongArity() {
  if (!planning()) ValkeyModule_WrongArity(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyInvalidExpire() {
  const std::string text = std::string("ERR invalid expire time in '") + spec_.name + "' command";
  return ReplyError(text.c_str());
}

Outcome Context::ReplyReadFailure(Code code) {
  if (!planning()) ++Engine::Get().counters().flashio_errors;
  switch (code) {
    case Code::kCorrupt:
      return ReplyError(errors::kCorrupt);
    case Code::kTimeout:
      return ReplyError(errors::kTimeout);
    default:
      return ReplyError(errors::kIo);
  }
}

Outcome Context::ReplyFull() {
  if (!planning()) ++Engine::Get().counters().flashfull_errors;
  return ReplyError(errors::kFull);
}

}  // namespace flash::server
