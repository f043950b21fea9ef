#include "storage/read_ahead.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"

namespace raftd::storage {

ReadAhead::ReadAhead(DirectoryReader& inner) : inner_(inner), thread_([this] { run(); }) {}

ReadAhead::~ReadAhead() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<std::vector<FileName>> ReadAhead::list() {
  const std::lock_guard lock(inner_mutex_);
  return inner_.list();
}

Result<std::uint64_t> ReadAhead::size(const FileName& name) {
  const std::lock_guard lock(inner_mutex_);
  return inner_.size(name);
}

// Precondition: mutex_ is held.
void ReadAhead::begin_at(const FileName& name, std::uint64_t offset) {
  name_ = name;
  ++epoch_;
  blocks_.clear();
  next_ = offset;
  ended_ = false;
  failed_ = false;
}

// Precondition: blocks_ begins at or before offset.
Bytes ReadAhead::take(std::uint64_t offset, std::uint64_t bytes) const {
  Bytes out;
  out.reserve(std::min(bytes, next_ - offset));
  for (const Block& block : blocks_) {
    const std::uint64_t at = offset + out.size();
    if (out.size() == bytes) break;
    ASSERT_CMP(block.offset, <=, at);
    const ByteView rest = ByteView(block.bytes).subspan(at - block.offset);
    const ByteView part = rest.first(std::min<std::uint64_t>(rest.size(), bytes - out.size()));
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

Result<Bytes> ReadAhead::read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) {
  {
    std::unique_lock lock(mutex_);
    const std::uint64_t begin = blocks_.empty() ? next_ : blocks_.front().offset;
    if (name_ != name || offset < begin || offset > next_) begin_at(name, offset);
    while (!blocks_.empty() && blocks_.front().offset + blocks_.front().bytes.size() <= offset)
      blocks_.pop_front();
    wanted_end_ = offset + bytes;
    changed_.notify_all();
    changed_.wait(lock, [&] { return next_ >= wanted_end_ || ended_ || failed_; });
    if (!failed_ || next_ >= wanted_end_) return take(offset, bytes);
  }
  const std::lock_guard lock(inner_mutex_);
  return inner_.read(name, offset, bytes);
}

void ReadAhead::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] {
      const bool wanted = !name_.empty() && next_ < wanted_end_ + limits::kReadAheadBytes;
      return stopping_ || (wanted && !ended_ && !failed_);
    });
    if (stopping_) return;
    const FileName name = name_;
    const std::uint64_t offset = next_;
    const std::uint64_t epoch = epoch_;
    lock.unlock();
    Result<Bytes> block = [&] {
      const std::lock_guard inner_lock(inner_mutex_);
      return inner_.read(name, offset, limits::kReadAheadBlockBytes);
    }();
    lock.lock();
    if (epoch != epoch_) continue;
    failed_ = !block;
    if (block) {
      ended_ = block->size() < limits::kReadAheadBlockBytes;
      next_ += block->size();
      if (!block->empty()) blocks_.push_back({offset, *std::move(block)});
    }
    changed_.notify_all();
  }
}

}  // namespace raftd::storage
