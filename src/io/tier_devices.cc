// tier_devices.cc: see tier_devices.h.
//
// The probe before asks only whether io_uring kills: that a child got a ring says nothing of this
// process's, where rings are charged to a small limit of locked memory. Thread: the owner's.
#include "io/tier_devices.h"

#include <unistd.h>

#include <utility>

#include "io/threads_device.h"
#include "io/uring_device.h"
#include "io/uring_probe.h"

namespace flash::io {
namespace {

// A saving process reads pieces of up to 1 MiB, a few at a time.
constexpr uint32_t kOwnThreadsMax = 16;

constexpr const char* kKills =
    "io_uring is forbidden by a sandbox that kills for it (systemd's SystemCallFilter= without an "
    "error number); allow io_uring_setup, io_uring_enter and io_uring_register, as "
    "packaging/systemd does";

std::unique_ptr<Device> OverThreads(const Target& file, uint32_t entries,
                                    std::shared_ptr<TransferThreads> threads) {
  return std::make_unique<ThreadsDevice>(file, ThreadsDevice::Options{.entries = entries},
                                         std::move(threads));
}

}  // namespace

Result<void> TierDevices::CheckKills() {
  if (!kills_) kills_ = IoUringKills();
  if (*kills_) return Error{Code::kUnsupported, kKills};
  return {};
}

Error TierDevices::Demanded(const Error& cause) {
  return {Code::kUnsupported,
          cause.message + "; or set flash.io-backend to auto or threads, which do without"};
}

void TierDevices::NoteFallBack(const Error& cause) {
  notes_ = {cause.message +
            "; going on with flash.io-backend threads, at more CPU for each cold read"};
}

void TierDevices::SetFile(const FlashFile* file) {
  file_ = file;
  threads_.reset();
}

Result<void> TierDevices::Decide(DeviceChoice choice) {
  choice_ = choice;
  uring_ = choice != DeviceChoice::kThreads;
  if (!uring_) return {};
  Result<void> can = CheckKills();
  if (can) {
    const auto ring = UringDevice::Open(Target{}, {.entries = 1, .register_file = false});
    if (!ring) can = ring.error();
  }
  if (can || can.code() != Code::kUnsupported) return can;
  if (choice == DeviceChoice::kUring) return Demanded(can.error());
  uring_ = false;
  NoteFallBack(can.error());
  return {};
}

Result<std::unique_ptr<ThreadedBackend>> TierDevices::StartOverUring(
    const ThreadedBackend::Options& options, const base::Clock* clock) {
  if (auto can = CheckKills(); !can) return can.error();
  UringDeviceFactory devices(file_, {.entries = options.entries});
  auto backend = ThreadedBackend::Start(options, &devices, clock);
  if (!backend) return backend;
  notes_ = devices.notes();
  uring_ = true;
  return backend;
}

Result<std::unique_ptr<ThreadedBackend>> TierDevices::StartOverThreads(
    const ThreadedBackend::Options& options, const base::Clock* clock) {
  auto threads = TransferThreads::Start({});
  if (!threads) return threads.error();
  ThreadsDeviceFactory devices(file_, {.entries = options.entries}, *threads);
  auto backend = ThreadedBackend::Start(options, &devices, clock);
  if (!backend) return backend;
  threads_ = std::move(threads).Take();
  threads_pid_ = getpid();
  uring_ = false;
  return backend;
}

Result<std::unique_ptr<ThreadedBackend>> TierDevices::Start(DeviceChoice choice,
                                                            const ThreadedBackend::Options& options,
                                                            const base::Clock* clock) {
  choice_ = choice;
  if (choice == DeviceChoice::kThreads) return StartOverThreads(options, clock);
  auto backend = StartOverUring(options, clock);
  if (backend || backend.code() != Code::kUnsupported) return backend;
  if (choice == DeviceChoice::kUring) return Demanded(backend.error());
  const Error cause = backend.error();
  backend = StartOverThreads(options, clock);
  if (backend) NoteFallBack(cause);
  return backend;
}

Result<std::unique_ptr<Device>> TierDevices::MakeForWaiting(uint32_t entries) {
  const Target file = file_->target();
  if (threads_ == nullptr || threads_pid_ != getpid()) return MakeForWaiting(file, entries);
  return OverThreads(file, entries, threads_);
}

Result<std::unique_ptr<Device>> TierDevices::MakeForWaiting(const Target& file, uint32_t entries,
                                                            std::string* cause) const {
  if (uses_uring()) {
    auto device = UringDevice::Open(file, {.entries = entries, .register_buffers = false});
    if (device) return std::unique_ptr<Device>(std::move(device).Take());
    if (choice_ == DeviceChoice::kUring || device.code() != Code::kUnsupported) {
      return device.error();
    }
    if (cause != nullptr) *cause = device.error().message;
  }
  auto started = TransferThreads::Start({.threads_max = kOwnThreadsMax});
  if (!started) return started.error();
  return OverThreads(file, entries, std::move(started).Take());
}

void TierDevices::Refuse() {
  if (threads_ != nullptr) threads_->Refuse();
}

}  // namespace flash::io
