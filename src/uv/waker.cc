#include "uv/waker.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <utility>

namespace raftd::uv {

Waker::Waker(Loop& loop, std::function<void()> woken)
    : woken_(std::move(woken)),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      poll_(this, [&](uv_poll_t* poll) { return uv_poll_init(loop.get(), poll, event_.get()); }) {
  const int rc = uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) noexcept {
    Loop::of(poll).note_awake();
    if (auto* self = owner_of<Waker>(poll)) self->take();
  });
  ASSERT(rc == 0);
}

// It cannot fail: the counter has room for more calls than there ever are without a take().
void Waker::wake() noexcept {
  ASSERT(eventfd_write(event_.get(), 1) == 0);
}

void Waker::take() noexcept {
  eventfd_t calls = 0;
  if (eventfd_read(event_.get(), &calls) != 0) {
    ASSERT(errno == EAGAIN);  // libuv may say readable when it is not.
    return;
  }
  woken_();
}

}  // namespace raftd::uv
