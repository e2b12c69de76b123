// sampler.cc: see sampler.h.
//
// Each stratum has a connection of its own; only one is used at a time. Thread: one owner.
#include "tools/flash-sizer/sampler.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tools/common/topology.h"
#include "tools/flash-sizer/probe.h"
#include "tools/flash-sizer/server_facts.h"
#include "tools/flash-sizer/stratum_scan.h"

namespace flash::tools::sizer {
namespace {

/// Keys that a stratum gets at least, however small it is beside the others: below, its variance
/// is a guess.
constexpr double kKeysPerStratumMin = 200;

/// One stratum at work; the scan refers to the others, which keep their places.
struct Work {
  std::unique_ptr<Client> client;
  std::unique_ptr<Pace> pace;
  std::unique_ptr<Probe> probe;
  std::unique_ptr<StratumScan> scan;
  bool done = false;
};

class Run {
 public:
  Run(const SamplerOptions& options, const Connect& connect)
      : options_(options), connect_(connect) {}

  Result<SamplerOutcome> Do() {
    if (const auto found = FindPrimaries(); !found) return found.error();
    for (const Primary& primary : topology_.primaries) {
      if (const auto added = AddPrimary(primary); !added) return added.error();
    }
    NamePermissions();
    for (Work& work : works_) {
      if (const auto ready = work.scan->Prepare(); !ready) return ready.error();
    }
    ShareOut();
    if (const auto sampled = DrawKeys(); !sampled) return sampled.error();
    Conclude();
    return std::move(outcome_);
  }

 private:
  Result<void> FindPrimaries() {
    const Endpoint& here = options_.url.endpoint;
    auto client = connect_(here, options_.url.database.value_or(0));
    if (!client) return client.error();
    auto info = AskInfo(**client);
    if (!info) return info.error();
    if (!info->permitted || info->cluster) {
      auto topology = AskTopology(**client, here);
      if (!topology) return topology.error();
      topology_ = std::move(*topology);
      // If neither may be asked, the form of the cursors tells (StratumScan::Prepare).
      cluster_ = info->cluster || !topology_.primaries.empty() || !topology_.permitted;
    }
    if (topology_.primaries.empty()) topology_.primaries.push_back({here, {}});
    return {};
  }

  Result<void> AddPrimary(const Primary& primary) {
    const uint32_t first = options_.url.database.value_or(0);
    auto client = connect_(primary.endpoint, first);
    if (!client) return client.error();
    auto info = AskInfo(**client);
    if (!info) return info.error();
    info->facts.name = primary.endpoint.Text();
    info_permitted_ = info_permitted_ && info->permitted;
    sample().servers.push_back(info->facts);
    if (info->replica) Note(primary.endpoint.Text() + " is a replica; its primary was not asked.");

    std::vector<uint32_t> databases{first};
    if (!options_.url.database && !cluster_ && info->permitted) {
      databases.clear();
      for (const auto& [database, keys] : info->keys_of_database) databases.push_back(database);
    }
    for (const uint32_t database : databases) {
      if (database != first || *client == nullptr) {
        auto other = connect_(primary.endpoint, database);
        if (!other && other.code() == Code::kUnsupported) {
          Note("Database " + std::to_string(database) + " of " + primary.endpoint.Text() +
               " was left out: " + other.error().message + ".");
          continue;
        }
        if (!other) return other.error();
        AddStratum(primary, database, databases.size() > 1, *info, std::move(*other));
      } else {
        AddStratum(primary, database, databases.size() > 1, *info, std::move(*client));
      }
    }
    return {};
  }

  void AddStratum(const Primary& primary, uint32_t database, bool several, const Info& info,
                  std::unique_ptr<Client> client) {
    Stratum stratum;
    stratum.name = primary.endpoint.Text() + (several ? "/" + std::to_string(database) : "");
    if (info.permitted) {
      const auto found = info.keys_of_database.find(database);
      stratum.keys_known = true;
      stratum.keys = found == info.keys_of_database.end() ? 0 : static_cast<double>(found->second);
    }
    const auto index = static_cast<uint32_t>(sample().strata.size());
    sample().strata.push_back(std::move(stratum));
    Work work;
    work.client = std::move(client);
    work.pace =
        std::make_unique<Pace>(options_.commands_per_sec_max, *options_.clock, options_.sleep);
    work.probe = std::make_unique<Probe>(*work.client, *work.pace, *options_.clock);
    work.scan = std::make_unique<StratumScan>(
        *work.probe, sample(),
        StratumScan::Options{index, cluster_, primary.slots, options_.seed + index * 7919});
    works_.push_back(std::move(work));
  }

  void NamePermissions() {
    if (!info_permitted_) {
      Note(
          "INFO is not permitted: the number of keys is estimated from the cursors of SCAN, and "
          "the memory that is not keys is unknown.");
      if (!options_.url.database) Note("Without INFO only database 0 was looked at.");
    }
    if (!topology_.permitted) {
      Note("CLUSTER SLOTS is not permitted: if this is a cluster, only this node was sampled.");
    }
  }

  /// Keys for each stratum in proportion to what it holds.
  void ShareOut() {
    double total = 0;
    for (const Stratum& stratum : sample().strata) total += stratum.keys;
    const auto keys_max = static_cast<double>(options_.keys_max);
    const double least =
        std::min(kKeysPerStratumMin, keys_max / static_cast<double>(works_.size()));
    for (size_t i = 0; i < works_.size(); i++) {
      const double keys = sample().strata[i].keys;
      const double share = total > keys_max ? keys / total * keys_max : keys_max;
      works_[i].scan->Want(static_cast<uint64_t>(std::max(share, std::min(keys, least))));
    }
  }

  /// The work that is furthest behind takes the next step, until all are done.
  Result<void> DrawKeys() {
    while (!options_.stop->load()) {
      Work* next = nullptr;
      double sum = 0;
      for (Work& work : works_) {
        const double part = work.done ? 1 : work.scan->Progress();
        sum += part;
        if (!work.done && (next == nullptr || part < next->scan->Progress())) next = &work;
      }
      if (options_.progress) {
        options_.progress(sum / static_cast<double>(std::max<size_t>(works_.size(), 1)),
                          sample().keys.size());
      }
      if (next == nullptr || sample().keys.size() >= options_.keys_max) return {};
      const auto more = next->scan->Step();
      if (!more) return Failed(more.error());
      next->done = !*more;
    }
    sample().interrupted = true;
    return {};
  }

  /// What has been seen is worth a report, if it is anything.
  Result<void> Failed(const Error& error) {
    if (sample().keys.empty()) return error;
    outcome_.connection_lost = true;
    sample().interrupted = true;
    Note("Sampling ended early: " + error.message + ".");
    return {};
  }

  void Conclude() {
    TypeSource source = TypeSource::kType;
    for (Work& work : works_) {
      work.scan->Conclude();
      source = std::max(source, work.probe->type_source());
      sample().slowdowns += work.pace->slowdowns();
    }
    if (source == TypeSource::kEncoding) {
      Note(
          "TYPE is not permitted: types were told from OBJECT ENCODING. Where that fits several "
          "types, keys count as unknown and as unfit for the tier.");
    } else if (source == TypeSource::kNone) {
      Note(
          "Neither TYPE nor OBJECT ENCODING is permitted: every key counts as one that can tier, "
          "which is too good if there are sets, streams or types of modules.");
    }
  }

  void Note(std::string text) {
    auto& notes = sample().notes;
    if (std::find(notes.begin(), notes.end(), text) == notes.end()) {
      notes.push_back(std::move(text));
    }
  }
  sizer::Sample& sample() { return outcome_.sample; }

  const SamplerOptions& options_;
  const Connect& connect_;
  Topology topology_;
  bool cluster_ = false;
  bool info_permitted_ = true;
  SamplerOutcome outcome_;
  std::vector<Work> works_;
};

}  // namespace

Result<SamplerOutcome> TakeSample(const SamplerOptions& options, const Connect& connect) {
  return Run(options, connect).Do();
}

}  // namespace flash::tools::sizer
