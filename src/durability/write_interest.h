// write_interest.h: does the event loop wait for any descriptor to become writable?
//
// The server installs a write handler for a client whose output did not leave at once, and no API
// tells of it but CLIENT LIST, one client at a time. The kernel knows: the text of an epoll set in
// /proc/self/fdinfo lists every descriptor with the events that it waits for, at about 0.4 us each.
// Knows no client. Thread: main. Source: proc_pid_fdinfo(5). Decision: docs/adr/0014.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace flash::durability {

class WriteInterest {
 public:
  /// What an epoll set's text says.
  struct Text {
    size_t descriptors = 0;
    bool any_writes = false;
    bool lists_known = false;  // The descriptor asked about is among them.
  };
  [[nodiscard]] static Text Parse(std::string_view text, int known_fd);

  WriteInterest() = default;
  ~WriteInterest();
  WriteInterest(const WriteInterest&) = delete;
  WriteInterest& operator=(const WriteInterest&) = delete;

  /// Finds the epoll set that watches `known_fd`; again only if that fails later. False: there is
  /// none, or the kernel does not tell.
  [[nodiscard]] bool Find(int known_fd);

  /// Whether any descriptor waits to be written to; nothing where it cannot be said.
  [[nodiscard]] std::optional<bool> Any();

  /// Descriptors watched when last looked at.
  [[nodiscard]] size_t descriptors() const { return descriptors_; }

 private:
  /// The whole text of the set, empty on failure.
  [[nodiscard]] std::string_view Read(int fd);

  int known_fd_ = -1;
  int info_fd_ = -1;  // Of the text, kept open.
  size_t descriptors_ = 0;
  std::string buffer_;
};

}  // namespace flash::durability
