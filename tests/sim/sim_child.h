// sim_child.h: a forked child that reads what a snapshot reads, for as long as the world is frozen.
//
// A real fork: the child has a copy of the tables and of the write buffers as they were, whatever
// the parent does to its own. Only the file is shared, through memory into which the parent copies
// what now lies there before each check. Knows neither blocks nor what is checked. Thread: one.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/bytes.h"
#include "io/memory_device.h"
#include "store/record_store.h"

namespace flash::sim {

class ForkedChild {
 public:
  /// Runs in the child; ends the process (SIM_EXPECT) when something is wrong.
  using Judge = std::function<void(store::SnapshotSource& source)>;

  ForkedChild(const io::MemoryFile* file, const Judge& judge);
  /// Ends the child.
  ~ForkedChild();
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;

  /// Lets the child see what now lies in the file at `place`.
  void Show(store::Place place);
  /// Has the child judge. False: something is wrong, and it said what.
  [[nodiscard]] bool Judges();

 private:
  [[noreturn]] void Serve(int socket, const Judge& judge);

  const io::MemoryFile& file_;
  MutableBytes shared_;
  int socket_ = -1;
  pid_t pid_ = 0;
};

}  // namespace flash::sim
