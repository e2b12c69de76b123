// background.cc: a ring of jobs; whoever was stopped by the deadline comes last next time.
//
// Knows jobs by their interface alone. Thread: main.
#include "server/background.h"

#include <deque>
#include <utility>

#include "base/clock.h"

namespace flash::server {
namespace {

struct Jobs {
  std::deque<std::shared_ptr<BackgroundJob>> ring;
  bool wanted = false;
  bool running = false;
};

Jobs& TheJobs() {
  // raw new: never destroyed, as everything that may be used while the server exits.
  static Jobs* const jobs = new Jobs;
  return *jobs;
}

}  // namespace

void Background::Add(std::shared_ptr<BackgroundJob> job) {
  Jobs& jobs = TheJobs();
  jobs.ring.push_back(std::move(job));
  jobs.wanted = true;
}

void Background::Run(uint64_t budget_us) {
  Jobs& jobs = TheJobs();
  if (jobs.ring.empty() || jobs.running) return;
  jobs.running = true;
  jobs.wanted = false;
  const base::SystemClock clock;
  const uint64_t deadline_us = clock.NowUs() + budget_us;
  for (size_t left = jobs.ring.size(); left > 0; --left) {
    std::shared_ptr<BackgroundJob> job = std::move(jobs.ring.front());
    jobs.ring.pop_front();
    const BackgroundJob::Progress progress = job->Step(deadline_us);
    if (progress == BackgroundJob::Progress::kMore) jobs.wanted = true;
    if (progress != BackgroundJob::Progress::kDone) jobs.ring.push_back(std::move(job));
    if (clock.NowUs() >= deadline_us && left > 1) {
      jobs.wanted = true;
      break;
    }
  }
  jobs.running = false;
}

bool Background::Wanted() { return TheJobs().wanted; }

}  // namespace flash::server
