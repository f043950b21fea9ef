#include "uv/disk_worker.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "storage/posix_files.h"

namespace raftd::uv {

// One plan at a time, in order. The mutex guards the two queues and nothing else.
class DiskWorker::LaneThread {
 public:
  LaneThread(const std::string& data_dir, bool sync, uv_async_t* wake)
      : files_(data_dir, sync), wake_(wake), thread_([this] { work(); }) {}

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
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;  // Ending, and nothing is left to do.
      storage::DiskPlan plan = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
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
  std::thread thread_;  // Last: it uses the members above.
};

DiskWorker::DiskWorker(Loop& loop, const std::string& data_dir, bool sync, Done done)
    : done_(std::move(done)), wake_(this, [&](uv_async_t* async) {
        return uv_async_init(loop.get(), async, [](uv_async_t* woken) noexcept {
          if (auto* owner = owner_of<DiskWorker>(woken)) owner->collect();
        });
      }) {
  for (auto& lane : lanes_)
    lane = std::make_unique<LaneThread>(data_dir, sync, wake_.get());
}

DiskWorker::~DiskWorker() {
  for (auto& lane : lanes_)
    lane.reset();
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
