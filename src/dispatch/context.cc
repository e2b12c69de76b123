// context.cc: see context.h.
//
// Thread: main.
#include "dispatch/context.h"

#include <algorithm>
#include <string>

#include "dispatch/errors.h"
#include "vk/blocked_client.h"
#include "vk/ok_reply.h"

namespace flash::dispatch {

using values::StringValue;

void Context::SetPoolQuiet(bool quiet) { server::Engine::Get().pool().SetQuiet(quiet); }

// --- Behind the gates
// -------------------------------------------------------------------------------

Bytes Context::Read(const StringValue& value) {
  if (prepared_ != nullptr && prepared_->gathered != nullptr) {
    if (const Bytes bytes = prepared_->gathered->Find(value); bytes.data() != nullptr) return bytes;
  }
  if (values::Strings::IsContiguous(value)) return server::TheStrings().View(value, use());
  auto& scratch = aside().scratch;
  scratch.resize(value.bytes());
  server::TheStrings().CopyTo(value, scratch, use());
  return scratch;
}

bool Context::Equals(const StringValue& value, Bytes bytes) {
  if (value.bytes() != bytes.size()) return false;
  const Bytes own = Read(value);
  return std::equal(own.begin(), own.end(), bytes.begin());
}

StringValue Context::Make(int argument) {
  FLASH_CHECK(!planning());
  if (prepared_ != nullptr && prepared_->built != nullptr) {
    const StringValue built = prepared_->built->Take(argument);
    if (!built.empty_handle()) return built;
  }
  return server::TheStrings().Create(vk::BytesOf(argv_[argument]));
}

// --- Replies
// ----------------------------------------------------------------------------------------

Outcome Context::ReplyOk() {
  if (!planning()) vk::OkReply::Send(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyNull() {
  if (!planning()) ValkeyModule_ReplyWithNull(ctx_);
  return Outcome::kDone;
}

void Context::ReplyArray(long count) {
  if (!planning()) ValkeyModule_ReplyWithArray(ctx_, count);
}

void Context::ReplyMap(long pairs) {
  if (!planning()) ValkeyModule_ReplyWithMap(ctx_, pairs);
}

Outcome Context::ReplyNullArray() {
  if (!planning()) ValkeyModule_ReplyWithNullArray(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyDouble(double number) {
  if (!planning()) ValkeyModule_ReplyWithDouble(ctx_, number);
  return Outcome::kDone;
}

Outcome Context::ReplyError(const char* text) {
  if (!planning()) {
    ++errors_replied_;
    ValkeyModule_ReplyWithError(ctx_, text);
  }
  return Outcome::kDone;
}

Outcome Context::ReplyWrongArity() {
  if (!planning()) ValkeyModule_WrongArity(ctx_);
  return Outcome::kDone;
}

Outcome Context::ReplyInvalidExpire() {
  const std::string text = std::string("ERR invalid expire time in '") + spec_.name + "' command";
  return ReplyError(text.c_str());
}

Outcome Context::ReplyReadFailure(Code code) {
  if (!planning()) ++server::Engine::Get().counters().flashio_errors;
  switch (code) {
    case Code::kCorrupt:
      return ReplyError(errors::kCorrupt);
    case Code::kTimeout:
      return ReplyError(errors::kTimeout);
    default:
      return ReplyError(errors::kIo);
  }
}

Outcome Context::ReplyTooLarge(uint64_t bytes, uint64_t allowed_bytes) {
  if (!planning()) ++server::Engine::Get().counters().replies_refused;
  const std::string text = "ERR a reply of " + std::to_string(bytes) +
                           " bytes or more is refused: flash.max-reply-bytes, or what maxmemory "
                           "leaves where that is 0, allows " +
                           std::to_string(allowed_bytes) + " bytes now";
  return ReplyError(text.c_str());
}

Outcome Context::ReplyFull() {
  if (!planning()) ++server::Engine::Get().counters().flashfull_errors;
  return ReplyError(errors::kFull);
}

}  // namespace flash::dispatch
