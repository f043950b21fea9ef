#include "uv/disk_worker.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "storage/posix_files.h"

namespace raftd::uv {

// Beside a journal that is used, zeros are written in small pieces with a rest after each: a
// frame's sync waits for what is on its way to the disk. A journal that waits for the file that is
// being filled stands still, and then there is no reason to rest.
constexpr std::size_t kZerosBesideJournal = 64 * limits::kKiB;
constexpr std::size_t kZerosAlone = 1 * limits::kMiB;
constexpr std::chrono::microseconds kRestBesideJournal{500};

// What a thread rings when it is done.
class DiskWorker::Bell {
 public:
  explicit Bell(Waker& waker) : waker_(waker) {}

  void ring() {
    results_.fetch_add(1);
    if (wanted_) waker_.wake();
  }
  void want(bool wanted) { wanted_ = wanted; }
  bool rung() const { return results_ != 0; }
  bool take() { return results_.exchange(0) != 0; }

 private:
  Waker& waker_;
  // Whoever writes one of these and then reads the other sees what the other side has written, or
  // is seen by it: no result is left lying while the loop sleeps.
  std::atomic<std::uint64_t> results_{0};  // Since they were taken.
  std::atomic<bool> wanted_{true};         // The loop may be asleep.
};

// One plan at a time, in order. The mutex guards the two queues and nothing else; the semaphore
// counts what waits, and the end. A condition variable would cost one system call more per plan:
// who has waited for one takes the mutex as if others wanted it, and wakes them when it lets go.
class DiskWorker::LaneThread {
 public:
  // journal: the lane that this one makes way for; null: none.
  LaneThread(const std::string& data_dir, bool sync, Bell& bell, const LaneThread* journal)
      : files_(data_dir, sync, [this, journal] { return pace(journal); }), bell_(bell) {
    const int rc = uv_sem_init(&changes_, 0);
    ASSERT(rc == 0);
    thread_ = std::thread([this] { work(); });
  }

  ~LaneThread() {
    uv_sem_post(&changes_);
    thread_.join();
    uv_sem_destroy(&changes_);
  }
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;

  void submit(storage::DiskPlan plan) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(plan));
    }
    uv_sem_post(&changes_);
  }

  std::vector<storage::DiskResult> take_done() {
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }

 private:
  std::size_t pace(const LaneThread* journal) {
    const std::uint64_t begun = journal ? journal->begun_.load(std::memory_order_relaxed) : 0;
    if (std::exchange(journal_begun_, begun) == begun) return kZerosAlone;
    std::this_thread::sleep_for(kRestBesideJournal);
    return kZerosBesideJournal;
  }

  void work() {
    for (;;) {
      uv_sem_wait(&changes_);
      std::unique_lock lock(mutex_);
      if (waiting_.empty()) return;  // Ending, and nothing is left to do.
      storage::DiskPlan plan = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      begun_.fetch_add(1, std::memory_order_relaxed);
      const auto begun = std::chrono::steady_clock::now();
      storage::DiskResult result = files_.run(plan);
      result.took = std::chrono::steady_clock::now() - begun;
      plan.ops.clear();  // Who hears of the result may use the memory of a frame again.
      lock.lock();
      done_.push_back(std::move(result));
      // Not with the lock held: the loop, woken at once, would have to sleep again for it.
      lock.unlock();
      bell_.ring();
    }
  }

  storage::PosixFiles files_;
  Bell& bell_;
  std::mutex mutex_;
  uv_sem_t changes_{};
  std::deque<storage::DiskPlan> waiting_;  // Bounded by the replica: one frame,
  std::vector<storage::DiskResult> done_;  // kBackgroundPlansMax, kReadPlansMax.
  std::atomic<std::uint64_t> begun_{0};    // Plans.
  std::uint64_t journal_begun_ = 0;        // When a piece was written last.
  std::thread thread_;                     // Last: it uses the members above.
};

DiskWorker::DiskWorker(Loop& loop, const std::string& data_dir, bool sync, Done done)
    : done_(std::move(done)),
      waker_(loop, [this] { collect(); }),
      bell_(std::make_unique<Bell>(waker_)) {
  const LaneThread* journal = nullptr;
  for (auto& lane : lanes_) {
    lane = std::make_unique<LaneThread>(data_dir, sync, *bell_, journal);
    if (!journal) journal = lane.get();
  }
}

DiskWorker::~DiskWorker() {
  for (auto lane = lanes_.rbegin(); lane != lanes_.rend(); ++lane)
    lane->reset();
}

void DiskWorker::submit(storage::DiskPlan plan) {
  const auto lane = static_cast<std::size_t>(plan.lane);
  ASSERT_CMP(lane, <, lanes_.size());
  lanes_[lane]->submit(std::move(plan));
}

void DiskWorker::rouse() noexcept {
  bell_->want(false);
  collect();
}

bool DiskWorker::doze() noexcept {
  bell_->want(true);
  return !bell_->rung();
}

void DiskWorker::collect() noexcept {
  if (!bell_->take()) return;
  for (auto& lane : lanes_) {
    for (storage::DiskResult& result : lane->take_done())
      done_(std::move(result));
  }
}

}  // namespace raftd::uv
