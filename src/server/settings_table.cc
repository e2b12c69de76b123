// settings_table.cc: the rows, and the checks and texts derived from them.
//
// See settings_table.h. Thread: any.
#include "server/settings_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <type_traits>

#include "base/words.h"
#include "server/cpu_count.h"

namespace flash::server {
namespace {

constexpr uint64_t kBytesMax = 64 * kTiB;
constexpr std::string_view kPrefix = "flash.";
constexpr std::array<std::string_view, 3> kSyncChoices = {"always", "everysec", "no"};
constexpr std::array<std::string_view, 3> kClusterChoices = {"auto", "yes", "no"};
constexpr std::array<std::string_view, 3> kIoBackendChoices = {"auto", "uring", "threads"};
constexpr std::array<std::string_view, 2> kCompressionChoices = {"none", "lz4"};
constexpr std::array<std::string_view, 2> kMismatchChoices = {"refuse", "archive"};

template <auto kMember>
uint64_t Get(const Settings& settings) {
  return static_cast<uint64_t>(settings.*kMember);
}
template <auto kMember>
void Set(Settings& settings, uint64_t value) {
  using Value = std::remove_reference_t<decltype(settings.*kMember)>;
  settings.*kMember = static_cast<Value>(value);
}

/// 0 is resolved where it is stored, so that all who read it see the number in force.
void SetIoThreads(Settings& settings, uint64_t value) {
  settings.io_threads = value == 0 ? AutomaticIoThreads() : static_cast<uint32_t>(value);
}

void SetMainThreadReads(Settings& settings, uint64_t value) {
  settings.main_thread_reads =
      value == 0 ? AutomaticMainThreadReads(UsableCpus()) : static_cast<uint32_t>(value);
}

/// A row that still lacks what its builder methods add.
struct Row : SettingSpec {
  constexpr Row SetBy(void (*setter)(Settings&, uint64_t)) const {
    Row row = *this;
    row.set = setter;
    return row;
  }
  constexpr Row RunTime() const {
    Row row = *this;
    row.run_time = true;
    return row;
  }
};

template <auto kMember>
constexpr Row MakeRow(SettingKind kind, std::string_view name, std::string_view doc) {
  Row row;
  row.name = name;
  row.kind = kind;
  row.doc = doc;
  row.get = Get<kMember>;
  row.set = Set<kMember>;
  return row;
}
constexpr Row Text(std::string_view name, std::string Settings::*member, std::string_view doc) {
  Row row;
  row.name = name;
  row.kind = SettingKind::kText;
  row.doc = doc;
  row.text = member;
  return row;
}
template <auto kMember>
constexpr Row Number(std::string_view name, uint64_t min, uint64_t max, std::string_view doc) {
  Row row = MakeRow<kMember>(SettingKind::kNumber, name, doc);
  row.min = min;
  row.max = max;
  return row;
}
template <auto kMember>
constexpr Row ByteSize(std::string_view name, uint64_t min, std::string_view doc) {
  Row row = MakeRow<kMember>(SettingKind::kBytes, name, doc);
  row.min = min;
  row.max = kBytesMax;
  return row;
}
template <auto kMember>
constexpr Row YesNo(std::string_view name, std::string_view doc) {
  return MakeRow<kMember>(SettingKind::kYesNo, name, doc);
}
template <auto kMember>
constexpr Row Choice(std::string_view name, std::span<const std::string_view> choices,
                     std::string_view doc) {
  Row row = MakeRow<kMember>(SettingKind::kChoice, name, doc);
  row.choices = choices;
  return row;
}

const std::array<SettingSpec, 27> kTable = {
    Text("path", &Settings::path,
         "The tier file. Its folder must exist and be writable. Created and sized at load, locked "
         "while in use; "
         "refused if it belongs to something else. Choose a local NVMe file system: the default is "
         "for trying out."),
    ByteSize<&Settings::capacity_bytes>("capacity-bytes", 16 * kMiB,
                                        "Size of the tier file. May differ at each restart."),
    ByteSize<&Settings::cache_size_bytes>("cache-size-bytes", kMiB,
                                          "Bound of the hot bytes in RAM. Shrinking demotes at "
                                          "once; commands that would go more than a tenth above "
                                          "it wait for room.")
        .RunTime(),
    Choice<&Settings::sync>(
        "sync", kSyncChoices,
        "always: a write is acknowledged when it is durable, in the server's AOF where that is on, "
        "else in the log; sets appendfsync always. everysec: at most a second is lost. no: when "
        "the system writes it. See docs/durability.md.")
        .RunTime(),
    Number<&Settings::io_threads>(
        "io-threads", 0, 256,
        "I/O threads, one queue to the drive each. 0: as many as the process may "
        "use CPUs (affinity and cgroup quota), at most "
        "8; CONFIG GET shows the number in force.")
        .SetBy(SetIoThreads),
    Number<&Settings::io_uring_entries>("io-uring-entries", 16, 65536,
                                        "Requests in flight per I/O thread."),
    Number<&Settings::main_thread_reads>(
        "main-thread-reads", 0, 64,
        "Reads of up to 16 KiB that the main thread itself hands to the drive at a time, past the "
        "I/O threads. 1: only one that is alone. 0: 24 where the process may use one or two CPUs, "
        "else 1; CONFIG GET shows the number in force.")
        .SetBy(SetMainThreadReads),
    Choice<&Settings::io_backend>(
        "io-backend", kIoBackendChoices,
        "How the drive is read and written. auto: io_uring, or threads where the kernel, a sandbox "
        "or a limit forbids it; one line of the log says why. uring: the load stops where it is "
        "forbidden. threads: plain reads and writes by up to 64 threads."),
    Number<&Settings::compaction_interval_sec>(
        "compaction-interval-sec", 1, 3600,
        "How often a pass over all segments with dead bytes is started. Compaction that is needed "
        "for room does not "
        "wait for it.")
        .RunTime(),
    Number<&Settings::demotion_batch>("demotion-batch", 0, 4096,
                                      "Most blocks demoted per tick. 0: automatic.")
        .RunTime(),
    Number<&Settings::demotion_max_inflight>("demotion-max-inflight", 0, 65536,
                                             "Most demotions in flight. 0: automatic.")
        .RunTime(),
    YesNo<&Settings::replica_tier_enabled>("replica-tier-enabled",
                                           "yes: a replica tiers as its primary does. no: it keeps "
                                           "all values in RAM, makes no file, and opens its tier "
                                           "when it is promoted."),
    Choice<&Settings::cluster_mode>(
        "cluster-mode-enabled", kClusterChoices,
        "auto: as the server. yes or no: the load stops if the server is set otherwise."),
    Number<&Settings::migration_bandwidth_mbps>(
        "migration-bandwidth-mbps", 0, 100000,
        "Most megabits per second that a migration sends. 0: unlimited.")
        .RunTime(),
    ByteSize<&Settings::migration_max_key_bytes>(
        "migration-max-key-bytes", kKiB, "Keys above it are migrated without being read ahead."),
    Number<&Settings::migration_chunk_timeout_sec>(
        "migration-chunk-timeout-sec", 1, 3600,
        "Longest time for one transfer step of a migration.")
        .RunTime(),
    Number<&Settings::migration_probe_cache_sec>(
        "migration-probe-cache-sec", 0, 3600,
        "How long the answer of FLASH.MIGRATE.PROBE about a target is kept. 0: not at all."),
    Choice<&Settings::compression_lz4>("compression", kCompressionChoices,
                                       "Compression of records on flash, kept where it saves an "
                                       "eighth. Records already written stay as they are.")
        .RunTime(),
    Number<&Settings::io_timeout_ms>(
        "io-timeout-ms", 10, 600000,
        "A read that got no answer within it fails with FLASHIO; the key stays.")
        .RunTime(),
    Number<&Settings::max_parked_clients>(
        "max-parked-clients", 0, 1000000,
        "Most clients that wait for flash at a time without holding up others; above it cold reads "
        "are done at once, "
        "on the main thread. 0: always so.")
        .RunTime(),
    ByteSize<&Settings::max_reply_bytes>(
        "max-reply-bytes", 0,
        "A reply that would be larger is refused before it is put together. 0: larger than what "
        "maxmemory leaves when the cache has given way to it, since replies count towards "
        "maxmemory and would cost keys; no limit without maxmemory. Replies up to 1mb, and with 0 "
        "up to a 64th of maxmemory, are never refused.")
        .RunTime(),
    YesNo<&Settings::wal>("wal",
                          "Whether the module keeps a log of changes to FLASH keys while the "
                          "server's AOF is off. no: for caches, what is newer than the last RDB is "
                          "lost with the server."),
    Text("wal-dir", &Settings::wal_dir, "Folder of the log. Empty: beside the tier file."),
    ByteSize<&Settings::wal_max_bytes>(
        "wal-max-bytes", 16 * kMiB,
        "Size of the log at which a snapshot is started so that it can be cut. Writes are refused "
        "at twice the size if that snapshot fails, at four times the size in any case.")
        .RunTime(),
    Choice<&Settings::wal_on_mismatch>(
        "wal-on-mismatch", kMismatchChoices,
        "What to do at start with a log that does not continue the loaded RDB: answer no command, "
        "or move it aside and go on with the RDB alone."),
    Number<&Settings::drain_max_elements>(
        "drain-max-elements", 0, uint64_t{1} << 40,
        "FLASH.DRAIN leaves keys with more elements alone unless told FORCE.")
        .RunTime(),
    YesNo<&Settings::native_fallback>(
        "native-fallback",
        "FLASH commands on native keys of their shape run the server's own command there, so that "
        "clients can be switched before the data is. See docs/arriving.md.")
        .RunTime(),
};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return base::Lower(x) == base::Lower(y); });
}

std::string_view WithoutPrefix(std::string_view name) {
  const bool prefixed = EqualsIgnoringCase(name.substr(0, kPrefix.size()), kPrefix);
  return prefixed ? name.substr(kPrefix.size()) : name;
}

Error Invalid(std::string message) { return Error{Code::kInvalid, std::move(message)}; }

/// Levenshtein distance; names are short.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::string row(b.size() + 1, '\0');  // Lengths fit a char: names are below 64 bytes.
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<char>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    char diagonal = row[0];
    row[0] = static_cast<char>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const char substituted =
          static_cast<char>(diagonal + (base::Lower(a[i - 1]) != b[j - 1] ? 1 : 0));
      diagonal = row[j];
      row[j] =
          std::min({substituted, static_cast<char>(row[j] + 1), static_cast<char>(row[j - 1] + 1)});
    }
  }
  return static_cast<size_t>(row[b.size()]);
}

constexpr std::array<std::pair<std::string_view, uint64_t>, 9> kUnits = {
    {{"gb", kGiB},
     {"mb", kMiB},
     {"kb", kKiB},  // First those that FormatBytes uses: CONFIG SET knows no tb.
     {"tb", kTiB},
     {"t", 1'000'000'000'000},
     {"g", 1'000'000'000},
     {"m", 1'000'000},
     {"k", 1000},
     {"b", 1}}};

std::string FormatBytes(uint64_t bytes) {
  for (const auto& [unit, factor] : std::span(kUnits).first(3)) {
    if (bytes >= factor && bytes % factor == 0) {
      return std::to_string(bytes / factor) + std::string(unit);
    }
  }
  return std::to_string(bytes);
}

std::string FormatBound(const SettingSpec& spec, uint64_t value) {
  return spec.kind == SettingKind::kBytes ? FormatBytes(value) : std::to_string(value);
}

std::string Join(std::span<const std::string_view> words, std::string_view between) {
  std::string joined;
  for (const std::string_view word : words) {
    if (!joined.empty()) joined += between;
    joined += word;
  }
  return joined;
}

Result<uint64_t> ParseNumber(const SettingSpec& spec, std::string_view text) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  const bool bytes = spec.kind == SettingKind::kBytes;
  if (failure != std::errc() || (!unit.empty() && !bytes)) {
    return Invalid(std::string("must be ") + (bytes ? "a size such as " : "a number from ") +
                   FormatBound(spec, spec.min) + (bytes ? " or " : " to ") +
                   FormatBound(spec, spec.max) + ", not '" + std::string(text) + "'");
  }
  if (unit.empty()) return number;
  for (const auto& [name, factor] : kUnits) {
    if (!EqualsIgnoringCase(name, unit)) continue;
    return number > UINT64_MAX / factor ? UINT64_MAX : number * factor;
  }
  return Invalid("has an unknown unit '" + std::string(unit) + "': use kb, mb, gb or tb");
}

Result<uint64_t> ParseChoice(std::span<const std::string_view> choices, std::string_view text) {
  for (size_t i = 0; i < choices.size(); ++i) {
    if (EqualsIgnoringCase(choices[i], text)) return uint64_t{i};
  }
  return Invalid("must be one of " + Join(choices, ", ") + ", not '" + std::string(text) + "'");
}

constexpr std::array<std::string_view, 2> kNoYes = {"no", "yes"};

}  // namespace

std::span<const SettingSpec> SettingsTable() { return kTable; }

const SettingSpec* FindSetting(std::string_view name) {
  const std::string_view bare = WithoutPrefix(name);
  for (const SettingSpec& spec : kTable) {
    if (EqualsIgnoringCase(spec.name, bare)) return &spec;
  }
  return nullptr;
}

std::string UnknownSettingMessage(std::string_view name) {
  const std::string_view bare = WithoutPrefix(name).substr(0, 40);
  const auto nearest = std::ranges::min_element(
      kTable, {}, [&](const SettingSpec& spec) { return EditDistance(bare, spec.name); });
  return "unknown setting '" + std::string(name) + "'; the nearest that exists is 'flash." +
         std::string(nearest->name) + "' (docs/settings.md lists all)";
}

Result<void> CheckSetting(const SettingSpec& spec, uint64_t value) {
  const bool bounded = spec.kind == SettingKind::kBytes || spec.kind == SettingKind::kNumber;
  if (!bounded || (value >= spec.min && value <= spec.max)) return {};
  return Invalid("must be from " + FormatBound(spec, spec.min) + " to " +
                 FormatBound(spec, spec.max) + ", not " + FormatBound(spec, value));
}

Result<void> CheckSettingText(const SettingSpec& spec, std::string_view value) {
  if (value.empty() && spec.text == &Settings::path) return Invalid("must name a file");
  if (value.find('\0') != std::string_view::npos) return Invalid("must not contain a zero byte");
  return {};
}

Result<void> AssignSetting(Settings& settings, const SettingSpec& spec, std::string_view text) {
  if (spec.kind == SettingKind::kText) {
    Result<void> checked = CheckSettingText(spec, text);
    if (checked) settings.*spec.text = text;
    return checked;
  }
  const Result<uint64_t> value = spec.kind == SettingKind::kChoice ? ParseChoice(spec.choices, text)
                                 : spec.kind == SettingKind::kYesNo ? ParseChoice(kNoYes, text)
                                                                    : ParseNumber(spec, text);
  if (!value) return value.error();
  Result<void> checked = CheckSetting(spec, *value);
  if (checked) spec.set(settings, *value);
  return checked;
}

std::string FormatSetting(const Settings& settings, const SettingSpec& spec) {
  if (spec.kind == SettingKind::kText) return settings.*spec.text;
  const uint64_t value = spec.get(settings);
  if (spec.kind == SettingKind::kChoice) return std::string(spec.choices[value]);
  if (spec.kind == SettingKind::kYesNo) return std::string(kNoYes[value]);
  return FormatBound(spec, value);
}

std::string SettingsMarkdown() {
  const Settings defaults;
  std::string table =
      "| name | default | values | at run time | meaning |\n|---|---|---|---|---|\n";
  for (const SettingSpec& spec : kTable) {
    std::string values = spec.kind == SettingKind::kText    ? "text"
                         : spec.kind == SettingKind::kYesNo ? "yes, no"
                         : spec.kind == SettingKind::kChoice
                             ? Join(spec.choices, ", ")
                             : FormatBound(spec, spec.min) + " … " + FormatBound(spec, spec.max);
    const std::string shown = FormatSetting(defaults, spec);
    table += "| `flash." + std::string(spec.name) + "` | " + (shown.empty() ? "(empty)" : shown) +
             " | " + values + " | " + (spec.run_time ? "yes" : "no") + " | " +
             std::string(spec.doc) + " |\n";
  }
  return table;
}

}  // namespace flash::server
