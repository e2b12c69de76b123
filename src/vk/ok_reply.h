// ok_reply.h: the reply OK, handed to the server whole.
//
// ReplyWithSimpleString appends its three parts to the client's buffer one by one, which of a SET
// in a pipeline is a thirtieth. The reply of a command that does nothing is kept instead, and
// appended at once. Thread: main.
#pragma once

#include "vk/api.h"

namespace flash::vk {

class OkReply {
 public:
  /// Once, at load. Where that command was renamed away, Send takes the long way.
  static void Prepare(ValkeyModuleCtx* ctx);
  static void Send(ValkeyModuleCtx* ctx);
};

}  // namespace flash::vk
