// transfer_threads.cc: the queue, the threads and how many; see transfer_threads.h.
// Threads are started by threads of the pool, never by one that submits: whoever takes a transfer
// first sees to it that another thread is idle, as far as the bound allows. So a burst finds a
// thread at once, and a quiet server has as many as it once had transfers in flight.
// Thread: as the header says.
#include "io/transfer_threads.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>
#include <utility>

#include "io/wait.h"

namespace flash::io {
namespace {

// Virtual; a thread touches some KiB of it. The sanitizers' run-time wants more than the code.
constexpr size_t kStackBytes = 256 * kKiB;

/// As the system calls: bytes, or -1 with errno.
ssize_t TryToCarry(const Request& request, int fd, off_t at) {
  switch (request.op) {
    case Op::kRead:
      return pread(fd, request.data, request.bytes, at);
    case Op::kSync:
      return fdatasync(fd);
    case Op::kWrite:
      break;
  }
  if (!request.durable) return pwrite(fd, request.data, request.bytes, at);
  const iovec whole{.iov_base = request.data, .iov_len = request.bytes};
  return pwritev2(fd, &whole, 1, at, RWF_DSYNC);
}

int32_t Carry(const TransferThreads::Transfer& transfer) {
  ssize_t count = 0;
  do {
    count = TryToCarry(transfer.request, transfer.fd, static_cast<off_t>(transfer.file_offset));
  } while (count < 0 && errno == EINTR);
  return count < 0 ? -errno : static_cast<int32_t>(count);
}

void EndCanceled(const TransferThreads::Transfer& transfer) {
  transfer.mailbox->Deliver({.token = transfer.request.token, .result = -ECANCELED});
}

}  // namespace

TransferMailbox::TransferMailbox() : wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FLASH_CHECK(wake_fd_ >= 0);
}

TransferMailbox::~TransferMailbox() {
  close(wake_fd_);
  if (notify_fd_ >= 0) close(notify_fd_);
}

bool TransferMailbox::NotifyBy(int event_fd) {
  notify_fd_ = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);
  return notify_fd_ >= 0;
}

void TransferMailbox::Deliver(const Completion& completion) {
  bool ring = false;
  {
    const std::lock_guard lock(mutex_);
    finished_.push_back(completion);
    ring = std::exchange(asleep_, false);
  }
  // The caller holds the mailbox, so both are open though the device may have gone meanwhile.
  if (ring) SignalEventFd(wake_fd_);
  if (notify_fd_ >= 0) SignalEventFd(notify_fd_);
}

void TransferMailbox::Wake() { SignalEventFd(wake_fd_); }

size_t TransferMailbox::Take(std::span<Completion> out) {
  const std::lock_guard lock(mutex_);
  const size_t count = std::min(out.size(), finished_.size());
  std::copy_n(finished_.begin(), count, out.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<ptrdiff_t>(count));
  return count;
}

size_t TransferMailbox::Await(std::span<Completion> out, uint64_t wait_us) {
  bool empty = false;
  {
    const std::lock_guard lock(mutex_);
    asleep_ = empty = finished_.empty();
  }
  if (empty) {
    if (WaitReadable(wake_fd_, wait_us)) DrainEventFd(wake_fd_);
    const std::lock_guard lock(mutex_);
    asleep_ = false;
  }
  return Take(out);
}

TransferThreads::TransferThreads(const Options& options)
    : options_(options),
      writes_max_(std::max(options.threads_max / 4, 1U)),
      owner_pid_(getpid()),
      shared_(std::make_unique<Shared>()) {}

Result<std::shared_ptr<TransferThreads>> TransferThreads::Start(const Options& options) {
  FLASH_CHECK(options.threads_max >= 1);
  // raw new: private constructor
  std::shared_ptr<TransferThreads> threads(new TransferThreads(options));
  const int error = threads->StartThread();
  if (error == 0) return threads;
  return Error{Code::kUnsupported, std::string("a thread for transfers cannot be started (") +
                                       std::strerror(error) +
                                       "); raise the limit of processes (ulimit -u, TasksMax=)"};
}

TransferThreads::~TransferThreads() {
  if (getpid() != owner_pid_) {
    [[maybe_unused]] Shared* left = shared_.release();
    return;
  }
  std::vector<pthread_t> threads;
  {
    const std::lock_guard lock(shared_->mutex);
    FLASH_CHECK(shared_->reads.empty() && shared_->writes.empty());
    shared_->stop = true;
    threads = shared_->threads;
  }
  shared_->work.notify_all();
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
}

/// With the lock held, or before there are other threads. 0 or an errno.
int TransferThreads::StartThread() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  // The server's signals are the main thread's; a new thread inherits the mask of its maker.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  coming_.fetch_add(1, std::memory_order_relaxed);
  const int error = pthread_create(&thread, &attributes, &TransferThreads::Main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) {
    coming_.fetch_sub(1, std::memory_order_relaxed);
    return error;
  }
  shared_->threads.push_back(thread);
  count_.store(static_cast<uint32_t>(shared_->threads.size()), std::memory_order_relaxed);
  return 0;
}

void* TransferThreads::Main(void* self) {
  pthread_setname_np(pthread_self(), "flash-transfer");
  static_cast<TransferThreads*>(self)->Run();
  return nullptr;
}

/// Writes, and syncs as one of them, may hold a quarter of the threads and have them first; the
/// others are the reads'. So neither waits for all of the other, and a drive that hangs in writes
/// still reads.
bool TransferThreads::Next(Transfer& transfer) {
  const bool write = !shared_->writes.empty() && shared_->writes_running < writes_max_;
  std::deque<Transfer>& queue = write ? shared_->writes : shared_->reads;
  if (queue.empty()) return false;
  transfer = std::move(queue.front());
  queue.pop_front();
  shared_->writes_running += write ? 1 : 0;
  return true;
}

void TransferThreads::KeepASpare() {
  if (shared_->idle + coming_.load(std::memory_order_relaxed) > 0 || shared_->stop) return;
  if (shared_->threads.size() >= options_.threads_max) return;
  // Refused by a limit: those there are do the work, and the next transfer tries again.
  [[maybe_unused]] const int error = StartThread();
}

void TransferThreads::Run() {
  std::unique_lock lock(shared_->mutex);
  coming_.fetch_sub(1, std::memory_order_relaxed);
  while (true) {
    Transfer transfer;
    if (Next(transfer)) {
      KeepASpare();
      lock.unlock();
      if (options_.before_transfer != nullptr) options_.before_transfer(transfer.request);
      const int32_t result = Carry(transfer);
      const bool write = transfer.request.op != Op::kRead;
      // Before the end is known: whoever answers it by the next transfer finds a thread in sight.
      coming_.fetch_add(1, std::memory_order_relaxed);
      transfer.mailbox->Deliver({.token = transfer.request.token, .result = result});
      transfer.mailbox.reset();
      lock.lock();
      coming_.fetch_sub(1, std::memory_order_relaxed);
      shared_->writes_running -= write ? 1 : 0;
      continue;
    }
    if (shared_->stop) return;
    ++shared_->idle;
    shared_->work.wait(lock);
    --shared_->idle;
  }
}

void TransferThreads::Add(std::span<Transfer> transfers) {
  size_t to_wake = 0;
  {
    const std::lock_guard lock(shared_->mutex);
    if (!shared_->refused) {
      for (Transfer& transfer : transfers) {
        const bool read = transfer.request.op == Op::kRead;
        (read ? shared_->reads : shared_->writes).push_back(std::move(transfer));
      }
      to_wake = std::min<size_t>(transfers.size(), shared_->idle);
      transfers = {};
    }
  }
  for (const Transfer& transfer : transfers) EndCanceled(transfer);
  for (size_t i = 0; i < to_wake; ++i) shared_->work.notify_one();
}

void TransferThreads::Cancel(const TransferMailbox* mailbox) {
  std::vector<Transfer> canceled;
  {
    const std::lock_guard lock(shared_->mutex);
    for (std::deque<Transfer>* queue : {&shared_->reads, &shared_->writes}) {
      const auto ours =
          std::stable_partition(queue->begin(), queue->end(), [mailbox](const Transfer& transfer) {
            return mailbox != nullptr && transfer.mailbox.get() != mailbox;
          });
      canceled.insert(canceled.end(), std::make_move_iterator(ours),
                      std::make_move_iterator(queue->end()));
      queue->erase(ours, queue->end());
    }
  }
  for (const Transfer& transfer : canceled) EndCanceled(transfer);
}

void TransferThreads::Refuse() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->refused = true;
  }
  Cancel(nullptr);
}

}  // namespace flash::io
