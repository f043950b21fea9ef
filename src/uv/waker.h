// Wakes the loop from another thread.
//
// The happy path is: wake() writes to an eventfd that the loop polls; woken is called on the loop's
// thread, once for any number of calls before it.
//
// uv_async_t does the same, but in libuv 1.44, Debian's, the loop then waits, and gives its
// processor away, until the other thread has left uv_async_send(): where threads outnumber
// processors, the one that it has displaced by waking is often still in there, and comes back late.
#pragma once

#include <functional>

#include "storage/file_descriptor.h"
#include "uv/handle.h"

namespace raftd::uv {

class Waker {
 public:
  Waker(Loop& loop, std::function<void()> woken);  // Not moved: the loop knows where it is.
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void wake() noexcept;  // From any thread, which has left it before this ends.

 private:
  void take() noexcept;

  std::function<void()> woken_;
  storage::FileDescriptor event_;
  Handle<uv_poll_t> poll_;  // Last: it ends before the descriptor that it polls is closed.
};

}  // namespace raftd::uv
