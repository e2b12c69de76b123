// owner_lane.cc: see owner_lane.h.
//
// Thread: the owner.
#include "io/owner_lane.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <utility>

#include "base/leave_behind.h"

namespace flash::io {
namespace {

TaskRunner::Options RunnerOptions(uint32_t reads_max) {
  return {.small_buffers = reads_max, .large_buffers_max = 1, .writes_max = 1};
}
constexpr uint64_t kCloseWaitUs = 10'000;

}  // namespace

std::unique_ptr<OwnerLane> OwnerLane::Make(DeviceFactory* factory, const base::Clock* clock,
                                           uint32_t reads_max) {
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) return nullptr;
  auto device = factory->Make();
  if (!device || !(*device)->NotifyBy(event_fd)) {
    close(event_fd);
    return nullptr;
  }
  // raw new: private constructor
  auto* lane = new OwnerLane(std::move(device).Take(), event_fd, clock, reads_max);
  return std::unique_ptr<OwnerLane>(lane);
}

OwnerLane::OwnerLane(std::unique_ptr<Device> device, int event_fd, const base::Clock* clock,
                     uint32_t reads_max)
    : event_fd_(event_fd),
      reads_max_(reads_max),
      runner_(std::move(device), clock, RunnerOptions(reads_max)) {}

OwnerLane::~OwnerLane() {
  runner_.CloseDevice();
  close(event_fd_);
}

bool OwnerLane::Takes(const Task& task) const {
  return task.kind == Task::Kind::kRead && task.bytes <= ReadBuffers::kSmallBytes &&
         inflight_ < reads_max_ && runner_.transfers() < reads_max_;
}

void OwnerLane::Add(Task* task) {
  ++inflight_;
  runner_.Add(task);
  if (++added_ == kHandOver) Kick();
}

void OwnerLane::Kick() {
  if (std::exchange(added_, 0) > 0) runner_.Step(0, finished_);
}

void OwnerLane::Look() {
  // Also while only the device's answer to a read that timed out is awaited.
  if (inflight_ > finished_.count() || runner_.transfers() > 0) runner_.Step(0, finished_);
}

Task* OwnerLane::PopFinished() {
  Task* task = finished_.Pop();
  if (task != nullptr) --inflight_;
  return task;
}

void OwnerLane::Close(std::unique_ptr<OwnerLane> lane, const timespec& deadline) {
  lane->runner_.Abandon();
  timespec now{};
  while (lane->runner_.transfers() > 0) {
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec > deadline.tv_sec ||
        (now.tv_sec == deadline.tv_sec && now.tv_nsec >= deadline.tv_nsec)) {
      // The device may still write into the buffers.
      return base::LeaveBehind(std::move(lane));
    }
    TaskList none;
    lane->runner_.Step(kCloseWaitUs, none);
  }
}

}  // namespace flash::io
