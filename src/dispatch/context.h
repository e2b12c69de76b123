// context.h: what a handler sees: arguments, keys, gates, replies, and the one way to commit a
// change.
//
// A handler parses, opens, passes gates, and only then changes and replies; it may be run again
// from the top (docs/adr/0006). In plan mode nothing it does is visible and replies go nowhere.
// Knows no single command; how clients are parked is the dispatcher's. Thread: main.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/memory.h"
#include "dispatch/command_spec.h"
#include "dispatch/commit.h"
#include "dispatch/draft_work.h"
#include "dispatch/need.h"
#include "server/engine.h"
#include "server/pressure.h"
#include "server/value_env.h"
#include "values/env.h"
#include "values/string_value.h"
#include "vk/blocked_client.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::dispatch {

/// What a blocking command waits for, said before its first gate.
struct KeyWait {
  int first = 1;  // The keys are the arguments first to last.
  int last = 1;
  int64_t timeout_ms = 0;            // 0: no limit.
  ValkeyModuleType* type = nullptr;  // A key of this type may serve it.
};

class Context {
 public:
  enum class Mode : uint8_t {
    kRun,   ///< In its command.
    kPlan,  ///< From the event loop, to see what is still lacking.
    kLast,  ///< After it waited: in the reply callback, or waiting on this thread.
  };
  enum class Access : uint8_t { kRead, kWrite };

  Context(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int argc, const CommandSpec& spec,
          Mode mode, Prepared* prepared)
      : ctx_(ctx), argv_(argv), argc_(argc), mode_(mode), prepared_(prepared), spec_(spec) {
    ++running_;
    if (planning()) SetPoolQuiet(true);
  }
  ~Context() {
    --running_;
    if (planning()) SetPoolQuiet(false);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  /// A handler runs: what happens to keys now is its doing, and told by its Commit.
  [[nodiscard]] static bool InHandler() { return running_ != 0; }

  /// The scope of a command of the server's own that a handler runs: no Commit tells of it.
  class ServersOwn {
   public:
    ServersOwn() : running_before_(running_) { running_ = 0; }
    ~ServersOwn() { running_ = running_before_; }
    ServersOwn(const ServersOwn&) = delete;
    ServersOwn& operator=(const ServersOwn&) = delete;

   private:
    uint32_t running_before_;
  };

  // --- Arguments
  // ----------------------------------------------------------------------------------

  [[nodiscard]] int argc() const { return argc_; }
  [[nodiscard]] ValkeyModuleString* Argument(int index) const { return argv_[index]; }
  [[nodiscard]] ValkeyModuleString** arguments() const { return argv_; }
  [[nodiscard]] std::string_view Text(int index) const { return vk::TextOf(argv_[index]); }
  [[nodiscard]] const CommandSpec& spec() const { return spec_; }
  [[nodiscard]] ValkeyModuleCtx* raw() const { return ctx_; }
  [[nodiscard]] bool planning() const { return mode_ == Mode::kPlan; }

  // --- Keys
  // ---------------------------------------------------------------------------------------

  /// How a key is opened: who looks again after a wait is not noticed twice.
  [[nodiscard]] int OpenMode(Access access) const {
    if (planning()) [[unlikely]]
      return vk::Key::kPeek;
    const int again = mode_ == Mode::kLast ? vk::Key::kAgain : 0;
    return again |
           (access == Access::kWrite ? VALKEYMODULE_READ | VALKEYMODULE_WRITE : VALKEYMODULE_READ);
  }

  // --- Gates: an Outcome must be returned at once
  // ---------------------------------------------------

  /// The whole of these values can be read afterwards.
  [[nodiscard]] std::optional<Outcome> GateRead(const values::StringValue& value) {
    if (mode_ == Mode::kRun && values::Strings::IsContiguous(value) &&
        server::TheStrings().IsHot(value)) [[likely]] {
      return std::nullopt;
    }
    return GateReadAll({&value, 1});
  }
  [[nodiscard]] std::optional<Outcome> GateReadAll(std::span<const values::StringValue> wanted);

  /// A reply of at least so many bytes is allowed, see flash.max-reply-bytes. Before the gate of
  /// the reads for it.
  [[nodiscard]] std::optional<Outcome> GateReply(uint64_t bytes) {
    if (bytes <= server::kReplyBytesFloor) [[likely]]
      return std::nullopt;
    return GateLargeReply(bytes);
  }

  /// All blocks that `missing` names are hot. It is what plans of collections were given.
  [[nodiscard]] std::optional<Outcome> Gate(values::Missing& missing) {
    if (missing.empty()) [[likely]]
      return std::nullopt;
    return GateMissing(missing);
  }

  /// Is there room for so many bytes of hot data? Where not, GateRoom says what follows.
  [[nodiscard]] bool HasRoom(uint64_t bytes) const {
    return server::Engine::Get().pool().HasRoom(bytes) || HasRoomBesideOthers(bytes);
  }
  /// So many bytes of hot data can be added.
  [[nodiscard]] std::optional<Outcome> GateRoom(uint64_t bytes) {
    if (server::Engine::Get().pool().HasRoom(bytes)) [[likely]]
      return std::nullopt;
    return GateRoomBesideOthers(bytes);
  }

  /// All of this value's blocks are held in memory, past the cache: PreparedContents.
  [[nodiscard]] std::optional<Outcome> GateContents(const types::FlashType& type,
                                                    const void* value);

  /// Values can be made of these arguments afterwards, by Make.
  [[nodiscard]] std::optional<Outcome> GateMake(std::span<const int> arguments);

  /// A value can be made of this argument in the place of `replaced` (null: of none), which needs
  /// no room where it has the same length and can be written over.
  [[nodiscard]] std::optional<Outcome> GateMakeOver(int argument,
                                                    const values::StringValue* replaced);

  /// The end of `work`, which is then the context's: at once if that takes little.
  [[nodiscard]] std::optional<Outcome> GateWork(std::shared_ptr<LongWork> work);
  /// A collection, which may be empty, can be replaced by the draft that `*work` made of it: by
  /// what the steps do to it.
  using MakeSteps = std::function<std::unique_ptr<WriteSteps>()>;
  [[nodiscard]] std::optional<Outcome> GateDraft(const values::Collection& value,
                                                 const MakeSteps& make_steps, DraftWork** work);
  /// What GateWork brought to its end for this run, or the one before it; null: nothing. A command
  /// has works of one class only.
  template <typename Work>
  [[nodiscard]] Work* DoneWork() {
    if (aside_ && aside_->work != nullptr) return static_cast<Work*>(aside_->work.get());
    if (prepared_ == nullptr || prepared_->work == nullptr) return nullptr;
    return static_cast<Work*>(&prepared_->work->work());
  }

  /// The last gate of every handler that changes something; a plan never passes it.
  [[nodiscard]] std::optional<Outcome> GateApply() const {
    if (planning()) return Outcome::kPark;
    return std::nullopt;
  }

  /// What the AOF or the primary brings was acknowledged once: refused for want of room it would be
  /// lost without a word, so it goes above the bound instead.
  [[nodiscard]] bool MustApply() const;

  // --- Waiting for keys (docs/adr/0009)
  // ---------------------------------------------------------------

  /// Of a blocking command, before its first gate: what it would wait for.
  void SetKeyWait(const KeyWait& wait) { key_wait_ = wait; }
  /// There is no key to serve the command, which waits for one. Not where clients cannot be blocked
  /// (MayWait): the handler replies there as if the time were over.
  [[nodiscard]] bool MayWait() const;
  Outcome WaitForKeys() const { return Outcome::kWait; }

  // --- Behind the gates
  // -----------------------------------------------------------------------------

  /// The bytes of a value that passed GateRead. Of an inline value they lie in `value` itself; of a
  /// rope in memory of the context. Valid until the next gate, change or Read of another rope.
  [[nodiscard]] Bytes Read(const values::StringValue& value);
  /// What passed GateContents.
  [[nodiscard]] types::Contents& PreparedContents() { return *prepared_->contents; }
  /// Compares without a copy.
  [[nodiscard]] bool Equals(const values::StringValue& value, Bytes bytes);
  /// A value made of an argument that passed GateMake; the caller owns it.
  [[nodiscard]] values::StringValue Make(int argument);

  /// After a change was made: see commit.h.
  void Commit(const Effect& effect, std::span<const KeyChange> changes) {
    FLASH_CHECK(!planning());
    const std::span<ValkeyModuleString* const> args(argv_ + 1, static_cast<size_t>(argc_ - 1));
    dispatch::Commit(ctx_, effect, {spec_.name, args}, changes);
  }

  // --- Replies: Outcome::kDone
  // ----------------------------------------------------------------------

  Outcome ReplyOk();
  Outcome ReplyNull();
  Outcome ReplyInteger(long long number) {
    if (!planning()) ValkeyModule_ReplyWithLongLong(ctx_, number);
    return Outcome::kDone;
  }
  Outcome ReplyBulk(Bytes bytes) {
    if (!planning()) {
      ValkeyModule_ReplyWithStringBuffer(ctx_, reinterpret_cast<const char*>(bytes.data()),
                                         bytes.size());
    }
    return Outcome::kDone;
  }
  void ReplyArray(long count);
  /// A RESP3 map of `pairs` pairs; in RESP2 an array of twice as many.
  void ReplyMap(long pairs);
  Outcome ReplyNullArray();
  Outcome ReplyDouble(double number);
  [[nodiscard]] bool resp3() const {
    return (vk::ContextFlags(ctx_) & VALKEYMODULE_CTX_FLAGS_RESP3) != 0;
  }
  Outcome ReplyError(const char* text);
  /// How often that has come about in this process.
  [[nodiscard]] static uint64_t errors_replied() { return errors_replied_; }
  /// Of a parser: the message is the whole reply.
  Outcome ReplyError(const Error& error) { return ReplyError(error.message.c_str()); }
  Outcome ReplyWrongArity();
  /// What could not be read from flash, or found no room there: nothing was changed.
  Outcome ReplyReadFailure(Code code);
  Outcome ReplyFull();
  /// The reply would take `bytes` or more, and only `allowed_bytes` are allowed now.
  Outcome ReplyTooLarge(uint64_t bytes, uint64_t allowed_bytes);
  /// `ERR invalid expire time in '<command>' command`.
  Outcome ReplyInvalidExpire();

  // --- For the dispatcher
  // ---------------------------------------------------------------------------

  [[nodiscard]] Need& need() { return aside().need; }
  [[nodiscard]] const std::optional<KeyWait>& key_wait() const { return key_wait_; }

 private:
  /// What a command that finds everything it needs has no use for: made when first asked for.
  struct Aside {
    Need need;
    std::vector<std::byte, base::CountedAllocator<std::byte>> scratch;
    std::shared_ptr<LongWork> work;  // Done at once.
  };
  [[nodiscard]] Aside& aside() { return aside_ ? *aside_ : aside_.emplace(); }

  [[nodiscard]] std::optional<Outcome> GateLargeReply(uint64_t bytes);
  [[nodiscard]] std::optional<Outcome> GateMissing(values::Missing& missing);
  [[nodiscard]] bool HasRoomBesideOthers(uint64_t bytes) const;
  [[nodiscard]] std::optional<Outcome> GateRoomBesideOthers(uint64_t bytes);
  [[nodiscard]] values::Strings::Use use() const {
    return planning() ? values::Strings::Use::kPeek : values::Strings::Use::kTouch;
  }
  /// A plan uses no block: it counts no hit, and takes no miss from the run that follows it.
  static void SetPoolQuiet(bool quiet);
  Outcome Close(Need::Kind kind);
  [[nodiscard]] bool CanReadAll(std::span<const values::StringValue> wanted) const;

  static constinit inline uint32_t running_ = 0;  // Contexts that exist.
  static constinit inline uint64_t errors_replied_ = 0;

  ValkeyModuleCtx* ctx_;
  ValkeyModuleString** argv_;
  int argc_;
  Mode mode_;
  Prepared* prepared_;  // Null in the first run.
  const CommandSpec& spec_;
  std::optional<Aside> aside_;
  std::optional<KeyWait> key_wait_;
};

}  // namespace flash::dispatch
