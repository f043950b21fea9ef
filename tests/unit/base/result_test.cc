#include "base/result.h"

#include <doctest/doctest.h>

#include <memory>

namespace raftd {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return Error{Errc::kBadInput, "odd"};
  return n / 2;
}

Result<int> quarter(int n) {
  TRY(const int h, half(n));
  TRY(const int q, half(h));
  return q;
}

Result<std::unique_ptr<int>> made(bool well) {
  if (!well) return Error{Errc::kDiskFull, "no space"};
  return std::make_unique<int>(5);
}

}  // namespace

TEST_CASE("a result is a value or an error, never both") {
  const Result<int> good = half(4);
  REQUIRE(static_cast<bool>(good));
  CHECK(*good == 2);
  const Result<int> bad = half(3);
  REQUIRE_FALSE(static_cast<bool>(bad));
  CHECK(bad.error().code == Errc::kBadInput);
  CHECK(bad.error().message == "odd");
}

TEST_CASE("TRY binds the value, or returns the error of the first that failed") {
  CHECK(*quarter(8) == 2);
  CHECK(quarter(3).error().message == "odd");
  CHECK(quarter(6).error().message == "odd");
}

TEST_CASE("a result moves what cannot be copied") {
  std::unique_ptr<int> five = *made(true);
  CHECK(*five == 5);
  CHECK(std::move(made(false)).error().message == "no space");
}

TEST_CASE("a status is a result without a value") {
  const Status done = Done{};
  CHECK(static_cast<bool>(done));
  const Status failed = Error{Errc::kIo, "x"};
  CHECK_FALSE(static_cast<bool>(failed));
}

}  // namespace raftd
