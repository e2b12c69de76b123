// io_test_support.h: tasks, aligned memory and waiting, for the tests of this folder.
//
// Nothing here is part of the library. Waiting is bounded by attempts that each end on an event,
// never by a guess at how long something takes. Thread: the test's.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/backend.h"

namespace flash::io {

struct FreeDeleter {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<std::byte[], FreeDeleter>;

inline AlignedMemory MakeAligned(size_t bytes) {
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(4096, base::AlignUp(bytes, 4096)));
  std::memset(memory, 0, base::AlignUp(bytes, 4096));
  return AlignedMemory(memory);
}

/// A folder of the test's own, removed with everything in it.
class TempFolder {
 public:
  TempFolder() {
    std::string name = ::testing::TempDir() + "flash-io-XXXXXX";
    path_ = mkdtemp(name.data()) != nullptr ? name : std::string();
    EXPECT_FALSE(path_.empty());
  }
  ~TempFolder() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Byte `i` of what the tests write at `offset`: differs between neighbours, sectors and blocks.
inline std::byte PatternAt(uint64_t offset) {
  return static_cast<std::byte>((offset * 131 + (offset >> 9) * 7 + (offset >> 20)) & 0xff);
}
inline void FillPattern(uint64_t offset, MutableBytes into) {
  for (size_t i = 0; i < into.size(); ++i) into[i] = PatternAt(offset + i);
}
inline bool IsPattern(uint64_t offset, Bytes bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != PatternAt(offset + i)) return false;
  }
  return true;
}

/// A task that remembers what happened to it.
struct TestTask : Task {
  int works = 0;
  int dones = 0;
  std::vector<std::byte> seen;  // What `work` was shown.
  std::vector<TestTask*>* order = nullptr;

  static TestTask Read(uint64_t at, uint32_t length) {
    return Make(Kind::kRead, nullptr, at, length);
  }
  static TestTask Write(std::byte* from, uint64_t at, uint32_t length) {
    return Make(Kind::kWrite, from, at, length);
  }
  static TestTask Compute() { return Make(Kind::kCompute, nullptr, 0, 0); }

 private:
  static TestTask Make(Kind what, std::byte* from, uint64_t at, uint32_t length) {
    TestTask task;
    task.kind = what;
    task.data = from;
    task.offset = at;
    task.bytes = length;
    task.work = [](Task& base, MutableBytes bytes) noexcept {
      auto& self = static_cast<TestTask&>(base);
      ++self.works;
      self.seen.assign(bytes.begin(), bytes.end());
    };
    task.done = [](Task& base) noexcept {
      auto& self = static_cast<TestTask&>(base);
      ++self.dones;
      if (self.order != nullptr) self.order->push_back(&self);
    };
    return task;
  }
};

/// Reaps, waiting in between, until `reached` holds; false after far more waiting than any test
/// needs.
template <typename Predicate>
[[nodiscard]] bool DriveUntil(Backend& backend, Predicate reached) {
  for (int i = 0; i < 2000 && !reached(); ++i) {
    backend.Kick();
    if (backend.Reap(1000) == 0) backend.Wait(10'000);
  }
  return reached();
}

[[nodiscard]] inline bool RunAll(Backend& backend, std::vector<TestTask>& tasks) {
  for (TestTask& task : tasks) {
    while (!backend.Submit(&task)) {
      backend.Kick();
      if (backend.Reap(1000) == 0) backend.Wait(10'000);
    }
  }
  return DriveUntil(backend, [&] { return backend.inflight() == 0; });
}

}  // namespace flash::io
