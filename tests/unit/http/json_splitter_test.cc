// Where one JSON object ends and the next begins. Method: every text is fed whole, byte by byte and
// cut in two at every place; all must agree (show() is the text of everything that came out).
#include "http/json_splitter.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/text.h"

namespace raftd::http {

namespace {

constexpr std::size_t kBytesMax = 64;

// All that comes out of these pieces: each object in brackets; at the end where it stopped, and
// why.
std::string split(const std::vector<std::string_view>& pieces, std::size_t bytes_max) {
  JsonSplitter splitter(bytes_max);
  std::string out;
  std::size_t before = 0;
  for (const std::string_view piece : pieces) {
    std::size_t at = 0;
    while (at < piece.size()) {
      const JsonSplitter::Step step = splitter.feed(piece.substr(at));
      at += step.consumed;
      switch (step.event) {
        case JsonSplitter::Event::kMore:
          CHECK(at == piece.size());
          break;
        case JsonSplitter::Event::kObject:
          CHECK(splitter.between());
          CHECK(!splitter.object().empty());
          out.append("[").append(splitter.object()).append("]");
          break;
        case JsonSplitter::Event::kNoObject:
          return out + strf("no object at %zu", before + at);
        case JsonSplitter::Event::kTooLarge:
          return out + strf("too large at %zu", before + at);
      }
    }
    before += piece.size();
  }
  return out + (splitter.between() ? "" : "open");
}

std::string show(std::string_view text, std::size_t bytes_max = kBytesMax) {
  const std::string whole = split({text}, bytes_max);
  std::vector<std::string_view> bytes;
  for (std::size_t at = 0; at < text.size(); ++at) {
    CAPTURE(at);
    bytes.push_back(text.substr(at, 1));
    CHECK(split({text.substr(0, at), text.substr(at)}, bytes_max) == whole);
  }
  CHECK(split(bytes, bytes_max) == whole);
  return whole;
}

}  // namespace

TEST_CASE("objects are cut apart with or without white space between them") {
  CHECK(show("") == "");
  CHECK(show(" \r\n\t") == "");
  CHECK(show("{}") == "[{}]");
  CHECK(show("{}{}") == "[{}][{}]");
  CHECK(show("\n{\"a\":1}\n\n {\"b\":{\"c\":[{},{}]}}\t") ==
        "[{\"a\":1}][{\"b\":{\"c\":[{},{}]}}]");
  CHECK(show("{ \"a\" : [ ] }") == "[{ \"a\" : [ ] }]");
}

TEST_CASE("braces and quotes inside a string neither begin nor end an object") {
  CHECK(show(R"({"}":"{"}{})") == R"([{"}":"{"}][{}])");
  CHECK(show(R"({"a":"\"}"}{})") == R"([{"a":"\"}"}][{}])");
  CHECK(show(R"({"a":"\\"}{})") == R"([{"a":"\\"}][{}])");
  CHECK(show(R"({"a":"\\\"}"}{})") == R"([{"a":"\\\"}"}][{}])");
  CHECK(show(R"({"a":"\u007b\u0022"}{})") == R"([{"a":"\u007b\u0022"}][{}])");
}

TEST_CASE("an object that has not ended is kept until it has") {
  CHECK(show("{") == "open");
  CHECK(show("{}{\"a\":{}") == "[{}]open");
  CHECK(show(R"({"a)") == "open");
  CHECK(show(R"({"a\)") == "open");
}

TEST_CASE("what begins no object is refused at its place, and what came before it is not") {
  CHECK(show("[]") == "no object at 0");
  CHECK(show("}") == "no object at 0");
  CHECK(show(" \n\"a\"") == "no object at 2");
  CHECK(show("{} 1 {}") == "[{}]no object at 3");
  CHECK(show("{},{}") == "[{}]no object at 2");
  CHECK(show(std::string_view("{}\0", 3)) == "[{}]no object at 2");
  CHECK(show("\xef\xbb\xbf{}") == "no object at 0");
}

TEST_CASE("an object may have as many bytes as the bound says and not one more") {
  const std::string fits = "{\"a\":\"" + std::string(kBytesMax - 8, 'x') + "\"}";
  REQUIRE(fits.size() == kBytesMax);
  CHECK(show(fits + " " + fits) == "[" + fits + "][" + fits + "]");
  const std::string larger = "{\"a\":\"" + std::string(kBytesMax - 7, 'x') + "\"}";
  CHECK(show("  " + larger) == strf("too large at %zu", 2 + kBytesMax + 1));
  CHECK(show(std::string(1000, '{')) == strf("too large at %zu", kBytesMax + 1));
  CHECK(show("{}{\"" + std::string(1000, 'x')) == strf("[{}]too large at %zu", kBytesMax + 3));
}

TEST_CASE("white space between objects counts towards no object's size") {
  const std::string space(10 * kBytesMax, ' ');
  CHECK(show(space + "{}" + space + "{}" + space) == "[{}][{}]");
}

TEST_CASE("an object that came at once is not copied") {
  const std::string text = " {\"a\":1} {\"b\":2}";
  JsonSplitter splitter(kBytesMax);
  const JsonSplitter::Step first = splitter.feed(text);
  REQUIRE(first.event == JsonSplitter::Event::kObject);
  CHECK(splitter.object().data() == text.data() + 1);
  REQUIRE(splitter.feed(std::string_view(text).substr(first.consumed)).event ==
          JsonSplitter::Event::kObject);
  CHECK(splitter.object().data() == text.data() + first.consumed + 1);
}

TEST_CASE("nothing nested is too deep to be cut out") {
  std::string deep;
  for (int i = 0; i < 100'000; ++i)
    deep += "{\"a\":";
  deep += "1" + std::string(100'000, '}');
  JsonSplitter splitter(deep.size());
  REQUIRE(splitter.feed(deep).event == JsonSplitter::Event::kObject);
  CHECK(splitter.object() == deep);
}

}  // namespace raftd::http
