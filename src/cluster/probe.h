// probe.h: asks another server whether its flash tier would take a migration.
//
// The question is FLASH.MIGRATE.PROBE over a connection of its own, on a thread of its own: name
// resolution and a host that does not answer hold up nobody. Answers are kept for a while. Knows no
// key. Thread: main, but for the asking.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

namespace flash::cluster {

struct Target {
  std::string host;
  int port = 0;
  std::string user;      // Empty: the default user, if there is a password.
  std::string password;  // Empty: no authentication.
  /// As it is named in replies.
  [[nodiscard]] std::string name() const { return host + ":" + std::to_string(port); }
};

struct ProbeAnswer {
  enum class Outcome : uint8_t {
    kAnswered,
    kNoModule,  ///< The server does not know the command.
    kSilent,    ///< No connection, or no answer in time.
    kRefused,   ///< `error`, the target's own.
  };
  Outcome outcome = Outcome::kSilent;
  std::string error;
  std::string state;
  std::string path;
  uint64_t capacity_bytes = 0;
  uint64_t free_bytes = 0;

  /// The error that it amounts to; empty if the target answered.
  [[nodiscard]] std::string RefusalOf(const Target& target) const;
};

/// How every error of our own about a target begins.
[[nodiscard]] std::string Complaint(const Target& target);

class Probe {
 public:
  /// Begins to ask, or has the answer already, if it is not older than `keep_sec`. Each step
  /// (connecting, each reply) takes `timeout_ms` at most.
  [[nodiscard]] static std::shared_ptr<Probe> Start(const Target& target, int timeout_ms,
                                                    uint32_t keep_sec);

  [[nodiscard]] bool done() const { return done_.load(std::memory_order_acquire); }
  /// Once done.
  [[nodiscard]] const ProbeAnswer& answer() const { return answer_; }
  /// Waits on this thread, for about as long as the steps may take.
  void Wait() const;

 private:
  void Ask(const Target& target, int timeout_ms);

  ProbeAnswer answer_;  // Written before done_ is set, read after.
  uint64_t asked_at_us_ = 0;
  std::atomic<bool> done_ = false;
};

}  // namespace flash::cluster
