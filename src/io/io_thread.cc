// io_thread.cc: the loop of an I/O thread and its meeting points with the owner; see io_thread.h.
// Why a read-modify-write and not a load: with both sides changing one word, one comes second in
// its order and so sees what the first published, on any machine and without a fence. Thread: as
// the header says.
#include "io/io_thread.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>

#include "io/wait.h"

namespace flash::io {
namespace {

constexpr uint64_t kForeverUs = ~uint64_t{0};

// Values of stop_. The device lives until kStopSaid: before that the owner may still be waking it.
constexpr uint32_t kRun = 0;
constexpr uint32_t kStop = 1;
constexpr uint32_t kStopSaid = 2;

}  // namespace

OwnerBell::OwnerBell() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { FLASH_CHECK(fd_ >= 0); }

OwnerBell::~OwnerBell() { close(fd_); }

void OwnerBell::TasksFinished() {
  if (wanted_.exchange(0, std::memory_order_acq_rel) != 0) SignalEventFd(fd_);
}

void OwnerBell::Ask() {
  if (asked_) return;
  asked_ = true;
  wanted_.exchange(1, std::memory_order_acq_rel);
}

void OwnerBell::Clear() {
  if (asked_) {
    asked_ = false;
    // Taken by a thread meanwhile: that thread has written to the fd or is about to.
    if (wanted_.exchange(0, std::memory_order_acq_rel) == 0) ++rings_;
  }
  if (rings_ == 0) return;
  uint64_t count = 0;
  // A write that is still on its way is read back by a later Clear.
  if (read(fd_, &count, sizeof(count)) == sizeof(count)) rings_ -= count;
}

void OwnerBell::RingMyself() {
  SignalEventFd(fd_);
  ++rings_;
}

IoThread::IoThread(const Options& options, DeviceFactory* factory, const base::Clock* clock,
                   std::shared_ptr<OwnerBell> bell)
    : options_(options),
      factory_(factory),
      clock_(clock),
      bell_(std::move(bell)),
      reads_(options.reads_max),
      background_(options.background_max),
      finished_(size_t{options.reads_max} + options.background_max) {
  // The server's signals are the main thread's; a new thread inherits the mask of its maker.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(&thread_, nullptr, &IoThread::Main, this);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  started_ = error == 0;
  if (started_) return;
  failure_ = Error{Code::kUnsupported, std::string("an I/O thread cannot be started (") +
                                           std::strerror(error) + "); lower flash.io-threads"};
  ready_.store(1, std::memory_order_release);
}

Result<void> IoThread::WaitReady() {
  ready_.wait(0, std::memory_order_acquire);
  if (failure_) return *failure_;
  return {};
}

void IoThread::Push(Task* task) {
  SpscRing<Task*>& ring = task->kind == Task::Kind::kRead ? reads_ : background_;
  const bool pushed = ring.Push(task);
  FLASH_CHECK(pushed);
}

void IoThread::Kick() {
  if (asleep_.exchange(0, std::memory_order_acq_rel) != 0) device_->Wake();
}

Task* IoThread::PopFinished() {
  Task* task = nullptr;
  return finished_.Pop(task) ? task : nullptr;
}

void IoThread::SetTimeoutMs(uint32_t timeout_ms) {
  timeout_ms_.store(timeout_ms, std::memory_order_relaxed);
  device_->Wake();
}

void IoThread::Stop() {
  stop_.store(kStop, std::memory_order_release);
  if (device_ != nullptr) device_->Wake();
  stop_.store(kStopSaid, std::memory_order_release);
  stop_.notify_one();
}

void IoThread::Join(std::unique_ptr<IoThread> thread, const timespec& deadline) {
  if (!thread->started_) return;
  if (pthread_timedjoin_np(thread->thread_, nullptr, &deadline) == 0) return;
  pthread_detach(thread->thread_);
  IoThread* left = thread.release();
  if (left->parted_.exchange(1, std::memory_order_acq_rel) == 1) delete left;
}

void* IoThread::Main(void* self) {
  auto* thread = static_cast<IoThread*>(self);
  thread->Run();
  if (thread->parted_.exchange(1, std::memory_order_acq_rel) == 1) delete thread;
  return nullptr;
}

void IoThread::Run() {
  pthread_setname_np(pthread_self(), ("flash-io-" + std::to_string(options_.index)).c_str());
  auto device = factory_->Make();
  if (device) {
    device_ = device->get();
    alignment_ = device_->alignment();
    runner_.emplace(std::move(device).Take(), clock_, options_.runner);
  } else {
    failure_ = device.error();
  }
  ready_.store(1, std::memory_order_release);
  ready_.notify_one();
  if (!runner_) return;
  Loop();
  stop_.wait(kStop, std::memory_order_acquire);
  // A ring belongs to the thread that made it, so it goes here; the counters stay readable.
  runner_->CloseDevice();
}

void IoThread::TakeTasks() {
  Task* task = nullptr;
  while (reads_.Pop(task)) runner_->Add(task);
  while (background_.Pop(task)) runner_->Add(task);
}

void IoThread::Loop() {
  uint32_t timeout_ms = 0;
  while (stop_.load(std::memory_order_acquire) == kRun) {
    const uint32_t wanted_ms = timeout_ms_.load(std::memory_order_relaxed);
    if (wanted_ms != timeout_ms) runner_->SetTimeoutMs(timeout_ms = wanted_ms);
    TakeTasks();
    const bool may_sleep = !runner_->HasBackgroundWork();
    if (may_sleep) {
      if (options_.before_sleep != nullptr) options_.before_sleep();
      // What was pushed before the owner's Kick is taken now, or that Kick sees the 1 and wakes.
      asleep_.exchange(1, std::memory_order_acq_rel);
      TakeTasks();
    }
    TaskList finished;
    runner_->Step(may_sleep ? kForeverUs : 0, finished);
    if (may_sleep) asleep_.exchange(0, std::memory_order_acq_rel);
    if (finished.empty()) continue;
    while (Task* task = finished.Pop()) {
      const bool pushed = finished_.Push(task);
      FLASH_CHECK(pushed);
    }
    bell_->TasksFinished();
  }
  runner_->Abandon();
  TaskList none;
  while (runner_->transfers() > 0) runner_->Step(kForeverUs, none);
}

}  // namespace flash::io
