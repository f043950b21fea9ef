#include "kv/describe.h"

#include <doctest/doctest.h>

namespace raftd::kv {
namespace {

std::string shown(const Command& command, bool full, bool hex) {
  return describe({command, {}}, full, hex);
}

}  // namespace

TEST_CASE("a command is one line that names its fields") {
  using Kind = Condition::Kind;
  CHECK(shown(Put{"a", "1", {}, true}, false, false) == R"(Put { key: "a", value: "1" })");
  CHECK(shown(Put{"a", "", {Kind::kModIs, 7}, false}, false, false) ==
        R"(Put { key: "a", value: "", if_mod: 7 })");
  CHECK(shown(Put{"a", "", {Kind::kAbsent, 0}, false}, false, false) ==
        R"(Put { key: "a", value: "", if: absent })");
  CHECK(shown(Delete{"a", {Kind::kExists, 0}, false}, false, false) ==
        R"(Delete { key: "a", if: exists })");
  CHECK(shown(DeletePrefix{"", 0}, false, false) == R"(DeletePrefix { prefix: "" })");
  CHECK(shown(DeletePrefix{"a/", 5}, false, false) == R"(DeletePrefix { prefix: "a/", limit: 5 })");
  CHECK(shown(ClaimMember{4, "", 0xab, "n4", "http://h:1", false, 3}, false, false) ==
        R"(ClaimMember { id: 4, instance: 00000000000000ab, name: "n4", client: "http://h:1", )"
        R"(role: learner, replaces: 3 })");
  CHECK(shown(ReserveMember{std::string(kTokenHashBytes, 'a'), "n4", true, 3, 5}, false, false) ==
        R"(ReserveMember { name: "n4", role: voter, replaces: 3, ttl_ms: 5 })");
  CHECK(shown(DropTickets{}, false, false) == "DropTickets { }");
  CHECK(shown(DropTickets{4}, false, false) == "DropTickets { id: 4 }");
  CHECK(shown(PublishMember{1, 0xab, "n1", "http://h:1", "0.1"}, false, false) ==
        R"(PublishMember { id: 1, instance: 00000000000000ab, name: "n1", client: "http://h:1", )"
        R"(version: "0.1" })");
  CHECK(shown(Compact{9}, false, false) == "Compact { revision: 9 }");
}

TEST_CASE("leases, locks and elections are named as such, and terms stand behind the command") {
  using Choice = LeaseChoice::Kind;
  CHECK(shown(Put{"a", "1", {}, false, {Choice::kPrivate, 5000}}, false, false) ==
        R"(Put { key: "a", value: "1", ttl_ms: 5000 })");
  CHECK(shown(Put{"a", "1", {}, false, {Choice::kAttach, 7}}, false, false) ==
        R"(Put { key: "a", value: "1", lease: 7 })");
  CHECK(shown(Put{"a", "1", {}, false, {Choice::kKeep, 0}}, false, false) ==
        R"(Put { key: "a", value: "1", lease: keep })");
  CHECK(shown(Put{"a", "", {}, false, {}, true}, false, false) ==
        R"(Put { key: "a", value: keep })");
  CHECK(shown(Put{"a", "1", {}, false, {Choice::kKeep, 0}, false, true}, false, false) ==
        R"(Put { key: "a", value: "1", must: exist, lease: keep })");
  CHECK(shown(Increment{"n", -3, {Condition::Kind::kExists, 0}, {}}, false, false) ==
        R"(Increment { key: "n", by: -3, if: exists })");
  CHECK(shown(Touch{"a", 0}, false, false) == R"(Touch { key: "a" })");
  CHECK(shown(Touch{"a", 5}, false, false) == R"(Touch { key: "a", ttl_ms: 5 })");
  CHECK(shown(Transaction{{Guard{}}, {{Get{"a"}}, {Get{"b"}}}, {}}, false, false) ==
        "Transaction { guards: 1, then: 2, else: 0 }");
  CHECK(shown(GrantLease{0, 1000}, false, false) == "GrantLease { ttl_ms: 1000 }");
  CHECK(shown(GrantLease{7, 1000}, false, false) == "GrantLease { id: 7, ttl_ms: 1000 }");
  CHECK(shown(KeepLeases{{7, 8}}, false, false) == "KeepLeases { leases: 2, first: 7 }");
  CHECK(shown(RevokeLease{7}, false, false) == "RevokeLease { id: 7 }");
  CHECK(shown(ExpireLeases{}, false, false) == "ExpireLeases { }");
  CHECK(shown(Acquire{Space::kLocks, "job", 1000, "h1", "", true}, false, false) ==
        R"(Acquire { lock: "job", ttl_ms: 1000, owner: "h1", wait: true })");
  CHECK(shown(Acquire{Space::kElections, "db", 1000, "", "here", false}, false, false) ==
        R"(Acquire { election: "db", ttl_ms: 1000, value: "here", wait: false })");
  CHECK(shown(KeepLock{Space::kLocks, "job", 57, 0}, false, false) ==
        R"(KeepLock { lock: "job", token: 57 })");
  CHECK(shown(Release{Space::kElections, "db", 0}, false, false) ==
        R"(Release { election: "db" })");
  CHECK(shown(Proclaim{"db", 70, "there"}, false, false) ==
        R"(Proclaim { election: "db", token: 70, value: "there" })");
  CHECK(shown(LeaveQueue{Space::kLocks, "job", 58}, false, false) ==
        R"(LeaveQueue { lock: "job", place: 58 })");
  CHECK(describe({Delete{"a", {}, false}, {"order-7", 1, {{Space::kKeys, "job", 57}}}}, false,
                 false) ==
        R"(Delete { key: "a", idempotency_key: "order-7", fence: "job", token: 57 })");
}

TEST_CASE("quotes and backslashes in a described text are escaped") {
  CHECK(shown(Delete{R"(a"\)", {}, false}, false, false) == R"(Delete { key: "a\"\\" })");
}

TEST_CASE("bytes that are not text are hexadecimal, and all bytes if so asked") {
  CHECK(shown(Put{"a\n", "\xff\x01", {}, false}, false, false) ==
        "Put { key: 0x610a, value: 0xff01 }");
  CHECK(shown(Put{"a", "b", {}, false}, false, true) == "Put { key: 0x61, value: 0x62 }");
}

TEST_CASE("a value longer than 64 bytes is cut between characters and its length given") {
  const std::string fits(64, 'x');
  CHECK(shown(Put{"a", fits, {}, false}, false, false) ==
        "Put { key: \"a\", value: \"" + fits + "\" }");
  const std::string longer(65, 'x');
  CHECK(shown(Put{"a", longer, {}, false}, false, false) ==
        "Put { key: \"a\", value: \"" + fits + "\".. (65 bytes) }");
  CHECK(shown(Put{"a", longer, {}, false}, true, false) ==
        "Put { key: \"a\", value: \"" + longer + "\" }");
  const std::string accents = std::string(63, 'x') + "\xc3\xa9";  // Its character would be halved.
  CHECK(shown(Put{"a", accents, {}, false}, false, false) ==
        "Put { key: \"a\", value: \"" + std::string(63, 'x') + "\".. (65 bytes) }");
}

}  // namespace raftd::kv
