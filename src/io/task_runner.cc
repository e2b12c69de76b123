// task_runner.cc: one turn of the I/O loop; see task_runner.h.
// A read that timed out leaves its transfer in place: only the device's own completion frees the
// buffer, because until then the device may still write into it. Thread: one owner.
#include "io/task_runner.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace flash::io {
namespace {

constexpr size_t kBatchMax = 64;
constexpr uint32_t kRetriesMax = 16;
constexpr uint64_t kNever = ~uint64_t{0};

}  // namespace

TaskRunner::TaskRunner(std::unique_ptr<Device> device, const base::Clock* clock,
                       const Options& options)
    : options_(options),
      buffers_(
          {.small_count = options.small_buffers, .large_count_max = options.large_buffers_max}),
      device_(std::move(device)),
      clock_(clock),
      transfers_(options.small_buffers + options.large_buffers_max + options.writes_max) {
  FLASH_CHECK(options.small_buffers >= 1 && options.large_buffers_max >= 1);
  FLASH_CHECK(options.writes_max >= 1);
  transfers_free_.reserve(transfers_.size());
  refused_.reserve(transfers_.size());
  for (size_t i = transfers_.size(); i > 0; --i) {
    transfers_free_.push_back(static_cast<uint32_t>(i - 1));
  }
  device_->LendBuffers(buffers_.small_memory());
}

TaskRunner::~TaskRunner() = default;

void TaskRunner::Add(Task* task) {
  if (task->kind == Task::Kind::kCompute) {
    return (task->urgent ? urgent_computes_ : computes_).PushBack(task);
  }
  if (task->kind == Task::Kind::kWrite) return writes_.PushBack(task);
  (task->bytes <= ReadBuffers::kSmallBytes ? small_reads_ : large_reads_).PushBack(task);
  if (timeout_us_ > 0) {
    expiry_check_us_ = std::min(expiry_check_us_, task->submitted_us + timeout_us_);
  }
}

void TaskRunner::Step(uint64_t wait_us, TaskList& finished) {
  // In this order a read never waits for a write's checksum or a compression of the same turn.
  if (!refused_.empty()) SubmitRefused();
  StartReads(small_reads_, ReadBuffers::kSmallBytes);
  StartReads(large_reads_, ReadBuffers::kLargeBytes);
  if (HasBackgroundWork()) {
    device_->Flush();
    RunBackground(finished);
  }
  uint64_t wait_limit_us = wait_us;
  if (expiry_check_us_ != kNever) {
    const uint64_t now_us = clock_->NowUs();
    if (now_us >= expiry_check_us_) ExpireReads(now_us, finished);
    if (expiry_check_us_ != kNever) wait_limit_us = std::min(wait_us, expiry_check_us_ - now_us);
  }
  const bool may_wait = finished.empty() && !HasBackgroundWork();
  Reap(may_wait ? wait_limit_us : 0, finished);
}

void TaskRunner::SubmitRefused() {
  const size_t count = refused_.size();
  for (size_t i = 0; i < count; ++i) Submit(refused_[i]);  // May append again.
  refused_.erase(refused_.begin(), refused_.begin() + static_cast<ptrdiff_t>(count));
}

void TaskRunner::StartReads(TaskList& pending, uint32_t buffer_bytes) {
  while (!pending.empty() && buffers_.Room(buffer_bytes) > 0) {
    // No larger a batch than can start now, so that what sorts last is not overtaken for ever.
    std::array<Task*, kBatchMax> batch;
    const size_t count = std::min({pending.count(), kBatchMax, buffers_.Room(buffer_bytes)});
    for (size_t i = 0; i < count; ++i) batch[i] = pending.Pop();
    if (count > 1) {
      std::sort(batch.begin(), batch.begin() + count, [](const Task* a, const Task* b) {
        return a->offset != b->offset ? a->offset < b->offset : a->bytes > b->bytes;
      });
    }
    size_t started = 0;
    while (started < count) {
      const uint64_t start = batch[started]->offset;
      uint64_t end = start + batch[started]->bytes;
      const uint64_t limit = std::max<uint64_t>(end, start + ReadBuffers::kSmallBytes);
      size_t next = started + 1;
      for (; next < count && batch[next]->offset <= end; ++next) {
        const uint64_t task_end = batch[next]->offset + batch[next]->bytes;
        if (task_end > limit) break;
        end = std::max(end, task_end);
      }
      StartRead(&batch[started], next - started);
      started = next;
    }
  }
}

void TaskRunner::StartRead(Task* const* group, size_t count) {
  uint64_t end = 0;
  for (size_t i = 0; i < count; ++i) end = std::max(end, group[i]->offset + group[i]->bytes);
  const auto bytes = static_cast<uint32_t>(end - group[0]->offset);
  std::byte* buffer = buffers_.Take(bytes);
  FLASH_CHECK(buffer != nullptr);
  const uint32_t index = TakeTransfer();
  Transfer& transfer = transfers_[index];
  transfer = {.op = Op::kRead, .offset = group[0]->offset, .data = buffer, .bytes = bytes};
  for (size_t i = 0; i < count; ++i) transfer.tasks.PushBack(group[i]);
  coalesced_.Add(count - 1);
  Submit(index);
}

void TaskRunner::StartWrite(Task* task) {
  if (task->work != nullptr) task->work(*task, {task->data, task->bytes});
  const uint32_t index = TakeTransfer();
  Transfer& transfer = transfers_[index];
  transfer = {.op = Op::kWrite, .offset = task->offset, .data = task->data, .bytes = task->bytes};
  transfer.tasks.PushBack(task);
  ++writes_inflight_;
  Submit(index);
}

void TaskRunner::RunBackground(TaskList& finished) {
  const uint64_t start_us = clock_->NowUs();
  const auto is_over = [&] { return clock_->NowUs() - start_us >= options_.background_slice_us; };
  for (uint32_t i = 0; i < options_.background_slice_tasks && !arrived_.empty(); ++i) {
    RunArrived(finished);
    if (is_over()) break;
  }
  // One of these in each slice, whatever large reads bring: they would wait for ever.
  for (uint32_t i = 0; i < options_.background_slice_tasks; ++i) {
    if (CanWrite()) {
      StartWrite(writes_.Pop());
      device_->Flush();
    } else if (!RunCompute(finished)) {
      return;
    }
    if (is_over()) return;
  }
}

void TaskRunner::RunArrived(TaskList& finished) {
  const uint32_t index = arrived_.front();
  Transfer& transfer = transfers_[index];
  Task* task = transfer.tasks.Pop();
  FinishRead(task, transfer, 0);
  finished.PushBack(task);
  if (!transfer.tasks.empty()) return;
  arrived_.pop_front();
  Release(index);
}

/// Runs a compute, or a piece of one. False: there is none, or none more before reads.
bool TaskRunner::RunCompute(TaskList& finished) {
  TaskList& computes = urgent_computes_.empty() ? computes_ : urgent_computes_;
  Task* task = computes.Pop();
  if (task == nullptr) return false;
  task->more = false;
  if (task->work != nullptr) task->work(*task, {});
  if (task->more) {
    computes.PushFront(task);
    return false;
  }
  task->result = 0;
  finished.PushBack(task);
  return true;
}

uint32_t TaskRunner::TakeTransfer() {
  FLASH_CHECK(!transfers_free_.empty());  // There is one for each buffer and each write.
  const uint32_t index = transfers_free_.back();
  transfers_free_.pop_back();
  ++transfers_inflight_;
  return index;
}

void TaskRunner::Submit(uint32_t index) {
  const Transfer& transfer = transfers_[index];
  const Request request{.op = transfer.op,
                        .offset = transfer.offset + transfer.done_bytes,
                        .data = transfer.data + transfer.done_bytes,
                        .bytes = transfer.bytes - transfer.done_bytes,
                        .token = index};
  if (!device_->Submit(request)) return refused_.push_back(index);
  (transfer.op == Op::kRead ? reads_ : device_writes_).Add(1);
  (transfer.op == Op::kRead ? read_bytes_ : write_bytes_).Add(request.bytes);
}

void TaskRunner::Reap(uint64_t wait_us, TaskList& finished) {
  std::array<Completion, kBatchMax> completions;
  size_t count = device_->Reap(completions, wait_us);
  while (count > 0) {
    for (size_t i = 0; i < count; ++i) OnCompletion(completions[i], finished);
    if (count < completions.size()) return;
    count = device_->Reap(completions, 0);
  }
}

void TaskRunner::OnCompletion(const Completion& completion, TaskList& finished) {
  FLASH_CHECK(completion.token < transfers_.size());
  const auto index = static_cast<uint32_t>(completion.token);
  Transfer& transfer = transfers_[index];
  FLASH_CHECK(completion.result <= static_cast<int32_t>(transfer.bytes - transfer.done_bytes));
  if (!transfer.tasks.empty() && Continue(index, completion.result)) return;
  int32_t error = 0;
  if (completion.result < 0) {
    error = completion.result;
  } else if (transfer.done_bytes < transfer.bytes) {
    error = transfer.op == Op::kRead ? -ENODATA : -EIO;
  }
  --transfers_inflight_;
  const bool is_large_read = transfer.op == Op::kRead && transfer.bytes > ReadBuffers::kSmallBytes;
  if (error == 0 && is_large_read && !transfer.tasks.empty()) {
    transfer.arrived = true;
    arrived_.push_back(index);
    return;
  }
  Finish(index, error, finished);
}

bool TaskRunner::Continue(uint32_t index, int32_t result) {
  Transfer& transfer = transfers_[index];
  if (result < 0) {
    if ((result != -EINTR && result != -EAGAIN) || ++transfer.retries > kRetriesMax) return false;
  } else {
    const uint32_t reached = transfer.done_bytes + static_cast<uint32_t>(result);
    if (result == 0 || reached == transfer.bytes) {
      transfer.done_bytes = reached;
      return false;
    }
    // O_DIRECT demands an aligned start, so a piece that ends between two sectors is fetched again.
    const auto aligned = static_cast<uint32_t>(base::AlignDown(reached, device_->alignment()));
    if (aligned == transfer.done_bytes && ++transfer.retries > kRetriesMax) {
      transfer.done_bytes = reached;
      return false;
    }
    transfer.done_bytes = aligned;
  }
  Submit(index);
  return true;
}

void TaskRunner::Finish(uint32_t index, int32_t error, TaskList& finished) {
  Transfer& transfer = transfers_[index];
  while (Task* task = transfer.tasks.Pop()) {
    if (transfer.op == Op::kRead) {
      FinishRead(task, transfer, error);
    } else {
      task->result = error;
      if (error != 0) write_errors_.Add(1);
    }
    finished.PushBack(task);
  }
  Release(index);
}

void TaskRunner::Release(uint32_t index) {
  const Transfer& transfer = transfers_[index];
  if (transfer.op == Op::kRead) {
    buffers_.Give(transfer.data, transfer.bytes);
  } else {
    --writes_inflight_;
  }
  transfers_free_.push_back(index);
}

void TaskRunner::FinishRead(Task* task, const Transfer& transfer, int32_t error) {
  const uint64_t start = task->offset - transfer.offset;
  // A shared transfer that met the end of the file still serves the tasks before it.
  const bool whole = start + task->bytes <= transfer.done_bytes;
  task->result = error == -ENODATA && whole ? 0 : error;
  if (task->result != 0) {
    read_errors_.Add(1);
  } else if (task->work != nullptr) {
    task->work(*task, {transfer.data + start, task->bytes});
  }
}

void TaskRunner::SetTimeoutMs(uint32_t timeout_ms) {
  timeout_us_ = uint64_t{timeout_ms} * 1000;
  expiry_check_us_ = timeout_us_ > 0 ? 0 : kNever;
}

void TaskRunner::ExpireReads(uint64_t now_us, TaskList& finished) {
  uint64_t next_us =
      std::min(ExpireIn(small_reads_, now_us, finished), ExpireIn(large_reads_, now_us, finished));
  for (Transfer& transfer : transfers_) {
    if (transfer.op == Op::kRead && !transfer.arrived && !transfer.tasks.empty()) {
      next_us = std::min(next_us, ExpireIn(transfer.tasks, now_us, finished));
    }
  }
  expiry_check_us_ = next_us;
}

uint64_t TaskRunner::ExpireIn(TaskList& tasks, uint64_t now_us, TaskList& finished) {
  uint64_t next_us = kNever;
  TaskList expired;
  tasks.MoveIf(
      [&](const Task* task) {
        const uint64_t deadline_us = task->submitted_us + timeout_us_;
        if (deadline_us <= now_us) return true;
        next_us = std::min(next_us, deadline_us);
        return false;
      },
      expired);
  while (Task* task = expired.Pop()) {
    task->result = -ETIMEDOUT;
    timeouts_.Add(1);
    finished.PushBack(task);
  }
  return next_us;
}

void TaskRunner::Abandon() {
  small_reads_.Clear();
  large_reads_.Clear();
  writes_.Clear();
  urgent_computes_.Clear();
  computes_.Clear();
  for (Transfer& transfer : transfers_) transfer.tasks.Clear();
  for (const uint32_t index : arrived_) Release(index);
  arrived_.clear();
  expiry_check_us_ = kNever;
}

void TaskRunner::AddStats(Backend::Stats& stats) const {
  stats.device_reads += reads_.value();
  stats.device_read_bytes += read_bytes_.value();
  stats.device_writes += device_writes_.value();
  stats.device_write_bytes += write_bytes_.value();
  stats.coalesced_reads += coalesced_.value();
  stats.read_errors += read_errors_.value();
  stats.write_errors += write_errors_.value();
  stats.timeouts += timeouts_.value();
  stats.buffer_bytes += buffers_.mapped_bytes();
}

}  // namespace flash::io
