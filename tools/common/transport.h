// transport.h: bytes to and from one server, over TCP or TLS, with a time limit on every step.
//
// Knows neither commands nor replies (client.h). Certificates are verified unless that is switched
// off. The binary is linked statically, so names are resolved by the hosts file and DNS alone.
// Thread: one owner.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "tools/common/socket.h"
#include "tools/common/url.h"

namespace flash::tools {

struct TlsOptions {
  std::string ca_file;      ///< Empty: the system's certificates.
  std::string certificate;  ///< Ours, for servers that ask for one; with `key`.
  std::string key;
  std::string server_name;  ///< Instead of the host, in SNI and in verification.
  bool verify = true;
};

/// A connected, non-blocking socket, the first of the name's addresses that answers. Errors: kIo,
/// kTimeout.
[[nodiscard]] Result<Socket> ConnectTcp(const Endpoint& endpoint, int timeout_ms);

class Transport {
 public:
  struct Options {
    int timeout_ms = 5000;  ///< For connecting, and for each Send and Receive.
    bool tls = false;
    TlsOptions tls_options;
  };

  virtual ~Transport() = default;

  /// Errors: kIo and kTimeout (unreachable, name unknown), kUnsupported (certificates refused).
  [[nodiscard]] static Result<std::unique_ptr<Transport>> Connect(const Endpoint& endpoint,
                                                                  const Options& options);

  /// Sends all of `bytes`. Errors: kIo, kTimeout.
  [[nodiscard]] virtual Result<void> Send(std::string_view bytes) = 0;

  /// Waits for some bytes; returns how many, at least 1. Errors: kIo (also: closed), kTimeout.
  [[nodiscard]] virtual Result<size_t> Receive(std::span<char> buffer) = 0;

  /// For owners that poll fd() themselves: sends what can be sent now; returns how many bytes, 0 if
  /// it would have to wait. What was not taken has to be offered again first. Errors: kIo.
  [[nodiscard]] virtual Result<size_t> TrySend(std::string_view bytes) = 0;

  /// Takes what is there now; fewer bytes than `buffer` holds mean that no more is. Errors: kIo
  /// (also: closed, when nothing was there before).
  [[nodiscard]] virtual Result<size_t> TryReceive(std::span<char> buffer) = 0;

  /// To be polled: readable when TryReceive may get something.
  [[nodiscard]] virtual int fd() const = 0;
};

}  // namespace flash::tools
