// background.h: main-thread work too long for one command, done in slices between commands.
//
// Copying a value of hundreds of MiB, cutting one into blocks. Whoever drives the pool from the
// event loop calls Run after each Drive, and soon again while Wanted. Knows no command and no key.
// Thread: main.
#pragma once

#include <cstdint>
#include <memory>

namespace flash::server {

class BackgroundJob {
 public:
  enum class Progress : uint8_t {
    kMore,     ///< Stopped by the deadline: call again soon.
    kWaiting,  ///< For a completion of the pool: call again after the next Drive.
    kDone,     ///< Finished, told whoever waits; never called again.
  };

  virtual ~BackgroundJob() = default;
  /// Works until about `deadline_us` of the engine's clock. May add jobs.
  [[nodiscard]] virtual Progress Step(uint64_t deadline_us) = 0;
};

class Background {
 public:
  static void Add(std::shared_ptr<BackgroundJob> job);
  /// Gives the jobs, in turn, about `budget_us` together.
  static void Run(uint64_t budget_us);
  /// Some job has work that no completion will announce.
  [[nodiscard]] static bool Wanted();
};

}  // namespace flash::server
