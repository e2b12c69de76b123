/* failing_reads.c: preloaded into a server: pread of files opened with O_DIRECT fails with EIO while
 * the file named by FAILING_READS exists. A server with flash.io-backend threads reads its tier so.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t pread(int fd, void *into, size_t bytes, off_t at) {
  static ssize_t (*real)(int, void *, size_t, off_t);
  if (real == NULL) real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
  const char *flag = getenv("FAILING_READS");
  const int flags = fcntl(fd, F_GETFL);
  if (flag != NULL && flags >= 0 && (flags & O_DIRECT) != 0 && access(flag, F_OK) == 0) {
    errno = EIO;
    return -1;
  }
  return real(fd, into, bytes, at);
}

ssize_t pread64(int fd, void *into, size_t bytes, off_t at) { return pread(fd, into, bytes, at); }
