// adopt_scan.cc: see adopt_scan.h.
//
// Keys are changed from a timer's callback, which is a unit of execution. Thread: main.
#include "commands/adopt_scan.h"

#include <utility>

#include "commands/drain.h"
#include "dispatch/adopting.h"
#include "dispatch/errors.h"
#include "server/background.h"
#include "server/engine.h"
#include "types/native_value.h"
#include "vk/call_reply.h"
#include "vk/key.h"

namespace flash::commands {
namespace {

using server::Engine;
using types::NativeShape;

constexpr const char* kBecameReplica =
    "READONLY FLASH.ADOPT.SCAN ended: this server became a replica; call again with the same "
    "cursor";
constexpr const char* kDrains = "ERR FLASH.ADOPT.SCAN: a FLASH.DRAIN is in progress";

uint64_t MemoryUsage(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "MEMORY", "cs", "USAGE", name));
  return reply.type() == VALKEYMODULE_REPLY_INTEGER ? static_cast<uint64_t>(reply.integer()) : 0;
}

}  // namespace

AdoptScan::AdoptScan(const Options& options, ValkeyModuleCtx* ctx)
    : TimedJob(ctx), options_(options), caller_(ctx) {}

bool AdoptScan::Find(ValkeyModuleCtx* ctx, const std::vector<ValkeyModuleString*>& words) {
  auto** const args = const_cast<ValkeyModuleString**>(words.data());  // NOLINT
  const vk::CallReply reply(ValkeyModule_Call(ctx, "SCAN", "Ev", args, words.size()));
  if (reply.type() != VALKEYMODULE_REPLY_ARRAY) {
    if (reply.get() == nullptr ||
        ValkeyModule_ReplyWithCallReply(ctx, reply.get()) != VALKEYMODULE_OK) {
      ValkeyModule_ReplyWithError(ctx, "ERR the server refused SCAN");
    }
    return false;
  }
  size_t bytes = 0;
  const char* const cursor =
      ValkeyModule_CallReplyStringPtr(ValkeyModule_CallReplyArrayElement(reply.get(), 0), &bytes);
  cursor_.assign(cursor, bytes);
  ValkeyModuleCallReply* const keys = ValkeyModule_CallReplyArrayElement(reply.get(), 1);
  for (size_t i = 0; i < ValkeyModule_CallReplyLength(keys); ++i) {
    ValkeyModuleCallReply* const key = ValkeyModule_CallReplyArrayElement(keys, i);
    found_.push_back(vk::String::Adopt(ValkeyModule_CreateStringFromCallReply(key)));
  }
  return true;
}

bool AdoptScan::Qualifies(ValkeyModuleCtx* ctx, ValkeyModuleString* name) const {
  {
    const vk::Key key(ctx, name, vk::Key::kPeek);
    const NativeShape shape = types::ShapeOf(key);
    if (shape == NativeShape::kNone || shape == NativeShape::kOther) return false;
    const bool collection = shape != NativeShape::kString;
    // One such would hold up the others for long: FLASH.ADOPT takes it, by name.
    if (collection && types::ElementsOf(key, shape) > Engine::Get().settings().drain_max_elements) {
      return false;
    }
    mstime_t idle_ms = 0;
    if (options_.min_idle_s && (ValkeyModule_GetLRU(key.get(), &idle_ms) != VALKEYMODULE_OK ||
                                static_cast<uint64_t>(idle_ms) / 1000 < *options_.min_idle_s)) {
      return false;
    }
  }
  if (!caller_.MayRun("FLASH.ADOPT", name)) return false;
  return !options_.min_bytes || MemoryUsage(ctx, name) >= *options_.min_bytes;
}

bool AdoptScan::Step(ValkeyModuleCtx* ctx, uint64_t /*deadline_us*/) {
  if (slow_) {
    if (!*slow_->done) return false;
    Settle(ctx);
    return true;
  }
  if (found_.empty()) {
    End({});
    return true;
  }
  ValkeyModuleString* const name = found_.front().get();
  if (attempts_ == 0 && !Qualifies(ctx, name)) {
    found_.pop_front();
    return true;
  }
  if (waits_here() || attempts_ == kAttemptsMax || !types::Adoption::TakesLong(ctx, name)) {
    Settled(dispatch::AdoptKey(ctx, name));
    return true;
  }
  Begin(ctx);
  return false;
}

void AdoptScan::Begin(ValkeyModuleCtx* ctx) {
  ++attempts_;
  Slow slow;
  slow.work = std::make_shared<dispatch::AdoptWork>(ctx, found_.front().get());
  slow.done = std::make_shared<bool>(false);
  slow.job = std::make_shared<dispatch::LongJob>(slow.work, [done = slow.done] { *done = true; });
  server::Background::Add(slow.job);
  slow_ = std::move(slow);
}

void AdoptScan::Settle(ValkeyModuleCtx* ctx) {
  const Slow slow = *std::exchange(slow_, std::nullopt);
  if (const Result<void> outcome = slow.job->outcome(); !outcome) {
    Settled(outcome.error());
  } else if (!slow.work->HasChanged(ctx)) {  // Else: again.
    Settled(slow.work->Install(ctx));
  }
}

void AdoptScan::Settled(const Result<bool>& adopted) {
  vk::String name = std::move(found_.front());
  found_.pop_front();
  attempts_ = 0;
  if (adopted && *adopted) adopted_.push_back(std::move(name));
  // What has no FLASH form is left alone.
  if (adopted || adopted.code() == Code::kUnsupported) return;
  const std::string why = dispatch::AdoptErrorText(adopted.error());
  End(why.substr(0, why.find(' ')) + " FLASH.ADOPT.SCAN ended at a key that is as it was; " +
      std::to_string(adopted_.size()) + " keys were adopted: call again with the same cursor");
}

void AdoptScan::End(std::string error) {
  SetDone();
  error_ = std::move(error);
  if (slow_) slow_->job->Cancel();
  slow_.reset();
  found_.clear();
}

const char* AdoptScan::Hindrance() const { return Drain::Current() != nullptr ? kDrains : nullptr; }

const char* AdoptScan::ReplicaError() const { return kBecameReplica; }

int AdoptScan::Reply(ValkeyModuleCtx* ctx) const {
  if (!error_.empty()) return ValkeyModule_ReplyWithError(ctx, error_.c_str());
  ValkeyModule_ReplyWithArray(ctx, 2);
  ValkeyModule_ReplyWithStringBuffer(ctx, cursor_.data(), cursor_.size());
  ValkeyModule_ReplyWithArray(ctx, static_cast<long>(adopted_.size()));
  for (const vk::String& key : adopted_) ValkeyModule_ReplyWithString(ctx, key.get());
  return VALKEYMODULE_OK;
}

}  // namespace flash::commands
