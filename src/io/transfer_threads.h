// transfer_threads.h: a bounded pool of threads that each do one plain read or write at a time.
//
// What a machine that forbids io_uring has instead of it: one transfer in flight per thread. Shared
// by all ThreadsDevices of a tier file, so that its bound holds for the process, whatever the
// number of I/O threads. Knows neither tasks nor segments. After a fork the child has the memory
// but not the threads, and makes a pool of its own. Thread: any, but for the constructor's caller.
// Decision: docs/adr/0011.
#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "io/device.h"

namespace flash::io {

/// Where the transfers of one device end. Shared by the device and the transfers under way.
class TransferMailbox {
 public:
  TransferMailbox();
  ~TransferMailbox();
  TransferMailbox(const TransferMailbox&) = delete;
  TransferMailbox& operator=(const TransferMailbox&) = delete;

  /// Thread: any. Rings for a device that sleeps, or that gave a descriptor.
  void Deliver(const Completion& completion);
  /// Thread: any.
  void Wake();

  /// The device: moves up to `out.size()` completions; how many.
  [[nodiscard]] size_t Take(std::span<Completion> out);
  /// The device: as Take; with none there waits up to `wait_us` for one or for Wake.
  [[nodiscard]] size_t Await(std::span<Completion> out, uint64_t wait_us);
  /// The device, before its first transfer: each Deliver makes `event_fd` readable, through a
  /// descriptor of the mailbox's own. False: no descriptor is to be had.
  [[nodiscard]] bool NotifyBy(int event_fd);

 private:
  std::mutex mutex_;
  std::deque<Completion> finished_;
  bool asleep_ = false;
  int wake_fd_;
  int notify_fd_ = -1;
};

class TransferThreads {
 public:
  struct Options {
    uint32_t threads_max = 64;  ///< Transfers in flight on the drive, over all devices.
    /// Tests: runs in a thread of the pool before each transfer.
    void (*before_transfer)(const Request& request) = nullptr;
  };
  struct Transfer {
    Request request;
    int fd = -1;
    uint64_t file_offset = 0;
    std::shared_ptr<TransferMailbox> mailbox;
  };

  /// Starts the first thread; others follow as transfers wait. Errors: kUnsupported (no thread can
  /// be started; the message says what to do).
  [[nodiscard]] static Result<std::shared_ptr<TransferThreads>> Start(const Options& options);

  /// Ends the threads; waits for the transfers that they are in. No device may be left.
  ~TransferThreads();
  TransferThreads(const TransferThreads&) = delete;
  TransferThreads& operator=(const TransferThreads&) = delete;

  /// Takes transfers; each ends once, in its mailbox, in any order.
  void Add(std::span<Transfer> transfers);

  /// Ends those transfers of `mailbox` that no thread has begun with -ECANCELED.
  void Cancel(const TransferMailbox* mailbox);

  /// From now on no transfer begins: those that wait or are added end with -ECANCELED. Before the
  /// file is closed, whose number may then be another file's.
  void Refuse();

  /// Started so far; never more than threads_max. Thread: any, without a lock.
  [[nodiscard]] uint32_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  /// What the threads share. Left behind in a forked child, where other threads may hold it.
  struct Shared {
    std::mutex mutex;
    std::condition_variable work;
    std::deque<Transfer> reads;
    std::deque<Transfer> writes;
    std::vector<pthread_t> threads;
    uint32_t idle = 0;
    uint32_t writes_running = 0;
    bool refused = false;
    bool stop = false;
  };

  explicit TransferThreads(const Options& options);
  static void* Main(void* self);
  void Run();
  [[nodiscard]] bool Next(Transfer& transfer);
  [[nodiscard]] int StartThread();
  void KeepASpare();

  const Options options_;
  const uint32_t writes_max_;
  const pid_t owner_pid_;
  std::unique_ptr<Shared> shared_;
  std::atomic<uint32_t> count_{0};
  std::atomic<uint32_t> coming_{0};  // Threads that start or deliver: free next.
};

}  // namespace flash::io
