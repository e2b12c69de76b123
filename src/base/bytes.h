// bytes.h: views of bytes, alignment arithmetic, little-endian loads and stores.
//
// Everything on disk is little endian and is read and written through these, never by casting a
// struct over a buffer of unknown alignment. Thread: any.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace flash {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline constexpr uint64_t kKiB = 1024;
inline constexpr uint64_t kMiB = 1024 * kKiB;
inline constexpr uint64_t kGiB = 1024 * kMiB;
inline constexpr uint64_t kTiB = 1024 * kGiB;

namespace base {

static_assert(std::endian::native == std::endian::little, "on-disk integers are stored natively");

/// Smallest multiple of `alignment` (a power of two) that is not below `value`.
constexpr uint64_t AlignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) & ~(alignment - 1);
}
/// Largest multiple of `alignment` (a power of two) that is not above `value`.
constexpr uint64_t AlignDown(uint64_t value, uint64_t alignment) {
  return value & ~(alignment - 1);
}

template <typename T>
[[nodiscard]] inline T LoadLe(const std::byte* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}
template <typename T>
inline void StoreLe(std::byte* to, T value) {
  std::memcpy(to, &value, sizeof(T));
}

inline Bytes AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view AsText(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace base
}  // namespace flash
