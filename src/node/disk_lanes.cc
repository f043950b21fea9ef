#include "node/disk_lanes.h"

#include <algorithm>

namespace raftd::node {
namespace {

constexpr Duration kIdleMarkAfter = std::chrono::seconds(1);
constexpr Duration kSpaceRetryInterval = std::chrono::seconds(1);
constexpr Duration kSlowWarningInterval = std::chrono::seconds(10);

double ms_of(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace

void DiskLanes::persist(Instant now, raft::PersistBatch batch) {
  ASSERT(!waiting_);
  ASSERT(writing_ != Writing::kBatch);
  waiting_ = std::move(batch);
  start_write(now);
}

bool DiskLanes::read(const raft::LogRead& wanted) {
  std::optional<storage::DiskPlan> plan = journal_.read(wanted);
  if (!plan) return false;
  reads_.emplace_back(plan->id, wanted);
  disk_.submit(*std::move(plan));
  return true;
}

void DiskLanes::write(Instant now, Writing what, storage::DiskPlan plan) {
  ASSERT(writing_ == Writing::kNothing);
  ASSERT(!sealed_);
  writing_ = what;
  // Once per idle period: after a batch, not after a mark.
  idle_mark_at_ = what == Writing::kBatch ? now + kIdleMarkAfter : Instant::never();
  disk_.submit(std::move(plan));
}

// At most one of these is written at a time. What is ahead in this order does not wait for what is
// behind it, except that a batch waits for a mark that was begun before.
void DiskLanes::start_write(Instant now) {
  if (writing_ != Writing::kNothing || sealed_) return;
  if (sealing_) {
    // A batch that still waits was promised to nobody.
    if (journal_.idle()) write(now, Writing::kCleanMark, journal_.mark_clean());
    return;
  }
  if (waiting_) {
    if (!journal_.ready(*waiting_)) return;
    writing_seq_ = waiting_->seq;
    write(now, Writing::kBatch, journal_.begin(*waiting_));
    waiting_.reset();
    return;
  }
  if (now < idle_mark_at_) return;
  if (journal_.ready_to_mark()) {
    write(now, Writing::kIdleMark, journal_.mark_idle());
  } else {
    idle_mark_at_ = now + kIdleMarkAfter;
  }
}

void DiskLanes::start_background(Instant now) {
  if (background_ || sealed_ || now < retry_space_at_) return;
  std::optional<storage::DiskPlan> plan = journal_.prepare_next_segment();
  if (!plan) plan = journal_.prepare_reserve();
  if (!plan) return;
  background_ = true;
  disk_.submit(*std::move(plan));
}

bool DiskLanes::drop_oldest(Instant now, raft::Index limit) {
  start_background(now);  // A next segment is urgent: writes may wait for it.
  if (background_ || sealing_) return false;
  std::optional<storage::DiskPlan> plan = journal_.drop_oldest(limit);
  if (!plan) return false;
  background_ = true;
  disk_.submit(*std::move(plan));
  return true;
}

void DiskLanes::pump(Instant now) {
  start_background(now);
  start_write(now);
}

DiskLanes::Finished DiskLanes::on_done(Instant now, const storage::DiskResult& result) {
  Finished finished;
  switch (result.lane) {
    case storage::Lane::kJournal: {
      ASSERT(writing_ != Writing::kNothing);
      const bool durable = journal_.finish(result);
      ASSERT(durable);
      const Writing written = std::exchange(writing_, Writing::kNothing);
      note_time(now, result.took);
      if (written == Writing::kBatch) finished.persisted = writing_seq_;
      if (written == Writing::kCleanMark) sealed_ = true;
      start_write(now);
      break;
    }
    case storage::Lane::kBackground: {
      ASSERT(background_);
      background_ = false;
      const bool was_full = full();
      journal_.finish(result);
      // The first time the journal has a reserve, which becomes the next segment at once.
      if (result.no_space && was_full) retry_space_at_ = now + kSpaceRetryInterval;
      if (full() && !was_full) {
        log_.error(
            "disk: no space left for the log: this node takes no writes until there is; it "
            "tries again each second. Free some space on the data directory's file system");
      } else if (was_full && !full()) {
        log_.info("disk: there is space again: this node takes writes");
      }
      break;
    }
    case storage::Lane::kRead: {
      const auto at = std::ranges::find(reads_, result.id, &decltype(reads_)::value_type::first);
      ASSERT(at != reads_.end());
      auto entries = journal_.decode(at->second, result);
      if (!entries) PANIC("E030 %s", entries.error().message.c_str());
      finished.read = at->second.id;
      finished.entries = *std::move(entries);
      reads_.erase(at);
      break;
    }
  }
  return finished;
}

void DiskLanes::note_time(Instant now, Duration took) {
  sync_times_.add(now, took);
  if (took <= election_timeout_ / 4 || now < slow_warning_at_) return;
  slow_warning_at_ = now + kSlowWarningInterval;
  log_.warn(
      "disk: writing and syncing the log took %.0f ms (election timeout: %.0f ms); writes "
      "wait for it. Is another program using this disk?",
      ms_of(took), ms_of(election_timeout_));
}

Instant DiskLanes::next_wakeup() const {
  Instant wakeup = idle_mark_at_;
  if (sealed_ || writing_ != Writing::kNothing || waiting_) wakeup = Instant::never();
  // Who is sealing makes no more files: a wish for space that nothing answers would never sleep.
  if (full() && !background_ && !sealing_) wakeup = std::min(wakeup, retry_space_at_);
  return wakeup;
}

}  // namespace raftd::node
