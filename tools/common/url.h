// url.h: the address that the user types, taken apart: valkey://[user[:password]@]host[:port][/db].
//
// Knows the four schemes (valkey, valkeys, redis, rediss; the s means TLS), percent-encoding and
// IPv6 in brackets; resolves and connects to nothing. Thread: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace flash::tools {

/// Where a server listens.
struct Endpoint {
  std::string host;
  uint16_t port = 6379;

  /// host:port, with brackets around IPv6, for messages.
  [[nodiscard]] std::string Text() const;
};

struct Url {
  Endpoint endpoint;
  bool tls = false;
  std::string user;      ///< Empty: the default user.
  std::string password;  ///< Empty: no AUTH is sent.
  std::optional<uint32_t> database;
};

/// Errors: kInvalid with a message that never repeats the password.
[[nodiscard]] Result<Url> ParseUrl(std::string_view text);

}  // namespace flash::tools
