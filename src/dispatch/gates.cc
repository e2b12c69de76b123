// gates.cc: the gates of the context (context.h): does a command lack anything, and what?
//
// A closed gate has filled the context's Need, or replied the error that what was brought already
// amounts to. Thread: main.
#include <algorithm>

#include "dispatch/context.h"
#include "dispatch/errors.h"
#include "server/engine.h"
#include "server/events.h"
#include "vk/log.h"

namespace flash::dispatch {

using values::StringValue;

Outcome Context::Close(Need::Kind kind) {
  need().kind = kind;
  return Outcome::kPark;
}

namespace {

/// Long work gets so much of a command before it goes on elsewhere.
constexpr uint64_t kWorkAtOnceUs = 200;

/// Does nothing else run meanwhile, so that the pins may be left out?
bool DoneAtOnce(LongWork* work) {
  const server::Engine& engine = server::Engine::Get();
  if (const uint64_t room = work->room_bytes(); room != 0) {
    if (!server::Engine::Get().pool().Admit(room)) return false;
  }
  values::Missing missing;
  const uint64_t deadline_us = engine.clock().NowUs() + kWorkAtOnceUs;
  return work->Step(deadline_us, &missing) == LongWork::Progress::kDone;
}

/// Such a value is read where it lies, or put together within a command.
bool IsReadDirectly(const StringValue& value) {
  return values::Strings::IsContiguous(value) || value.bytes() <= server::DirectBytesMax();
}

}  // namespace

bool Context::CanReadAll(std::span<const StringValue> wanted) const {
  const values::Strings& strings = server::TheStrings();
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
  const values::Strings& strings = server::TheStrings();
  uint64_t total_bytes = 0;
  for (const StringValue value : wanted) {
    if (strings.BlockCount(value) > 0) total_bytes += value.bytes();
  }
  const uint64_t worth_caching = server::Engine::Get().settings().cache_size_bytes / 8;
  if (total_bytes <= std::max(worth_caching, server::DirectBytesMax())) {
    for (const StringValue value : wanted) strings.AppendMissing(value, &need().blocks);
    if (!need().blocks.empty()) {
      // All of them, so that those in RAM are there still when the others have come.
      need().blocks.clear();
      for (const StringValue value : wanted) strings.AppendBlocks(value, &need().blocks);
      // What is put together in slices is planned once more when its blocks have come.
      need().all_for_reading =
          !spec_.writes() && std::all_of(wanted.begin(), wanted.end(), IsReadDirectly);
      return Close(Need::Kind::kBlocks);
    }
  }
  need().values.assign(wanted.begin(), wanted.end());
  return Close(Need::Kind::kGather);
}

std::optional<Outcome> Context::GateLargeReply(uint64_t bytes) {
  // What was put together already was allowed, and is part of what is used now.
  if (prepared_ != nullptr && prepared_->gathered != nullptr) return std::nullopt;
  const uint64_t allowed_bytes = server::ReplyBytesMax(0);
  if (bytes <= allowed_bytes) return std::nullopt;
  return ReplyTooLarge(bytes, allowed_bytes);
}

std::optional<Outcome> Context::GateMissing(values::Missing& missing) {
  if (prepared_ != nullptr && prepared_->read_failure) {
    return ReplyReadFailure(*prepared_->read_failure);
  }
  need().blocks = missing.ids();
  return Close(Need::Kind::kBlocks);
}

std::optional<Outcome> Context::GateWork(std::shared_ptr<LongWork> work) {
  if (prepared_ != nullptr && prepared_->read_failure) {
    return ReplyReadFailure(*prepared_->read_failure);
  }
  if (prepared_ != nullptr && prepared_->full) return ReplyFull();
  if (mode_ == Mode::kRun && DoneAtOnce(work.get())) {
    if (const std::optional<Code> failure = work->failure()) {
      return *failure == Code::kNoSpace ? ReplyFull() : ReplyReadFailure(*failure);
    }
    aside().work = std::move(work);
    return std::nullopt;
  }
  need().work = std::move(work);
  return Close(Need::Kind::kWork);
}

bool Context::MayWait() const {
  return planning() || (vk::ContextFlags(ctx_) & vk::kNoBlockingFlags) == 0;
}

bool Context::MustApply() const {
  constexpr uint32_t kAcknowledged =
      VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
  const uint32_t flags = vk::ContextFlags(ctx_);
  // What a slot on its way brings is still with its source, which keeps it upon an error.
  if ((flags & VALKEYMODULE_CTX_FLAGS_SLOT_IMPORT_CLIENT) != 0) return false;
  return server::Engine::Get().replaying() || (flags & kAcknowledged) != 0;
}

namespace {

void NoteAboveTheBound() {
  static constinit vk::SeldomLog log;
  log.Warning(
      "the flash tier is full: what the primary, the AOF or the log brings stays in RAM, beyond "
      "flash.cache-size-bytes");
}

}  // namespace

std::optional<Outcome> Context::GateMake(std::span<const int> arguments) {
  if (prepared_ != nullptr && prepared_->built != nullptr) {
    // Of what could not be built past the cache, Make makes a hot value.
    if (prepared_->built->outcome()) return std::nullopt;
    if (!MustApply()) return ReplyFull();
    NoteAboveTheBound();
    return std::nullopt;
  }
  uint64_t hot_bytes = 0;
  for (const int index : arguments) hot_bytes += values::Strings::HotBytesOf(Text(index).size());
  if (hot_bytes == 0) return std::nullopt;
  if (hot_bytes <= server::DirectBytesMax()) return GateRoom(hot_bytes);
  for (const int index : arguments) {
    need().sources.push_back({index, argv_[index]});
  }
  return Close(Need::Kind::kBuild);
}

std::optional<Outcome> Context::GateContents(const types::FlashType& type, const void* value) {
  if (prepared_ != nullptr && prepared_->read_failure) {
    return ReplyReadFailure(*prepared_->read_failure);
  }
  if (prepared_ != nullptr && prepared_->contents != nullptr &&
      prepared_->contents->Holds(type, value)) {
    return std::nullopt;
  }
  need().type = &type;
  need().value = value;
  return Close(Need::Kind::kContents);
}

std::optional<Outcome> Context::GateMakeOver(int argument, const StringValue* replaced) {
  const uint64_t bytes = Text(argument).size();
  const bool at_once = bytes <= server::DirectBytesMax();
  // Whether it can be written over is asked only where that makes a difference: it takes a look at
  // the block's entry, which is still on its way from memory.
  if (at_once && HasRoom(values::Strings::HotBytesOf(bytes))) return std::nullopt;
  if (replaced != nullptr && server::TheStrings().CanOverwrite(*replaced, bytes)) {
    return std::nullopt;
  }
  return GateMake({&argument, 1});
}

std::optional<Outcome> Context::GateDraft(const values::Collection& value,
                                          const MakeSteps& make_steps, DraftWork** work) {
  *work = DoneWork<DraftWork>();
  if (*work != nullptr && (*work)->IsOf(value)) return std::nullopt;
  auto fresh = std::make_shared<DraftWork>(value, make_steps());
  if (auto closed = GateWork(std::move(fresh))) return closed;
  *work = DoneWork<DraftWork>();
  return std::nullopt;
}

bool Context::HasRoomBesideOthers(uint64_t bytes) const {
  if (prepared_ != nullptr && prepared_->room.bytes() >= bytes) return true;
  return server::Engine::Get().pool().Admit(bytes).ok();
}

std::optional<Outcome> Context::GateRoomBesideOthers(uint64_t bytes) {
  if (prepared_ != nullptr && prepared_->room.bytes() >= bytes) return std::nullopt;
  const Result<void> admitted = server::Engine::Get().pool().Admit(bytes);
  if (admitted) return std::nullopt;
  const bool waited_in_vain = prepared_ != nullptr && prepared_->full;
  if (admitted.code() != Code::kBusy || waited_in_vain) {
    if (!MustApply()) return ReplyFull();
    NoteAboveTheBound();
    return std::nullopt;
  }
  need().room_bytes = bytes;
  return Close(Need::Kind::kRoom);
}

}  // namespace flash::dispatch
