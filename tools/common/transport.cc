// transport.cc: non-blocking sockets and poll(); see transport.h.
//
// Source: connect(2), getaddrinfo(3), nsswitch.conf(5).
#include "tools/common/transport.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nss.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/clock.h"
#include "tools/common/socket.h"
#include "tools/common/tls.h"

namespace flash::tools {
namespace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Socket socket) : socket_(std::move(socket)) {}

  Result<void> Send(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<size_t>(sent));
      } else if (auto waited = socket_.WaitAfterError(POLLOUT); !waited) {
        return waited;
      }
    }
    return {};
  }

  Result<size_t> Receive(std::span<char> buffer) override {
    while (true) {
      const ssize_t got = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
      if (got > 0) return static_cast<size_t>(got);
      if (got == 0) return Error{Code::kIo, "the server closed the connection"};
      if (auto waited = socket_.WaitAfterError(POLLIN); !waited) return waited.error();
    }
  }

  Result<size_t> TrySend(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) return static_cast<size_t>(sent);
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      if (errno != EINTR) return Error{Code::kIo, std::strerror(errno)};
    }
    return size_t{0};
  }

  Result<size_t> TryReceive(std::span<char> buffer) override {
    while (true) {
      const ssize_t got = recv(socket_.fd(), buffer.data(), buffer.size(), 0);
      if (got > 0) return static_cast<size_t>(got);
      if (got == 0) return Error{Code::kIo, "the server closed the connection"};
      if (errno == EAGAIN || errno == EWOULDBLOCK) return size_t{0};
      if (errno != EINTR) return Error{Code::kIo, std::strerror(errno)};
    }
  }

  int fd() const override { return socket_.fd(); }

 private:
  Socket socket_;
};

/// One address of a name; fails with errno's text.
Result<Socket> ConnectTo(const addrinfo& address, int timeout_ms) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return Error{Code::kIo, std::strerror(errno)};
  Socket made(fd, timeout_ms);
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) return made;
  if (errno != EINPROGRESS) return Error{Code::kIo, std::strerror(errno)};
  if (auto waited = made.Wait(POLLOUT); !waited) return waited.error();
  int failure = 0;
  socklen_t length = sizeof failure;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length);
  if (failure != 0) return Error{Code::kIo, std::strerror(failure)};
  return made;
}

}  // namespace

Result<Socket> ConnectTcp(const Endpoint& endpoint, int timeout_ms) {
  // A static binary must not load the name service libraries of a stranger's libc.
  __nss_configure_lookup("hosts", "files dns");
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status =
      getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (status != 0) return Error{Code::kIo, gai_strerror(status)};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  Result<Socket> last = Error{Code::kIo, "the name has no address"};
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    last = ConnectTo(*address, timeout_ms);
    if (last) break;
  }
  return last;
}

Result<void> Socket::Wait(short events) const {
  const base::SystemClock clock;
  const uint64_t deadline_us = clock.NowUs() + static_cast<uint64_t>(timeout_ms_) * 1000;
  while (true) {
    const uint64_t now_us = clock.NowUs();
    if (now_us >= deadline_us) {
      return Error{Code::kTimeout, "no answer within " + std::to_string(timeout_ms_) + " ms"};
    }
    pollfd waiting{fd_, events, 0};
    const int left_ms = static_cast<int>((deadline_us - now_us) / 1000) + 1;
    const int ready = poll(&waiting, 1, left_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return Error{Code::kIo, std::strerror(errno)};
  }
}

Result<void> Socket::WaitAfterError(short events) const {
  if (errno == EINTR) return {};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return Wait(events);
  return Error{Code::kIo, std::strerror(errno)};
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

Result<std::unique_ptr<Transport>> Transport::Connect(const Endpoint& endpoint,
                                                      const Options& options) {
  Result<Socket> socket = ConnectTcp(endpoint, options.timeout_ms);
  if (!socket) {
    return Error{socket.code(),
                 "cannot connect to " + endpoint.Text() + ": " + socket.error().message};
  }
  if (options.tls) return ConnectTls(std::move(socket).Take(), endpoint, options.tls_options);
  return std::unique_ptr<Transport>(std::make_unique<PlainTransport>(std::move(socket).Take()));
}

}  // namespace flash::tools
