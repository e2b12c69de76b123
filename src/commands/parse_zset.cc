// parse_zset.cc: see parse_zset.h.
//
// Thread: any.
#include "commands/parse_zset.h"

#include <cerrno>
#include <cmath>
#include <cstdlib>

#include "commands/parse_number.h"

namespace flash::commands {
namespace {

/// Takes one option word of ZADD; false for anything else.
bool TakeZAddOption(std::string_view word, ZAddRequest* request) {
  if (IsWord(word, "nx")) return request->nx = true;
  if (IsWord(word, "xx")) return request->xx = true;
  if (IsWord(word, "ch")) return request->ch = true;
  if (IsWord(word, "incr")) return request->incr = true;
  if (IsWord(word, "gt")) return request->gt = true;
  if (IsWord(word, "lt")) return request->lt = true;
  return false;
}

/// The error of options that exclude each other.
std::optional<Error> ConflictOf(const ZAddRequest& request, size_t pairs) {
  if (request.nx && request.xx) {
    return ReplyText("ERR XX and NX options at the same time are not compatible");
  }
  const bool compares_twice = request.gt && request.lt;
  const bool compares_new = request.nx && (request.gt || request.lt);
  if (compares_twice || compares_new) {
    return ReplyText("ERR GT, LT, and/or NX options at the same time are not compatible");
  }
  if (request.incr && pairs > 1) {
    return ReplyText("ERR INCR option supports a single increment-element pair");
  }
  return std::nullopt;
}

Result<Aggregate> AggregateOf(std::string_view word) {
  if (IsWord(word, "sum")) return Aggregate::kSum;
  if (IsWord(word, "min")) return Aggregate::kMin;
  if (IsWord(word, "max")) return Aggregate::kMax;
  return SyntaxError();
}

}  // namespace

Result<ZAddRequest> ParseZAdd(Args args, bool incr) {
  ZAddRequest request;
  request.incr = incr;
  size_t at = 2;
  while (at < args.size() && TakeZAddOption(args[at], &request)) ++at;
  request.first_pair = at;
  const size_t left = args.size() - at;
  if (left == 0 || left % 2 != 0) return SyntaxError();
  if (std::optional<Error> conflict = ConflictOf(request, left / 2)) return *std::move(conflict);
  for (; at < args.size(); at += 2) {
    const Result<double> score = DoubleArgument(args[at]);
    if (!score) return score.error();
    request.scores.push_back(*score);
  }
  return request;
}

Result<std::optional<int64_t>> ParseZPopCount(Args args) {
  if (args.size() > 3) return SyntaxError();
  if (args.size() < 3) return std::optional<int64_t>();
  const Result<int64_t> count = CountArgument(args[2]);
  if (!count) return count.error();
  return std::optional<int64_t>(*count);
}

Result<bool> ParseZRankWithScore(Args args) {
  if (args.size() > 4) return ArityError(args[0]);
  if (args.size() < 4) return false;
  if (!IsWord(args[3], "withscore")) return SyntaxError();
  return true;
}

Result<StoreKeys> ParseStoreKeys(Args args) {
  const Result<int64_t> count = IntegerArgument(args[2]);
  if (!count) return count.error();
  if (*count < 1) {
    return ReplyText("ERR at least 1 input key is needed for '" + std::string(args[0]) +
                     "' command");
  }
  if (*count > static_cast<int64_t>(args.size()) - 3) return SyntaxError();
  return StoreKeys{3, static_cast<size_t>(*count)};
}

Result<StoreOptions> ParseStoreOptions(Args args, StoreKeys keys, bool is_diff) {
  StoreOptions options;
  options.weights.assign(keys.count, 1.0);
  size_t at = keys.first + keys.count;
  while (at < args.size()) {
    const size_t left = args.size() - at;
    if (!is_diff && left >= keys.count + 1 && IsWord(args[at], "weights")) {
      ++at;
      for (double& weight : options.weights) {
        const std::optional<double> value = ParseDouble(args[at++]);
        if (!value) return ReplyText("ERR weight value is not a float");
        weight = *value;
      }
    } else if (!is_diff && left >= 2 && IsWord(args[at], "aggregate")) {
      const Result<Aggregate> aggregate = AggregateOf(args[at + 1]);
      if (!aggregate) return aggregate.error();
      options.aggregate = *aggregate;
      at += 2;
    } else {
      return SyntaxError();
    }
  }
  return options;
}

double Weighted(double score, double weight) {
  const double product = score * weight;
  return std::isnan(product) ? 0.0 : product;
}

double Aggregated(Aggregate how, double left, double right) {
  switch (how) {
    case Aggregate::kMin:
      return right < left ? right : left;
    case Aggregate::kMax:
      return right > left ? right : left;
    case Aggregate::kSum:
      break;
  }
  const double sum = left + right;
  return std::isnan(sum) ? 0.0 : sum;
}

Result<uint64_t> ParseCursor(Args args) {
  const std::string text(CText(args[2]));
  const Error invalid = ReplyText("ERR invalid cursor");
  if (const std::optional<int64_t> value = ParseInteger(text)) {
    if (*value < 0) return invalid;
    return static_cast<uint64_t>(*value);
  }
  errno = 0;
  char* end = nullptr;
  const uint64_t value = std::strtoull(text.c_str(), &end, 10);
  if (errno != 0 || text.empty() || end == text.c_str() || *end != '\0') return invalid;
  return value;
}

Result<ZScanOptions> ParseZScanOptions(Args args) {
  ZScanOptions options;
  for (size_t at = 3; at < args.size();) {
    const bool has_value = args.size() - at >= 2;
    if (has_value && IsWord(args[at], "count")) {
      const Result<int64_t> count = IntegerArgument(args[at + 1]);
      if (!count) return count.error();
      if (*count < 1) return SyntaxError();
      options.count = *count;
      at += 2;
    } else if (has_value && IsWord(args[at], "match")) {
      options.match = args[at + 1];
      if (args[at + 1] == "*") options.match.reset();
      at += 2;
    } else if (IsWord(args[at], "novalues")) {
      return ReplyText("ERR NOVALUES option can only be used in HSCAN");
    } else if (IsWord(args[at], "noscores")) {
      options.no_scores = true;
      ++at;
    } else {
      return SyntaxError();
    }
  }
  return options;
}

}  // namespace flash::commands
