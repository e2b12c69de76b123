// uring_device.cc: submission and completion queues of one ring; see uring_device.h.
// With deferred work a completion appears only when this thread enters the kernel, which Take does
// when the ring's flags say that something is due. Thread: as the header says.
#include "io/uring_device.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "io/wait.h"

namespace flash::io {
namespace {

constexpr uint64_t kWakeToken = ~uint64_t{0};
constexpr uint64_t kWaitUsMax = 3'600'000'000;

// IORING_SETUP_ flags in order of preference; each set is tried when the kernel refuses the one
// before.
constexpr unsigned kDeferred =
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr unsigned kCooperative = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;

uint64_t MemlockBytes() {
  rlimit limit{};
  return getrlimit(RLIMIT_MEMLOCK, &limit) == 0 ? limit.rlim_cur : 0;
}

std::string MemlockText(uint64_t bytes) {
  if (bytes == RLIM_INFINITY) return "unlimited";
  return std::to_string(bytes / kKiB) + " KiB";
}

/// kernel.io_uring_disabled, or -1.
int UringDisabled() {
  std::FILE* file = std::fopen("/proc/sys/kernel/io_uring_disabled", "re");
  if (file == nullptr) return -1;
  char line[16] = {};
  const bool found = std::fgets(line, sizeof(line), file) != nullptr;
  std::fclose(file);
  return found ? static_cast<int>(std::strtol(line, nullptr, 10)) : -1;
}

/// Sends one request that does nothing through a new ring. 0 or an errno.
int TryRing(io_uring* ring) {
  io_uring_prep_nop(io_uring_get_sqe(ring));
  const int submitted = io_uring_submit_and_wait(ring, 1);
  if (submitted < 0) return -submitted;
  io_uring_cqe* done = nullptr;
  const int waited = io_uring_wait_cqe(ring, &done);
  if (waited < 0) return -waited;
  io_uring_cqe_seen(ring, done);
  return 0;
}

std::string KernelRelease() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "unknown";
}

}  // namespace

std::string ExplainUringRefusal(int error, int disabled, uint64_t memlock_bytes) {
  switch (error) {
    case ENOSYS:
      return "io_uring is missing: kernel " + KernelRelease() +
             " was built without it or is too old, or a sandbox hides it; use Linux 5.11 or newer "
             "and allow io_uring_setup, io_uring_enter and io_uring_register";
    case EPERM:
    case EACCES:
      if (disabled > 0) {
        return "io_uring is forbidden by kernel.io_uring_disabled=" + std::to_string(disabled) +
               "; set it to 0 (sysctl -w kernel.io_uring_disabled=0)";
      }
      return "io_uring is forbidden by a sandbox (the container's seccomp profile); run with a "
             "profile that allows io_uring_setup, io_uring_enter and io_uring_register, such as "
             "docker/seccomp-flash.json";
    case ENOMEM:
      return "io_uring got no memory: the locked-memory limit is " + MemlockText(memlock_bytes) +
             "; raise it (ulimit -l, LimitMEMLOCK=) or lower flash.io-uring-entries";
    default:
      return std::string("io_uring cannot be set up: ") + std::strerror(error);
  }
}

void UringNotes::Add(const std::string& line) {
  const std::lock_guard lock(mutex_);
  if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(line);
}

std::vector<std::string> UringNotes::lines() const {
  const std::lock_guard lock(mutex_);
  return lines_;
}

UringDevice::UringDevice(const Target& file, const Options& options,
                         std::shared_ptr<UringNotes> notes)
    : options_(options), notes_(std::move(notes)), fd_(file.fd), alignment_(file.alignment) {}

Result<std::unique_ptr<UringDevice>> UringDevice::Open(const Target& file, const Options& options,
                                                       std::shared_ptr<UringNotes> notes) {
  // raw new: private constructor
  std::unique_ptr<UringDevice> device(new UringDevice(file, options, std::move(notes)));
  if (auto ready = device->SetUp(); !ready) return ready.error();
  return device;
}

Result<void> UringDevice::SetUp() {
  std::array choices = {kDeferred, kCooperative, 0U};
  if (!options_.defer_work) choices[0] = kCooperative;
  int error = 0;
  for (const unsigned flags : choices) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CLAMP;
    error = -io_uring_queue_init_params(options_.entries, &ring_, &params);
    deferred_ = (flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    if (error != EINVAL) break;
  }
  if (error != 0) {
    return Error{Code::kUnsupported, ExplainUringRefusal(error, UringDisabled(), MemlockBytes())};
  }
  ring_open_ = true;
  if ((ring_.features & IORING_FEAT_EXT_ARG) == 0) {
    return Error{Code::kUnsupported, ExplainUringRefusal(ENOSYS, UringDisabled(), MemlockBytes())};
  }
  // A sandbox may allow a ring and forbid its use: better known now than by reads without answer.
  if (const int refused = TryRing(&ring_); refused != 0) {
    return Error{Code::kUnsupported, ExplainUringRefusal(refused, UringDisabled(), MemlockBytes())};
  }
  // A child neither sees nor copies the ring; it reads with a descriptor of its own.
  [[maybe_unused]] const int hidden = io_uring_ring_dontfork(&ring_);
  // Spares a descriptor look-up per entry into the kernel; refused before 5.18.
  [[maybe_unused]] const int registered = io_uring_register_ring_fd(&ring_);
  if (options_.register_file) {
    const int result = io_uring_register_files(&ring_, &fd_, 1);
    file_registered_ = result == 0;
    if (result != 0) Note(std::string("file not registered: ") + std::strerror(-result));
  }
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) return Error{Code::kIo, std::string("eventfd: ") + std::strerror(errno)};
  return {};
}

UringDevice::~UringDevice() {
  // Closing a ring waits for nothing, and what is in flight uses memory that goes after the device.
  constexpr uint64_t kWaitUs = 1'000'000;
  std::array<Completion, 16> ended;
  while (ring_open_ && inflight_ > 0) Reap(ended, kWaitUs);
  if (ring_open_) io_uring_queue_exit(&ring_);
  if (wake_fd_ >= 0) close(wake_fd_);
}

void UringDevice::Note(const std::string& line) {
  if (notes_ != nullptr) notes_->Add("io_uring: " + line);
}

void UringDevice::LendBuffers(MutableBytes memory) {
  if (!options_.register_buffers || !lent_.empty() || memory.empty()) return;
  const iovec range{.iov_base = memory.data(), .iov_len = memory.size()};
  const int result = io_uring_register_buffers(&ring_, &range, 1);
  if (result == 0) {
    lent_ = memory;
  } else if (result == -ENOMEM) {
    Note("read buffers not registered: the locked-memory limit is " + MemlockText(MemlockBytes()) +
         " (ulimit -l, LimitMEMLOCK=); reads cost a little more CPU");
  } else {
    Note(std::string("read buffers not registered: ") + std::strerror(-result));
  }
}

bool UringDevice::NotifyBy(int event_fd) {
  // Without deferred work a completion interrupts whatever system call the owner is in.
  return deferred_ && io_uring_register_eventfd(&ring_, event_fd) == 0;
}

io_uring_sqe* UringDevice::NextEntry() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    Flush();
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

bool UringDevice::Submit(const Request& request) {
  if (inflight_ >= options_.entries) return false;
  io_uring_sqe* entry = NextEntry();
  if (entry == nullptr) return false;
  const uint64_t offset = request.offset;
  const bool lent = !lent_.empty() && request.data >= lent_.data() &&
                    request.data + request.bytes <= lent_.data() + lent_.size();
  const int fd = file_registered_ ? 0 : fd_;
  if (request.op == Op::kRead && lent) {
    io_uring_prep_read_fixed(entry, fd, request.data, request.bytes, offset, 0);
  } else if (request.op == Op::kRead) {
    io_uring_prep_read(entry, fd, request.data, request.bytes, offset);
  } else if (request.op == Op::kWrite) {
    io_uring_prep_write(entry, fd, request.data, request.bytes, offset);
    if (request.durable) entry->rw_flags = RWF_DSYNC;
  } else {
    io_uring_prep_fsync(entry, fd, IORING_FSYNC_DATASYNC);
  }
  if (file_registered_) io_uring_sqe_set_flags(entry, IOSQE_FIXED_FILE);
  io_uring_sqe_set_data64(entry, request.token);
  ++inflight_;
  return true;
}

void UringDevice::Flush() {
  if (io_uring_sq_ready(&ring_) == 0) return;
  // A failure (no memory for requests, completions overflowing) leaves the entries queued; the next
  // call, after completions were taken, submits them again.
  [[maybe_unused]] const int submitted = io_uring_submit(&ring_);
}

size_t UringDevice::Take(std::span<Completion> out) {
  std::array<io_uring_cqe*, 64> events;
  const auto wanted = static_cast<unsigned>(std::min(out.size(), events.size()));
  const unsigned count = io_uring_peek_batch_cqe(&ring_, events.data(), wanted);
  size_t taken = 0;
  for (unsigned i = 0; i < count; ++i) {
    if (events[i]->user_data == kWakeToken) {
      OnWake(*events[i]);
    } else {
      out[taken++] = {.token = events[i]->user_data, .result = events[i]->res};
    }
  }
  io_uring_cq_advance(&ring_, count);
  inflight_ -= taken;
  return taken;
}

size_t UringDevice::Reap(std::span<Completion> out, uint64_t wait_us) {
  if (!wake_armed_) ArmWake();
  woken_ = false;
  const size_t taken = Take(out);
  // A Wake that was found here must not be followed by a wait: its cause has not been looked at.
  if (taken > 0 || wait_us == 0 || woken_) {
    Flush();
    return taken > 0 ? taken : Take(out);
  }
  const uint64_t us = std::min(wait_us, kWaitUsMax);
  __kernel_timespec limit{.tv_sec = static_cast<int64_t>(us / 1'000'000),
                          .tv_nsec = static_cast<long long>(us % 1'000'000 * 1000)};
  io_uring_cqe* event = nullptr;
  // Submits and waits in one entry into the kernel. Whatever it returns, what is there is taken.
  const int result = io_uring_submit_and_wait_timeout(&ring_, &event, 1, &limit, nullptr);
  if (result < 0 && result != -ETIME && result != -EINTR) {
    // The kernel cannot take requests now (no memory): tried again, but not in a spin.
    const timespec pause{.tv_sec = 0, .tv_nsec = 100'000};
    nanosleep(&pause, nullptr);
  }
  return Take(out);
}

void UringDevice::ArmWake() {
  io_uring_sqe* entry = NextEntry();
  if (entry == nullptr) return;  // Tried again by the next Reap.
  if (wake_multishot_) {
    io_uring_prep_poll_multishot(entry, wake_fd_, POLLIN);
  } else {
    io_uring_prep_poll_add(entry, wake_fd_, POLLIN);
  }
  io_uring_sqe_set_data64(entry, kWakeToken);
  wake_armed_ = true;
}

void UringDevice::OnWake(const io_uring_cqe& event) {
  woken_ = true;
  if (event.res == -EINVAL) wake_multishot_ = false;
  if ((event.flags & IORING_CQE_F_MORE) != 0) return;
  // Armed again by the next Reap; emptied first, or it would fire at once for a wake-up already
  // seen.
  DrainEventFd(wake_fd_);
  wake_armed_ = false;
}

void UringDevice::Wake() { SignalEventFd(wake_fd_); }

Result<std::unique_ptr<Device>> UringDeviceFactory::Make() {
  auto device = UringDevice::Open(*file_, options_, notes_);
  if (!device) return device.error();
  return std::unique_ptr<Device>(std::move(device).Take());
}

}  // namespace flash::io
