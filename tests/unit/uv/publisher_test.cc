#include "uv/publisher.h"

#include <doctest/doctest.h>

#include "kv/command.h"

namespace raftd::uv {
namespace {

const kv::PublishedMember kSelf{2, 77, "n2", "http://127.0.0.1:22379", "0.1.0"};

Instant at(int seconds) {
  return Instant{} + std::chrono::seconds(seconds);
}

}  // namespace

TEST_CASE("a member that is not published, or differently, proposes itself once at a time") {
  Publisher publisher(kSelf);
  const auto first = publisher.due(at(1), {});
  REQUIRE(first);
  CHECK(Publisher::owns(first->token));
  CHECK_FALSE(publisher.due(at(9), {}));  // The first is on its way.
  publisher.done();
  kv::PublishedMember old = kSelf;
  old.client = "http://127.0.0.1:1";
  const auto second = publisher.due(at(10), {old});
  REQUIRE(second);
  CHECK(second->token != first->token);
  publisher.done();
  CHECK_FALSE(publisher.due(at(20), {kSelf}));
}

TEST_CASE("a refused publication is tried again, but not at once") {
  Publisher publisher(kSelf);
  REQUIRE(publisher.due(at(1), {}));
  publisher.done();
  CHECK_FALSE(publisher.due(at(1) + std::chrono::milliseconds(100), {}));
  CHECK(publisher.due(at(3), {}));
}

TEST_CASE("what is proposed is the member's own attributes") {
  Publisher publisher(kSelf);
  const auto due = publisher.due(at(1), {});
  REQUIRE(due);
  const ByteView command = ByteView(due->command).subspan(machine::kStampBytes);
  const Result<kv::Request> decoded = kv::decode(command);
  REQUIRE(decoded);
  const auto* member = std::get_if<kv::PublishMember>(&decoded->command);
  REQUIRE(member != nullptr);
  CHECK(member->id == 2);
  CHECK(member->instance == 77);
  CHECK(member->client == "http://127.0.0.1:22379");
}

}  // namespace raftd::uv
