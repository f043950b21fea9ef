#include "uv/directory_probe.h"

#include <memory>
#include <utility>

#include "storage/posix_files.h"

namespace raftd::uv {

struct DirectoryProbe::Request {
  uv_work_t raw{};
  std::string directory;
  bool allowed = false;             // Written by the pool's thread, read after it has ended.
  DirectoryProbe* owner = nullptr;  // nullptr: nobody waits any more.
};

DirectoryProbe::DirectoryProbe(Loop& loop, std::string directory)
    : loop_(loop), directory_(std::move(directory)) {}

DirectoryProbe::~DirectoryProbe() {
  if (request_ == nullptr) return;
  request_->owner = nullptr;
  uv_cancel(reinterpret_cast<uv_req_t*>(&request_->raw));  // Too late is fine.
}

void DirectoryProbe::begin() {
  if (request_ != nullptr) return;
  auto request = std::make_unique<Request>();
  request->directory = directory_;
  request->owner = this;
  request->raw.data = request.get();
  const auto work = [](uv_work_t* raw) noexcept {
    auto* asked = static_cast<Request*>(raw->data);
    asked->allowed = storage::directory_writable(asked->directory);
  };
  const auto on_done = [](uv_work_t* raw, int) noexcept {
    const std::unique_ptr<Request> done(static_cast<Request*>(raw->data));
    if (done->owner == nullptr) return;
    done->owner->request_ = nullptr;
    done->owner->writable_ = done->allowed;
  };
  if (uv_queue_work(loop_.get(), &request->raw, work, on_done) == 0) request_ = request.release();
}

}  // namespace raftd::uv
