// adoption.cc: see adoption.h.
//
// Thread: main.
#include "types/adoption.h"

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "base/checksum.h"
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

/// Opens a key as it was found: no second touch.
constexpr int kToChange = VALKEYMODULE_READ | VALKEYMODULE_WRITE | vk::Key::kAgain;
/// Elements that are put in order in a moment.
constexpr uint64_t kElementsAtOnce = 8192;

constinit AdoptionLog adoption_log;

// --- The FLASH form
// -------------------------------------------------------------------------------------

/// Tells whether a value was changed: a sum over its elements, whatever their order.
class Digest {
 public:
  void Add(Bytes first, Bytes second) {
    sum_ += base::Checksum(second, base::Checksum(first, kSeed));
    ++count_;
  }
  bool operator==(const Digest&) const = default;

 private:
  static constexpr uint64_t kSeed = 0x61646f7074696f6e;
  uint64_t sum_ = 0;
  uint64_t count_ = 0;
};

Bytes BytesOf(const double& score) {
  return {reinterpret_cast<const std::byte*>(&score), sizeof(score)};
}

Digest DigestOf(const vk::Key& key, NativeShape shape) {
  Digest digest;
  const NativeValue native(key);
  if (shape == NativeShape::kHash) {
    static_cast<void>(native.ForEachField([&](Bytes field, Bytes value) {
      digest.Add(field, value);
      return true;
    }));
  } else if (shape == NativeShape::kZSet) {
    static_cast<void>(native.ForEachMember([&](double score, Bytes member) {
      digest.Add(BytesOf(score), member);
      return true;
    }));
  }
  return digest;
}

/// Of hashes and sorted sets, which are put in order, a builder; of others the value.
class FlashForm {
 public:
  explicit FlashForm(NativeShape shape) : shape_(shape) {}
  ~FlashForm() {
    if (hash_ != nullptr) Free(hash_.get());
    if (list_ != nullptr) Free(list_.get());
    if (zset_ != nullptr) Free(zset_.get());
    if (value_ != nullptr) TypeRegistry::Find(type())->free_now(value_);
  }
  FlashForm(const FlashForm&) = delete;
  FlashForm& operator=(const FlashForm&) = delete;

  [[nodiscard]] NativeShape shape() const { return shape_; }
  [[nodiscard]] ValkeyModuleType* type() const;
  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] Result<void> Read(const vk::Key& key, values::BlockPlacer* placer, bool must);
  [[nodiscard]] Result<bool> FinishSome(uint64_t entries, values::Missing* missing);
  [[nodiscard]] Result<void> Finish();
  /// The value, which is the caller's.
  [[nodiscard]] void* Take() { return std::exchange(value_, nullptr); }

 private:
  template <typename Builder>
  static void Free(Builder* builder) {
    for (const uint64_t rest : builder->Abandon()) server::FreeCollection(builder->kind(), rest);
  }
  template <typename Builder>
  Result<void> End(std::unique_ptr<Builder>* builder) {
    const Result<uint64_t> word = (*builder)->Finish();
    if (!word) return word.error();
    value_ = server::PointerOf(*word);
    builder->reset();
    return {};
  }

  const NativeShape shape_;
  Digest digest_;
  std::unique_ptr<values::HashBuilder> hash_;
  std::unique_ptr<values::ListBuilder> list_;
  std::unique_ptr<values::ZSetBuilder> zset_;
  void* value_ = nullptr;
};

ValkeyModuleType* FlashForm::type() const {
  switch (shape_) {
    case NativeShape::kHash:
      return HashTypeHandle();
    case NativeShape::kList:
      return ListTypeHandle();
    case NativeShape::kZSet:
      return ZSetTypeHandle();
    default:
      return StringTypeHandle();
  }
}

Result<void> FlashForm::Read(const vk::Key& key, values::BlockPlacer* placer, bool must) {
  const NativeValue native(key);
  Result<void> outcome;
  switch (shape_) {
    case NativeShape::kHash:
      hash_ = std::make_unique<values::HashBuilder>(server::TheEnv(), placer);
      static_cast<void>(native.ForEachField([&](Bytes field, Bytes value) {
        digest_.Add(field, value);
        outcome = hash_->Add(field, value);
        return outcome.ok();
      }));
      return outcome;
    case NativeShape::kList:
      list_ = std::make_unique<values::ListBuilder>(server::TheEnv(), placer);
      static_cast<void>(native.ForEachElement([&](Bytes element) {
        outcome = list_->Add(element);
        return outcome.ok();
      }));
      return outcome;
    case NativeShape::kZSet:
      zset_ = std::make_unique<values::ZSetBuilder>(server::TheEnv(), placer);
      static_cast<void>(native.ForEachMember([&](double score, Bytes member) {
        digest_.Add(BytesOf(score), member);
        outcome = zset_->Add(score, member);
        return outcome.ok();
      }));
      return outcome;
    default: {
      const Result<void*> value = BuildString(native.String(), must);
      if (!value) return value.error();
      value_ = *value;
      return {};
    }
  }
}

Result<bool> FlashForm::FinishSome(uint64_t entries, values::Missing* missing) {
  if (hash_ != nullptr) return hash_->FinishSome(entries, missing);
  if (zset_ != nullptr) return zset_->FinishSome(entries, missing);
  return true;
}

Result<void> FlashForm::Finish() {
  if (hash_ != nullptr) return End(&hash_);
  if (list_ != nullptr) return End(&list_);
  if (zset_ != nullptr) return End(&zset_);
  return {};
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

/// What the key is. Does not end a key whose time is over: beside the event loop nobody may.
Result<NativeShape> Examine(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const NativeShape shape = ShapeOf(vk::Key(ctx, name, vk::Key::kPeek));
  if (shape == NativeShape::kOther) return Error{Code::kUnsupported, kUnfit};
  if (shape == NativeShape::kHash && HasFieldsThatExpire(ctx, name)) {
    return Error{Code::kUnsupported, kFieldsExpire};
  }
  return shape;
}

}  // namespace

void SetAdoptionLog(const AdoptionLog& log) { adoption_log = log; }

// --- Adoption
// -------------------------------------------------------------------------------------------

/// The placer outlives what is built by it.
class Adoption::Building {
 public:
  Building(NativeShape shape, Room room)
      : load_(room != Room::kAsked), hot_(room == Room::kHot), form_(shape) {}

  [[nodiscard]] values::BlockPlacer* placer() {
    if (hot_) return &direct_;
    return &load_;
  }
  [[nodiscard]] FlashForm& form() { return form_; }

 private:
  LoadPlacer load_;
  values::DirectPlacer direct_{server::TheEnv().store, false};
  const bool hot_;
  FlashForm form_;
};

Adoption::Adoption(Room room) : room_(room) {}
Adoption::~Adoption() = default;

bool Adoption::TakesLong(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const vk::Key key(ctx, name, vk::Key::kPeek);
  const NativeShape shape = ShapeOf(key);
  const bool put_in_order = shape == NativeShape::kHash || shape == NativeShape::kZSet;
  return put_in_order && ElementsOf(key, shape) > kElementsAtOnce;
}

Result<bool> Adoption::Read(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  const Result<NativeShape> shape = Examine(ctx, name);
  if (!shape) return shape.error();
  if (*shape == NativeShape::kNone) return false;
  building_ = std::make_unique<Building>(*shape, room_);
  // Not for writing: a handle whose elements are read holds on to the value.
  const vk::Key source(ctx, name, vk::Key::kPeek);
  const Result<void> read =
      building_->form().Read(source, building_->placer(), room_ != Room::kAsked);
  if (!read) return read.error();
  return true;
}

Result<bool> Adoption::FinishSome(uint64_t entries, values::Missing* missing) {
  return building_->form().FinishSome(entries, missing);
}

Result<void> Adoption::Finish() { return building_->form().Finish(); }

bool Adoption::IsStill(ValkeyModuleCtx* ctx, ValkeyModuleString* name) const {
  const FlashForm& form = building_->form();
  // Of the same content, but with fields that expire by now, there is no FLASH form.
  const Result<NativeShape> shape = Examine(ctx, name);
  if (!shape || *shape != form.shape()) return false;
  return DigestOf(vk::Key(ctx, name, vk::Key::kPeek), form.shape()) == form.digest();
}

/// A large native value is freed by the server's lazy-free thread.
bool Adoption::Install(ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  FlashForm& form = building_->form();
  const vk::Key key(ctx, name, kToChange);
  if (ShapeOf(key) != form.shape()) return false;  // Its time came meanwhile.
  const KeyFacts facts = FactsOf(key);
  {
    const vk::Key source(ctx, name, vk::Key::kPeek);
    TellLog(ctx, vk::TextOf(name), source, form.shape(), facts);
  }
  FLASH_CHECK(ValkeyModule_UnlinkKey(key.get()) == VALKEYMODULE_OK);
  FLASH_CHECK(ValkeyModule_ModuleTypeSetValue(key.get(), form.type(), form.Take()) ==
              VALKEYMODULE_OK);
  if (facts.expire_at_ms != VALKEYMODULE_NO_EXPIRE) {
    FLASH_CHECK(ValkeyModule_SetAbsExpire(key.get(), facts.expire_at_ms) == VALKEYMODULE_OK);
  }
  RestoreHistory(key, facts);
  return true;
}

namespace {

Result<bool> AdoptIn(Adoption::Room room, ValkeyModuleCtx* ctx, ValkeyModuleString* name) {
  Adoption adoption(room);
  Result<bool> read = adoption.Read(ctx, name);
  if (!read || !*read) return read;
  if (const Result<void> finished = adoption.Finish(); !finished) return finished.error();
  return adoption.Install(ctx, name);
}

}  // namespace

Result<bool> Adopt(ValkeyModuleCtx* ctx, ValkeyModuleString* name, bool must) {
  if (!must) return AdoptIn(Adoption::Room::kAsked, ctx, name);
  Result<bool> adopted = AdoptIn(Adoption::Room::kTaken, ctx, name);
  if (adopted || adopted.code() == Code::kUnsupported) return adopted;
  return AdoptIn(Adoption::Room::kHot, ctx, name);
}

}  // namespace flash::types
