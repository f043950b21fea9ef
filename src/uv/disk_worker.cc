#include "uv/disk_worker.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
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

// One plan at a time, in order. The mutex guards the two queues and nothing else.
class DiskWorker::LaneThread {
 public:
  // journal: the lane that this one makes way for; null: none.
  LaneThread(const std::string& data_dir, bool sync, uv_async_t* wake, const LaneThread* journal)
      : files_(data_dir, sync, [this, journal] { return pace(journal); }),
        wake_(wake),
        thread_([this] { work(); }) {}

  ~LaneThread() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  LaneThread(const LaneThread&) = delete;
  LaneThread& operator=(const LaneThread&) = delete;

  void submit(storage::DiskPlan plan) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(plan));
    }
    changed_.notify_one();
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
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;  // Ending, and nothing is left to do.
      storage::DiskPlan plan = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      begun_.fetch_add(1, std::memory_order_relaxed);
      const auto begun = std::chrono::steady_clock::now();
      storage::DiskResult result = files_.run(plan);
      result.took = std::chrono::steady_clock::now() - begun;
      lock.lock();
      done_.push_back(std::move(result));
      uv_async_send(wake_);
    }
  }

  storage::PosixFiles files_;
  uv_async_t* wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<storage::DiskPlan> waiting_;  // Bounded by the replica: one frame,
  std::vector<storage::DiskResult> done_;  // kBackgroundPlansMax, kReadPlansMax.
  bool ending_ = false;
  std::atomic<std::uint64_t> begun_{0};  // Plans.
  std::uint64_t journal_begun_ = 0;      // When a piece was written last.
  std::thread thread_;                   // Last: it uses the members above.
};

DiskWorker::DiskWorker(Loop& loop, const std::string& data_dir, bool sync, Done done)
    : done_(std::move(done)), wake_(this, [&](uv_async_t* async) {
        return uv_async_init(loop.get(), async, [](uv_async_t* woken) noexcept {
          Loop::of(woken).note_awake();
          if (auto* owner = owner_of<DiskWorker>(woken)) owner->collect();
        });
      }) {
  const LaneThread* journal = nullptr;
  for (auto& lane : lanes_) {
    lane = std::make_unique<LaneThread>(data_dir, sync, wake_.get(), journal);
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

void DiskWorker::collect() noexcept {
  for (auto& lane : lanes_) {
    for (storage::DiskResult& result : lane->take_done())
      done_(std::move(result));
  }
}

}  // namespace raftd::uv
