// late_payload.h: a payload that has a place in a write buffer, and is copied there a little later
// by an I/O thread.
//
// What the write stream, which gives the place, and the stage, which has the bytes, say to each
// other. Knows neither. Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>

namespace flash::store {

struct LatePayload {
  const std::byte* from = nullptr;  // Where it is read until it is at `to`.
  std::byte* to = nullptr;
  uint32_t bytes = 0;
};

}  // namespace flash::store
