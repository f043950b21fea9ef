// RAII for libuv handles. The C++ owner may die at any time, also inside one of the handle's own
// callbacks; the uv_*_t lives on until libuv has called its close callback.
#pragma once

#include <uv.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/assert.h"
#include "base/time.h"

namespace raftd::uv {

struct CloseThenDelete {
  template <class H>
  void operator()(H* handle) const noexcept {
    handle->data = nullptr;  // Late callbacks (a cancelled write) see that nobody is home.
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) noexcept { delete reinterpret_cast<H*>(closed); });
  }
};

// The init function is part of the making: there is no handle that is not initialised.
template <class H>
class Handle {
 public:
  template <class Owner, class Init>
  Handle(Owner* owner, Init init) : raw_(nullptr) {
    auto raw = std::make_unique<H>();
    const int rc = init(raw.get());
    ASSERT(rc == 0);  // uv_*_init only fails on programmer error or at start.
    raw->data = owner;
    raw_.reset(raw.release());
  }
  H* get() const noexcept { return raw_.get(); }
  uv_stream_t* stream() const noexcept { return reinterpret_cast<uv_stream_t*>(raw_.get()); }

 private:
  std::unique_ptr<H, CloseThenDelete> raw_;
};

// The owner of a handle inside a C callback, or nullptr if it has died.
template <class Owner, class H>
Owner* owner_of(H* handle) noexcept {
  return static_cast<Owner*>(handle->data);
}

class Loop {
 public:
  Loop() {
    const int rc = uv_loop_init(&loop_);
    ASSERT(rc == 0);
    loop_.data = this;
  }
  ~Loop() {
    // Whoever still holds an open handle now has leaked it: say so instead of waiting for it.
    uv_walk(
        &loop_, [](uv_handle_t* handle, void*) noexcept { ASSERT(uv_is_closing(handle)); },
        nullptr);
    uv_run(&loop_, UV_RUN_DEFAULT);  // Lets every close callback run.
    const int rc = uv_loop_close(&loop_);
    ASSERT(rc == 0);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  uv_loop_t* get() noexcept { return &loop_; }
  void run() { uv_run(&loop_, UV_RUN_DEFAULT); }

  template <class H>
  static Loop& of(const H* handle) noexcept {
    return *static_cast<Loop*>(handle->loop->data);
  }
  // Poll sleeps no more: said by whatever it calls first. libuv's own account of idle time costs a
  // system call each time before it sleeps.
  void note_awake() noexcept {
    if (awake_since_ == 0) awake_since_ = uv_hrtime();
  }
  // When that was. It is about to sleep again.
  Instant end_awake() noexcept {
    ASSERT(awake_since_ != 0);
    return {std::chrono::nanoseconds(std::exchange(awake_since_, 0))};
  }

 private:
  uv_loop_t loop_;
  std::uint64_t awake_since_ = 0;  // uv_hrtime(); 0: nothing has been called yet.
};

class Timer {
 public:
  template <class Owner>
  Timer(Loop& loop, Owner* owner)
      : handle_(owner, [&](uv_timer_t* t) { return uv_timer_init(loop.get(), t); }) {}
  template <class Owner, void (Owner::*Method)() noexcept>
  void start_once(std::uint64_t after_ms) noexcept {
    uv_timer_start(
        handle_.get(),
        [](uv_timer_t* t) noexcept {
          if (auto* owner = owner_of<Owner>(t)) (owner->*Method)();
        },
        after_ms, 0);
  }
  template <class Owner, void (Owner::*Method)() noexcept>
  void start_repeating(std::uint64_t every_ms) noexcept {
    uv_timer_start(
        handle_.get(),
        [](uv_timer_t* t) noexcept {
          if (auto* owner = owner_of<Owner>(t)) (owner->*Method)();
        },
        every_ms, every_ms);
  }
  void stop() noexcept { uv_timer_stop(handle_.get()); }

 private:
  Handle<uv_timer_t> handle_;
};

}  // namespace raftd::uv
