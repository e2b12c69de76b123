// waiting_clients.cc: see waiting_clients.h.
//
// Thread: main.
#include "dispatch/waiting_clients.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "dispatch/bringer.h"
#include "vk/blocked_client.h"

namespace flash::dispatch {
namespace {

struct Waiter {
  vk::BlockedClient client;
  WaitingClients::Step step;
  WaitingClients::Reply reply;
  int db = 0;
};

/// For the reply callback.
struct Late {
  Answer answer;
  WaitingClients::Reply reply;
};

std::vector<Waiter>& Waiters() {
  // raw new: never destroyed; its strings belong to the server.
  static auto* const waiters = new std::vector<Waiter>;
  return *waiters;
}

int ReplyLate(ValkeyModuleCtx* ctx, ValkeyModuleString** argv, int /*argc*/) noexcept {
  const auto* const late = static_cast<Late*>(ValkeyModule_GetBlockedClientPrivateData(ctx));
  return late->reply ? late->reply(ctx, argv, late->answer) : ReplyAnswer(ctx, late->answer);
}

void FreeLate(ValkeyModuleCtx* /*ctx*/, void* pointer) noexcept {
  const std::unique_ptr<Late> late(static_cast<Late*>(pointer));
}

void OnDisconnect(ValkeyModuleCtx* /*ctx*/, ValkeyModuleBlockedClient* client) noexcept {
  std::erase_if(Waiters(), [client](Waiter& waiter) {
    if (waiter.client.get() != client) return false;
    waiter.client.Unblock(nullptr);  // Nobody is left to hear the answer.
    return true;
  });
}

}  // namespace

bool IsError(Answer answer) { return std::strchr(answer, ' ') != nullptr; }

int ReplyAnswer(ValkeyModuleCtx* ctx, Answer answer) {
  return IsError(answer) ? ValkeyModule_ReplyWithError(ctx, answer)
                         : ValkeyModule_ReplyWithSimpleString(ctx, answer);
}

bool WaitingClients::Park(ValkeyModuleCtx* ctx, Step&& step, Reply reply) {
  if ((vk::ContextFlags(ctx) & vk::kNoBlockingFlags) != 0) return false;
  vk::BlockedClient client = vk::BlockedClient::Block(ctx, ReplyLate, FreeLate);
  if (!client) return false;
  client.OnDisconnect(OnDisconnect);
  Waiters().push_back(
      {std::move(client), std::move(step), std::move(reply), ValkeyModule_GetSelectedDb(ctx)});
  return true;
}

void WaitingClients::Turn(ValkeyModuleCtx* ctx) {
  if (Waiters().empty()) [[likely]]
    return;
  std::erase_if(Waiters(), [ctx](Waiter& waiter) {
    Answer answer = nullptr;
    InDatabase(ctx, waiter.db, [&] { answer = waiter.step(ctx); });
    if (answer == nullptr) return false;
    // raw new: owned by the blocked client, deleted in FreeLate.
    waiter.client.Unblock(new Late{answer, std::move(waiter.reply)});
    return true;
  });
}

}  // namespace flash::dispatch
