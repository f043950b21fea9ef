// Goal: writes that come in one after the other are acted for together, and none waits for others
// that do not come.
// Method: a clock in the test's hand.
#include "uv/gathering.h"

#include <doctest/doctest.h>

namespace raftd::uv {
namespace {

using std::chrono::microseconds;

struct Fixture {
  Gathering gathering;
  Instant now{std::chrono::seconds(7)};

  bool goes_on_after(int us, std::size_t writes) {
    now = now + microseconds(us);
    return gathering.goes_on(writes, now);
  }
};

TEST_CASE_FIXTURE(Fixture, "a write that is alone is acted for at once") {
  CHECK_FALSE(goes_on_after(0, 1));
  gathering.acted(1);
  CHECK_FALSE(goes_on_after(200, 0));
  gathering.acted(0);
  CHECK_FALSE(goes_on_after(200, 1));
}

TEST_CASE_FIXTURE(Fixture, "while each poll brings more writes, they are gathered") {
  CHECK(goes_on_after(0, 3));
  CHECK(goes_on_after(10, 5));
  CHECK(goes_on_after(10, 6));
  CHECK_FALSE(goes_on_after(10, 6));
}

TEST_CASE_FIXTURE(Fixture, "what was acted for and waits still is not waited with") {
  CHECK(goes_on_after(0, 8));
  CHECK_FALSE(goes_on_after(10, 8));
  gathering.acted(8);
  CHECK_FALSE(goes_on_after(10, 8));
  gathering.acted(8);
  CHECK(goes_on_after(10, 9));
}

TEST_CASE_FIXTURE(Fixture, "some that were answered hide none that have come") {
  CHECK(goes_on_after(0, 8));
  CHECK_FALSE(goes_on_after(10, 8));
  gathering.acted(2);
  CHECK(goes_on_after(10, 5));
}

TEST_CASE_FIXTURE(Fixture,
                  "writes that do not stop coming are acted for when the patience is over") {
  std::size_t writes = 1;
  CHECK(goes_on_after(0, ++writes));
  for (int us = 10; us < 100; us += 10)
    CHECK(goes_on_after(10, ++writes));
  CHECK_FALSE(goes_on_after(10, ++writes));
  gathering.acted(writes);
  CHECK(goes_on_after(10, ++writes));
  CHECK(goes_on_after(90, ++writes));
  CHECK_FALSE(goes_on_after(10, ++writes));
}

}  // namespace
}  // namespace raftd::uv
