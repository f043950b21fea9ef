#include "config/units.h"

#include <doctest/doctest.h>

#include "base/address.h"
#include "config/keys.h"

namespace raftd::config {

TEST_CASE("durations are one number and one unit") {
  const auto ms = [](std::string_view text) {
    std::chrono::milliseconds duration{};
    return parse_duration(text, duration) ? duration.count() : -1;
  };
  CHECK(ms("500ms") == 500);
  CHECK(ms("30s") == 30'000);
  CHECK(ms("10m") == 600'000);
  CHECK(ms("2h") == 7'200'000);
  CHECK(ms("30") == 30'000);
  CHECK(ms("1.5") == 1500);
  CHECK(ms("0s") == 0);
  for (const std::string_view bad :
       {"", "s", "ms", "-1s", "+1s", "1h30m", "1 s", "0.5ms", "1.", ".5", "1d", "1us",
        "99999999999999999999s", "9223372036854775807h", "1.2.3s", "1e3", "0x1s", "1S"}) {
    CAPTURE(bad);
    CHECK(ms(bad) == -1);
  }
}

TEST_CASE("durations and sizes print in the largest unit that is exact") {
  CHECK(duration_text(std::chrono::milliseconds(500)) == "500ms");
  CHECK(duration_text(std::chrono::milliseconds(90'000)) == "90s");
  CHECK(duration_text(std::chrono::milliseconds(3'600'000)) == "1h");
  CHECK(duration_text(std::chrono::milliseconds(0)) == "0s");
  CHECK(size_text(64ULL << 20) == "64MiB");
  CHECK(size_text(1536ULL << 10) == "1536KiB");
  CHECK(size_text(1000) == "1000B");
  CHECK(size_text(0) == "0B");
}

TEST_CASE("sizes are integers in bytes or have a binary unit") {
  const auto bytes = [](std::string_view text) {
    std::uint64_t size = 0;
    return parse_size(text, size) ? static_cast<std::int64_t>(size) : -1;
  };
  CHECK(bytes("64MiB") == 64LL << 20);
  CHECK(bytes("12B") == 12);
  CHECK(bytes("12") == 12);
  CHECK(bytes("1TiB") == 1LL << 40);
  for (const std::string_view bad : {"", "B", "1MB", "1.5MiB", "1 MiB", "-1", "9999999999TiB"}) {
    CAPTURE(bad);
    CHECK(bytes(bad) == -1);
  }
}

TEST_CASE("addresses: host and port, brackets for IPv6, unix sockets where allowed") {
  Address address;
  CHECK(parse_address("node-1.example:65535", false, address));
  CHECK(address.host == "node-1.example");
  CHECK(address.port == 65535);
  CHECK_FALSE(address.is_loopback());
  CHECK(parse_address("[::1]:1", false, address));
  CHECK(address.is_loopback());
  CHECK(address.text() == "[::1]:1");
  CHECK(parse_address("unix:/run/x", true, address));
  CHECK(address.text() == "unix:/run/x");
  CHECK_FALSE(parse_address("unix:/run/x", false, address));
  CHECK_FALSE(parse_address("unix:" + std::string(108, 'x'), true, address));
  for (const std::string_view bad :
       {"",      ":",       ":1",          "h",           "h:",         "h:0",   "h:65536",
        "h:-1",  "h:+1",    "h: 1",        "h:1x",        "::1:80",     "[h]:1", "[::1:1",
        "a b:1", "1.2.3:4", "1.2.3.256:1", "1.2.3.4.5:1", "http://h:1", "h/:1",  "é:1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_address(bad, true, address));
  }
}

TEST_CASE("URLs: http or https, host and port, nothing after it") {
  Address address;
  CHECK(parse_url("http://h:1", address));
  CHECK(parse_url("https://[::1]:1/", address));
  for (const std::string_view bad : {"", "h:1", "http://h", "http://h:1/x", "http://h:1//",
                                     "ftp://h:1", "http://", "HTTP://h:1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_url(bad, address));
  }
}

TEST_CASE("the nearest key is found for a slip, not for another word") {
  const std::vector<std::string> known = {"raft.priority", "raft.election_timeout", "id"};
  CHECK(nearest("raft.prioritty", known) == "raft.priority");
  CHECK(nearest("raft.election_tiemout", known) == "raft.election_timeout");
  CHECK(nearest("Id", known) == "id");
  CHECK(nearest("zzzzzzzzzz", known).empty());
  CHECK(nearest(std::string(10'000, 'x'), known).empty());
}

}  // namespace raftd::config
