// zset_store.cc: handlers of the commands that store a sorted set made of others. Their specs:
// zset_specs.cc.
//
// The result is made in memory of the command, or by long work, and put in the place of whatever
// the destination holds. The order of checks, and that of sums, is the native one. Thread: main.
#include <algorithm>
#include <deque>
#include <string>
#include <unordered_map>

#include "commands/parse_number.h"
#include "commands/zset_handlers.h"
#include "commands/zset_parts.h"
#include "commands/zset_work.h"
#include "server/engine.h"

namespace flash::commands {
namespace {

constexpr int kDestination = 1;

/// A source in the order of the computation; null: there is no such key.
struct Source {
  ZSetKey* key = nullptr;
  double weight = 1;
  [[nodiscard]] uint64_t size() const { return key->exists() ? (*key)->size() : 0; }
};

/// A result this large goes straight to flash, leaf by leaf, and asks for no room.
uint64_t ToFlashFrom() { return server::Engine::Get().settings().cache_size_bytes / 4; }

std::optional<Outcome> GateStore(Context& ctx, const Members& members) {
  const uint64_t bytes = HotBytesOf(members);
  return bytes > ToFlashFrom() ? std::nullopt : ctx.GateRoom(bytes);
}

Outcome ReplyStored(Context& ctx, ZSetKey& destination, uint64_t word, uint64_t count,
                    const char* event) {
  destination.Replace(values::CollectionKind::kZSet, word);
  const std::array<KeyChange, 1> changes = {{{ctx.Argument(kDestination), event, kZSetClass}}};
  ctx.Commit({}, changes);
  return ctx.ReplyInteger(static_cast<long long>(count));
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
      ZSetValue(server::TheEnv(), &word).Build(pairs, HotBytesOf(members) > ToFlashFrom());
  if (!built) return ctx.ReplyReadFailure(built.code());
  return ReplyStored(ctx, destination, word, members.size(), event);
}

/// The result of long work, likewise. No key is open.
Outcome StoreDone(Context& ctx, StoreWork* work, const char* event) {
  if (work->is_few()) {
    if (auto closed = GateStore(ctx, work->few())) return *closed;
  }
  if (auto closed = ctx.GateApply()) return *closed;
  if (work->is_few()) return Store(ctx, work->few(), event);
  ZSetKey destination(ctx, kDestination, Access::kWrite);
  return ReplyStored(ctx, destination, work->TakeWord(), work->count(), event);
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
void Order(StoreOperation operation, std::vector<Source>* sources) {
  if (operation == StoreOperation::kDiff) return;
  std::stable_sort(sources->begin(), sources->end(),
                   [](const Source& a, const Source& b) { return a.size() < b.size(); });
}

/// What a command says of its sources.
struct StoreRequest {
  StoreOperation operation{};
  Aggregate aggregate{};
  std::vector<Source> sources;
};

std::vector<JoinWork::Source> ForWork(const std::vector<Source>& sources) {
  std::vector<JoinWork::Source> all;
  all.reserve(sources.size());
  for (const Source& source : sources) {
    all.push_back({source.size() > 0 ? &**source.key : nullptr, source.weight});
  }
  return all;
}

/// Too much to be gone over within a command, hot or cold.
bool IsLongStore(const StoreRequest& request) {
  uint64_t elements = 0;
  for (const Source& source : request.sources) {
    elements += source.size();
    if (request.operation != StoreOperation::kUnion) break;  // The others are looked up in.
  }
  return elements > dispatch::kElementsAtOnce;
}

/// The result, computed at once. Absent: a gate is closed, as `*closed` says, or (`*closed` is
/// absent, too) it takes more than a command may pin.
std::optional<Members> Compute(Context& ctx, const StoreRequest& request,
                               std::optional<Outcome>* closed) {
  const std::vector<Source>& sources = request.sources;
  Missing missing;
  const auto gate = [&] {
    if (dispatch::IsMoreThanPortion(&missing)) return false;
    *closed = ctx.Gate(missing);
    return !*closed;
  };
  if (request.operation == StoreOperation::kUnion) {
    for (const Source& source : sources) PlanWhole(source, &missing);
    if (!gate()) return std::nullopt;
    return Union(sources, request.aggregate);
  }
  PlanWhole(sources[0], &missing);
  if (!gate()) return std::nullopt;
  const Members first = MembersOf(sources[0]);
  PlanLookups(first, sources, &missing);
  if (!gate()) return std::nullopt;
  return request.operation == StoreOperation::kInter ? Inter(first, sources, request.aggregate)
                                                     : Diff(first, sources);
}

/// By long work. Absent: it is done, as `*work` says.
std::optional<Outcome> GateJoin(Context& ctx, const StoreRequest& request, JoinWork** work) {
  *work = ctx.DoneWork<JoinWork>();
  const std::vector<JoinWork::Source> sources = ForWork(request.sources);
  if (*work != nullptr && (*work)->IsOf(sources)) return std::nullopt;
  auto fresh =
      std::make_shared<JoinWork>(JoinWork::Wanted{request.operation, request.aggregate, sources});
  if (auto closed = ctx.GateWork(std::move(fresh))) return closed;
  *work = ctx.DoneWork<JoinWork>();
  return std::nullopt;
}

Outcome StoreOf(Context& ctx, StoreOperation operation, const char* event) {
  const Texts texts(ctx);
  const Result<StoreKeys> keys = ParseStoreKeys(texts.args());
  if (!keys) return ctx.ReplyError(keys.error());
  std::deque<ZSetKey> opened;
  StoreRequest request{.operation = operation, .aggregate = {}, .sources = {}};
  for (size_t i = 0; i < keys->count; ++i) {
    ZSetKey& key = opened.emplace_back(ctx, static_cast<int>(keys->first + i), Access::kRead);
    if (key.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    request.sources.push_back({&key});
  }
  const Result<StoreOptions> options =
      ParseStoreOptions(texts.args(), *keys, operation == StoreOperation::kDiff);
  if (!options) return ctx.ReplyError(options.error());
  for (size_t i = 0; i < keys->count; ++i) request.sources[i].weight = options->weights[i];
  request.aggregate = options->aggregate;
  Order(operation, &request.sources);

  std::optional<Members> result;
  if (ctx.DoneWork<JoinWork>() == nullptr && !IsLongStore(request)) {
    std::optional<Outcome> closed;
    result = Compute(ctx, request, &closed);
    if (closed) return *closed;
  }
  JoinWork* work = nullptr;
  if (!result) {
    if (auto closed = GateJoin(ctx, request, &work)) return *closed;
  } else {
    if (auto closed = GateStore(ctx, *result)) return *closed;
    if (auto closed = ctx.GateApply()) return *closed;
  }
  request.sources.clear();
  opened.clear();  // One of them may be the destination.
  return result ? Store(ctx, *result, event) : StoreDone(ctx, work, event);
}

/// The members of a range, `*ranks_found`, can be read; or `*work` has done it, since there are too
/// many.
std::optional<Outcome> GateRange(Context& ctx, const ZRangeRequest& request, ZSetKey& source,
                                 Ranks* ranks_found, RangeStoreWork** work) {
  Missing missing;
  const Ranks ranks = *ranks_found = RanksOf(request, source, &missing);
  if (auto closed = ctx.Gate(missing)) return closed;
  if (ranks.count() == 0) return std::nullopt;
  if (ranks.count() <= dispatch::kElementsAtOnce) {
    PlanRead(*source, ranks.begin, ranks.end, &missing);
    if (!dispatch::IsMoreThanPortion(&missing)) return ctx.Gate(missing);
  }
  if (auto closed = ctx.GateWork(std::make_shared<RangeStoreWork>(*source, ranks))) return closed;
  *work = ctx.DoneWork<RangeStoreWork>();
  return std::nullopt;
}

Members MembersOf(ZSetKey& source, Ranks ranks) {
  Members result;
  if (ranks.count() == 0) return result;
  source->ForRange(ranks.begin, ranks.end, [&result](double score, const Element& member) {
    result.emplace_back(values::ElementText(server::TheEnv(), member), score);
    return true;
  });
  return result;
}

}  // namespace

/// FLASH.ZUNIONSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
///
/// Reply: integer, the size of the result.
Outcome ZUnionStore(Context& ctx) {
  return StoreOf(ctx, StoreOperation::kUnion, "flash.zunionstore");
}

/// FLASH.ZINTERSTORE destination numkeys key [key …] [WEIGHTS weight …] [AGGREGATE SUM | MIN | MAX]
///
/// Reply: as ZUNIONSTORE.
Outcome ZInterStore(Context& ctx) {
  return StoreOf(ctx, StoreOperation::kInter, "flash.zinterstore");
}

/// FLASH.ZDIFFSTORE destination numkeys key [key …]
///
/// Reply: as ZUNIONSTORE.
Outcome ZDiffStore(Context& ctx) { return StoreOf(ctx, StoreOperation::kDiff, "flash.zdiffstore"); }

/// FLASH.ZRANGESTORE destination source min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]
///
/// Reply: integer, the size of the result.
Outcome ZRangeStore(Context& ctx) {
  const Texts texts(ctx);
  const Result<ZRangeRequest> request = ParseZRange(texts.args(), {.source = 2, .stores = true});
  if (!request) return ctx.ReplyError(request.error());
  Members result;
  auto* work = ctx.DoneWork<RangeStoreWork>();
  {
    ZSetKey source(ctx, 2, Access::kRead);
    if (source.wrong_type()) return ctx.ReplyError(errors::kWrongType);
    if (work != nullptr && !work->IsOf(*source)) work = nullptr;
    if (work == nullptr) {
      Ranks ranks;
      if (auto closed = GateRange(ctx, *request, source, &ranks, &work)) return *closed;
      if (work == nullptr) result = MembersOf(source, ranks);
    }
  }
  constexpr const char* kEvent = "flash.zrangestore";
  if (work != nullptr) return StoreDone(ctx, work, kEvent);
  if (auto closed = GateStore(ctx, result)) return *closed;
  if (auto closed = ctx.GateApply()) return *closed;
  return Store(ctx, result, kEvent);
}

}  // namespace flash::commands
