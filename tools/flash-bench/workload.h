// workload.h: what is sent and what must come back: commands of one data type, native or FLASH,
// whose every value says which element it is and how often that was written.
//
// An element is a string, or one field, place or member of a collection of a fixed number of them.
// Collections keep their size: reads and writes go to elements that the filling made. Knows
// commands as words and replies as texts; no connection, no time. Thread: const, any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace flash::tools::bench {

enum class DataType : uint8_t { kString, kHash, kList, kZset };

[[nodiscard]] std::optional<DataType> DataTypeNamed(std::string_view name);
[[nodiscard]] const char* NameOf(DataType type);

struct WorkloadOptions {
  DataType type = DataType::kString;
  bool native = false;            ///< The server's own commands instead of FLASH.
  std::string prefix = "bench:";  ///< Of every key.
  uint64_t keys = 1;
  uint64_t elements = 1;  ///< Of each key; 1 for strings.
  uint64_t value_bytes = 1024;
  double compressible = 0.5;  ///< Share of a value that compresses to nothing.
};

class Workload {
 public:
  using Words = std::vector<std::string>;

  explicit Workload(const WorkloadOptions& options) : options_(options) {}

  [[nodiscard]] uint64_t elements() const { return options_.keys * options_.elements; }
  [[nodiscard]] const WorkloadOptions& options() const { return options_; }

  /// Bytes that a write of one element brings.
  [[nodiscard]] uint64_t WriteBytes() const;

  /// The commands that make `key` as of version 0 from nothing, in pieces of some 100 elements.
  [[nodiscard]] std::vector<Words> Fill(uint64_t key) const;
  [[nodiscard]] Words Delete(uint64_t key) const;

  /// The name of the key that holds `element`.
  [[nodiscard]] std::string KeyOf(uint64_t element) const {
    return Key(element / options_.elements);
  }

  [[nodiscard]] Words Read(uint64_t element) const;
  [[nodiscard]] Words Write(uint64_t element, uint32_t version) const;

  /// Is `reply` what a read of `element` must answer at `version`?
  [[nodiscard]] bool IsValue(uint64_t element, uint32_t version, std::string_view reply) const;

  /// 16 hexadecimal digits of the element and 8 of the version; then bytes that these decide.
  [[nodiscard]] std::string Value(uint64_t element, uint32_t version) const;

 private:
  [[nodiscard]] std::string Name(const char* command) const;
  [[nodiscard]] std::string Key(uint64_t key) const;
  /// Of a sorted set: the element's own bytes, since only scores change.
  [[nodiscard]] std::string Member(uint64_t element) const;
  [[nodiscard]] std::string Field(uint64_t element) const;

  WorkloadOptions options_;
};

}  // namespace flash::tools::bench
