#include "base/text.h"

#include <doctest/doctest.h>

namespace raftd {

TEST_CASE("strf formats short and long text alike") {
  CHECK(strf("%d %s", 5, "x") == "5 x");
  const std::string longer(1000, 'y');
  CHECK(strf("%s!", longer.c_str()) == longer + "!");
  CHECK(strf("%s", std::string(255, 'a').c_str()).size() == 255);
  CHECK(strf("%s", std::string(256, 'a').c_str()).size() == 256);
  CHECK(strf("%s", "").empty());
}

TEST_CASE("UTF-8 is told from bytes that only look like it") {
  for (const char* good : {"", "a", "é", "€", "😀", "\x7f", "\xed\x9f\xbf", "\xf4\x8f\xbf\xbf"}) {
    CAPTURE(good);
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3", "\xe2\x82", "\xc3(", "\xfe"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_utf8(bad));
  }
  CHECK(is_utf8(std::string_view("a\0b", 3)));
}

TEST_CASE("percent_escape leaves text alone and makes a line of anything") {
  CHECK(percent_escape("héllo wörld") == "héllo wörld");
  CHECK(percent_escape("a\tb\nc%\x7f") == "a%09b%0Ac%25%7F");
  CHECK(percent_escape(std::string_view("\0\xff\xc3", 3)) == "%00%FF%C3");
  CHECK(percent_escape("").empty());
}

TEST_CASE("trimmed takes spaces and tabs from both ends, and leaves those inside") {
  CHECK(trimmed("\t a\tb c \t ") == "a\tb c");
  CHECK(trimmed("a\n") == "a\n");
  CHECK(trimmed(" \t ").empty());
  CHECK(trimmed("").empty());
}

TEST_CASE("hexadecimal is lower case, two digits a byte") {
  CHECK(to_hex(as_bytes(std::string_view("\0\x0f\xf0\xff", 4))) == "000ff0ff");
  CHECK(to_hex({}).empty());
}

TEST_CASE("parse_u64 takes digits that fit and nothing else") {
  std::uint64_t value = 7;
  CHECK(parse_u64("0", value));
  CHECK(value == 0);
  CHECK(parse_u64("18446744073709551615", value));
  CHECK(value == ~std::uint64_t{0});
  for (const std::string_view bad :
       {"", "18446744073709551616", "-1", "+1", " 1", "1 ", "0x1", "1.0", "1e3", "١"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_u64(bad, value));
  }
}

TEST_CASE("parse_hex_u64 takes sixteen digits in lower case and nothing else") {
  std::uint64_t value = 0;
  CHECK(parse_hex_u64("8f1c0a93d2be7745", value));
  CHECK(value == 0x8f1c0a93d2be7745);
  CHECK(parse_hex_u64("ffffffffffffffff", value));
  CHECK(value == UINT64_MAX);
  for (const char* bad : {"", "0", "8f1c0a93d2be774", "8f1c0a93d2be77450", "8F1C0A93D2BE7745",
                          "8f1c0a93d2be774g", "-f1c0a93d2be7745", "0x1c0a93d2be7745"}) {
    CHECK_FALSE(parse_hex_u64(bad, value));
  }
}

}  // namespace raftd
