// hash.cc: handlers of the hash commands. Their specs: hash_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "commands/collection_parts.h"
#include "commands/erase_steps.h"
#include "commands/hash_handlers.h"
#include "commands/keyed_read.h"
#include "commands/parse_hash.h"
#include "commands/read_work.h"
#include "commands/set_options.h"
#include "types/hash_type.h"

namespace flash::commands {
namespace {

using dispatch::HashKey;

constexpr int kClass = VALKEYMODULE_NOTIFY_GENERIC;
constexpr const char* kHSetEvent = "flash.hset";
constexpr const char* kHDelEvent = "flash.hdel";
constexpr size_t kFirstField = 2;
constexpr auto kHash = values::CollectionKind::kHash;

/// HSET as replicas and the AOF are to do it: with the moment of expiry.
void CommitSet(Context& ctx, const HSetRequest& request) {
  ValkeyModuleString* const name = ctx.Argument(kKey);
  const std::array<KeyChange, 2> changes = {
      {{name, kHSetEvent, kClass}, {name, "expire", VALKEYMODULE_NOTIFY_GENERIC}}};
  if (!request.sets_expiry) return ctx.Commit({}, std::span(changes).first(1));
  std::vector<ValkeyModuleString*> args;
  for (int i = kKey; i < static_cast<int>(request.pairs_end); ++i) args.push_back(ctx.Argument(i));
  const vk::String word = vk::String::Copy("PXAT");
  const vk::String moment = vk::String::Copy(std::to_string(request.expire_at_ms));
  args.push_back(word.get());
  args.push_back(moment.get());
  ctx.Commit({ctx.spec().name, args}, changes);
}

/// A write of more than a command may add at once, in the order of the fields' hashes, so that each
/// leaf is come to once.
class SetSteps final : public dispatch::WriteSteps {
 public:
  SetSteps(const Context& ctx, const HSetRequest& request) {
    for (int i = kFirstField; i < static_cast<int>(request.pairs_end); i += 2) {
      ValkeyModuleString* const field = ctx.Argument(i);
      const uint64_t hash = server::TheEnv().HashOf(vk::BytesOf(field));
      pairs_.push_back({hash, field, ctx.Argument(i + 1)});
    }
    // Of a field that comes twice the last value counts.
    std::stable_sort(pairs_.begin(), pairs_.end(),
                     [](const Pair& a, const Pair& b) { return a.hash < b.hash; });
  }
  [[nodiscard]] size_t count() const override { return pairs_.size(); }
  [[nodiscard]] uint64_t BytesOf(size_t i) const override {
    return HotBytesOf(vk::TextOf(pairs_[i].field)) + HotBytesOf(vk::TextOf(pairs_[i].value)) +
           kCopiedLeafBytes;
  }
  void Plan(uint64_t* word, size_t begin, size_t end, Missing* missing) override {
    values::HashValue hash(server::TheEnv(), word);
    for (size_t i = begin; i < end; ++i) hash.PlanSet(vk::BytesOf(pairs_[i].field), missing);
  }
  void Apply(uint64_t* word, size_t begin, size_t end) override {
    values::HashValue hash(server::TheEnv(), word);
    for (size_t i = begin; i < end; ++i) {
      const bool added = hash.Set(vk::BytesOf(pairs_[i].field), vk::BytesOf(pairs_[i].value));
      added_ += added ? 1 : 0;
    }
  }
  [[nodiscard]] long long added() const { return added_; }

 private:
  /// The arguments themselves: the server moves their bytes when the command returns.
  struct Pair {
    uint64_t hash;
    ValkeyModuleString* field;
    ValkeyModuleString* value;
  };
  std::vector<Pair> pairs_;
  long long added_ = 0;
};

/// A clause with a moment that is over: the key goes, as if it had been set and had expired.
Outcome SetExpired(Context& ctx, HashKey& key, long long added) {
  if (auto closed = ctx.GateApply()) return *closed;
  if (key.exists()) {
    key.Delete();
    ValkeyModuleString* const name = ctx.Argument(kKey);
    const std::array<KeyChange, 2> changes = {{{name, kHSetEvent, kClass}, ExpiredAtOnce(name)}};
    const std::array<ValkeyModuleString*, 1> args = {name};
    ctx.Commit({"DEL", args}, changes);
  }
  return ctx.ReplyInteger(added);
}

Outcome SetLarge(Context& ctx, const HSetRequest& request, HashKey& key, bool past) {
  dispatch::DraftWork* work = nullptr;
  const auto steps = [&] { return std::make_unique<SetSteps>(ctx, request); };
  if (auto closed = ctx.GateDraft(*key, steps, &work)) return *closed;
  const long long added = static_cast<SetSteps&>(work->steps()).added();
  if (past) return SetExpired(ctx, key, added);
  if (auto closed = ctx.GateApply()) return *closed;
  key.ReplaceContent(values::CollectionKind::kHash, work->TakeDraft());
  if (request.sets_expiry) key.SetExpiry(request.expire_at_ms);
  CommitSet(ctx, request);
  return ctx.ReplyInteger(added);
}

/// More than a command may add or pin at once; or it was, and is done.
bool IsLargeSet(Context& ctx, uint64_t hot_bytes, Missing* missing) {
  return ctx.DoneWork<dispatch::DraftWork>() != nullptr ||
         dispatch::DraftWork::IsLarge(hot_bytes) || dispatch::IsMoreThanPortion(missing);
}

/// Does setting these fields, all of whose leaves are hot, take no RAM?
bool AllInPlace(const Texts& texts, const HSetRequest& request, HashKey& key) {
  if (!key.exists()) return false;
  Missing nothing;
  bool in_place = true;
  for (size_t i = kFirstField; in_place && i < request.pairs_end; i += 2) {
    key->PlanSet(base::AsBytes(texts[i]), &nothing);
    in_place = key->FitsInPlace(base::AsBytes(texts[i + 1]));
  }
  return in_place;
}

/// How many of the fields, all of whose leaves are hot, would be new?
long long CountNew(const Texts& texts, const HSetRequest& request, HashKey& key) {
  long long added = 0;
  for (size_t i = kFirstField; i < request.pairs_end; i += 2) {
    if (!key.exists() || !key->Exists(base::AsBytes(texts[i]))) ++added;
  }
  return added;
}

}  // namespace

/// FLASH.HSET key field value [field value …] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]
///
/// Reply: integer, the number of new fields.
Outcome HSet(Context& ctx) {
  const Texts texts(ctx);
  // Of one pair nothing can be a clause, and nobody asks for the time.
  const bool one_pair = texts.size() == kFirstField + 2;
  const Result<HSetRequest> request =
      ParseHSet(texts.args(), one_pair ? 0 : ValkeyModule_Milliseconds());
  if (!request) return ctx.ReplyError(request.error());

  HashKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  Missing missing;
  uint64_t hot_bytes = 0;
  for (size_t i = kFirstField; i < request->pairs_end; i += 2) {
    key->PlanSet(base::AsBytes(texts[i]), &missing);
    hot_bytes += HotBytesOf(texts[i]) + HotBytesOf(texts[i + 1]);
  }
  const bool past = request->sets_expiry && IsPast(ctx, request->expire_at_ms);
  if (!one_pair && IsLargeSet(ctx, past ? 0 : hot_bytes, &missing)) {
    return SetLarge(ctx, *request, key, past);
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (past) return SetExpired(ctx, key, CountNew(texts, *request, key));
  if (!ctx.HasRoom(hot_bytes) && !AllInPlace(texts, *request, key)) {
    if (auto closed = GateRoomFor(ctx, hot_bytes)) return *closed;
  }
  if (auto closed = ctx.GateApply()) return *closed;

  long long added = 0;
  for (size_t i = kFirstField; i < request->pairs_end; i += 2) {
    added += key->Set(base::AsBytes(texts[i]), base::AsBytes(texts[i + 1])) ? 1 : 0;
  }
  key.Save();
  if (request->sets_expiry) key.SetExpiry(request->expire_at_ms);
  CommitSet(ctx, *request);
  return ctx.ReplyInteger(added);
}

/// FLASH.HGET key field
///
/// Reply: the value, or null.
Outcome HGet(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  HashKey key(ctx, kKey, Access::kRead);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyNull();
  }
  Missing missing;
  const std::optional<Element> value = key->Get(vk::BytesOf(ctx.Argument(2)), &missing);
  if (value && IsLongElement(*value, &missing)) {
    return ReadLong(ctx, std::make_shared<ElementRead>(*key, kHash, *value));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (!value) return ctx.ReplyNull();
  ReplyElement(ctx, *value);
  return Outcome::kDone;
}

/// FLASH.HMGET key field [field …]
///
/// Reply: an array of values and nulls.
Outcome HMGet(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  HashKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  Missing missing;
  for (int i = 2; key.exists() && i < ctx.argc(); ++i) {
    key->PlanGet(vk::BytesOf(ctx.Argument(i)), &missing);
  }
  const auto fields = static_cast<uint64_t>(ctx.argc()) - kFirstField;
  if (key.exists() && IsTooMuch(&missing, ReplyBytesMaxOf(fields))) {
    return ReadLong(ctx, std::make_shared<FieldsRead>(ctx, *key));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  ctx.ReplyArray(ctx.argc() - 2);
  for (int i = 2; i < ctx.argc(); ++i) {
    const std::optional<Element> value =
        key.exists() ? key->Get(vk::BytesOf(ctx.Argument(i))) : std::nullopt;
    if (value) {
      ReplyElement(ctx, *value);
    } else {
      ctx.ReplyNull();
    }
  }
  return Outcome::kDone;
}

/// FLASH.HGETALL key
///
/// Reply: a map of fields and values; an empty one without a key.
Outcome HGetAll(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  HashKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  const uint64_t size = key.exists() ? key->size() : 0;
  Missing missing;
  if (IsLongRead(*key, 0, size, &missing)) {
    return ReadLong(ctx, std::make_shared<RangeRead>(*key, kHash, RangeRead::Range{.end = size},
                                                     RangeRead::Shape::kPairs));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  ctx.ReplyMap(static_cast<long>(size));
  if (size == 0) return Outcome::kDone;
  key->ForRange(0, size, [&ctx](const Element& field, const Element& value) {
    ReplyElement(ctx, field);
    ReplyElement(ctx, value);
    return true;
  });
  return Outcome::kDone;
}

namespace {

Outcome DeleteMany(Context& ctx, HashKey& key) {
  dispatch::DraftWork* work = nullptr;
  if (auto closed = GateErase<values::HashValue>(ctx, key, 2, 1, &work)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  const long long removed = static_cast<EraseSteps<values::HashValue>&>(work->steps()).removed();
  if (removed > 0) {
    key.ReplaceContent(values::CollectionKind::kHash, work->TakeDraft());
    CommitRemoval(ctx, kKey, !key.exists(), kHDelEvent, kClass);
  }
  return ctx.ReplyInteger(removed);
}

}  // namespace

/// FLASH.HDEL key field [field …]
///
/// Reply: integer, the number of fields removed.
Outcome HDel(Context& ctx) {
  HashKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyInteger(0);
  }
  Missing missing;
  for (int i = 2; i < ctx.argc(); ++i) {
    key->PlanErase(vk::BytesOf(ctx.Argument(i)), &missing);
  }
  if (IsLargeErase(ctx, &missing)) return DeleteMany(ctx, key);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  long long removed = 0;
  for (int i = 2; i < ctx.argc() && key.exists(); ++i) {
    removed += key->Erase(vk::BytesOf(ctx.Argument(i))) ? 1 : 0;
  }
  if (removed > 0) {
    key.Save();
    CommitRemoval(ctx, kKey, !key.exists(), kHDelEvent, kClass);
  }
  return ctx.ReplyInteger(removed);
}

/// FLASH.HEXISTS key field
///
/// Reply: integer, 1 or 0.
Outcome HExists(Context& ctx) {
  HashKey key(ctx, kKey, Access::kRead);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyInteger(0);
  }
  Missing missing;
  key->PlanExists(vk::BytesOf(ctx.Argument(2)), &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  return ctx.ReplyInteger(key->Exists(vk::BytesOf(ctx.Argument(2))) ? 1 : 0);
}

/// FLASH.HLEN key
///
/// Reply: integer, the number of fields.
Outcome HLen(Context& ctx) {
  HashKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  return ctx.ReplyInteger(key.exists() ? static_cast<long long>(key->size()) : 0);
}

}  // namespace flash::commands
