// worker.cc: see worker.h.
//
// Thread: its own.
#include "tools/flash-bench/worker.h"

#include <poll.h>

#include <algorithm>
#include <cmath>

namespace flash::tools::bench {
namespace {

constexpr uint64_t kUsPerSec = 1'000'000;
constexpr uint64_t kIdleUs = 50'000;       // Longest sleep, so that a request to stop is seen.
constexpr uint64_t kDrainUs = 10'000'000;  // For answers that are out when time is up.
constexpr size_t kExamplesMax = 5;
constexpr uint64_t kIssuedTogetherMax = 1000;  // Before replies are looked at again.

uint64_t InUs(double seconds) { return static_cast<uint64_t>(seconds * kUsPerSec); }

}  // namespace

Worker::Worker(const LoadOptions& options, const Workload& workload, const Place& place,
               std::span<uint32_t> versions, std::atomic<uint64_t>* client_bytes)
    : options_(options),
      workload_(workload),
      place_(place),
      versions_(versions),
      client_bytes_(client_bytes),
      random_(options.seed * 1000 + place.thread),
      counts_from_us_(place.start_us + InUs(options.warm_up_sec)),
      end_us_(counts_from_us_ + InUs(options.seconds)) {}

Result<void> Worker::Connect(uint32_t connections) {
  const uint64_t keys = workload_.options().keys;
  for (uint32_t i = 0; i < connections; ++i) {
    std::vector<Line> lines;
    for (const Endpoint& node : options_.target.nodes()) {
      auto link = Link::Open(node, options_.target.access());
      if (!link) return link.error();
      lines.push_back(Line{std::move(link).Take(), {}});
    }
    const uint32_t number = place_.first_connection + i;
    connections_.push_back(
        Connection{std::move(lines), 0,
                   Distribution({.pattern = options_.pattern,
                                 .keys = keys,
                                 .skew = options_.skew,
                                 .seed = options_.seed * 1'000'000 + number,
                                 .scan_start = keys * number / options_.connections}),
                   number, 0});
  }
  return {};
}

uint64_t Worker::DueUs(uint64_t n) const {
  // Threads take turns, so that all of them together are even.
  const double in_all = static_cast<double>(n * options_.threads + place_.thread);
  return place_.start_us + InUs(in_all / options_.rate_per_sec);
}

/// With verification the element is moved to the nearest one of this connection's own.
uint64_t Worker::Choose(Connection& connection) {
  const uint64_t each = workload_.options().elements;
  uint64_t element = connection.distribution.Next() * each;
  if (each > 1) element += random_.Below(each);
  if (!options_.verify) return element;
  element = element / options_.connections * options_.connections + connection.number;
  if (element >= workload_.elements()) element -= options_.connections;
  return element;
}

void Worker::Issue(Connection& connection, uint64_t since_us) {
  Operation operation;
  operation.element = Choose(connection);
  operation.since_us = since_us;
  operation.is_read = static_cast<double>(random_.Below(1'000'000)) < options_.read_share * 1e6;
  if (!operation.is_read) operation.version = ++connection.last_version;
  const size_t node =
      options_.target.is_cluster() ? options_.target.NodeOf(workload_.KeyOf(operation.element)) : 0;
  Line& line = connection.lines[node];
  line.link->Add(operation.is_read ? workload_.Read(operation.element)
                                   : workload_.Write(operation.element, operation.version));
  line.in_flight.push_back(operation);
  ++connection.in_flight;
  ++issued_;
}

Worker::Connection* Worker::NextFree() {
  for (size_t tried = 0; tried < connections_.size(); ++tried) {
    Connection& connection = connections_[turn_];
    turn_ = (turn_ + 1) % connections_.size();
    if (connection.in_flight < options_.depth) return &connection;
  }
  return nullptr;
}

void Worker::IssueDue(uint64_t now_us) {
  if (!is_open_loop()) {
    for (Connection& connection : connections_) {
      while (connection.in_flight < options_.depth) Issue(connection, now_us);
    }
    return;
  }
  for (uint64_t together = 0; together < kIssuedTogetherMax; ++together) {
    const uint64_t due_us = DueUs(issued_);
    if (due_us > now_us || due_us >= end_us_) return;
    Connection* const connection = NextFree();
    if (connection == nullptr) return;  // They wait, and their time counts.
    Issue(*connection, due_us);
  }
}

void Worker::NoteWrong(const Operation& operation, const Link::Reply& reply) {
  ++side_.wrong;
  if (side_.wrong_examples.size() >= kExamplesMax) return;
  const auto words = workload_.Read(operation.element);
  side_.wrong_examples.push_back(
      words[0] + " " + words[1] + ", element " + std::to_string(operation.element) +
      ": expected version " + std::to_string(versions_[operation.element]) + ", got " +
      (reply.kind == Link::Reply::Kind::kText ? std::string(reply.text.substr(0, 24)) : "nothing"));
}

/// Answers come in the order of the commands, so what was acknowledged by now is what must be
/// there.
void Worker::Check(const Operation& operation, const Link::Reply& reply) {
  if (reply.kind == Link::Reply::Kind::kError) return;  // Counted; a write changed nothing.
  if (!operation.is_read) {
    versions_[operation.element] = operation.version;
    return;
  }
  ++side_.checked;
  if (reply.kind != Link::Reply::Kind::kText ||
      !workload_.IsValue(operation.element, versions_[operation.element], reply.text)) {
    NoteWrong(operation, reply);
  }
}

Stretch& Worker::StretchAt(uint64_t now_us) {
  const double since_sec = static_cast<double>(now_us - counts_from_us_) / kUsPerSec;
  const auto index =
      static_cast<size_t>(std::min(since_sec, options_.seconds - 1e-6) / options_.stretch_sec);
  while (side_.stretches.size() <= index) {
    const double begin_sec = static_cast<double>(side_.stretches.size()) * options_.stretch_sec;
    side_.stretches.emplace_back();
    side_.stretches.back().begin_sec = begin_sec;
    side_.stretches.back().seconds = std::min(options_.stretch_sec, options_.seconds - begin_sec);
  }
  return side_.stretches[index];
}

void Worker::Count(const Operation& operation, const Link::Reply& reply, uint64_t now_us) {
  if (!operation.is_read && reply.kind != Link::Reply::Kind::kError) {
    client_bytes_->fetch_add(workload_.WriteBytes(), std::memory_order_relaxed);
  }
  if (operation.since_us < counts_from_us_ || now_us < counts_from_us_) return;
  Stretch& stretch = StretchAt(now_us);
  if (reply.kind == Link::Reply::Kind::kError) {
    ++stretch.errors;
    ++side_.errors[std::string(reply.text.substr(0, reply.text.find(' ')))];
    return;
  }
  const uint64_t us = now_us - std::min(now_us, operation.since_us);
  stretch.latency.Add(us);
  (operation.is_read ? side_.reads : side_.writes).Add(us);
}

void Worker::OnReply(Connection& connection, Line& line, const Link::Reply& reply) {
  if (line.in_flight.empty()) return;  // Nothing was asked: of no interest.
  const Operation operation = line.in_flight.front();
  line.in_flight.pop_front();
  --connection.in_flight;
  if (options_.verify) Check(operation, reply);
  Count(operation, reply, clock_.NowUs());
}

uint64_t Worker::SleepUs(uint64_t now_us) const {
  if (!is_open_loop() || now_us >= end_us_ || AllBusy()) return kIdleUs;
  // With all connections busy only an answer lets the next one go.
  const uint64_t due_us = DueUs(issued_);
  return due_us <= now_us ? 0 : std::min(kIdleUs, due_us - now_us);
}

bool Worker::Exchange(uint64_t now_us) {
  std::vector<pollfd> waiting;
  waiting.reserve(connections_.size() * options_.target.nodes().size());
  for (Connection& connection : connections_) {
    for (Line& line : connection.lines) {
      Result<void> sent = line.link->Flush();
      if (!sent) return side_.lost = sent.error().message, false;
      const short events =
          line.link->has_unsent() ? static_cast<short>(POLLIN | POLLOUT) : short{POLLIN};
      waiting.push_back({line.link->fd(), events, 0});
    }
  }
  const timespec timeout{0, static_cast<long>(SleepUs(now_us) * 1000)};
  if (ppoll(waiting.data(), waiting.size(), &timeout, nullptr) <= 0) return true;
  size_t next = 0;
  for (Connection& connection : connections_) {
    for (Line& line : connection.lines) {
      if ((waiting[next++].revents & ~POLLOUT) == 0) continue;
      const Result<void> received =
          line.link->Receive([&](const Link::Reply& reply) { OnReply(connection, line, reply); });
      if (!received) return side_.lost = received.error().message, false;
    }
  }
  return true;
}

bool Worker::AllBusy() const {
  return std::all_of(connections_.begin(), connections_.end(),
                     [this](const Connection& one) { return one.in_flight >= options_.depth; });
}

bool Worker::AnyInFlight() const {
  return std::any_of(connections_.begin(), connections_.end(),
                     [](const Connection& one) { return one.in_flight > 0; });
}

void Worker::Run() {
  while (true) {
    const uint64_t now_us = clock_.NowUs();
    const bool over = now_us >= end_us_ || options_.stop->load(std::memory_order_relaxed);
    if (over && (!AnyInFlight() || now_us >= end_us_ + kDrainUs)) break;
    if (!over) IssueDue(now_us);
    if (!Exchange(now_us)) break;
  }
  const uint64_t now_us = std::min(clock_.NowUs(), end_us_);
  if (is_open_loop()) {
    while (DueUs(issued_ + side_.unsent) < now_us) ++side_.unsent;
  }
}

}  // namespace flash::tools::bench
