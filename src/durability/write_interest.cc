// write_interest.cc: see write_interest.h.
//
// Thread: main.
#include "durability/write_interest.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

namespace flash::durability {
namespace {

constexpr size_t kFirstBytes = 16 * 1024;
constexpr size_t kBytesMax = 8u << 20;  // About 100,000 descriptors.

/// The number behind `label` in `line`; false if there is none.
bool NumberBehind(std::string_view line, std::string_view label, int base, uint32_t* number) {
  size_t at = line.find(label);
  if (at == std::string_view::npos) return false;
  at = line.find_first_not_of(' ', at + label.size());
  if (at == std::string_view::npos) return false;
  const auto [rest, failure] =
      std::from_chars(line.data() + at, line.data() + line.size(), *number, base);
  return failure == std::errc();
}

}  // namespace

WriteInterest::Text WriteInterest::Parse(std::string_view text, int known_fd) {
  Text found;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    uint32_t fd = 0;
    uint32_t events = 0;
    if (!line.starts_with("tfd:") || !NumberBehind(line, "tfd:", 10, &fd) ||
        !NumberBehind(line, "events:", 16, &events)) {
      continue;
    }
    ++found.descriptors;
    found.any_writes |= (events & EPOLLOUT) != 0;
    found.lists_known |= static_cast<int>(fd) == known_fd;
  }
  return found;
}

WriteInterest::~WriteInterest() {
  if (info_fd_ >= 0) close(info_fd_);
}

bool WriteInterest::Find(int known_fd) {
  known_fd_ = known_fd;
  if (info_fd_ >= 0) close(std::exchange(info_fd_, -1));
  std::error_code failure;
  std::filesystem::directory_iterator it("/proc/self/fd", failure);
  for (; !failure && it != std::filesystem::directory_iterator(); it.increment(failure)) {
    const auto target = std::filesystem::read_symlink(it->path(), failure);
    // What was closed meanwhile is of no interest.
    if (std::exchange(failure, {}) || target != "anon_inode:[eventpoll]") continue;
    const std::string path = "/proc/self/fdinfo/" + it->path().filename().string();
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (Parse(Read(fd), known_fd).lists_known) {
      info_fd_ = fd;
      return true;
    }
    close(fd);
  }
  return false;
}

std::optional<bool> WriteInterest::Any() {
  if (info_fd_ < 0) return std::nullopt;
  const Text found = Parse(Read(info_fd_), known_fd_);
  if (!found.lists_known) return std::nullopt;
  descriptors_ = found.descriptors;
  return found.any_writes;
}

std::string_view WriteInterest::Read(int fd) {
  if (buffer_.empty()) buffer_.resize(kFirstBytes);
  for (;;) {
    // One call gives one moment's truth; a text that fills the buffer may go on.
    const ssize_t bytes = pread(fd, buffer_.data(), buffer_.size(), 0);
    if (bytes < 0) return {};
    if (static_cast<size_t>(bytes) < buffer_.size()) {
      return std::string_view(buffer_).substr(0, static_cast<size_t>(bytes));
    }
    if (buffer_.size() >= kBytesMax) return {};
    buffer_.resize(2 * buffer_.size());
  }
}

}  // namespace flash::durability
