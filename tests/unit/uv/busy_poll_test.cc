// Goal: the loop stays awake for a few clients that read one thing after the other, and for nothing
// else.
// Method: a clock in the test's hand; a pipe in place of the loop's events.
#include "uv/busy_poll.h"

#include <doctest/doctest.h>
#include <unistd.h>
#include <uv.h>

namespace raftd::uv {
namespace {

using std::chrono::microseconds;
using Seen = BusyPoll::Seen;

constexpr Seen kRead{.writes = 0, .reads = 1, .answered = 0};
constexpr Seen kAnswered{.writes = 0, .reads = 0, .answered = 1};
constexpr Seen kNothing{};
constexpr Duration kPatience = BusyPoll::kPatience;

struct Fixture {
  BusyPoll busy_poll{2};
  Instant now{std::chrono::seconds(7)};

  // What is seen after so long. How long not to sleep from then on.
  Duration after(int us, const Seen& seen) {
    now = now + microseconds(us);
    return busy_poll.until(seen, now) - now;
  }
  // One client, whose read and whose pause take so long, has been seen doing that.
  void learn(int confirmation_us, int pause_us) {
    for (int i = 0; i < 2; ++i) {
      after(pause_us, kRead);
      after(confirmation_us, kAnswered);
    }
  }
};

TEST_CASE_FIXTURE(Fixture, "a first read is slept for, and so is what comes after it") {
  CHECK(after(0, kNothing) == Duration{});
  CHECK(after(5'000'000, kRead) == Duration{});
  CHECK(after(40, kAnswered) == Duration{});
}

TEST_CASE_FIXTURE(Fixture, "a client that reads one thing after the other is waited for awake") {
  learn(40, 20);
  CHECK(after(20, kRead) == kPatience);
  CHECK(after(40, kAnswered) == kPatience);
  CHECK(after(20, kRead) == kPatience);
}

TEST_CASE_FIXTURE(Fixture, "a wait that lasts is slept in when the patience is over") {
  learn(40, 20);
  CHECK(after(20, kRead) == kPatience);
  CHECK(after(30, kRead) == kPatience - microseconds(30));  // Something else came meanwhile.
  CHECK(after(70, kRead) == Duration{});
  CHECK(after(5'000, kRead) == Duration{});
}

TEST_CASE_FIXTURE(Fixture, "who rests between two reads is slept for there, and there alone") {
  learn(40, 1'000);
  CHECK(after(1'000, kRead) == kPatience);
  CHECK(after(40, kAnswered) == Duration{});
}

TEST_CASE_FIXTURE(Fixture, "a confirmation from far away is slept for, and the next read is not") {
  learn(300, 20);
  CHECK(after(20, kRead) == Duration{});
  CHECK(after(300, kAnswered) == kPatience);
}

TEST_CASE_FIXTURE(Fixture, "what is not slept in is learned from as well") {
  learn(40, 20);
  CHECK(after(20, kRead) == kPatience);
  CHECK(after(5'000, kAnswered) == kPatience);
  CHECK(after(5'000, kRead) == Duration{});
  CHECK(after(40, kAnswered) == Duration{});
  CHECK(after(20, kRead) == kPatience);
}

TEST_CASE_FIXTURE(Fixture, "reads that need nobody else's word are waited for the same way") {
  for (int i = 0; i < 2; ++i)
    after(20, kAnswered);
  CHECK(after(20, kAnswered) == kPatience);
  CHECK(after(2'000, kAnswered) == Duration{});
}

TEST_CASE_FIXTURE(Fixture, "a few clients that read are waited for as one is") {
  learn(40, 20);
  CHECK(after(20, {.writes = 0, .reads = BusyPoll::kReadsMax, .answered = 0}) == kPatience);
  CHECK(after(40, {.writes = 0, .reads = 2, .answered = 6}) == kPatience);
  CHECK(after(40, {.writes = 0, .reads = 0, .answered = BusyPoll::kReadsMax}) == kPatience);
}

TEST_CASE_FIXTURE(Fixture, "whoever has more to do than a few reads sleeps, and learns anew") {
  constexpr std::size_t kMany = BusyPoll::kReadsMax + 1;
  for (const Seen& more : {Seen{.writes = 1, .reads = 0, .answered = 0},
                           Seen{.writes = 0, .reads = kMany, .answered = 0},
                           Seen{.writes = 1, .reads = 1, .answered = 1},
                           Seen{.writes = 0, .reads = 0, .answered = kMany}}) {
    learn(40, 20);
    CHECK(after(20, more) == Duration{});
    CHECK(after(20, kRead) == Duration{});
    CHECK(after(40, kAnswered) == Duration{});
    CHECK(after(20, kRead) == kPatience);
    CHECK(after(40, kAnswered) == kPatience);
  }
}

TEST_CASE_FIXTURE(Fixture, "who has one processor leaves it to others") {
  busy_poll = BusyPoll(1);
  learn(40, 20);
  CHECK(after(20, kRead) == Duration{});
  CHECK(after(40, kAnswered) == Duration{});
}

TEST_CASE("polling ends when an event is there, or when its time is over") {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const auto now = [] { return Instant{std::chrono::nanoseconds(uv_hrtime())}; };
  const Instant soon = now() + std::chrono::milliseconds(1);
  poll_until(ends[0], soon);
  CHECK(now() >= soon);
  REQUIRE(write(ends[1], "x", 1) == 1);
  poll_until(ends[0], Instant::never());
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace raftd::uv
