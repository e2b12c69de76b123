// test_switches.cc: see test_switches.h.
//
// Thread: main.
#include "durability/test_switches.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "vk/log.h"

namespace flash::durability {
namespace {

constexpr std::array<std::string_view, 8> kWords = {"position", "h1",     "h2",     "h3",
                                                    "limbo",    "replid", "reload", "commit"};
constinit uint32_t broken = 0;
constinit uint32_t delay_before_us = 0;
constinit uint32_t delay_after_us = 0;
constinit uint32_t delay_replay_us = 0;

void Break(std::string_view word) {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (word == kWords[i]) broken |= 1U << i;
  }
}

void Delay(uint32_t us) {
  if (us != 0) usleep(us);
}

}  // namespace

void StartTestSwitches() {
  if (const char* const words = std::getenv("FLASH_TEST_BREAK"); words != nullptr) {
    std::string_view rest = words;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      Break(rest.substr(0, comma));
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    }
    vk::LogWarning(std::string("FLASH_TEST_BREAK is set: safeguards are left out: ") + words);
  }
  if (const char* const delays = std::getenv("FLASH_TEST_COMMIT_DELAY"); delays != nullptr) {
    char* end = nullptr;
    delay_before_us = static_cast<uint32_t>(std::strtoul(delays, &end, 10));
    if (*end == ',') delay_after_us = static_cast<uint32_t>(std::strtoul(end + 1, nullptr, 10));
  }
  if (const char* const delay = std::getenv("FLASH_TEST_REPLAY_DELAY"); delay != nullptr) {
    delay_replay_us = static_cast<uint32_t>(std::strtoul(delay, nullptr, 10));
  }
}

bool IsBroken(Safeguard safeguard) {
  return (broken & (1U << static_cast<uint32_t>(safeguard))) != 0;
}

void DelayBeforeCommit() { Delay(delay_before_us); }
void DelayAfterCommit() { Delay(delay_after_us); }
void DelayReplay() { Delay(delay_replay_us); }

}  // namespace flash::durability
