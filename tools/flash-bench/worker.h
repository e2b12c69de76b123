// worker.h: one thread of the load with its connections, see runner.h.
//
// Knows when operations are due, which comes next and what its answer must be; a connection of the
// load has a link to each node, and every operation goes to the one that has its key. Links are
// link.h's, the sums of all threads runner.cc's. Thread: its own, but for the results after Run.
#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "base/clock.h"
#include "tools/flash-bench/link.h"
#include "tools/flash-bench/runner.h"

namespace flash::tools::bench {

class Worker {
 public:
  struct Place {
    uint32_t thread = 0;            ///< Of all threads, from 0.
    uint32_t first_connection = 0;  ///< Of all connections, from 0.
    uint64_t start_us = 0;          ///< When the load begins, warm-up included.
  };

  /// `versions` has one entry for each element, and every element one worker that touches it; empty
  /// without verification. `client_bytes` sums what all workers wrote.
  Worker(const LoadOptions& options, const Workload& workload, const Place& place,
         std::span<uint32_t> versions, std::atomic<uint64_t>* client_bytes);

  /// Errors: those of Link::Open.
  [[nodiscard]] Result<void> Connect(uint32_t connections);
  /// Until time is up, it is told to stop, or a connection is lost.
  void Run();

  [[nodiscard]] Side& side() { return side_; }

 private:
  struct Operation {
    uint64_t element = 0;
    uint64_t since_us = 0;  // Its latency counts from then.
    uint32_t version = 0;   // Of a write.
    bool is_read = false;
  };
  /// One node's, and what it has not answered yet.
  struct Line {
    std::unique_ptr<Link> link;
    std::deque<Operation> in_flight;
  };
  struct Connection {
    std::vector<Line> lines;  // One for each node.
    uint32_t in_flight = 0;   // Over all of them.
    Distribution distribution;
    uint32_t number = 0;  // Of all.
    uint32_t last_version = 0;
  };

  [[nodiscard]] bool is_open_loop() const { return options_.rate_per_sec > 0; }
  /// When the n-th operation of this thread is due.
  [[nodiscard]] uint64_t DueUs(uint64_t n) const;
  void Issue(Connection& connection, uint64_t since_us);
  void IssueDue(uint64_t now_us);
  [[nodiscard]] Connection* NextFree();
  uint64_t Choose(Connection& connection);
  void OnReply(Connection& connection, Line& line, const Link::Reply& reply);
  void Check(const Operation& operation, const Link::Reply& reply);
  void NoteWrong(const Operation& operation, const Link::Reply& reply);
  void Count(const Operation& operation, const Link::Reply& reply, uint64_t now_us);
  Stretch& StretchAt(uint64_t now_us);
  /// False: a connection is lost.
  bool Exchange(uint64_t now_us);
  /// How long Exchange may sleep.
  [[nodiscard]] uint64_t SleepUs(uint64_t now_us) const;
  [[nodiscard]] bool AllBusy() const;
  [[nodiscard]] bool AnyInFlight() const;

  const LoadOptions& options_;
  const Workload& workload_;
  Place place_;
  std::span<uint32_t> versions_;
  std::atomic<uint64_t>* client_bytes_;
  base::SystemClock clock_;
  base::Random random_;
  std::vector<Connection> connections_;
  size_t turn_ = 0;      // Whose turn it is in an open loop.
  uint64_t issued_ = 0;  // Operations.
  uint64_t counts_from_us_ = 0;
  uint64_t end_us_ = 0;
  Side side_;
};

}  // namespace flash::tools::bench
