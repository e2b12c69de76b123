// paying_filter.h: a command filter that is there only while it pays.
//
// The server shows a filter every command of every client, which costs each some nanoseconds.
// When it pays: filter_rule.h. Knows nothing of what a filter does. Thread: main.
#pragma once

#include <cstdint>

#include "server/filter_rule.h"
#include "vk/api.h"

namespace flash::server {

class PayingFilter {
 public:
  /// `callback` calls CountCommand. Windows are of a second.
  constexpr PayingFilter(ValkeyModuleCommandFilterFunc callback, const FilterRule::Options& options)
      : callback_(callback), rule_(options) {}
  PayingFilter(const PayingFilter&) = delete;
  PayingFilter& operator=(const PayingFilter&) = delete;

  [[nodiscard]] bool installed() const { return filter_ != nullptr; }
  /// The filter saved work, or would have.
  void CountSaved() { ++saved_; }
  /// A command passed it.
  void CountCommand() { ++commands_; }
  /// Installs or removes it, if that is due; true: it was removed. Once per turn of the event loop.
  bool Turn();

 private:
  ValkeyModuleCommandFilterFunc callback_;
  ValkeyModuleCommandFilter* filter_ = nullptr;
  FilterRule rule_;
  uint64_t window_began_us_ = 0;
  uint64_t saved_ = 0;     // In this window.
  uint64_t commands_ = 0;  // In this window.
};

}  // namespace flash::server
