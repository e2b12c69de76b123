// log_simulation.h: one log on one disk that loses its power, against a model of what was promised.
//
// A seed decides what is appended, committed, thrown away, cut and begun anew; `cut_after` at which
// write the power goes. After that any subset of the sectors that were not synced is there. The
// model knows every effect ever added and what was acknowledged; it knows no bytes on disk.
// Thread: one.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/log_test_support.h"

namespace flash::log_sim {

struct Tally {
  uint64_t runs = 0;
  uint64_t power_cuts = 0;
  uint64_t units = 0;
  uint64_t grouped = 0;
  uint64_t units_verified = 0;
  uint64_t torn = 0;      // Logs found with a torn tail.
  uint64_t damaged = 0;   // Flips that were told as damage,
  uint64_t harmless = 0;  // or changed nothing that counts.
  uint64_t cuts = 0;
  uint64_t discards = 0;
  uint64_t begins = 0;
  uint64_t closes = 0;
  uint64_t failures = 0;  // Of the device, injected.
};

class LogSimulation {
 public:
  struct Options {
    uint64_t seed = 1;
    uint64_t steps = 30;
    uint64_t cut_after = 0;  // Writes; 0: never, only at the end.
    bool verbose = false;
  };
  LogSimulation(const Options& options, Tally* tally);

  /// Ends the process with a report when something is not as promised. Returns how many writes
  /// there were until the first power cut.
  uint64_t Run();

 private:
  struct AddedEffect {
    uint64_t bytes = 0;
    uint64_t salt = 0;
    bool ends_unit = false;
  };
  /// What is known of one log.
  struct Model {
    std::map<log::Lsn, AddedEffect> effects;  // The newest of each number.
    log::Lsn acknowledged = 0;                // Durable, as the log said.
    log::Lsn acknowledged_before = 0;         // And before the last write.
    log::Lsn written = 0;                     // Appended: survives the process, not the power.
  };
  /// What the RDB carries.
  struct Snapshot {
    log::LogId id{};
    log::Lsn lsn = 0;
  };

  void Say(const char* what) const;
  void Step();
  void AddUnit();
  void Commit();
  void Discard();
  void TakeSnapshot();
  void BeginAnew();
  void Note();
  void Crash();
  void Recover(log::Lsn at_least);
  [[nodiscard]] bool TryRecover(log::Lsn at_least);
  void Verify(const log::Found& found, log::Lsn from, log::Lsn at_least);
  void FlipAndLook();
  void CloseAndOpen();
  [[nodiscard]] Result<void> Open();
  [[nodiscard]] Model& model() { return models_[log_->id()]; }
  [[nodiscard]] bool lost() const { return disk_.file->power_lost(); }
  void Expect(bool holds, const std::string& what) const;

  Options options_;
  Tally* tally_;
  base::Random random_;
  base::Random fate_;  // What a power cut keeps.
  base::ManualClock clock_;
  log::Disk disk_;
  log::Options log_options_;
  std::unique_ptr<log::Log> log_;
  std::map<log::LogId, Model> models_;
  Snapshot snapshot_;
  uint64_t salt_ = 0;
  bool power_was_lost_ = false;
  bool always_only_ = false;
};

}  // namespace flash::log_sim
