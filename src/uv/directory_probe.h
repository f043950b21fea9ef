// Whether the data directory can still be written to, asked every few seconds: a node that only
// reads would not notice that its file system was remounted read-only, or its directory removed.
//
// The happy path is: begin() asks on a thread of libuv's pool, the callback brings the answer.
// Possible failure modes are: the directory cannot be written to (writable() is false until it can
// be again); the file system hangs: nothing changes, and no second question is asked; the probe
// dies meanwhile: the request frees itself.
#pragma once

#include <string>

#include "uv/handle.h"

namespace raftd::uv {

class DirectoryProbe {
 public:
  DirectoryProbe(Loop& loop, std::string directory);
  ~DirectoryProbe();
  DirectoryProbe(const DirectoryProbe&) = delete;
  DirectoryProbe& operator=(const DirectoryProbe&) = delete;

  void begin();  // Nothing, while one is under way.
  bool writable() const { return writable_; }

 private:
  struct Request;

  Loop& loop_;
  std::string directory_;
  Request* request_ = nullptr;  // Owned by libuv until its callback.
  bool writable_ = true;
};

}  // namespace raftd::uv
