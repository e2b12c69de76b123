// client.h: commands to one server and their replies, several in one round trip.
//
// The one seam between a tool and a server: tests put a population of their own behind it.
// Requests and replies are framed by hiredis; bytes travel by a Transport. RESP2. Thread: one
// owner.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/common/transport.h"

namespace flash::tools {

using Command = std::vector<std::string>;

struct Reply {
  enum class Kind : uint8_t { kNil, kInteger, kText, kError, kArray };
  Kind kind = Kind::kNil;
  int64_t integer = 0;
  std::string text;  ///< Of a string, a status or an error.
  std::vector<Reply> items;

  [[nodiscard]] bool IsError() const { return kind == Kind::kError; }
  /// The server's ACL forbids the command, or one of its keys, to this user.
  [[nodiscard]] bool IsForbidden() const { return IsError() && text.starts_with("NOPERM"); }
};

class Client {
 public:
  virtual ~Client() = default;

  /// One round trip: as many replies as commands, errors of the server among them.
  /// Errors: those of the connection (kIo, kTimeout), after which the client is of no use.
  [[nodiscard]] virtual Result<std::vector<Reply>> Run(std::span<const Command> commands) = 0;

  /// One command.
  [[nodiscard]] Result<Reply> Call(Command command);
};

/// A client over `transport`.
[[nodiscard]] std::unique_ptr<Client> MakeClient(std::unique_ptr<Transport> transport);

}  // namespace flash::tools
