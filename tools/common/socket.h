// socket.h: a connected, non-blocking socket that closes itself, and waiting for it.
//
// What goes over it is the transports' business (transport.cc, tls.cc). Thread: one owner.
#pragma once

#include <utility>

#include "base/result.h"

namespace flash::tools {

class Socket {
 public:
  Socket(int fd, int timeout_ms) : fd_(fd), timeout_ms_(timeout_ms) {}
  Socket(Socket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), timeout_ms_(other.timeout_ms_) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    timeout_ms_ = other.timeout_ms_;
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  [[nodiscard]] int fd() const { return fd_; }

  /// Waits for poll()'s `events`, through interruptions. Errors: kTimeout, kIo.
  [[nodiscard]] Result<void> Wait(short events) const;

  /// After a call that failed with errno: waits if it would have blocked, returns at once if it was
  /// interrupted. Errors: as Wait, and kIo for any other errno.
  [[nodiscard]] Result<void> WaitAfterError(short events) const;

 private:
  int fd_;
  int timeout_ms_;
};

}  // namespace flash::tools
