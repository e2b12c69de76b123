// doors.cc: see doors.h.
//
// Thread: main.
#include "durability/doors.h"

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "durability/cut.h"
#include "server/events.h"
#include "vk/call_reply.h"

namespace flash::durability {
namespace {

/// A script nests loops once it has run for busy-reply-threshold, which is a millisecond at least.
constexpr uint64_t kNestsNoneUs = 1000;
/// CLIENT LIST about one client costs as much as the event loop's text about so many.
constexpr size_t kListCost = 12;

/// Who may change something: a client of RESP3 even while it is subscribed to channels.
constexpr const char* kTypes[] = {"normal", "pubsub"};

/// Calls `visit` with the text of a field of each line of CLIENT LIST.
template <typename Visit>
void ForEachField(std::string_view lines, std::string_view field, Visit visit) {
  for (size_t at = lines.find(field); at != lines.npos; at = lines.find(field, at)) {
    at += field.size();
    visit(lines.substr(at, lines.find(' ', at) - at));
  }
}

/// Does a line show interest in writing?
bool AnyWrites(std::string_view lines) {
  bool any = false;
  ForEachField(lines, " events=", [&](std::string_view events) {
    any = any || events.find('w') != events.npos;
  });
  return any;
}

vk::CallReply AskAbout(ValkeyModuleCtx* ctx, uint64_t id) {
  return vk::CallReply(
      ValkeyModule_Call(ctx, "CLIENT", "ccl", "LIST", "ID", static_cast<long long>(id)));
}

/// Is there such a client?
bool Tells(const vk::CallReply& reply) {
  return !reply.is_error() && reply.text().starts_with("id=");
}

void CutThose(std::string_view lines) {
  ForEachField(lines, " fd=", [](std::string_view text) {
    int fd = -1;
    std::from_chars(text.data(), text.data() + text.size(), fd);
    if (fd >= 0) shutdown(fd, SHUT_RDWR);
  });
}

}  // namespace

bool Doors::AllAreClosed(uint64_t now_us) {
  ++asked_;
  const bool nested_none = now_us - std::exchange(asked_us_, now_us) < kNestsNoneUs;
  if (loop_ != Any::kUnknown && nested_none) return loop_ == Any::kNo;
  loop_ = Any::kUnknown;
  if (!std::exchange(interest_tried_, true) && !interest_.Find(server::WakeFd())) {
    return false;
  }
  // Many idle clients and few that write: one by one.
  if (interest_.descriptors() > kListCost * std::max(asked_, asked_before_)) return false;
  const std::optional<bool> any = interest_.Any();
  if (!any) return false;
  loop_ = *any ? Any::kYes : Any::kNo;
  return loop_ == Any::kNo;
}

Doors::Any Doors::AskAboutAny(ValkeyModuleCtx* ctx) {
  for (const char* const type : kTypes) {
    const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "LIST", "TYPE", type));
    if (reply.is_error() || AnyWrites(reply.text())) return Any::kYes;
  }
  return Any::kNo;
}

bool Doors::IsOpenFor(ValkeyModuleCtx* ctx, uint64_t id) {
  if (AllAreClosed(static_cast<uint64_t>(ValkeyModule_Microseconds()))) return false;
  if (id != 0) {
    if (std::find(closed_.rbegin(), closed_.rend(), id) != closed_.rend()) return false;
    const vk::CallReply reply = AskAbout(ctx, id);
    if (Tells(reply)) {
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
  for (const char* const type : kTypes) {
    const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "KILL", "TYPE", type));
    if (reply.is_error()) CutConnections();
  }
}

void Doors::CutClients(ValkeyModuleCtx* ctx, uint64_t id) {
  if (id != 0) {
    const vk::CallReply reply = AskAbout(ctx, id);
    if (Tells(reply)) return CutThose(reply.text());
  }
  for (const char* const type : kTypes) {
    const vk::CallReply reply(ValkeyModule_Call(ctx, "CLIENT", "ccc", "LIST", "TYPE", type));
    if (reply.is_error()) return CutConnections();
    CutThose(reply.text());
  }
}

}  // namespace flash::durability
