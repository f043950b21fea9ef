// Goal: no call of another thread is lost, and none costs more than one turn of the loop.
// Method: a loop that the test turns itself.
#include "uv/waker.h"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace raftd::uv {

TEST_CASE("calls before the loop turns wake it once") {
  Loop loop;
  int woken = 0;
  Waker waker(loop, [&] { ++woken; });
  for (int i = 0; i < 100; ++i)
    waker.wake();
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(woken == 1);
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(woken == 1);
  waker.wake();
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(woken == 2);
}

TEST_CASE("what threads have done before they call is seen when the loop is woken") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 2000;
  Loop loop;
  std::atomic<int> done{0};
  int seen = 0;
  Waker waker(loop, [&] { seen = done; });
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int call = 0; call < kCalls; ++call) {
        ++done;
        waker.wake();
      }
    });
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (seen < kThreads * kCalls && std::chrono::steady_clock::now() < deadline)
    uv_run(loop.get(), UV_RUN_NOWAIT);
  for (std::thread& thread : threads)
    thread.join();
  CHECK(seen == kThreads * kCalls);
}

TEST_CASE("a call that the loop has not seen when the waker ends is nobody's") {
  Loop loop;
  int woken = 0;
  {
    Waker waker(loop, [&] { ++woken; });
    waker.wake();
  }
  uv_run(loop.get(), UV_RUN_NOWAIT);
  CHECK(woken == 0);
}

}  // namespace raftd::uv
