// zset_store.cc: handlers of the commands that store a sorted set made of others. Their specs:
// zset_specs.cc.
//
// The result is made in memory of the command and put in the place of whatever the destination
// holds. The order of checks, and that of sums, is the native one. Thread: main.
#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <unordered_map>

#include "commands/parse_number.h"
#include "commands/zset_handlers.h"
#include "commands/zset_parts.h"
#include "server/engine.h"

namespace flash::commands {
namespace {

constexpr int kDestination = 1;

enum class Operation : uint8_t { kUnion, kInter, kDiff };

/// Members with scores, each once.
using Members = std::vector<std::pair<std::string, double>>;

/// A source in the order of the computation; null: there is no such key.
struct Source {
  ZSetKey* key = nullptr;
  double weight = 1;
  [[nodiscard]] uint64_t size() const { return key->exists() ? (*key)->size() : 0; }
};

/// A result this large goes straight to flash, leaf by leaf, and asks for no room.
uint64_t ToFlashFrom() { return server::Engine::Get().settings().cache_size_bytes / 4; }

uint64_t BytesOf(const Members& members) {
  return std::accumulate(members.begin(), members.end(), uint64_t{0},
                         [](uint64_t sum, const auto& pair) {
                           return sum + 2 * HotBytesOf(pair.first) + 2 * sizeof(double);
                         });
}

std::optional<Outcome> GateStore(Context& ctx, const Members& members) {
  const uint64_t bytes = BytesOf(members);
  return bytes > ToFlashFrom() ? std::nullopt : ctx.GateRoom(bytes);
}

/// Puts the result in the place of what the destination holds, and replies its size.
Outcome Store(Context& ctx, const Members& members, const char* event) {
  ValkeyModuleString* const name = ctx.Argument(kDestination);
  ZSetKey destination(ctx, kDestination, Access::kWrite);
  if (members.empty()) {
    if (destination.present()) {
      destination.Delete();
      const std::array<KeyChange, 1> changes = {{{name, "del"}}};
      const std::array<ValkeyModuleString*, 1> args = {name};
      ctx.Commit({"DEL", args}, changes);
    }
    return ctx.ReplyInteger(0);
  }
  std::vector<ZSetValue::Pair> pairs;
  pairs.reserve(members.size());
  const bool small = members.size() <= kSmallSize &&
                     std::all_of(members.begin(), members.end(), [](const auto& pair) {
                       return pair.first.size() <= kSmallMemberBytes;
                     });
  for (const auto& [member, score] : members) {
    pairs.emplace_back(small ? WithoutMinusZero(score) : score, base::AsBytes(member));
  }
  uint64_t word = 0;
  const Result<void> built =
      ZSetValue(server::TheEnv(), &word).Build(pairs, BytesOf(members) > ToFlashFrom());
  if (!built) return ctx.ReplyReadFailure(built.code());
  destination.Replace(values::CollectionKind::kZSet, word);
  const std::array<KeyChange, 1> changes = {{{name, event, kZSetClass}}};
  ctx.Commit({}, changes);
  return ctx.ReplyInteger(static_cast<long long>(members.size()));
}

void PlanWhole(const Source& source, Missing* missing) {
  if (source.size() > 0) PlanRead(**source.key, 0, source.size(), missing);
}

template <typename Visit>
void ForEachMember(const Source& source, const Visit& visit) {
  if (source.size() == 0) return;
  (*source.key)->ForRange(0, source.size(), [&visit](double score, const Element& member) {
    visit(values::ElementText(server::TheEnv(), member), score);
    return true;
  });
}

/// The members of one source.
Members MembersOf(const Source& source) {
  Members members;
  ForEachMember(source, [&members](std::string member, double score) {
    members.emplace_back(std::move(member), score);
  });
  return members;
}

Members Union(const std::vector<Source>& sources, Aggregate aggregate) {
  std::unordered_map<std::string, double> scores;
  for (const Source& source : sources) {
    ForEachMember(source, [&](std::string member, double score) {
      const double weighted = Weighted(score, source.weight);
      const auto [at, is_new] = scores.try_emplace(std::move(member), weighted);
      if (!is_new) at->second = Aggregated(aggregate, at->second, weighted);
    });
  }
  return {scores.begin(), scores.end()};
}

/// Names what looking up `members` in the other sources needs.
void PlanLookups(const Members& members, const std::vector<Source>& sources, Missing* missing) {
  for (size_t i = 1; i < sources.size(); ++i) {
    if (sources[i].size() == 0) continue;
    for (const auto& [member, score] : members) {
      (*sources[i].key)->PlanScore(base::AsBytes(member), missing);
    }
  }
}

std::optional<double> ScoreIn(const Source& source, const std::string& member) {
  if (source.size() == 0) return std::nullopt;
  return (*source.key)->Score(base::AsBytes(member));
}

Members Inter(const Members& first, const std::vector<Source>& sources, Aggregate aggregate) {
  Members result;
  for (const auto& [member, own] : first) {
    double sum = Weighted(own, sources[0].weight);
    size_t i = 1;
    for (; i < sources.size(); ++i) {
      const std::optional<double> score = ScoreIn(sources[i], member);
      if (!score) break;
      // Unlike in a union, a product that is no number counts only through the sum.
      sum = Aggregated(aggregate, sum, *score * sources[i].weight);
    }
    if (i == sources.size()) result.emplace_back(member, sum);
  }
  return result;
}

Members Diff(const Members& first, const std::vector<Source>& sources) {
  Members result;
  for (const auto& pair : first) {
    const bool elsewhere = std::any_of(
        sources.begin() + 1, sources.end(),
        [&pair](const Source& source) { return ScoreIn(source, pair.first).has_value(); });
    if (!elsewhere) result.push_back(pair);
  }
  return result;
}

/// From the smallest to the largest, as the server sums them; the first of a difference stays.
void Order(Operation operation, std::vector<Source>* sources) {
  if (operation == Operation::kDiff) return;
  std::stable_sort(sources->begin(), sources->end(),
                   [](const Source& a, const Source& b) { return a.size() < b.size(); });
}

Outcome StoreOf(Context& ctx, Operation operation, const char* event) {
  const Texts texts(ctx);
  const Result<StoreKeys> keys = ParseStoreKeys(texts.args());
  if (!keys) return ctx.ReplyError(keys.error());
  std::deque<ZSetKey> opened;
  std::vector<Source> sources;
  for (size_t i = 0; i < keys->count; ++i) {
    ZSetKey& key = opened.emplace_back(ctx, static_cast<int>(keys->first + i), Access::kRead);
    if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    sources.push_back({&key});
  }
  const Result<StoreOptions> options =
      ParseStoreOptions(texts.args(), *keys, operation == Operation::kDiff);
  if (!options) return ctx.ReplyError(options.error());
  for (size_t i = 0; i < sources.size(); ++i) sources[i].weight = options->weights[i];
  Order(operation, &sources);

  Missing missing;
  Members result;
  if (operation == Operation::kUnion) {
    for (const Source& source : sources) PlanWhole(source, &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    result = Union(sources, options->aggregate);
  } else {
    PlanWhole(sources[0], &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    const Members first = MembersOf(sources[0]);
    PlanLookups(first, sources, &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    result = operation == Operation::kInter ? Inter(first, sources, options->aggregate)
                                            : Diff(first, sources);
  }
  if (auto closed = GateStore(ctx, result)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  sources.clear();
  opened.clear();  // One of them may be the destination.
  return Store(ctx, result, event);
}

}  // namespace

/// FLASH.ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
///
/// Reply: integer, the size of the result.
Outcome ZUnionStore(Context& ctx) { return StoreOf(ctx, Operation::kUnion, "flash.zunionstore"); }

/// FLASH.ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
///
/// Reply: as ZUNIONSTORE.
Outcome ZInterStore(Context& ctx) { return StoreOf(ctx, Operation::kInter, "flash.zinterstore"); }

/// FLASH.ZDIFFSTORE destination numkeys key [key …]
///
/// Reply: as ZUNIONSTORE.
Outcome ZDiffStore(Context& ctx) { return StoreOf(ctx, Operation::kDiff, "flash.zdiffstore"); }

/// FLASH.ZRANGESTORE destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
///
/// Reply: integer, the size of the result.
Outcome ZRangeStore(Context& ctx) {
  const Texts texts(ctx);
  const Result<ZRangeRequest> request = ParseZRange(texts.args(), {.source = 2, .stores = true});
  if (!request) return ctx.ReplyError(request.error());
  Members result;
  {
    ZSetKey source(ctx, 2, Access::kRead);
    if (source.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    Missing missing;
    const Ranks ranks = RanksOf(*request, source, &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (ranks.count() > 0) PlanRead(*source, ranks.begin, ranks.end, &missing);
    if (auto closed = ctx.Gate(missing)) return *closed;
    if (ranks.count() > 0) {
      source->ForRange(ranks.begin, ranks.end, [&result](double score, const Element& member) {
        result.emplace_back(values::ElementText(server::TheEnv(), member), score);
        return true;
      });
    }
  }
  if (auto closed = GateStore(ctx, result)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  return Store(ctx, result, "flash.zrangestore");
}

}  // namespace flash::commands
