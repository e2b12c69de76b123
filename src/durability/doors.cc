// doors.cc: see doors.h.
//
// Thread: main.
#include "durability/doors.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "vk/call_reply.h"

namespace flash::durability {
namespace {

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

bool Doors::IsOpenFor(ValkeyModuleCtx* ctx, uint64_t id) {
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
  if (any_ == Any::kUnknown) {
    const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "LIST", "TYPE", "normal"));
    any_ = reply.is_error() || AnyWrites(reply.text()) ? Any::kYes : Any::kNo;
  }
  return any_ == Any::kYes;
}

void Doors::NewTurn() {
  closed_.clear();
  any_ = Any::kUnknown;
}

void Doors::DropReplies(ValkeyModuleCtx* ctx) {
  const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "KILL", "TYPE", "normal"));
  // Nothing can be done about a refusal: the caller has refused further writes already.
}

}  // namespace flash::durability
