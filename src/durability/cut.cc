// cut.cc: see cut.h.
//
// Thread: any.
#include "durability/cut.h"

#include <dirent.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/result.h"

namespace flash::durability {
namespace {

/// Where a socket listens, or at whose place a connection was accepted; 0: neither, or a path.
uint16_t PortOf(int fd) {
  sockaddr_storage address{};
  socklen_t bytes = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return 0;
}

bool IsUnix(int fd) {
  int domain = 0;
  socklen_t bytes = sizeof(domain);
  return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &bytes) == 0 && domain == AF_UNIX;
}

bool Listens(int fd) {
  int listens = 0;
  socklen_t bytes = sizeof(listens);
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) == 0 && listens != 0;
}

/// The sockets of this process.
std::vector<int> Sockets() {
  std::vector<int> sockets;
  DIR* const folder = opendir("/proc/self/fd");
  // Who cannot tell what to cut must not let a reply leave.
  FLASH_CHECK(folder != nullptr);
  for (const dirent* entry = readdir(folder); entry != nullptr; entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    int type = 0;
    socklen_t bytes = sizeof(type);
    const bool is_stream =
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type == SOCK_STREAM;
    if (entry->d_name[0] != '.' && is_stream) sockets.push_back(fd);
  }
  closedir(folder);
  return sockets;
}

}  // namespace

void CutConnections() {
  const std::vector<int> sockets = Sockets();
  std::vector<uint16_t> ports;
  for (const int fd : sockets) {
    if (Listens(fd)) ports.push_back(PortOf(fd));
  }
  for (const int fd : sockets) {
    if (Listens(fd)) continue;
    const bool accepted =
        IsUnix(fd) || std::find(ports.begin(), ports.end(), PortOf(fd)) != ports.end();
    if (accepted) shutdown(fd, SHUT_RDWR);
  }
}

}  // namespace flash::durability
