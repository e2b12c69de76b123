// ok_reply.cc: see ok_reply.h.
//
// Thread: main.
#include "vk/ok_reply.h"

#include "vk/call_reply.h"

namespace flash::vk {
namespace {

constinit ValkeyModuleCallReply* ok_reply = nullptr;  // As long as the server runs.

}  // namespace

void OkReply::Prepare(ValkeyModuleCtx* ctx) {
  // Without WATCH before it, it does nothing.
  CallReply reply(ValkeyModule_Call(ctx, "UNWATCH", ""));
  if (reply.type() == VALKEYMODULE_REPLY_STRING && reply.text() == "OK") ok_reply = reply.Release();
}

void OkReply::Send(ValkeyModuleCtx* ctx) {
  if (ok_reply == nullptr) {
    ValkeyModule_ReplyWithSimpleString(ctx, "OK");
  } else {
    ValkeyModule_ReplyWithCallReply(ctx, ok_reply);
  }
}

}  // namespace flash::vk
