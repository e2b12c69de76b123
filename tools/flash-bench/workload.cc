// workload.cc: see workload.h.
//
// Thread: const, any.
#include "tools/flash-bench/workload.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/random.h"

namespace flash::tools::bench {
namespace {

constexpr std::array<const char*, 4> kNames = {"string", "hash", "list", "zset"};
constexpr uint64_t kPieceElements = 100;

/// `bytes` bytes that `head` and `seed` decide, of which a share compresses.
std::string Filled(std::string head, uint64_t bytes, double compressible, uint64_t seed) {
  std::string text = std::move(head);
  if (text.size() >= bytes) return text;
  const uint64_t rest = bytes - text.size();
  const auto same = static_cast<uint64_t>(static_cast<double>(rest) * compressible);
  text.reserve(bytes);
  base::Random random(seed);
  while (text.size() + same < bytes) {
    uint64_t bits = random.Next();
    for (int i = 0; i < 8 && text.size() + same < bytes; ++i, bits >>= 8) {
      text.push_back(static_cast<char>(bits & 0xff));
    }
  }
  text.append(same, '-');
  return text;
}

}  // namespace

std::optional<DataType> DataTypeNamed(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i]) return static_cast<DataType>(i);
  }
  return std::nullopt;
}

const char* NameOf(DataType type) { return kNames[static_cast<size_t>(type)]; }

std::string Workload::Name(const char* command) const {
  return options_.native ? command : std::string("FLASH.") + command;
}

std::string Workload::Key(uint64_t key) const { return options_.prefix + std::to_string(key); }

std::string Workload::Field(uint64_t element) const {
  return "field:" + std::to_string(element % options_.elements);
}

std::string Workload::Value(uint64_t element, uint32_t version) const {
  std::array<char, 25> head{};
  std::snprintf(head.data(), head.size(), "%016llx%08x", static_cast<unsigned long long>(element),
                version);
  return Filled(head.data(), options_.value_bytes, options_.compressible,
                element * 0x9e3779b97f4a7c15ULL + version);
}

std::string Workload::Member(uint64_t element) const {
  return Filled("member:" + std::to_string(element % options_.elements) + ":", options_.value_bytes,
                options_.compressible, element);
}

uint64_t Workload::WriteBytes() const {
  return options_.type == DataType::kZset ? std::max<uint64_t>(Member(0).size(), 1)
                                          : Value(0, 0).size();
}

std::vector<Workload::Words> Workload::Fill(uint64_t key) const {
  const uint64_t first = key * options_.elements;
  if (options_.type == DataType::kString) return {Write(first, 0)};
  std::vector<Words> commands;
  for (uint64_t from = 0; from < options_.elements; from += kPieceElements) {
    const char* const name = options_.type == DataType::kHash   ? "HSET"
                             : options_.type == DataType::kList ? "RPUSH"
                                                                : "ZADD";
    Words words = {Name(name), Key(key)};
    const uint64_t to = std::min(from + kPieceElements, options_.elements);
    for (uint64_t element = first + from; element < first + to; ++element) {
      if (options_.type == DataType::kHash) words.push_back(Field(element));
      if (options_.type == DataType::kZset) words.emplace_back("0");
      words.push_back(options_.type == DataType::kZset ? Member(element) : Value(element, 0));
    }
    commands.push_back(std::move(words));
  }
  return commands;
}

Workload::Words Workload::Delete(uint64_t key) const { return {"UNLINK", Key(key)}; }

Workload::Words Workload::Read(uint64_t element) const {
  const std::string key = Key(element / options_.elements);
  switch (options_.type) {
    case DataType::kString:
      return {Name("GET"), key};
    case DataType::kHash:
      return {Name("HGET"), key, Field(element)};
    case DataType::kList:
      return {Name("LINDEX"), key, std::to_string(element % options_.elements)};
    case DataType::kZset:
      return {Name("ZSCORE"), key, Member(element)};
  }
  return {};
}

Workload::Words Workload::Write(uint64_t element, uint32_t version) const {
  const std::string key = Key(element / options_.elements);
  switch (options_.type) {
    case DataType::kString:
      return {Name("SET"), key, Value(element, version)};
    case DataType::kHash:
      return {Name("HSET"), key, Field(element), Value(element, version)};
    case DataType::kList:
      return {Name("LSET"), key, std::to_string(element % options_.elements),
              Value(element, version)};
    case DataType::kZset:
      return {Name("ZADD"), key, std::to_string(version), Member(element)};
  }
  return {};
}

bool Workload::IsValue(uint64_t element, uint32_t version, std::string_view reply) const {
  return reply ==
         (options_.type == DataType::kZset ? std::to_string(version) : Value(element, version));
}

}  // namespace flash::tools::bench
