// adoption.cc: see adoption.h.
//
// Thread: main.
#include "types/adoption.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "server/freeing.h"
#include "server/value_env.h"
#include "types/hash_type.h"
#include "types/key_facts.h"
#include "types/list_type.h"
#include "types/loading.h"
#include "types/native_value.h"
#include "types/string_type.h"
#include "types/type_registry.h"
#include "types/zset_type.h"
#include "values/value_builders.h"
#include "vk/key.h"
#include "vk/string.h"

namespace flash::types {
namespace {

/// Bounds of one command for a log.
constexpr size_t kArgumentsMax = 256;
constexpr size_t kBytesMax = 256 * kKiB;

constexpr const char* kUnfit =
    "WRONGTYPE only strings, hashes, lists and sorted sets have a FLASH form; nothing was changed";
constexpr const char* kFieldsExpire =
    "WRONGTYPE the hash has fields with a time to live of their own, which FLASH hashes cannot "
    "have; nothing was changed";

constinit AdoptionLog adoption_log;

// --- The FLASH form
// -------------------------------------------------------------------------------------

/// A value that nobody has yet.
struct Built {
  ValkeyModuleType* type = nullptr;
  void* value = nullptr;
};

/// Ends what `builder` began, well or not.
template <typename Builder>
Result<void*> Finish(Builder* builder, const Result<void>& outcome) {
  Result<uint64_t> word = outcome ? builder->Finish() : Result<uint64_t>(outcome.error());
  if (word) return server::PointerOf(*word);
  for (const uint64_t rest : builder->Abandon()) server::FreeCollection(builder->kind(), rest);
  return word.error();
}

Result<void*> BuildHash(const NativeValue& native, values::BlockPlacer* placer) {
  values::HashBuilder builder(server::TheEnv(), placer);
  Result<void> outcome;
  static_cast<void>(native.ForEachField([&](Bytes field, Bytes value) {
    outcome = builder.Add(field, value);
    return outcome.ok();
  }));
  return Finish(&builder, outcome);
}

Result<void*> BuildList(const NativeValue& native, values::BlockPlacer* placer) {
  values::ListBuilder builder(server::TheEnv(), placer);
  Result<void> outcome;
  static_cast<void>(native.ForEachElement([&](Bytes element) {
    outcome = builder.Add(element);
    return outcome.ok();
  }));
  return Finish(&builder, outcome);
}

Result<void*> BuildZSet(const NativeValue& native, values::BlockPlacer* placer) {
  values::ZSetBuilder builder(server::TheEnv(), placer);
  Result<void> outcome;
  static_cast<void>(native.ForEachMember([&](double score, Bytes member) {
    outcome = builder.Add(score, member);
    return outcome.ok();
  }));
  return Finish(&builder, outcome);
}

Result<Built> BuildBy(values::BlockPlacer* placer, const NativeValue& native, NativeShape shape,
                      bool must) {
  const auto built = [](ValkeyModuleType* type, const Result<void*>& value) -> Result<Built> {
    if (!value) return value.error();
    return Built{type, *value};
  };
  switch (shape) {
    case NativeShape::kHash:
      return built(HashTypeHandle(), BuildHash(native, placer));
    case NativeShape::kList:
      return built(ListTypeHandle(), BuildList(native, placer));
    case NativeShape::kZSet:
      return built(ZSetTypeHandle(), BuildZSet(native, placer));
    default:
      return built(StringTypeHandle(), BuildString(native.String(), must));
  }
}

Result<Built> Build(const vk::Key& key, NativeShape shape, bool must) {
  const NativeValue native(key);
  LoadPlacer placer(must);
  Result<Built> built = BuildBy(&placer, native, shape, must);
  if (built || !must) return built;
  // What flash does not give back while it is put in order does not fail what was acknowledged.
  values::DirectPlacer hot(server::TheEnv().store, false);
  return BuildBy(&hot, native, shape, must);
}

// --- What a log is told
// ---------------------------------------------------------------------------------

/// Collects elements into commands of bounded size.
class LogCommands {
 public:
  LogCommands(ValkeyModuleCtx* ctx, const char* command, std::string_view key,
              const char* tail = nullptr)
      : ctx_(ctx), command_(command), key_(key), tail_(tail) {}

  bool Add(Bytes element) {
    bytes_ += element.size();
    held_.emplace_back(base::AsText(element));
    return true;
  }
  /// Between elements that belong together nothing is cut.
  void EndEntry() {
    if (held_.size() >= kArgumentsMax || bytes_ >= kBytesMax) Emit();
  }
  void Emit() {
    if (held_.empty()) return;
    std::vector<std::string_view> words = {command_, key_};
    words.insert(words.end(), held_.begin(), held_.end());
    if (tail_ != nullptr) words.emplace_back(tail_);
    adoption_log.command(ctx_, words);
    held_.clear();
    bytes_ = 0;
  }

 private:
  ValkeyModuleCtx* ctx_;
  const char* command_;
  std::string_view key_;
  const char* tail_;
  std::vector<std::string> held_;
  size_t bytes_ = 0;
};

void LogString(ValkeyModuleCtx* ctx, std::string_view name, const NativeValue& native) {
  const std::array<std::string_view, 3> words = {"FLASH.SET", name, base::AsText(native.String())};
  adoption_log.command(ctx, words);
}

void LogHash(ValkeyModuleCtx* ctx, std::string_view name, const NativeValue& native) {
  // So that no pair is taken for a clause.
  LogCommands commands(ctx, "FLASH.HSET", name, "KEEPTTL");
  static_cast<void>(native.ForEachField([&](Bytes field, Bytes value) {
    commands.Add(field);
    commands.Add(value);
    commands.EndEntry();
    return true;
  }));
  commands.Emit();
}

void LogList(ValkeyModuleCtx* ctx, std::string_view name, const NativeValue& native) {
  LogCommands commands(ctx, "FLASH.RPUSH", name);
  static_cast<void>(native.ForEachElement([&](Bytes element) {
    commands.Add(element);
    commands.EndEntry();
    return true;
  }));
  commands.Emit();
}

void LogZSet(ValkeyModuleCtx* ctx, std::string_view name, const NativeValue& native) {
  LogCommands commands(ctx, "FLASH.ZADD", name);
  static_cast<void>(native.ForEachMember([&](double score, Bytes member) {
    commands.Add(base::AsBytes(ScoreText(score)));
    commands.Add(member);
    commands.EndEntry();
    return true;
  }));
  commands.Emit();
}

/// Tells the log, if there is one that wants to know, how to make the value from nothing.
void TellLog(ValkeyModuleCtx* ctx, std::string_view name, const vk::Key& key, NativeShape shape,
             const KeyFacts& facts) {
  if (adoption_log.begin == nullptr || !adoption_log.begin(ctx)) return;
  const std::array<std::string_view, 2> away = {"DEL", name};
  adoption_log.command(ctx, away);
  const NativeValue native(key);
  switch (shape) {
    case NativeShape::kHash:
      LogHash(ctx, name, native);
      break;
    case NativeShape::kList:
      LogList(ctx, name, native);
      break;
    case NativeShape::kZSet:
      LogZSet(ctx, name, native);
      break;
    default:
      LogString(ctx, name, native);
  }
  if (facts.expire_at_ms != VALKEYMODULE_NO_EXPIRE) {
    adoption_log.expiry(ctx, name, facts.expire_at_ms);
  }
}

/// A large native value is freed by the server's lazy-free thread.
void Install(const vk::Key& key, const Built& built, const KeyFacts& facts) {
  FLASH_CHECK(ValkeyModule_UnlinkKey(key.get()) == VALKEYMODULE_OK);
  FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key.get(), built.type, built.value) ==
              VALKEYMODULE_OK);
  if (facts.expire_at_ms != VALKEYMODULE_NO_EXPIRE) {
    FLASH_CHECK(ValkeyModule_SetAbsExpire(key.get(), facts.expire_at_ms) == VALKEYMODULE_OK);
  }
  RestoreHistory(key, facts);
}

}  // namespace

void SetAdoptionLog(const AdoptionLog& log) { adoption_log = log; }

Result<bool> Adopt(ValkeyModuleCtx* ctx, ValkeyModuleString* name, const AdoptOptions& options) {
  constexpr int kToChange = VALKEYMODULE_READ | VALKEYMODULE_WRITE | vk::Key::kAgain;
  NativeShape shape{};
  KeyFacts facts;
  {
    const vk::Key key(ctx, name, kToChange);  // Ends the key if its time is over.
    shape = ShapeOf(key);
    facts = FactsOf(key);
  }
  if (shape == NativeShape::kNone) return false;
  if (shape == NativeShape::kOther) return Error{Code::kUnsupported, kUnfit};
  if (shape == NativeShape::kHash && HasFieldsThatExpire(ctx, name)) {
    return Error{Code::kUnsupported, kFieldsExpire};
  }
  // Not the key that is changed below: one whose elements are read holds on to the value.
  vk::Key source(ctx, name, vk::Key::kPeek);
  const Result<Built> built = Build(source, shape, options.must);
  if (!built) return built.error();
  source.Close();
  const vk::Key key(ctx, name, kToChange);
  if (!key.exists()) {  // Its time came meanwhile.
    TypeRegistry::Find(built->type)->free_now(built->value);
    return false;
  }
  vk::Key again(ctx, name, vk::Key::kPeek);
  TellLog(ctx, vk::TextOf(name), again, shape, facts);
  again.Close();
  Install(key, *built, facts);
  return true;
}

}  // namespace flash::types
