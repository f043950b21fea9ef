// Reads a file's next bytes while somebody works on those before: a start checks and loads at the
// speed of the disk instead of waiting for it in between.
//
// The happy path is: a file is read from some offset on; a thread of its own reads the blocks
// behind, at most kReadAheadBytes, until the file ends; whoever reads finds them there. Possible
// failure modes are: another file, or another place in it, is wanted: what was read ahead is
// forgotten and it begins there; a block cannot be read: what is wanted is read directly, so that
// the error is of just those bytes.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "storage/recovery.h"

namespace raftd::storage {

// To be used by one thread; inner by nobody else while this lives.
class ReadAhead final : public DirectoryReader {
 public:
  explicit ReadAhead(DirectoryReader& inner);
  ~ReadAhead() override;  // Waits for the block that is being read.
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  Result<std::vector<FileName>> list() override;
  Result<std::uint64_t> size(const FileName& name) override;
  Result<Bytes> read(const FileName& name, std::uint64_t offset, std::uint64_t bytes) override;

 private:
  struct Block {
    std::uint64_t offset = 0;
    Bytes bytes;
  };

  void begin_at(const FileName& name, std::uint64_t offset);
  Bytes take(std::uint64_t offset, std::uint64_t bytes) const;
  void run();

  DirectoryReader& inner_;
  std::mutex inner_mutex_;  // Taken while inner_ is used; after mutex_, if both.

  std::mutex mutex_;  // Of all that follows.
  std::condition_variable changed_;
  FileName name_;                 // Empty: nothing is read ahead.
  std::uint64_t epoch_ = 0;       // A block that was begun in another one is not wanted any more.
  std::deque<Block> blocks_;      // One behind the other, up to next_; none before what is wanted.
  std::uint64_t next_ = 0;        // Where the next block begins.
  std::uint64_t wanted_end_ = 0;  // Of the last read: so far, and kReadAheadBytes more.
  bool ended_ = false;            // At next_ the file ends.
  bool failed_ = false;           // At next_ it cannot be read.
  bool stopping_ = false;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace raftd::storage
