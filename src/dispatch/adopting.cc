// adopting.cc: see adopting.h.
//
// Thread: main.
#include "dispatch/adopting.h"

#include <utility>

#include "dispatch/bringer.h"
#include "dispatch/errors.h"
#include "server/engine.h"
#include "server/events.h"
#include "vk/key.h"

namespace flash::dispatch {

using server::Engine;

namespace {

/// Entries put in order between two looks at the clock.
constexpr uint64_t kEntriesTogether = 512;

void TellOfAdoption(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  ++Engine::Get().counters().adopted;
  ValkeyModule_SignalModifiedKey(ctx, key);
  ValkeyModule_Replicate(ctx, "FLASH.ADOPT", "s", key);
  ValkeyModule_NotifyKeyspaceEvent(ctx, VALKEYMODULE_NOTIFY_GENERIC, "flash.adopt", key);
}

}  // namespace

Result<bool> AdoptKey(ValkeyModuleCtx* ctx, ValkeyModuleString* key) {
  {  // Ends the key if its time is over; else nothing touches it.
    const vk::Key found(ctx, key, VALKEYMODULE_READ | VALKEYMODULE_WRITE | vk::Key::kAgain);
    if (!found.exists()) return false;
  }
  constexpr uint32_t kAcknowledged =
      VALKEYMODULE_CTX_FLAGS_LOADING | VALKEYMODULE_CTX_FLAGS_REPLICATED;
  const bool must = (vk::ContextFlags(ctx) & kAcknowledged) != 0;
  Result<bool> adopted = types::Adopt(ctx, key, must);
  if (adopted && *adopted) TellOfAdoption(ctx, key);
  return adopted;
}

// --- AdoptWork
// ------------------------------------------------------------------------------------------

AdoptWork::AdoptWork(ValkeyModuleCtx* ctx, ValkeyModuleString* key)
    : key_(vk::String::Copy(vk::TextOf(key))), db_(ValkeyModule_GetSelectedDb(ctx)) {}

LongWork::Progress AdoptWork::Step(uint64_t deadline_us, values::Missing* missing) {
  if (!std::exchange(read_, true)) {
    ValkeyModuleCtx* const ctx = server::DetachedContext();
    InDatabase(ctx, db_, [&] { outcome_ = adoption_.Read(ctx, key_.get()); });
    if (!*outcome_ || !**outcome_) return Progress::kDone;
  }
  const base::Clock& clock = Engine::Get().clock();
  for (;;) {
    const Result<bool> ended = adoption_.FinishSome(kEntriesTogether, missing);
    if (!ended) outcome_ = ended.error();
    if (!ended || *ended) return Progress::kDone;
    if (!missing->empty()) return Progress::kMissing;
    if (clock.NowUs() >= deadline_us) return Progress::kMore;
  }
}

std::optional<Code> AdoptWork::failure() const {
  // What has no FLASH form by now is found, and told, by whoever looks again.
  if (*outcome_ || outcome_->code() == Code::kUnsupported) return std::nullopt;
  return outcome_->code();
}

bool AdoptWork::HasChanged(ValkeyModuleCtx* ctx) const {
  return *outcome_ && **outcome_ && !adoption_.IsStill(ctx, key_.get());
}

Result<bool> AdoptWork::Install(ValkeyModuleCtx* ctx) {
  if (!*outcome_ || !**outcome_) return *outcome_;
  if (const Result<void> finished = adoption_.Finish(); !finished) return finished.error();
  const bool adopted = adoption_.Install(ctx, key_.get());
  if (adopted) TellOfAdoption(ctx, key_.get());
  return adopted;
}

std::string AdoptErrorText(const Error& error) {
  server::ServerCounters& counters = Engine::Get().counters();
  switch (error.code) {
    case Code::kUnsupported:
      return error.message;
    case Code::kNoSpace:
    case Code::kBusy:
      ++counters.flashfull_errors;
      return errors::kFull;
    case Code::kCorrupt:
      ++counters.flashio_errors;
      return errors::kCorrupt;
    case Code::kTimeout:
      ++counters.flashio_errors;
      return errors::kTimeout;
    default:
      ++counters.flashio_errors;
      return errors::kIo;
  }
}

}  // namespace flash::dispatch
