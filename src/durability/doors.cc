// doors.cc: see doors.h.
//
// Thread: main.
#include "durability/doors.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "server/engine.h"
#include "vk/call_reply.h"

namespace flash::durability {
namespace {

constexpr uint64_t kLookHoldsUs = 1000;
/// CLIENT LIST about one client costs as much as the event loop's text about so many.
constexpr size_t kListCost = 12;

/// Lines of CLIENT LIST: does one show interest in writing?
bool AnyWrites(std::string_view lines) {
  constexpr std::string_view kField = " events=";
  for (size_t at = lines.find(kField); at != lines.npos; at = lines.find(kField, at)) {
    at += kField.size();
    const std::string_view events = lines.substr(at, lines.find(' ', at) - at);
    if (events.find('w') != events.npos) return true;
  }
  return false;
}

}  // namespace

bool Doors::AllAreClosed() {
  if (loop_ != Any::kUnknown && clock_.NowUs() - loop_looked_us_ < kLookHoldsUs) {
    return loop_ == Any::kNo;
  }
  loop_ = Any::kUnknown;
  if (!std::exchange(interest_tried_, true) &&
      !interest_.Find(server::Engine::Get().backend().event_fd())) {
    return false;
  }
  // Many idle clients and few that write: one by one.
  if (interest_.descriptors() > kListCost * std::max(asked_ + 1, asked_before_)) return false;
  loop_looked_us_ = clock_.NowUs();
  const std::optional<bool> any = interest_.Any();
  if (!any) return false;
  loop_ = *any ? Any::kYes : Any::kNo;
  return loop_ == Any::kNo;
}

Doors::Any Doors::AskAboutAny(ValkeyModuleCtx* ctx) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "LIST", "TYPE", "normal"));
  return reply.is_error() || AnyWrites(reply.text()) ? Any::kYes : Any::kNo;
}

bool Doors::IsOpenFor(ValkeyModuleCtx* ctx, uint64_t id) {
  const bool all_closed = AllAreClosed();
  ++asked_;
  if (all_closed) return false;
  if (id != 0) {
    if (std::find(closed_.rbegin(), closed_.rend(), id) != closed_.rend()) return false;
    const vk::CallReply reply(
        ValkeyModule_Call(ctx, "CLIENT", "ccl", "LIST", "ID", static_cast<long long>(id)));
    if (!reply.is_error() && reply.text().starts_with("id=")) {
      if (AnyWrites(reply.text())) return true;
      closed_.push_back(id);
      return false;
    }
  }
  if (any_ == Any::kUnknown) any_ = AskAboutAny(ctx);
  return any_ == Any::kYes;
}

void Doors::NewTurn() {
  loop_ = Any::kUnknown;
  asked_before_ = std::exchange(asked_, 0);
  closed_.clear();
  any_ = Any::kUnknown;
}

void Doors::DropReplies(ValkeyModuleCtx* ctx) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "KILL", "TYPE", "normal"));
  // Nothing can be done about a refusal: the caller has refused further writes already.
}

}  // namespace flash::durability
