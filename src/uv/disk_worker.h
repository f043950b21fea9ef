// Runs disk plans on threads of their own, one per lane, and brings the results to the loop.
//
// The happy path is: submit() hands a plan to its lane's thread; the thread runs it to the end
// (a frame's write and its fdatasync are one plan) and wakes the loop, if that may be asleep; the
// results are passed on in the order in which the plans of a lane were submitted.
//
// Possible failure modes are: a write or a sync fails: PosixFiles ends the process with exit status
// 74, from whichever thread; there is no error to pass on. No space where a plan allows for it:
// the result says so.
//
// Three threads of our own instead of libuv's pool: a slow name look-up or a removal of a large
// file can then never stand in the way of a frame, and nothing has to be said about the pool's
// size.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "node/replica.h"
#include "uv/waker.h"

namespace raftd::uv {

class DiskWorker final : public node::Disk {
 public:
  using Done = std::function<void(storage::DiskResult)>;

  // done is called on the loop's thread. sync: false only for tests ([log] sync = "none").
  DiskWorker(Loop& loop, const std::string& data_dir, bool sync, Done done);
  ~DiskWorker() override;  // Waits until every plan has run; their results are dropped.

  void submit(storage::DiskPlan plan) override;

  // A loop that is busy need not be woken, which takes a thread and the loop a system call each.
  // rouse: hands over the results that are there; others stay until the next call. doze: from now
  // on they wake the loop, as they do before the first rouse(); false: there are some already.
  void rouse() noexcept;
  bool doze() noexcept;

 private:
  class Bell;
  class LaneThread;
  void collect() noexcept;

  Done done_;
  Waker waker_;
  std::unique_ptr<Bell> bell_;
  std::array<std::unique_ptr<LaneThread>, 3> lanes_;
};

}  // namespace raftd::uv
