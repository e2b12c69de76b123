/* turn_clock.c: preloaded into a server: the most CPU time that its main thread took between two
 * waits for events, in nanoseconds, in the file named by TURN_CLOCK; whoever writes 0 there begins
 * anew. Unlike a PING it does not see what else the machine does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static int (*wait_for_events)(int, struct epoll_event *, int, int);
static volatile uint64_t *longest_ns;
static pthread_t main_thread;
static uint64_t turn_began_ns;

static uint64_t CpuNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

__attribute__((constructor)) static void Begin(void) {
  const char *path = getenv("TURN_CLOCK");
  const int file = path ? open(path, O_RDWR | O_CREAT, 0600) : -1;
  wait_for_events = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
  main_thread = pthread_self();
  if (file < 0 || ftruncate(file, sizeof(*longest_ns)) != 0) return;
  void *page = mmap(NULL, sizeof(*longest_ns), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (page != MAP_FAILED) longest_ns = page;
  close(file);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms) {
  if (!longest_ns || !pthread_equal(pthread_self(), main_thread)) {
    return wait_for_events(epoll, events, most, timeout_ms);
  }
  const uint64_t took_ns = turn_began_ns ? CpuNs() - turn_began_ns : 0;
  if (took_ns > *longest_ns) *longest_ns = took_ns;
  const int ready = wait_for_events(epoll, events, most, timeout_ms);
  turn_began_ns = CpuNs();
  return ready;
}
