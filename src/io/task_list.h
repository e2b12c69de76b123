// task_list.h: a first-in first-out list of tasks that needs no memory of its own.
//
// The link is Task::backend_next, so a task is in at most one list at a time. Knows nothing of
// what tasks do. Thread: one owner.
#pragma once

#include <cstddef>

#include "io/backend.h"

namespace flash::io {

class TaskList {
 public:
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] size_t count() const { return count_; }

  void PushBack(Task* task) {
    task->backend_next = nullptr;
    if (last_ == nullptr) {
      first_ = task;
    } else {
      last_->backend_next = task;
    }
    last_ = task;
    ++count_;
  }

  /// Makes `task` the one that Pop returns next.
  void PushFront(Task* task) {
    task->backend_next = first_;
    first_ = task;
    if (last_ == nullptr) last_ = task;
    ++count_;
  }

  /// The first task, or null.
  Task* Pop() {
    Task* task = first_;
    if (task == nullptr) return nullptr;
    first_ = task->backend_next;
    if (first_ == nullptr) last_ = nullptr;
    task->backend_next = nullptr;
    --count_;
    return task;
  }

  /// Takes out every task for which `wanted(task)` holds and appends it to `out`; keeps the order.
  template <typename Predicate>
  void MoveIf(Predicate wanted, TaskList& out) {
    TaskList kept;
    while (Task* task = Pop()) (wanted(task) ? out : kept).PushBack(task);
    *this = kept;
  }

  void Clear() { *this = TaskList(); }

 private:
  Task* first_ = nullptr;
  Task* last_ = nullptr;
  size_t count_ = 0;
};

}  // namespace flash::io
