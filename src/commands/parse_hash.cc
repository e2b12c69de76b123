// parse_hash.cc: see parse_hash.h.
//
// Thread: any.
#include "commands/parse_hash.h"

#include <optional>

#include "commands/parse_number.h"

namespace flash::commands {
namespace {

constexpr size_t kFirstPair = 2;

struct Unit {
  int64_t ms_each = 1;
  bool absolute = false;
};

/// The whole word: a field that goes on behind a zero byte is another field, and data.
bool IsWholeWord(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() && IsWord(text, lower_case);
}

std::optional<Unit> UnitOf(std::string_view word) {
  if (IsWholeWord(word, "ex")) return Unit{1000, false};
  if (IsWholeWord(word, "px")) return Unit{1, false};
  if (IsWholeWord(word, "exat")) return Unit{1000, true};
  if (IsWholeWord(word, "pxat")) return Unit{1, true};
  return std::nullopt;
}

/// Absent where the sum does not fit, or names no moment.
std::optional<int64_t> MomentOf(int64_t amount, Unit unit, int64_t now_ms) {
  if (amount <= 0 || amount > INT64_MAX / unit.ms_each) return std::nullopt;
  const int64_t ms = amount * unit.ms_each;
  if (unit.absolute) return ms;
  if (ms > INT64_MAX - now_ms) return std::nullopt;
  return now_ms + ms;
}

}  // namespace

Result<HSetRequest> ParseHSet(Args args, int64_t now_ms) {
  HSetRequest request;
  request.pairs_end = args.size();
  const size_t count = args.size() - kFirstPair;
  if (count % 2 == 1) {
    if (count < 3 || !IsWholeWord(args.back(), "keepttl")) return ArityError(args[0]);
    request.pairs_end = args.size() - 1;
    return request;
  }
  if (count < 4) return request;
  const std::optional<Unit> unit = UnitOf(args[args.size() - 2]);
  const std::optional<int64_t> amount = ParseInteger(args.back());
  if (!unit || !amount) return request;
  const std::optional<int64_t> moment = MomentOf(*amount, *unit, now_ms);
  if (!moment) return ReplyText("ERR invalid expire time in 'FLASH.HSET' command");
  request.pairs_end = args.size() - 2;
  request.sets_expiry = true;
  request.expire_at_ms = *moment;
  return request;
}

}  // namespace flash::commands
