// context.h: what a handler sees: arguments, keys, gates, replies, and the one way to commit a
// change.
//
// A handler parses, opens, passes gates, and only then changes and replies; it may be run again
// from the top (docs/adr/0006). In plan mode nothing it does is visible and replies go nowhere.
// Knows no single command; how clients are parked is the dispatcher's. Thread: main.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/memory.h"
#include "blocks/block_pool.h"
#include "server/command_spec.h"
#include "server/string_jobs.h"
#include "values/env.h"
#include "values/string_value.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::server {

/// What a command lacks; filled by a closed gate.
struct Need {
  enum class Kind : uint8_t { kNothing, kBlocks, kGather, kBuild, kRoom };
  Kind kind = Kind::kNothing;
  std::vector<BlockId> blocks;
  std::vector<values::StringValue> values;
  std::vector<BuildJob::Source> sources;
  uint64_t room_bytes = 0;
  /// Of blocks: with them in RAM the command lacks nothing, as its keys are now.
  bool all_for_reading = false;
};

/// What was brought for a command meanwhile; used up by its last run.
struct Prepared {
  blocks::Fetch pins;  // One set at a time: who waits for another must not hold a first.
  std::shared_ptr<GatherJob> gathered;
  std::shared_ptr<BuildJob> built;
  blocks::RoomGrant room;            // Likewise.
  std::optional<Code> read_failure;  // A block could not be read.
  bool full = false;                 // Room was waited for in vain.
};

/// What a blocking command waits for, said before its first gate.
struct KeyWait {
  int first = 1;  // The keys are the arguments first to last.
  int last = 1;
  int64_t timeout_ms = 0;            // 0: no limit.
  ValkeyModuleType* type = nullptr;  // A key of this type may serve it.
};

class Context;

/// A key opened by a handler, as a FLASH string.
class StringKey {
 public:
  [[nodiscard]] bool exists() const { return !value_.empty_handle(); }
  /// The key holds something else; nothing but an error may follow.
  [[nodiscard]] bool wrong_type() const { return wrong_type_; }
  [[nodiscard]] const values::StringValue& value() const { return value_; }
  /// Absolute Unix time in milliseconds, VALKEYMODULE_NO_EXPIRE for none.
  [[nodiscard]] mstime_t expire_at_ms() const { return key_.expire_at_ms(); }

  /// Replaces or creates the value by one made of an argument that passed GateMake, and sets its
  /// expiry. Commit after.
  void Set(Context& ctx, int argument, mstime_t expire_at_ms);
  /// Deletes the key. Commit after.
  void Delete();
  /// Gives the key back early; the value stays as it is until something changes the key.
  void Close() { key_.Close(); }

 private:
  friend class Context;
  vk::Key key_;
  values::StringValue value_;
  bool wrong_type_ = false;
};

/// A key opened by a handler that takes FLASH keys of any shape.
class AnyKey {
 public:
  [[nodiscard]] bool exists() const { return exists_; }
  /// The key holds a value that is not this module's.
  [[nodiscard]] bool wrong_type() const { return wrong_type_; }
  /// Deletes the key. Commit after.
  void Delete();

 private:
  friend class Context;
  vk::Key key_;
  bool exists_ = false;
  bool wrong_type_ = false;
};

/// One changed key and the event that tells of it.
struct KeyChange {
  ValkeyModuleString* key = nullptr;
  const char* event = nullptr;
  int event_class = VALKEYMODULE_NOTIFY_GENERIC;
};

/// What replicas and the AOF do instead of the command.
struct Effect {
  const char* command = nullptr;  // Null: the command as typed, which says the same.
  std::span<ValkeyModuleString* const> args;
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
    if (planning()) SetPoolQuiet(true);
  }
  ~Context() {
    if (planning()) SetPoolQuiet(false);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // --- Arguments
  // ----------------------------------------------------------------------------------

  [[nodiscard]] int argc() const { return argc_; }
  [[nodiscard]] ValkeyModuleString* Argument(int index) const { return argv_[index]; }
  [[nodiscard]] std::string_view Text(int index) const { return vk::TextOf(argv_[index]); }
  [[nodiscard]] const CommandSpec& spec() const { return spec_; }
  [[nodiscard]] ValkeyModuleCtx* raw() const { return ctx_; }
  [[nodiscard]] bool planning() const { return mode_ == Mode::kPlan; }

  // --- Keys
  // ---------------------------------------------------------------------------------------

  /// How a key is opened: who looks again after a wait is not noticed twice.
  [[nodiscard]] int OpenMode(Access access) const;
  [[nodiscard]] StringKey OpenString(int index, Access access);
  [[nodiscard]] AnyKey OpenAny(int index, Access access);

  // --- Gates: an Outcome must be returned at once
  // ---------------------------------------------------

  /// The whole of these values can be read afterwards.
  [[nodiscard]] std::optional<Outcome> GateRead(const values::StringValue& value) {
    if (mode_ == Mode::kRun && values::Strings::IsContiguous(value) && TheStrings().IsHot(value))
        [[likely]] {
      return std::nullopt;
    }
    return GateReadAll({&value, 1});
  }
  [[nodiscard]] std::optional<Outcome> GateReadAll(std::span<const values::StringValue> wanted);

  /// All blocks that `missing` names are hot. It is what plans of collections were given.
  [[nodiscard]] std::optional<Outcome> Gate(values::Missing& missing) {
    if (missing.empty()) [[likely]]
      return std::nullopt;
    return GateMissing(missing);
  }

  /// So many bytes of hot data can be added.
  [[nodiscard]] std::optional<Outcome> GateRoom(uint64_t bytes);

  /// Values can be made of these arguments afterwards, by Make.
  [[nodiscard]] std::optional<Outcome> GateMake(std::span<const int> arguments);

  /// The last gate of every handler that changes something; a plan never passes it.
  [[nodiscard]] std::optional<Outcome> GateApply() const {
    if (planning()) return Outcome::kPark;
    return std::nullopt;
  }

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
  /// Compares without a copy.
  [[nodiscard]] bool Equals(const values::StringValue& value, Bytes bytes);
  /// A value made of an argument that passed GateMake; the caller owns it.
  [[nodiscard]] values::StringValue Make(int argument);

  /// The one place through which every change of a value passes, after it was made: keys are
  /// signalled as modified, the effect is replicated, events are sent.
  void Commit(const Effect& effect, std::span<const KeyChange> changes);

  // --- Replies: Outcome::kDone
  // ----------------------------------------------------------------------

  Outcome ReplyOk();
  Outcome ReplyNull();
  Outcome ReplyInteger(long long number);
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
  /// Of a parser: the message is the whole reply.
  Outcome ReplyError(const Error& error) { return ReplyError(error.message.c_str()); }
  Outcome ReplyWrongArity();
  /// `ERR invalid expire time in '<command>' command`.
  Outcome ReplyInvalidExpire();

  // --- For the dispatcher
  // ---------------------------------------------------------------------------

  [[nodiscard]] Need& need() { return need_; }
  [[nodiscard]] const std::optional<KeyWait>& key_wait() const { return key_wait_; }

 private:
  [[nodiscard]] std::optional<Outcome> GateMissing(values::Missing& missing);
  /// What the AOF or the primary brings was acknowledged once: refused for want of room it would be
  /// lost without a word, so it goes above the bound instead.
  [[nodiscard]] bool MustApply() const;
  [[nodiscard]] values::Strings::Use use() const {
    return planning() ? values::Strings::Use::kPeek : values::Strings::Use::kTouch;
  }
  /// A plan uses no block: it counts no hit, and takes no miss from the run that follows it.
  static void SetPoolQuiet(bool quiet);
  Outcome Close(Need::Kind kind);
  [[nodiscard]] bool CanReadAll(std::span<const values::StringValue> wanted) const;
  Outcome ReplyReadFailure(Code code);
  Outcome ReplyFull();

  ValkeyModuleCtx* ctx_;
  ValkeyModuleString** argv_;
  int argc_;
  Mode mode_;
  Prepared* prepared_;  // Null in the first run.
  const CommandSpec& spec_;
  std::vector<std::byte, base::CountedAllocator<std::byte>> scratch_;
  Need need_;
  std::optional<KeyWait> key_wait_;
};

}  // namespace flash::server
