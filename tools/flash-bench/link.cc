// link.cc: see link.h.
//
// Thread: one owner.
#include "tools/flash-bench/link.h"

#include <hiredis/hiredis.h>

#include <array>

namespace flash::tools::bench {
namespace {

constexpr int kTimeoutMs = 5000;

void FreeReply(void* reply) { freeReplyObject(reply); }

Link::Reply ViewOf(const redisReply& reply) {
  const std::string_view text(reply.str, reply.str == nullptr ? 0 : reply.len);
  switch (reply.type) {
    case REDIS_REPLY_NIL:
      return {Link::Reply::Kind::kNil, {}};
    case REDIS_REPLY_INTEGER:
      return {Link::Reply::Kind::kInteger, {}};
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return {Link::Reply::Kind::kText, text};
    case REDIS_REPLY_ERROR:
      return {Link::Reply::Kind::kError, text};
    default:
      return {Link::Reply::Kind::kOther, {}};
  }
}

}  // namespace

Link::Link(std::unique_ptr<Transport> transport)
    : transport_(std::move(transport)), reader_(redisReaderCreate(), &redisReaderFree) {
  FLASH_CHECK(reader_ != nullptr);
}

Link::~Link() = default;

Result<std::unique_ptr<Link>> Link::Open(const Endpoint& endpoint, const Access& access) {
  Transport::Options options = access.transport;
  options.timeout_ms = kTimeoutMs;
  auto transport = Transport::Connect(endpoint, options);
  if (!transport) return transport.error();
  std::unique_ptr<Link> link(
      new Link(std::move(transport).Take()));  // raw new: private constructor
  for (const Command& command : access.Greeting()) {
    if (const Result<void> done = link->Ask(command); !done) return done.error();
  }
  return link;
}

void Link::Add(const std::vector<std::string>& words) {
  out_ += "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    out_ += "$" + std::to_string(word.size()) + "\r\n";
    out_ += word;
    out_ += "\r\n";
  }
}

Result<void> Link::Flush() {
  while (has_unsent()) {
    const auto sent = transport_->TrySend(std::string_view(out_).substr(sent_));
    if (!sent) return sent.error();
    if (*sent == 0) return {};
    sent_ += *sent;
  }
  out_.clear();
  sent_ = 0;
  return {};
}

Result<void> Link::Feed() {
  std::array<char, 65536> buffer;
  while (true) {
    const auto got = transport_->TryReceive(buffer);
    if (!got) return got.error();
    if (*got > 0) redisReaderFeed(reader_.get(), buffer.data(), *got);
    if (*got < buffer.size()) return {};
  }
}

Result<Link::Held> Link::Next() {
  void* parsed = nullptr;
  if (redisReaderGetReply(reader_.get(), &parsed) != REDIS_OK) {
    return Error{Code::kIo, std::string("not a Valkey server: ") + reader_->errstr};
  }
  Held held{{parsed, &FreeReply}, {}};
  if (parsed != nullptr) held.view = ViewOf(*static_cast<redisReply*>(parsed));
  return held;
}

Result<void> Link::Ask(const std::vector<std::string>& words) {
  Add(words);
  Result<void> sent = transport_->Send(out_);
  out_.clear();
  if (!sent) return sent;
  while (true) {
    const auto reply = Next();
    if (!reply) return reply.error();
    if (reply->owner != nullptr) {
      if (reply->view.kind != Reply::Kind::kError) return {};
      return Error{Code::kUnsupported,
                   words.front() + " was refused: " + std::string(reply->view.text)};
    }
    std::array<char, 4096> buffer;
    const auto got = transport_->Receive(buffer);
    if (!got) return got.error();
    redisReaderFeed(reader_.get(), buffer.data(), *got);
  }
}

}  // namespace flash::tools::bench
