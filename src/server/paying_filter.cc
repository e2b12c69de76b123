// paying_filter.cc: see paying_filter.h.
//
// Thread: main.
#include "server/paying_filter.h"

#include <utility>

#include "server/engine.h"
#include "server/events.h"

namespace flash::server {
namespace {

constexpr uint64_t kWindowUs = 1'000'000;

}  // namespace

bool PayingFilter::Turn() {
  if (saved_ == 0 && !installed()) [[likely]]
    return false;
  const uint64_t now_us = Engine::Get().clock().NowUs();
  if (!rule_.WantsOneNow(saved_) && now_us - window_began_us_ < kWindowUs) return false;
  const bool wanted = rule_.Next(saved_, commands_);
  window_began_us_ = now_us;
  saved_ = commands_ = 0;
  if (wanted == installed()) return false;
  if (wanted) {
    filter_ = ValkeyModule_RegisterCommandFilter(DetachedContext(), callback_,
                                                 VALKEYMODULE_CMDFILTER_NOSELF);
  } else {
    ValkeyModule_UnregisterCommandFilter(DetachedContext(), std::exchange(filter_, nullptr));
  }
  return !wanted;
}

}  // namespace flash::server
