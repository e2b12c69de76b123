// probe.cc: see probe.h.
//
// The asking thread touches its Probe and its connection, nothing else of the module; it may
// outlive everything but the process. Thread: see probe.h.
#include "cluster/probe.h"

#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string_view>
#include <thread>
#include <utility>

#include "base/clock.h"

// For hiredis, which frees what it got from strdup. libc's takes memory from the server's
// allocator, whose symbols come first there; free, as a module of the server finds it, may be
// another's.
extern "C" char* strdup(const char* text) noexcept {
  const size_t bytes = std::strlen(text) + 1;
  auto* const copy = static_cast<char*>(std::malloc(bytes));  // NOLINT: freed by hiredis.
  if (copy != nullptr) std::memcpy(copy, text, bytes);
  return copy;
}

namespace flash::cluster {
namespace {

constexpr std::chrono::milliseconds kLook{1};
constexpr size_t kAnswersKept = 256;

struct ContextDeleter {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct ReplyDeleter {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using ContextPtr = std::unique_ptr<redisContext, ContextDeleter>;
using ReplyPtr = std::unique_ptr<redisReply, ReplyDeleter>;

using Answers = std::map<std::string, std::shared_ptr<Probe>>;
Answers& Kept() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static auto* const answers = new Answers;
  return *answers;
}

template <typename... Arguments>
ReplyPtr Command(const ContextPtr& context, const char* format, Arguments... arguments) {
  return ReplyPtr(static_cast<redisReply*>(redisCommand(context.get(), format, arguments...)));
}

std::string_view TextOf(const redisReply& reply) { return {reply.str, reply.len}; }

uint64_t NumberOf(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_INTEGER) return static_cast<uint64_t>(reply.integer);
  return reply.str == nullptr ? 0 : std::strtoull(reply.str, nullptr, 10);
}

/// True if it is an error, which `answer` then tells.
bool TookError(const ReplyPtr& reply, ProbeAnswer* answer) {
  if (reply == nullptr) return true;  // Silent.
  if (reply->type != REDIS_REPLY_ERROR) return false;
  const std::string_view text = TextOf(*reply);
  const bool unknown = text.find("unknown command") != text.npos;
  answer->outcome = unknown ? ProbeAnswer::Outcome::kNoModule : ProbeAnswer::Outcome::kRefused;
  answer->error = text;
  return true;
}

void TakeFields(const redisReply& reply, ProbeAnswer* answer) {
  for (size_t i = 0; i + 1 < reply.elements; i += 2) {
    const redisReply& name = *reply.element[i];
    const redisReply& value = *reply.element[i + 1];
    if (name.str == nullptr) continue;
    const std::string_view field = TextOf(name);
    if (field == "state" && value.str != nullptr) answer->state = TextOf(value);
    if (field == "path" && value.str != nullptr) answer->path = TextOf(value);
    if (field == "capacity_bytes") answer->capacity_bytes = NumberOf(value);
    if (field == "free_bytes") answer->free_bytes = NumberOf(value);
  }
}

ProbeAnswer AskTarget(const Target& target, int timeout_ms) {
  ProbeAnswer answer;
  const timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  const ContextPtr context(redisConnectWithTimeout(target.host.c_str(), target.port, limit));
  if (context == nullptr || context->err != 0) return answer;
  if (redisSetTimeout(context.get(), limit) != REDIS_OK) return answer;
  if (!target.password.empty()) {
    const std::string& user = target.user;
    const std::string& password = target.password;
    const ReplyPtr reply = user.empty()
                               ? Command(context, "AUTH %b", password.data(), password.size())
                               : Command(context, "AUTH %b %b", user.data(), user.size(),
                                         password.data(), password.size());
    if (TookError(reply, &answer)) return answer;
  }
  const ReplyPtr reply = Command(context, "FLASH.MIGRATE.PROBE");
  if (TookError(reply, &answer)) return answer;
  if (reply->type != REDIS_REPLY_ARRAY) return answer;
  TakeFields(*reply, &answer);
  answer.outcome = ProbeAnswer::Outcome::kAnswered;
  return answer;
}

}  // namespace

std::string Complaint(const Target& target) {
  return "ERR FLASH-MIGRATE target " + target.name() + " ";
}

std::string ProbeAnswer::RefusalOf(const Target& target) const {
  switch (outcome) {
    case Outcome::kSilent:
      return Complaint(target) + "did not respond within timeout";
    case Outcome::kNoModule:
      return Complaint(target) + "does not have flash-module loaded";
    case Outcome::kRefused:
      return "ERR Target instance replied with error: " + error;
    case Outcome::kAnswered:
      break;
  }
  return {};
}

std::shared_ptr<Probe> Probe::Start(const Target& target, int timeout_ms, uint32_t keep_sec) {
  const uint64_t now_us = base::SystemClock().NowUs();
  // Who asks belongs to the question: one user's answer is none for another.
  const std::string question = target.name() + "\n" + target.user + "\n" + target.password;
  Answers& kept = Kept();
  if (const auto known = kept.find(question); known != kept.end()) {
    const Probe& probe = *known->second;
    const bool good = !probe.done() || probe.answer().outcome == ProbeAnswer::Outcome::kAnswered;
    if (good && now_us - probe.asked_at_us_ < uint64_t{keep_sec} * 1'000'000) return known->second;
  }
  auto probe = std::make_shared<Probe>();
  probe->asked_at_us_ = now_us;
  if (kept.size() >= kAnswersKept) kept.clear();
  kept[question] = probe;
  std::thread([probe, target, timeout_ms] { probe->Ask(target, timeout_ms); }).detach();
  return probe;
}

void Probe::Ask(const Target& target, int timeout_ms) {
  answer_ = AskTarget(target, timeout_ms);
  done_.store(true, std::memory_order_release);
}

void Probe::Wait() const {
  while (!done()) std::this_thread::sleep_for(kLook);
}

}  // namespace flash::cluster
