// inline_backend.cc: the runner stepped by hand; see inline_backend.h.
// `done` may submit again, so the lists are never walked while it runs.
// Thread: one owner.
#include "io/inline_backend.h"

#include <algorithm>

namespace flash::io {
namespace {

/// Removes and returns one element: the first, or any when a random order is asked for.
Task* TakeOne(std::vector<Task*>& tasks, base::Random* random) {
  const size_t index = random == nullptr ? 0 : random->Below(tasks.size());
  Task* task = tasks[index];
  tasks.erase(tasks.begin() + static_cast<ptrdiff_t>(index));
  return task;
}

}  // namespace

InlineBackend::InlineBackend(std::unique_ptr<Device> device, const base::Clock* clock,
                             Options options)
    : options_(std::move(options)),
      clock_(clock),
      random_(options_.seed.value_or(0)),
      runner_(std::move(device), clock, options_.runner),
      alignment_(runner_.device()->alignment()) {}

InlineBackend::~InlineBackend() { runner_.Abandon(); }

Result<void> InlineBackend::Submit(Task* task) {
  FLASH_CHECK(task->offset % alignment_ == 0 && task->bytes % alignment_ == 0);
  const bool read = task->kind == Task::Kind::kRead;
  if (read && task->bytes > ReadBuffers::kLargeBytes) return Code::kInvalid;
  if (read ? reads_ >= options_.reads_max : background_ >= options_.background_max) {
    return Code::kBusy;
  }
  ++(read ? reads_ : background_);
  task->result = 0;
  task->submitted_us = clock_->NowUs();
  queued_.push_back(task);
  return {};
}

void InlineBackend::Start(size_t count) {
  base::Random* random = options_.seed ? &random_ : nullptr;
  for (size_t i = 0; i < count; ++i) runner_.Add(TakeOne(queued_, random));
}

void InlineBackend::Step(uint64_t wait_us) {
  TaskList finished;
  runner_.Step(wait_us, finished);
  while (Task* task = finished.Pop()) finished_.push_back(task);
}

size_t InlineBackend::Reap(size_t tasks_max) {
  base::Random* random = options_.seed ? &random_ : nullptr;
  Start(random != nullptr ? random->Below(queued_.size() + 1) : queued_.size());
  Step(0);
  if (random == nullptr) {
    while (finished_.size() < tasks_max && runner_.HasBackgroundWork()) Step(0);
  }
  size_t count = std::min(tasks_max, finished_.size());
  if (random != nullptr && count > 0) count = random->Below(count + 1);
  for (size_t i = 0; i < count; ++i) {
    Task* task = TakeOne(finished_, random);
    --(task->kind == Task::Kind::kRead ? reads_ : background_);
    if (task->done != nullptr) task->done(*task);
  }
  return count;
}

void InlineBackend::Wait(uint64_t timeout_us) {
  if (!finished_.empty()) return;
  // With nothing in flight too: whoever waits may wait for a moment to come.
  Start(queued_.size());
  // A piece of work each, as long as there is some: no time passes meanwhile.
  do {
    Step(options_.on_idle ? 0 : timeout_us);
  } while (finished_.empty() && runner_.HasBackgroundWork());
  if (!finished_.empty() || !options_.on_idle) return;
  options_.on_idle(timeout_us);
  Step(0);
}

Backend::Stats InlineBackend::stats() const {
  Stats stats;
  runner_.AddStats(stats);
  return stats;
}

}  // namespace flash::io
