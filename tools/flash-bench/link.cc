// link.cc: see link.h.
//
// Thread: one owner.
#include "tools/flash-bench/link.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tools/common/transport.h"

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

Link::Link(Socket socket)
    : socket_(std::move(socket)), reader_(redisReaderCreate(), &redisReaderFree) {
  FLASH_CHECK(reader_ != nullptr);
}

Link::~Link() = default;

Result<std::unique_ptr<Link>> Link::Open(const Url& url) {
  Result<Socket> socket = ConnectTcp(url.endpoint, kTimeoutMs);
  if (!socket) {
    return Error{socket.code(),
                 "cannot connect to " + url.endpoint.Text() + ": " + socket.error().message};
  }
  std::unique_ptr<Link> link(new Link(std::move(socket).Take()));  // raw new: private constructor
  if (!url.password.empty() || !url.user.empty()) {
    std::vector<std::string> words = {"AUTH"};
    if (!url.user.empty()) words.push_back(url.user);
    words.push_back(url.password);
    if (const Result<void> done = link->Ask(words); !done) return done.error();
  }
  if (url.database.value_or(0) != 0) {
    if (const auto done = link->Ask({"SELECT", std::to_string(*url.database)}); !done) {
      return done.error();
    }
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
    const ssize_t sent = send(socket_.fd(), out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
    if (sent > 0) {
      sent_ += static_cast<size_t>(sent);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {};
    } else if (errno != EINTR) {
      return Error{Code::kIo, std::strerror(errno)};
    }
  }
  out_.clear();
  sent_ = 0;
  return {};
}

Result<void> Link::Feed() {
  std::array<char, 65536> buffer;
  while (true) {
    const ssize_t got = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
    if (got > 0) {
      redisReaderFeed(reader_.get(), buffer.data(), static_cast<size_t>(got));
      if (static_cast<size_t>(got) < buffer.size()) return {};
    } else if (got == 0) {
      return Error{Code::kIo, "the server closed the connection"};
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return {};
    } else if (errno != EINTR) {
      return Error{Code::kIo, std::strerror(errno)};
    }
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
  if (Result<void> sent = Flush(); !sent) return sent;
  std::optional<Error> refusal;
  bool answered = false;
  while (!answered) {
    if (Result<void> waited = socket_.Wait(POLLIN); !waited) return waited;
    Result<void> received = Receive([&](const Reply& reply) {
      answered = true;
      if (reply.kind == Reply::Kind::kError) {
        refusal =
            Error{Code::kUnsupported, words.front() + " was refused: " + std::string(reply.text)};
      }
    });
    if (!received) return received;
  }
  if (refusal) return *refusal;
  return {};
}

}  // namespace flash::tools::bench
