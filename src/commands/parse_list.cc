// parse_list.cc: see parse_list.h.
//
// Thread: any.
#include "commands/parse_list.h"

#include <algorithm>

#include "commands/parse_number.h"

namespace flash::commands {
namespace {

Result<ListEnd> EndOf(std::string_view word) {
  if (IsWord(word, "left")) return ListEnd::kHead;
  if (IsWord(word, "right")) return ListEnd::kTail;
  return SyntaxError();
}

}  // namespace

Result<std::optional<int64_t>> ParsePopCount(Args args) {
  if (args.size() > 3) return ArityError(args[0]);
  if (args.size() < 3) return std::optional<int64_t>();
  const Result<int64_t> count = CountArgument(args[2]);
  if (!count) return count.error();
  return std::optional<int64_t>(*count);
}

Result<MoveEnds> ParseMoveEnds(Args args) {
  const Result<ListEnd> from = EndOf(args[3]);
  if (!from) return from.error();
  const Result<ListEnd> to = EndOf(args[4]);
  if (!to) return to.error();
  return MoveEnds{*from, *to};
}

Result<bool> ParseInsertAfter(Args args) {
  if (IsWord(args[2], "after")) return true;
  if (IsWord(args[2], "before")) return false;
  return SyntaxError();
}

Result<IndexBounds> ParseIndexBounds(Args args, size_t first) {
  const Result<int64_t> start = IntegerArgument(args[first]);
  if (!start) return start.error();
  const Result<int64_t> stop = IntegerArgument(args[first + 1]);
  if (!stop) return stop.error();
  return IndexBounds{*start, *stop};
}

Result<int64_t> ParseRemoveCount(Args args) {
  Result<int64_t> count = IntegerArgument(args[2]);
  if (count && *count == INT64_MIN) {
    return ReplyText(
        "ERR value is out of range, value must between -9223372036854775807 and "
        "9223372036854775807");
  }
  return count;
}

IndexRange RangeOf(IndexBounds bounds, uint64_t length) {
  const auto size = static_cast<int64_t>(length);
  int64_t start = bounds.start < 0 ? bounds.start + size : bounds.start;
  int64_t stop = bounds.stop < 0 ? bounds.stop + size : bounds.stop;
  start = std::max<int64_t>(start, 0);
  if (start > stop || start >= size) return {};
  stop = std::min(stop, size - 1);
  return {static_cast<uint64_t>(start), static_cast<uint64_t>(stop - start + 1)};
}

std::optional<uint64_t> PositionOf(int64_t index, uint64_t length) {
  const auto size = static_cast<int64_t>(length);
  const int64_t position = index < 0 ? index + size : index;
  if (position < 0 || position >= size) return std::nullopt;
  return static_cast<uint64_t>(position);
}

}  // namespace flash::commands
