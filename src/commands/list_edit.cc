// list_edit.cc: handlers of the list commands that change the middle, trim and move. Their specs:
// list_specs.cc.
//
// The order of checks is the native one. Thread: main.
#include <cstdlib>

#include "commands/list_handlers.h"
#include "commands/list_parts.h"
#include "commands/list_work.h"
#include "commands/parse_number.h"

namespace flash::commands {
namespace {

constexpr const char* kNoSuchKey = "ERR no such key";
constexpr const char* kIndexOutOfRange = "ERR index out of range";

/// The position of the pivot. Absent, with an outcome: the gate is closed.
std::optional<Outcome> GatePivot(Context& ctx, ListKey& key, Bytes pivot,
                                 std::optional<uint64_t>* position) {
  if (!dispatch::IsLongWork(*key, key->size())) {
    Missing missing;
    *position = key->Find(pivot, &missing);
    return ctx.Gate(missing);
  }
  auto* work = ctx.DoneWork<FindWork>();
  if (work == nullptr || !work->IsOf(*key)) {
    if (auto closed = ctx.GateWork(std::make_shared<FindWork>(*key, pivot))) return closed;
    work = ctx.DoneWork<FindWork>();
  }
  *position = work->position();
  return std::nullopt;
}

void CommitEdit(Context& ctx, const char* event) {
  const std::array<KeyChange, 1> changes = {{{ctx.Argument(kKey), event, kListClass}}};
  ctx.Commit({}, changes);
}

}  // namespace

/// FLASH.LSET key index element
///
/// Reply: OK. Errors: no such key; index out of range.
Outcome LSet(Context& ctx) {
  ListKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return ctx.ReplyError(key.wrong_type() ? errors::kWrongType : kNoSuchKey);
  }
  const Result<int64_t> index = IntegerArgument(ctx.Text(2));
  if (!index) return ctx.ReplyError(index.error());
  const std::optional<uint64_t> position = PositionOf(*index, key->size());
  if (!position) return ctx.ReplyError(kIndexOutOfRange);
  Missing missing;
  key->PlanSet(*position, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  const uint64_t hot_bytes = HotBytesOf(ctx.Text(3));
  if (!ctx.HasRoom(hot_bytes) && !key->FitsInPlace(*position, vk::BytesOf(ctx.Argument(3)))) {
    if (auto closed = GateRoomFor(ctx, hot_bytes)) return *closed;
  }
  if (auto closed = ctx.GateApply()) return *closed;
  key->Set(*position, vk::BytesOf(ctx.Argument(3)));
  key.Save();
  CommitEdit(ctx, "flash.lset");
  return ctx.ReplyOk();
}

/// FLASH.LINSERT key BEFORE|AFTER pivot element
///
/// Reply: integer, the length of the list; −1 without the pivot, 0 without a key.
Outcome LInsert(Context& ctx) {
  const Texts texts(ctx);
  const Result<bool> after = ParseInsertAfter(texts.args());
  if (!after) return ctx.ReplyError(after.error());
  ListKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyInteger(0);
  }
  std::optional<uint64_t> pivot;
  if (auto closed = GatePivot(ctx, key, base::AsBytes(texts[3]), &pivot)) return *closed;
  if (!pivot) return ctx.ReplyInteger(-1);
  const uint64_t position = *pivot + (*after ? 1 : 0);
  Missing missing;
  key->PlanInsert(position, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = GateRoomFor(ctx, HotBytesOf(texts[4]))) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  key->Insert(position, base::AsBytes(texts[4]));
  key.Save();
  CommitEdit(ctx, "flash.linsert");
  return ctx.ReplyInteger(static_cast<long long>(key->size()));
}

namespace {

/// LREM of a list that is too long to be searched at once.
Outcome RemoveFromLong(Context& ctx, ListKey& key, Bytes element, ListValue::End from,
                       uint64_t limit) {
  auto* work = ctx.DoneWork<RemoveWork>();
  if (work == nullptr || !work->IsOf(*key)) {
    auto fresh = std::make_shared<RemoveWork>(*key, element, from, limit);
    if (auto closed = ctx.GateWork(std::move(fresh))) return *closed;
    work = ctx.DoneWork<RemoveWork>();
  }
  if (work->removed() == 0) return ctx.ReplyInteger(0);
  if (auto closed = ctx.GateApply()) return *closed;
  key.ReplaceContent(values::CollectionKind::kList, work->TakeDraft());
  CommitRemoval(ctx, kKey, !key.exists(), "flash.lrem", kListClass);
  return ctx.ReplyInteger(static_cast<long long>(work->removed()));
}

}  // namespace

/// FLASH.LREM key count element
///
/// Reply: integer, the number of elements removed.
Outcome LRem(Context& ctx) {
  const Texts texts(ctx);
  const Result<int64_t> count = ParseRemoveCount(texts.args());
  if (!count) return ctx.ReplyError(count.error());
  ListKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyInteger(0);
  }
  const auto from = *count < 0 ? ListValue::End::kBack : ListValue::End::kFront;
  const auto limit = static_cast<uint64_t>(std::abs(*count));
  const Bytes element = base::AsBytes(texts[3]);
  if (dispatch::IsLongWork(*key, key->size())) {
    return RemoveFromLong(ctx, key, element, from, limit);
  }
  Missing missing;
  const std::vector<uint64_t> found = key->FindAll(element, from, limit, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (found.empty()) return ctx.ReplyInteger(0);
  key->PlanEraseEach(found, &missing);
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  key->EraseEach(found);
  key.Save();
  CommitRemoval(ctx, kKey, !key.exists(), "flash.lrem", kListClass);
  return ctx.ReplyInteger(static_cast<long long>(found.size()));
}

constexpr uint32_t kVersionWithQuietTrim = 0x00090000;
/// Elements that are cut off rather than taken out leaf by leaf.
constexpr uint64_t kCutFrom = 1024;

/// FLASH.LTRIM key start stop
///
/// Reply: OK.
Outcome LTrim(Context& ctx) {
  const Texts texts(ctx);
  const Result<IndexBounds> bounds = ParseIndexBounds(texts.args(), 2);
  if (!bounds) return ctx.ReplyError(bounds.error());
  ListKey key(ctx, kKey, Access::kWrite);
  if (!key.exists()) {
    return key.wrong_type() ? ctx.ReplyError(errors::kWrongType) : ctx.ReplyOk();
  }
  const uint64_t size = key->size();
  const IndexRange kept = RangeOf(*bounds, size);
  if (kept.count == size) {
    // As the server at hand: before 9.0 it lets WATCH fail although nothing changed.
    if (!ctx.planning() && vk::ServerVersion() < kVersionWithQuietTrim) {
      ValkeyModule_SignalModifiedKey(ctx.raw(), ctx.Argument(kKey));
    }
    return ctx.ReplyOk();
  }
  const bool cut = size - kept.count >= kCutFrom && key->has_root();
  Missing missing;
  if (kept.count > 0) {
    const auto plan = cut ? &ListValue::PlanCut : &ListValue::PlanErase;
    ((*key).*plan)(0, kept.begin, &missing);
    ((*key).*plan)(kept.begin + kept.count, size, &missing);
  }
  if (auto closed = ctx.Gate(missing)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  if (kept.count == 0) {
    key.Delete();
  } else {
    // The clone ends in slices, whatever has to be read for that.
    std::optional<dispatch::Clone> whole;
    if (cut) whole.emplace(*key, values::CollectionKind::kList);
    key->Erase(kept.begin + kept.count, size);
    key->Erase(0, kept.begin);
    key.Save();
  }
  CommitRemoval(ctx, kKey, kept.count == 0, "flash.ltrim", kListClass);
  return ctx.ReplyOk();
}

/// FLASH.LMOVE source destination LEFT|RIGHT LEFT|RIGHT
///
/// Reply: the element, or null without a source.
Outcome LMove(Context& ctx) {
  const Texts texts(ctx);
  const Result<MoveEnds> ends = ParseMoveEnds(texts.args());
  if (!ends) return ctx.ReplyError(ends.error());
  const std::optional<Outcome> outcome = Move(ctx, *ends, nullptr, "flash.lmove");
  return outcome ? *outcome : ctx.ReplyNull();
}

/// FLASH.RPOPLPUSH source destination
///
/// Reply: as LMOVE.
Outcome RPopLPush(Context& ctx) {
  const std::optional<Outcome> outcome =
      Move(ctx, {ListEnd::kTail, ListEnd::kHead}, nullptr, "flash.rpoplpush");
  return outcome ? *outcome : ctx.ReplyNull();
}

}  // namespace flash::commands
