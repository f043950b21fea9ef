// Percent-encoding: strict in, plain out.
#include "http/uri.h"

#include <doctest/doctest.h>

namespace raftd::http {

TEST_CASE("paths are decoded once and byte for byte") {
  CHECK(*percent_decode("a/b+c&d=e;:@,!") == "a/b+c&d=e;:@,!");
  CHECK(*percent_decode("%2e%2E%2F%00%ff%25") == std::string("../\0\xff%", 6));
  CHECK(*percent_decode("../../etc/passwd") == "../../etc/passwd");
  CHECK(*percent_decode("%2541") == "%41");
  CHECK(*percent_decode("") == "");
}

TEST_CASE("what must be encoded and is not, or badly, is refused") {
  for (const char* bad : {" ", "a b", "a?b", "a#b", "\x01", "\x7f", "\xc3\xa4", "%", "%4", "%zz",
                          "%4g", "%g4", "a%", "%%41", "%-1", "%+1", "% 1"}) {
    INFO(bad);
    const auto result = percent_decode(bad);
    CHECK(!result);
    if (!result) CHECK(result.error().code == Errc::kBadInput);
  }
  CHECK(!percent_decode(std::string_view("\0", 1)));
}

TEST_CASE("queries are lists of parameters in the order given") {
  const auto show = [](std::string_view query) {
    const auto parameters = parse_query(query);
    if (!parameters) return std::string("bad");
    std::string out;
    for (const auto& [name, value] : *parameters)
      out += name + "=" + value + ";";
    return out;
  };
  CHECK(show("") == "");
  CHECK(show("list&limit=10&x=a=b&p=%26+&list") == "list=;limit=10;x=a=b;p=&+;list=;");
  CHECK(show("a=?/x") == "a=?/x;");
  CHECK(show("%61=%41") == "a=A;");
  for (const char* bad : {"&", "a&", "&a", "a&&b", "=", "=x", "a=%", "a=%0", "a b", "a=#", "%zz"}) {
    INFO(bad);
    CHECK(show(bad) == "bad");
  }
}

TEST_CASE("encoding leaves nothing that could be read otherwise") {
  CHECK(percent_encode("a/b c\r\n?#%\xff~", false) == "a%2Fb%20c%0D%0A%3F%23%25%FF~");
  CHECK(percent_encode("a/b", true) == "a/b");
  std::string all;
  for (int i = 0; i < 256; ++i)
    all.push_back(static_cast<char>(i));
  CHECK(*percent_decode(percent_encode(all, true)) == all);
}

}  // namespace raftd::http
