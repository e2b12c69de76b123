// list.cc: handlers of the list commands that push, pop and read. Their specs: list_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <memory>
#include <vector>

#include "commands/list_handlers.h"
#include "commands/list_parts.h"
#include "commands/parse_number.h"
#include "commands/pop_work.h"
#include "commands/read_work.h"

namespace flash::commands {
namespace {

/// A push of more than a command may add at once.
class PushSteps final : public dispatch::WriteSteps {
 public:
  PushSteps(const Context& ctx, ListValue::End end) : end_(end) {
    for (int i = 2; i < ctx.argc(); ++i) elements_.push_back(ctx.Argument(i));
  }
  [[nodiscard]] size_t count() const override { return elements_.size(); }
  [[nodiscard]] uint64_t BytesOf(size_t i) const override {
    return HotBytesOf(vk::TextOf(elements_[i]));
  }
  void Plan(uint64_t* word, size_t /*begin*/, size_t /*end*/, Missing* missing) override {
    if (*word != 0) ListValue(server::TheEnv(), word).PlanPush(end_, missing);
  }
  void Apply(uint64_t* word, size_t begin, size_t end) override {
    ListValue list(server::TheEnv(), word);
    for (size_t i = begin; i < end; ++i) list.Push(end_, vk::BytesOf(elements_[i]));
  }

 private:
  ListValue::End end_;
  /// The arguments themselves: the server moves their bytes when the command returns.
  std::vector<ValkeyModuleString*> elements_;
};

Outcome Push(Context& ctx, ListEnd end, bool only_if_exists, const char* event) {
  ListKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (only_if_exists && !key.exists()) return ctx.ReplyInteger(0);
  uint64_t hot_bytes = 0;
  for (int i = 2; i < ctx.argc(); ++i) hot_bytes += HotBytesOf(ctx.Text(i));
  if (ctx.argc() > 3 && dispatch::DraftWork::IsLarge(hot_bytes)) {
    dispatch::DraftWork* work = nullptr;
    const auto steps = [&] { return std::make_unique<PushSteps>(ctx, EndOf(end)); };
    if (auto closed = ctx.GateDraft(*key, steps, &work)) return *closed;
    if (auto closed = ctx.GateApply()) return *closed;
    key.ReplaceContent(values::CollectionKind::kList, work->TakeDraft());
  } else {
    Missing missing;
    if (key.exists()) key->PlanPush(EndOf(end), &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (auto closed = GateRoomFor(ctx, hot_bytes)) return *closed;
    if (auto closed = ctx.GateApply()) return *closed;
    for (int i = 2; i < ctx.argc(); ++i) key->Push(EndOf(end), vk::BytesOf(ctx.Argument(i)));
    key.Save();
  }
  const std::array<KeyChange, 1> changes = {{{ctx.Argument(kKey), event, kListClass}}};
  ctx.Commit({}, changes);
  return ctx.ReplyInteger(static_cast<long long>(key->size()));
}

/// Takes off more than a command pins.
Outcome PopMany(Context& ctx, ListKey& key, ListEnd end, uint64_t taken, const char* event) {
  const uint64_t begin = end == ListEnd::kHead ? 0 : key->size() - taken;
  PopWork* work = nullptr;
  const PopWork::Wanted wanted{
      {begin, begin + taken, end == ListEnd::kTail}, PopWork::Shape::kElements, !ctx.MustApply()};
  if (auto closed = GatePop(ctx, key, wanted, &work)) return *closed;
  Missing missing;
  if (!work->takes_all()) key->PlanCut(begin, begin + taken, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  static_cast<void>(work->Reply(ctx));
  if (work->takes_all()) {
    key.Delete();
  } else {
    const dispatch::Clone whole(*key, values::CollectionKind::kList);
    key->Erase(begin, begin + taken);
    key.Save();
  }
  CommitRemoval(ctx, kKey, !key.exists(), event, kListClass);
  return Outcome::kDone;
}

Outcome Pop(Context& ctx, ListEnd end, const char* event) {
  const Texts texts(ctx);
  const Result<std::optional<int64_t>> count = ParsePopCount(texts.args());
  if (!count) return ctx.ReplyError(count.error());
  ListKey key(ctx, kKey, Access::kWrite);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (!key.exists()) return *count ? ctx.ReplyNullArray() : ctx.ReplyNull();
  const uint64_t taken = std::min(static_cast<uint64_t>(count->value_or(1)), key->size());
  if (taken == 0) {
    ctx.ReplyArray(0);
    return Outcome::kDone;
  }
  Missing missing;
  if (taken == 1) {
    const std::optional<Element> element = key->Peek(EndOf(end), &missing);
    if (element) values::PlanElement(server::TheEnv(), *element, &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (auto closed = ctx.GateApply()) return *closed;
    if (*count) ctx.ReplyArray(1);
    ReplyElement(ctx, *element);
    key->Pop();
    key.Save();
  } else if (ctx.DoneWork<PopWork>() != nullptr || IsLongTake(key, end, taken, &missing)) {
    return PopMany(ctx, key, end, taken, event);
  } else {
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (auto closed = ctx.GateApply()) return *closed;
    if (*count) ctx.ReplyArray(static_cast<long>(taken));
    Take(ctx, key, end, taken);
  }
  CommitRemoval(ctx, kKey, !key.exists(), event, kListClass);
  return Outcome::kDone;
}

}  // namespace

/// FLASH.LPUSH key element [element …]
///
/// Reply: integer, the length of the list.
Outcome LPush(Context& ctx) { return Push(ctx, ListEnd::kHead, false, "flash.lpush"); }

/// FLASH.RPUSH key element [element …]
///
/// Reply: as LPUSH.
Outcome RPush(Context& ctx) { return Push(ctx, ListEnd::kTail, false, "flash.rpush"); }

/// FLASH.LPUSHX key element [element …]
///
/// Reply: as LPUSH; 0 without a key.
Outcome LPushX(Context& ctx) { return Push(ctx, ListEnd::kHead, true, "flash.lpushx"); }

/// FLASH.RPUSHX key element [element …]
///
/// Reply: as LPUSHX.
Outcome RPushX(Context& ctx) { return Push(ctx, ListEnd::kTail, true, "flash.rpushx"); }

/// FLASH.LPOP key [count]
///
/// Reply: an element or null; with a count an array, or a null array without a key.
Outcome LPop(Context& ctx) { return Pop(ctx, ListEnd::kHead, "flash.lpop"); }

/// FLASH.RPOP key [count]
///
/// Reply: as LPOP.
Outcome RPop(Context& ctx) { return Pop(ctx, ListEnd::kTail, "flash.rpop"); }

/// FLASH.LLEN key
///
/// Reply: integer.
Outcome LLen(Context& ctx) {
  ListKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  return ctx.ReplyInteger(key.exists() ? static_cast<long long>(key->size()) : 0);
}

/// FLASH.LRANGE key start stop
///
/// Reply: an array of elements.
Outcome LRange(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  const Texts texts(ctx);
  const Result<IndexBounds> bounds = ParseIndexBounds(texts.args(), 2);
  if (!bounds) return ctx.ReplyError(bounds.error());
  ListKey key(ctx, kKey, Access::kRead);
  if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  const IndexRange range = RangeOf(*bounds, key.exists() ? key->size() : 0);
  Missing missing;
  const uint64_t end = range.begin + range.count;
  if (IsLongRead(*key, range.begin, end, &missing)) {
    return ReadLong(ctx,
                    std::make_shared<RangeRead>(*key, values::CollectionKind::kList,
                                                RangeRead::Range{.begin = range.begin, .end = end},
                                                RangeRead::Shape::kElements));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  ctx.ReplyArray(static_cast<long>(range.count));
  if (range.count == 0) return Outcome::kDone;
  key->ForRange(range.begin, end, [&ctx](const Element& element) {
    ReplyElement(ctx, element);
    return true;
  });
  return Outcome::kDone;
}

/// FLASH.LINDEX key index
///
/// Reply: the element, or null.
Outcome LIndex(Context& ctx) {
  if (auto* work = ctx.DoneWork<ReadWork>()) return work->Reply(ctx);
  ListKey key(ctx, kKey, Access::kRead);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyNull();
  }
  const Result<int64_t> index = IntegerArgument(ctx.Text(2));
  if (!index) return ctx.ReplyError(index.error());
  const std::optional<uint64_t> position = PositionOf(*index, key->size());
  if (!position) return ctx.ReplyNull();
  Missing missing;
  const std::optional<Element> element = key->At(*position, &missing);
  if (element && IsLongElement(*element, &missing)) {
    return ReadLong(ctx,
                    std::make_shared<ElementRead>(*key, values::CollectionKind::kList, *element));
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  ReplyElement(ctx, *element);
  return Outcome::kDone;
}

}  // namespace flash::commands
