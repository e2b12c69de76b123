// list_parts.cc: see list_parts.h.
//
// Thread: main.
#include "commands/list_parts.h"

#include <string>

#include "commands/read_work.h"

namespace flash::commands {
namespace {

uint64_t TakenFrom(ListKey& key, ListEnd end, uint64_t count) {
  return end == ListEnd::kHead ? 0 : key->size() - count;
}

/// Tells of a move: of the destination, of the source, and of its end if it is empty now.
void CommitMove(Context& ctx, const char* command, const char* event, bool emptied) {
  const std::array<KeyChange, 3> changes = {{{ctx.Argument(2), event, kListClass},
                                             {ctx.Argument(1), event, kListClass},
                                             {ctx.Argument(1), "del"}}};
  const std::span<const KeyChange> told(changes.data(), emptied ? 3 : 2);
  if (command == nullptr) return ctx.Commit({}, told);
  const std::array<ValkeyModuleString*, 4> args = {ctx.Argument(1), ctx.Argument(2),
                                                   ctx.Argument(3), ctx.Argument(4)};
  ctx.Commit({command, args}, told);
}

}  // namespace

void PlanTake(ListKey& key, ListEnd end, uint64_t count, Missing* missing) {
  const uint64_t begin = TakenFrom(key, end, count);
  PlanRead(*key, begin, begin + count, missing);
  key->PlanErase(begin, begin + count, missing);
}

bool IsLongTake(ListKey& key, ListEnd end, uint64_t count, Missing* missing) {
  const uint64_t begin = TakenFrom(key, end, count);
  if (IsLongRead(*key, begin, begin + count, missing)) return true;
  key->PlanErase(begin, begin + count, missing);
  return false;
}

void Take(Context& ctx, ListKey& key, ListEnd end, uint64_t count) {
  const uint64_t begin = TakenFrom(key, end, count);
  if (end == ListEnd::kHead) {
    key->ForRange(begin, begin + count, [&ctx](const Element& element) {
      ReplyElement(ctx, element);
      return true;
    });
  } else {
    for (uint64_t i = begin + count; i > begin; --i) ReplyElement(ctx, *key->At(i - 1));
  }
  key->Erase(begin, begin + count);
  key.Save();
}

std::optional<Outcome> Move(Context& ctx, MoveEnds ends, const char* command, const char* event) {
  ListKey source(ctx, 1, Access::kWrite);
  if (source.wrong_type()) return ctx.ReplyError(errors::kWrongType);
  if (!source.exists()) return std::nullopt;
  const bool rotates = ctx.Text(1) == ctx.Text(2);
  std::optional<ListKey> other;
  if (!rotates) other.emplace(ctx, 2, Access::kWrite);
  ListKey& destination = rotates ? source : *other;
  if (destination.wrong_type()) return ctx.ReplyError(errors::kWrongType);

  const uint64_t index = ends.from == ListEnd::kHead ? 0 : source->size() - 1;
  Missing missing;
  const std::optional<Element> element = source->At(index, &missing);
  if (element) values::PlanElement(server::TheEnv(), *element, &missing);
  source->PlanErase(index, index + 1, &missing);
  if (destination.exists()) destination->PlanPush(EndOf(ends.to), &missing);
  if (auto closed = ctx.Gate(missing)) return closed;
  if (auto closed = GateRoomFor(ctx, element->size())) return closed;
  if (auto closed = ctx.GateApply()) return closed;

  const std::string text = values::ElementText(server::TheEnv(), *element);
  ctx.ReplyBulk(base::AsBytes(text));
  if (!rotates || ends.from != ends.to) {  // Else it would end where it was.
    source->Erase(index, index + 1);
    destination->Push(EndOf(ends.to), base::AsBytes(text));
    destination.Save();
    source.Save();
  }
  CommitMove(ctx, command, event, !source.exists());
  return Outcome::kDone;
}

}  // namespace flash::commands
