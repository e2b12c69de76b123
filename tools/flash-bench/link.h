// link.h: one connection that never waits: commands go out as the socket takes them, replies come
// in as they are there.
//
// Framed by hiredis; bytes travel by a Transport. The owner polls fd(). Thread: one owner.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/common/transport.h"
#include "tools/flash-bench/target.h"

struct redisReader;

namespace flash::tools::bench {

class Link {
 public:
  struct Reply {
    enum class Kind : uint8_t { kNil, kInteger, kText, kError, kOther };
    Kind kind = Kind::kNil;
    std::string_view text;  ///< Until the next call. Of an integer: empty.
  };

  /// Connects to `endpoint` and authenticates, waiting at most five seconds for each step. Errors:
  /// kIo, kTimeout, kUnsupported.
  [[nodiscard]] static Result<std::unique_ptr<Link>> Open(const Endpoint& endpoint,
                                                          const Access& access);

  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link();

  [[nodiscard]] int fd() const { return transport_->fd(); }

  /// Adds a command to what goes out.
  void Add(const std::vector<std::string>& words);

  /// Sends what the socket takes now. Errors: kIo.
  [[nodiscard]] Result<void> Flush();
  [[nodiscard]] bool has_unsent() const { return sent_ < out_.size(); }

  /// Reads what is there and calls `on_reply` for each whole reply. Errors: kIo (also: closed).
  template <typename OnReply>
  [[nodiscard]] Result<void> Receive(OnReply&& on_reply) {
    if (Result<void> fed = Feed(); !fed) return fed;
    while (true) {
      const auto reply = Next();
      if (!reply) return reply.error();
      if (reply->owner == nullptr) return {};
      on_reply(reply->view);
    }
  }

 private:
  struct Held {
    std::unique_ptr<void, void (*)(void*)> owner;  // Null: none has come.
    Reply view;
  };

  explicit Link(std::unique_ptr<Transport> transport);
  Result<void> Feed();
  /// The next whole reply that has come.
  Result<Held> Next();
  /// One command and its reply, waiting. Errors: also kUnsupported, an error reply.
  Result<void> Ask(const std::vector<std::string>& words);

  std::unique_ptr<Transport> transport_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::string out_;
  size_t sent_ = 0;
};

}  // namespace flash::tools::bench
