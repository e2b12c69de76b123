// tls.cc: see tls.h.
//
// Source: SSL_read(3), SSL_get_error(3), SSL_CTX_load_verify_locations(3), X509_check_host(3).
#include "tools/common/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

namespace flash::tools {
namespace {

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;

std::string LastError() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "the server ended the handshake" : reason;
}

/// The system's certificates, wherever this distribution keeps them: the library's own default is
/// that of the machine on which it was built.
void TrustSystem(SSL_CTX* context) {
  SSL_CTX_set_default_verify_paths(context);
  for (const char* bundle :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (access(bundle, R_OK) == 0) {
      SSL_CTX_load_verify_locations(context, bundle, nullptr);
      break;
    }
  }
  ERR_clear_error();
}

Result<Context> MakeContext(const TlsOptions& options) {
  Context context(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  if (!context) return Error{Code::kUnsupported, "TLS: " + LastError()};
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // What TrySend could not send may lie elsewhere, and be longer, when it is offered again.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (options.ca_file.empty()) {
    TrustSystem(context.get());
  } else if (SSL_CTX_load_verify_locations(context.get(), options.ca_file.c_str(), nullptr) != 1) {
    return Error{Code::kUnsupported, "TLS: cannot use " + options.ca_file + ": " + LastError()};
  }
  if (!options.certificate.empty()) {
    if (SSL_CTX_use_certificate_chain_file(context.get(), options.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context.get(), options.key.c_str(), SSL_FILETYPE_PEM) != 1) {
      return Error{Code::kUnsupported,
                   "TLS: cannot use " + options.certificate + ": " + LastError()};
    }
  }
  SSL_CTX_set_verify(context.get(), options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  return context;
}

/// Whom the certificate must name; addresses are compared as addresses.
void ExpectServer(SSL* session, const std::string& name) {
  unsigned char address[sizeof(in6_addr)];
  X509_VERIFY_PARAM* parameters = SSL_get0_param(session);
  if (inet_pton(AF_INET, name.c_str(), address) == 1 ||
      inet_pton(AF_INET6, name.c_str(), address) == 1) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
    SSL_set_tlsext_host_name(session, name.c_str());
  }
}

class TlsTransport final : public Transport {
 public:
  TlsTransport(Socket socket, Context context, Session session)
      : socket_(std::move(socket)), context_(std::move(context)), session_(std::move(session)) {}

  Result<void> Handshake() {
    while (true) {
      const int status = SSL_connect(session_.get());
      if (status == 1) return {};
      const long verified = SSL_get_verify_result(session_.get());
      if (verified != X509_V_OK && SSL_get_verify_mode(session_.get()) != SSL_VERIFY_NONE) {
        return Error{Code::kUnsupported, std::string("TLS: the server's certificate: ") +
                                             X509_verify_cert_error_string(verified)};
      }
      if (auto waited = WaitAfter(status); !waited) return waited;
    }
  }

  Result<void> Send(std::string_view bytes) override {
    while (!bytes.empty()) {
      size_t sent = 0;
      const int status = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
      if (status == 1) {
        bytes.remove_prefix(sent);
      } else if (auto waited = WaitAfter(status); !waited) {
        return waited;
      }
    }
    return {};
  }

  Result<size_t> Receive(std::span<char> buffer) override {
    while (true) {
      size_t got = 0;
      const int status = SSL_read_ex(session_.get(), buffer.data(), buffer.size(), &got);
      if (status == 1) return got;
      if (auto waited = WaitAfter(status); !waited) return waited.error();
    }
  }

  Result<size_t> TrySend(std::string_view bytes) override {
    size_t sent = 0;
    if (bytes.empty()) return sent;
    const int status = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &sent);
    if (status == 1) return sent;
    const int reason = SSL_get_error(session_.get(), status);
    if (WouldWait(reason)) return size_t{0};
    return FailureOf(reason);
  }

  /// A record may hold more than the buffer takes, and records that have come wait within the
  /// library, where poll() does not see them: so it reads until there is nothing more.
  Result<size_t> TryReceive(std::span<char> buffer) override {
    size_t filled = 0;
    while (filled < buffer.size()) {
      size_t got = 0;
      const int status =
          SSL_read_ex(session_.get(), buffer.data() + filled, buffer.size() - filled, &got);
      if (status != 1) {
        const int reason = SSL_get_error(session_.get(), status);
        if (WouldWait(reason) || filled > 0) break;
        return FailureOf(reason);
      }
      filled += got;
    }
    return filled;
  }

  int fd() const override { return socket_.fd(); }

 private:
  static bool WouldWait(int reason) {
    return reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE;
  }

  Result<void> WaitAfter(int status) {
    const int reason = SSL_get_error(session_.get(), status);
    if (reason == SSL_ERROR_WANT_READ) return socket_.Wait(POLLIN);
    if (reason == SSL_ERROR_WANT_WRITE) return socket_.Wait(POLLOUT);
    return FailureOf(reason);
  }

  static Error FailureOf(int reason) {
    switch (reason) {
      case SSL_ERROR_ZERO_RETURN:
        return Error{Code::kIo, "the server closed the connection"};
      case SSL_ERROR_SYSCALL:
        return Error{Code::kIo, "TLS: the connection broke (does the server speak TLS there?)"};
      default:
        return Error{Code::kIo, "TLS: " + LastError()};
    }
  }

  Socket socket_;
  Context context_;
  Session session_;
};

}  // namespace

Result<std::unique_ptr<Transport>> ConnectTls(Socket socket, const Endpoint& endpoint,
                                              const TlsOptions& options) {
  // The library writes to the socket by itself: a server that is gone must not end the program.
  std::signal(SIGPIPE, SIG_IGN);
  Result<Context> context = MakeContext(options);
  if (!context) return context.error();
  Session session(SSL_new(context->get()), &SSL_free);
  if (!session) return Error{Code::kUnsupported, "TLS: " + LastError()};
  ExpectServer(session.get(), options.server_name.empty() ? endpoint.host : options.server_name);
  SSL_set_fd(session.get(), socket.fd());
  auto made = std::make_unique<TlsTransport>(std::move(socket), std::move(context).Take(),
                                             std::move(session));
  if (const auto done = made->Handshake(); !done) {
    return Error{done.code(), endpoint.Text() + ": " + done.error().message};
  }
  return std::unique_ptr<Transport>(std::move(made));
}

}  // namespace flash::tools
