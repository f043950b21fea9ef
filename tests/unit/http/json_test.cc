// JSON: the writer's escaping and the reader's strictness.
#include "http/json.h"

#include <doctest/doctest.h>

#include <limits>

#include "base/limits.h"

namespace raftd::http {

namespace {

std::string problem(std::string_view text) {
  const auto result = parse_json(text);
  if (result) return "none";
  CHECK(result.error().code == Errc::kBadInput);
  return result.error().message;
}

std::string nested(std::size_t levels) {
  return std::string(levels, '[') + std::string(levels, ']');
}

}  // namespace

TEST_CASE("fields are written in the order given") {
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("a", "x").field("b", std::uint64_t{18446744073709551615u});
  json.field("c", -5).field("d", true).name("e").begin_array();
  json.value("1").begin_object().end_object().begin_array().end_array().value(2).end_array();
  json.name("f").null().name("g").raw("{}").end_object();
  CHECK(out ==
        R"({"a":"x","b":18446744073709551615,"c":-5,"d":true,"e":["1",{},[],2],"f":null,"g":{}})");
}

TEST_CASE("text is escaped so that it stays text") {
  std::string out;
  JsonWriter(out).value(std::string_view("\"\\\n\r\t\x01\x7f\0/\xc3\xa4", 11));
  CHECK(out == "\"\\\"\\\\\\n\\r\\t\\u0001\\u007f\\u0000/\xc3\xa4\"");
  out.clear();
  JsonWriter(out).value(
      "a\xff"
      "b");
  CHECK(out == "\"a\\ufffdb\"");
}

TEST_CASE("bytes that are not text get another name and base64") {
  std::string out;
  JsonWriter json(out);
  json.begin_object().bytes("key", "a\n").bytes("value", "\xff").end_object();
  CHECK(out == R"({"key":"a\n","value64":"/w=="})");
}

TEST_CASE("what is written is read back") {
  std::string bytes;
  for (int i = 0; i < 128; ++i)
    bytes.push_back(static_cast<char>(i));
  std::string out;
  JsonWriter json(out);
  json.begin_object().field("text", bytes).field("most", ~std::uint64_t{0}).field("least", -1);
  json.name("list").begin_array().value(false).null().end_array().end_object();
  auto value = parse_json(out);
  REQUIRE(value);
  CHECK(*value->field("text")->text() == bytes);
  CHECK(*value->field("most")->whole() == ~std::uint64_t{0});
  CHECK(*value->field("least")->negative() == -1);
  CHECK(value->field("list")->array()->size() == 2);
  CHECK(*value->field("list")->array()->front().boolean() == false);
  CHECK(value->field("list")->array()->back().is_null());
  CHECK(value->field("none") == nullptr);
  CHECK(value->field("text")->field("x") == nullptr);
  CHECK(value->field("text")->whole() == nullptr);
  CHECK(*parse_json(" 1.5 ")->real() == 1.5);
  CHECK(*parse_json("\"\\ud83d\\ude00\"")->text() == "\xf0\x9f\x98\x80");
}

TEST_CASE("bad JSON is refused and the byte is named") {
  CHECK(problem("") == "no JSON at byte 0");
  CHECK(problem("{\"a\":1,}") == "no JSON at byte 7");
  CHECK(problem("{\"a\":1} x") == "no JSON at byte 8");
  CHECK(problem("\xef\xbb\xbf{}") == "no JSON at byte 0: a byte order mark");
  for (const char* bad : {"{",           "[1",       "nul",          "True",
                          "{'a':1}",     "{a:1}",    "[1,,2]",       "01",
                          "+1",          "1.",       ".5",           "1e",
                          "1e999",       "-1e999",   "NaN",          "Infinity",
                          "\"\x01\"",    "\"\\x\"",  "\"\\ud800\"",  "\"\\ud800\\u0041\"",
                          "\"\\udc00\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
                          "{} {}",       "/**/1",    "1 //",         "\"a"}) {
    INFO(bad);
    CHECK(problem(bad).find("no JSON at byte ") == 0);
  }
  CHECK(problem(std::string_view("1\0x", 3)) == "no JSON at byte 1: a NUL byte");
}

TEST_CASE("the byte is where the bad part begins") {
  CHECK(problem("[1,2") == "no JSON at byte 4");
  CHECK(problem("[true,flase]") == "no JSON at byte 6");
  CHECK(problem("[1.x]") == "no JSON at byte 3");
  CHECK(problem("[1 2]") == "no JSON at byte 3");
  CHECK(problem("[1e999]") == "no JSON at byte 1");
  CHECK(problem("\"\xc3\xa9 \xe2\x82\"") == "no JSON at byte 4");
  CHECK(problem("\"a\\q\"") == "no JSON at byte 3");
  CHECK(problem("{\"a\" 1}") == "no JSON at byte 5");
}

TEST_CASE("a text that is cut anywhere is none") {
  const std::string text =
      "{\"a\":[1,-2,3.5e+2,true,false,null,\"\\u00e9\\ud83d\\ude00\\n\xc3\xa9\"],\"b\":{}}";
  REQUIRE(problem(text) == "none");
  for (std::size_t size = 0; size < text.size(); ++size) {
    INFO(size);
    CHECK(problem(text.substr(0, size)).find("no JSON at byte ") == 0);
  }
}

TEST_CASE("a number is what it was, whole if it can be") {
  CHECK(*parse_json("18446744073709551615")->whole() == ~std::uint64_t{0});
  CHECK(*parse_json("18446744073709551616")->real() == 18446744073709551616.0);
  CHECK(*parse_json("-9223372036854775808")->negative() == std::numeric_limits<int64_t>::min());
  CHECK(*parse_json("-9223372036854775809")->real() == -9223372036854775809.0);
  CHECK(*parse_json("-0")->whole() == 0);
  CHECK(*parse_json("0e5")->real() == 0.0);
  CHECK(*parse_json("-12.5E-1")->real() == -1.25);
  CHECK(*parse_json("1e-999")->real() == 0.0);
}

TEST_CASE("escapes are what they mean, and no others are there") {
  CHECK(*parse_json(R"("\"\\\/\b\f\n\r\t")")->text() == "\"\\/\b\f\n\r\t");
  CHECK(*parse_json(R"("\u0041\u00e9\u20AC\ud83d\uDE00")")->text() ==
        "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(*parse_json(R"("\u0000\u007f")")->text() == std::string("\0\x7f", 2));
  for (const char* bad : {R"("\a")", R"("\u")", R"("\u12")", R"("\u12g4")", R"("\u-123")",
                          R"("\ud800\n")", R"("\ud800\ud800")", R"("\ud800x")", R"("\U0041")"}) {
    INFO(bad);
    CHECK(problem(bad).find("no JSON at byte ") == 0);
  }
}

TEST_CASE("a repeated field is refused by its name, at any depth") {
  CHECK(problem(R"({"a":1,"b":2,"a":3})") == "field a is there twice");
  CHECK(problem(R"({"x":[{"\u0061":1,"a":3}]})") == "field a is there twice");
  CHECK(problem(R"({"x":{"a":1},"a":3})") == "none");
}

TEST_CASE("depth is bounded, and a hostile depth costs nothing") {
  CHECK(problem(nested(limits::kJsonDepthMax)) == "none");
  CHECK(problem(nested(limits::kJsonDepthMax + 1)) == "JSON nested deeper than 32 levels");
  CHECK(problem(std::string(1'000'000, '[')) == "JSON nested deeper than 32 levels");
  std::string objects;
  for (int i = 0; i < 10'000; ++i)
    objects += "{\"a\":";
  CHECK(problem(objects) == "JSON nested deeper than 32 levels");
}

TEST_CASE("a number of a million digits is refused or read, never a crash") {
  CHECK(problem(std::string(1'000'000, '9')) != "none");
  CHECK(problem("0." + std::string(1'000'000, '9')) == "none");
}

}  // namespace raftd::http
