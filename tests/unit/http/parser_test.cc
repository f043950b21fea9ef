// The request parser against bad, hostile and odd bytes. Method: every input is parsed whole, byte
// by byte and in odd pieces; all must agree (show() is the text of everything that came out).
#include "http/parser.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"

namespace raftd::http {

namespace {

constexpr ParserLimits kBounds{.header_bytes = limits::kHttpHeaderBytesMax,
                               .body_bytes = limits::kRequestBytesMax};

std::string show(const Request& request) {
  std::string text = request.method_name + " " + request.target;
  if (request.http_1_0) text += " 1.0";
  if (!request.keep_alive) text += " close";
  if (request.expects_continue) text += " continue";
  for (const Header& header : request.headers)
    text += " " + header.name + "=" + header.value;
  if (!request.body.empty()) text += " {" + request.body + "}";
  return text + "\n";
}

// All that comes out of bytes when they come in pieces of that size.
std::string parse_in_pieces(std::string_view bytes, std::size_t piece, const ParserLimits& bounds) {
  RequestParser parser;
  std::string out;
  std::string opened;  // The head of a request whose body is coming; then what came of that.
  std::size_t end = 0;
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (at == end) end = std::min(bytes.size(), end + piece);
    const RequestParser::Step step = parser.feed(bytes.substr(at, end - at), bounds);
    at += step.consumed;
    switch (step.event) {
      case RequestParser::Event::kMore:
        CHECK(at == end);
        if (!opened.empty()) opened += parser.take_body();
        break;
      case RequestParser::Event::kOpened:
        CHECK(parser.request().body.empty());
        opened = show(parser.request()) + "opened ";
        if (parser.phase() != RequestParser::Phase::kWhole) break;
        out += std::exchange(opened, {}) + "without body\n";
        parser.next();
        break;
      case RequestParser::Event::kHead:
        CHECK(parser.request().body.empty());
        CHECK(parser.body_left() > 0);
        break;
      case RequestParser::Event::kRequest:
        out += opened.empty() ? show(parser.request())
                              : std::exchange(opened, {}) + parser.take_body() + "\n";
        parser.next();
        break;
      case RequestParser::Event::kRefused:
        if (!opened.empty()) opened += parser.take_body() + " then ";
        return out + opened +
               strf("%d %s %s %llu at %zu: ", parser.refusal().status,
                    parser.refusal().error.c_str(), parser.refusal().limit.c_str(),
                    static_cast<unsigned long long>(parser.refusal().max), at) +
               parser.refusal().message;
    }
  }
  out += opened;
  if (parser.phase() == RequestParser::Phase::kHead) out += "head";
  if (parser.phase() == RequestParser::Phase::kBody) out += "body";
  return out;
}

std::string parse(std::string_view bytes, const ParserLimits& bounds = kBounds) {
  const std::string whole = parse_in_pieces(bytes, bytes.size(), bounds);
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 64u, 1000u}) {
    INFO("pieces of " << piece << " bytes");
    if (bytes.size() < 100'000 || piece > 64) {
      CHECK(parse_in_pieces(bytes, piece, bounds) == whole);
    }
  }
  return whole;
}

// The status it is refused with; 0: it is not refused.
int refused(std::string_view bytes, const ParserLimits& bounds = kBounds) {
  const std::string out = parse(bytes, bounds);
  const std::string_view last = std::string_view(out).substr(out.rfind('\n') + 1);
  return last.size() > 3 && last[3] == ' ' ? std::stoi(std::string(last.substr(0, 3))) : 0;
}

std::string get(std::string_view fields) {
  return "GET /a HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

std::string chunked(std::string_view body) {
  return "PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body);
}

}  // namespace

TEST_CASE("a plain request comes out as it went in") {
  CHECK(parse("GET /kv/a?meta&x=%20+ HTTP/1.1\r\nHost: h:1\r\nX-Odd:  a b\t \r\nEmpty:\r\n\r\n") ==
        "GET /kv/a?meta&x=%20+ host=h:1 x-odd=a b empty=\n");
  CHECK(parse("PUT /kv/a HTTP/1.1\r\nHOST: h\r\nContent-Length: 5\r\n\r\nhello") ==
        "PUT /kv/a host=h content-length=5 {hello}\n");
  CHECK(parse("HEAD / HTTP/1.0\r\n\r\n") == "HEAD / 1.0 close\n");
  CHECK(parse("HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n") ==
        "HEAD / 1.0 connection=Keep-Alive\n");
  CHECK(parse(get("Connection: close\r\n")) == "GET /a close host=h connection=close\n");
  CHECK(parse("POST /a HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n\r\n") ==
        "POST /a host= content-length=0\n");
}

TEST_CASE("pipelined requests come out one by one") {
  const std::string put = "PUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nxy";
  CHECK(parse(get("") + put + get("") + "GET") ==
        "GET /a host=h\nPUT /b host=h content-length=2 {xy}\nGET /a host=h\nhead");
  std::string many;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    many += get("");
    expected += "GET /a host=h\n";
  }
  CHECK(parse(many) == expected);
}

TEST_CASE("an empty line before a request is skipped, but not any number of them") {
  CHECK(parse("\r\n" + get("")) == "GET /a host=h\n");
  CHECK(refused("\r\n\r\n\r\n" + get("")) == 400);
  CHECK(refused("\n" + get("")) == 400);
}

TEST_CASE("binary bodies are left alone") {
  std::string body;
  for (int i = 0; i < 256; ++i)
    body.push_back(static_cast<char>(i));
  CHECK(parse("PUT /a HTTP/1.0\r\nContent-Length: 256\r\n\r\n" + body) ==
        "PUT /a 1.0 close content-length=256 {" + body + "}\n");
  CHECK(parse(chunked("100\r\n" + body + "\r\n0\r\n\r\n")) ==
        "PUT /a host=h transfer-encoding=chunked {" + body + "}\n");
}

TEST_CASE("a body shorter than announced never becomes a request") {
  CHECK(parse("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhell") == "body");
  CHECK(parse(chunked("5\r\nhell")) == "body");
  CHECK(parse(chunked("5\r\nhello\r\n0\r\n")) == "body");
}

TEST_CASE("lengths that two parsers could read differently are refused") {
  const auto put = [](std::string_view fields) {
    return "PUT /a HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\nhello";
  };
  for (const char* fields :
       {"Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: -1\r\n", "Content-Length: +5\r\n", "Content-Length: 5x\r\n",
        "Content-Length:  5x\r\n", "Content-Length: 0x5\r\n", "Content-Length: 5, 5\r\n",
        "Content-Length: 5 5\r\n", "Content-Length:\r\n", "Content-Length: 5.0\r\n",
        "Content-Length: 9223372036854775808\r\n", "Content-Length: 18446744073709551621\r\n",
        "Content-Length: 99999999999999999999999999\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"}) {
    INFO(fields);
    CHECK(refused(put(fields)) == 400);
  }
  CHECK(parse(put("Content-Length: 005 \r\n")) == "PUT /a host=h content-length=005 {hello}\n");
}

TEST_CASE("a transfer encoding other than one chunked is refused") {
  for (const char* value : {"xchunked", "chunkedx", "chunked, chunked", "gzip, chunked", "identity",
                            "gzip", "Chunked", "chunked ",
                            "\x0b"
                            "chunked",
                            "chunked;q=1", "", "chunked,", ", chunked"}) {
    INFO(value);
    CHECK(refused("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + std::string(value) +
                  "\r\n\r\n0\r\n\r\n") == 400);
  }
  CHECK(refused("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
  CHECK(refused("PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n") == 400);
  CHECK(refused("PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == 400);
}

TEST_CASE("chunked bodies are put together, extensions and trailers thrown away") {
  CHECK(parse(chunked(
            "5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\nX: y\r\nContent-Length: 3\r\n\r\n")) ==
        "PUT /a host=h transfer-encoding=chunked {hello world}\n");
  CHECK(parse(chunked("A\r\n0123456789\r\n000\r\n\r\n") + get("")) ==
        "PUT /a host=h transfer-encoding=chunked {0123456789}\nGET /a host=h\n");
  CHECK(parse(chunked("0\r\n\r\n")) == "PUT /a host=h transfer-encoding=chunked\n");
}

TEST_CASE("bad chunks are refused") {
  const std::string trailers_8 = "a:1\r\nb:1\r\nc:1\r\nd:1\r\ne:1\r\nf:1\r\ng:1\r\nh:1\r\n";
  CHECK(refused(chunked("0\r\n" + trailers_8 + "\r\n")) == 0);
  for (const std::string& body : {std::string("x\r\n"),
                                  std::string("\r\n"),
                                  std::string(" 5\r\nhello\r\n"),
                                  std::string("5 \r\nhello\r\n"),
                                  std::string("+5\r\nhello\r\n"),
                                  std::string("-5\r\n"),
                                  std::string("0x5\r\nhello\r\n"),
                                  std::string("5\nhello\r\n"),
                                  std::string("5\r\nhellox\r\n"),
                                  std::string("5\r\nhello\n"),
                                  std::string("5\r\nhello\rx"),
                                  std::string("5\rhello"),
                                  std::string("10000000000000000\r\n"),
                                  std::string("00000000000000005\r\nhello\r\n"),
                                  std::string("5;a\nb\r\nhello\r\n"),
                                  std::string("5;a\0b\r\nhello\r\n", 14),
                                  std::string("5; ") + std::string(257, 'e') + "\r\n",
                                  "0\r\n" + trailers_8 + "i:1\r\n\r\n",
                                  std::string("0\r\n: x\r\n\r\n"),
                                  std::string("0\r\nA: x\r\n b\r\n\r\n"),
                                  std::string("0\r\nA: x\n\r\n"),
                                  std::string("0\r\nA : x\r\n\r\n"),
                                  std::string("0\r\n\n")}) {
    INFO(body);
    CHECK(refused(chunked(body)) == 400);
  }
  std::string flood;  // Each extension is short, all of them are not.
  for (int i = 0; i < 300; ++i)
    flood += "1;e\r\nx\r\n";
  CHECK(refused(chunked(flood)) == 400);
  CHECK(refused(chunked("0\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n")) == 431);
}

TEST_CASE("a body over the limit is refused before it is read") {
  const ParserLimits small{.header_bytes = 1000, .body_bytes = 10};
  const std::string head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: ";
  CHECK(parse(head + "10\r\n\r\n0123456789", small) ==
        "PUT /a host=h content-length=10 {0123456789}\n");
  CHECK(parse(head + "11\r\n\r\n", small) ==
        "413 too_large limits.request_bytes 10 at 48: the body is too large");
  CHECK(refused(head + "9223372036854775807\r\n\r\n", small) == 413);
  CHECK(parse(chunked("5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), small) ==
        "PUT /a host=h transfer-encoding=chunked {0123456789}\n");
  CHECK(refused(chunked("5\r\n01234\r\n6\r\n"), small) == 413);
  CHECK(refused(chunked("ffffffffffffffff\r\n"), small) == 413);
}

TEST_CASE("lines, fields and heads over their limits are refused while they arrive") {
  const auto target = [](std::size_t bytes) { return "/" + std::string(bytes - 1, 'a'); };
  const std::size_t fits = limits::kHttpRequestLineBytesMax - std::string("GET  HTTP/1.1").size();
  CHECK(refused("GET " + target(fits) + " HTTP/1.1\r\nHost: h\r\n\r\n") == 0);
  CHECK(refused("GET " + target(fits + 1) + " HTTP/1.1\r\nHost: h\r\n\r\n") == 414);
  CHECK(refused("GET " + target(9000)) == 414);
  CHECK(refused(get("X: " + std::string(16'400, 'x') + "\r\n")) == 431);
  CHECK(refused(get("X: " + std::string(16'400, 'x'))) == 431);
  std::string fields;
  for (int i = 0; i < 63; ++i)
    fields += "a: b\r\n";  // And Host.
  CHECK(refused(get(fields)) == 0);
  CHECK(refused(get(fields + "c: d\r\n")) == 431);
  const std::string exact = get("");
  CHECK(refused(exact, {.header_bytes = exact.size(), .body_bytes = 0}) == 0);
  CHECK(refused(exact, {.header_bytes = exact.size() - 1, .body_bytes = 0}) == 431);
}

TEST_CASE("malformed heads are refused") {
  using namespace std::string_literals;
  for (const std::string& bytes : {get("A: b\r\n c\r\n"),
                                   get(" A: b\r\n"),
                                   get("A: b\r\n\tc\r\n"),
                                   get(": b\r\n"),
                                   get("A : b\r\n"),
                                   get("A\t: b\r\n"),
                                   get("A b\r\n"),
                                   get("A\r\n"),
                                   get("A: b\n"),
                                   get("A: b\rc\r\n"),
                                   get("A: b\x01\r\n"),
                                   get("A: \x7f\r\n"),
                                   get("A: b\0c\r\n"s),
                                   get("A\0: b\r\n"s),
                                   get("A\xc3: b\r\n"),
                                   "GET /a HTTP/1.1\nHost: h\n\n"s,
                                   "GET /a HTTP/1.1\r\nHost: h\r\n\n"s,
                                   "GET /a HTTP/1.1\rHost: h\r\n\r\n"s,
                                   "GET /a HTTP/1.1\r\n\r\n"s,
                                   "GET /a HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"s,
                                   "GET /a HTTP/1.0\r\nHost: h\r\nHost: i\r\n\r\n"s,
                                   "GET /a\r\n"s,
                                   "GET\r\n"s,
                                   "GET  /a"s,
                                   "GET  HTTP/1.1\r\n\r\n"s,
                                   "GET /a  HTTP/1.1\r\n"s,
                                   "GET /a b HTTP/1.1\r\n"s,
                                   "GET /a HTTP/1.1 \r\n"s,
                                   "GET /a HTTP/11\r\n"s,
                                   "GET /a http/1.1\r\n"s,
                                   "GET /a HTTP/1.1x\r\n"s,
                                   "GET /a XTTP/1.1\r\n"s,
                                   "GET /a#b HTTP/1.1\r\n\r\n"s,
                                   "GET /\xc3\xa4 HTTP/1.1\r\n\r\n"s,
                                   "GET /a\0b HTTP/1.1\r\n\r\n"s,
                                   "GET\t/a HTTP/1.1\r\n"s,
                                   "get /a HTTP/1.1\r\n"s,
                                   "G?T /a HTTP/1.1\r\n"s,
                                   " GET /a HTTP/1.1\r\n"s,
                                   "\0"s,
                                   "GET a HTTP/1.1\r\nHost: h\r\n\r\n"s,
                                   "GET * HTTP/1.1\r\nHost: h\r\n\r\n"s,
                                   "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n"s,
                                   "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n"s,
                                   "\x16\x03\x01\x02\x00\x01"s,
                                   "hello\r\n"s,
                                   std::string(100, 'A')}) {
    INFO(bytes);
    CHECK(refused(bytes) == 400);
  }
}

TEST_CASE("versions other than 1.0 and 1.1 are refused as such") {
  for (const char* version : {"0.9", "1.2", "1.9", "2.0", "3.0", "9.9"}) {
    INFO(version);
    CHECK(refused("GET / HTTP/" + std::string(version) + "\r\n") == 505);
  }
  CHECK(refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == 505);
}

TEST_CASE("known methods that nobody offers are requests, unknown words are not implemented") {
  CHECK(parse("PATCH /a HTTP/1.1\r\nHost: h\r\n\r\n") == "PATCH /a host=h\n");
  CHECK(parse("TRACE /a HTTP/1.1\r\nHost: h\r\n\r\n") == "TRACE /a host=h\n");
  CHECK(parse("PROPFIND /a HTTP/1.1\r\nHost: h\r\n\r\n") == "PROPFIND /a host=h\n");
  CHECK(parse("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n") == "CONNECT h:443 close host=h\n");
  for (const char* method : {"FOO", "GETX", "GE", "PRI", "SOURCE", "X-Y_Z", "DESCRIBE"}) {
    INFO(method);
    CHECK(refused(std::string(method) + " / HTTP/1.1\r\nHost: h\r\n\r\n") == 501);
  }
}

TEST_CASE("upgrades are ignored and the request is answered as any other") {
  const std::string upgrade =
      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n";
  CHECK(parse(get(upgrade) + get("")) ==
        "GET /a host=h connection=Upgrade, HTTP2-Settings upgrade=h2c "
        "http2-settings=AAMAAABkAAQ\nGET /a host=h\n");
  CHECK(parse("PUT /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
              "Content-Length: 2\r\n\r\nhi" +
              get("")) ==
        "PUT /a host=h connection=Upgrade upgrade=h2c content-length=2 {hi}\nGET /a host=h\n");
}

TEST_CASE("absolute targets are cut down to their path and query") {
  const auto target_of = [](std::string_view method, std::string_view target) {
    return parse(std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n");
  };
  CHECK(target_of("GET", "http://other:1/kv/a?x") == "GET /kv/a?x host=h\n");
  CHECK(target_of("GET", "HTTP://other") == "GET / host=h\n");
  CHECK(target_of("GET", "https://other?x=/") == "GET /?x=/ host=h\n");
  CHECK(target_of("OPTIONS", "http://other") == "OPTIONS * host=h\n");
  CHECK(target_of("OPTIONS", "*") == "OPTIONS * host=h\n");
  CHECK(target_of("GET", "//other/a") == "GET //other/a host=h\n");
}

TEST_CASE("the expectation 100-continue is met, any other is not") {
  const auto put = [](std::string_view fields, std::string_view version) {
    return "PUT /a HTTP/" + std::string(version) + "\r\nHost: h\r\nContent-Length: 1\r\n" +
           std::string(fields) + "\r\nx";
  };
  CHECK(parse(put("Expect: 100-Continue\r\n", "1.1")) ==
        "PUT /a continue host=h content-length=1 expect=100-Continue {x}\n");
  CHECK(parse(put("Expect: 100-continue\r\n", "1.0")) ==
        "PUT /a 1.0 close host=h content-length=1 expect=100-continue {x}\n");
  CHECK(refused(put("Expect: 200-ok\r\n", "1.1")) == 417);
  CHECK(refused(put("Expect:\r\n", "1.1")) == 417);
  CHECK(refused(put("Expect: 100-continue, 100-continue\r\n", "1.1")) == 417);
}

TEST_CASE("a body that is not wanted is counted but not kept") {
  RequestParser parser;
  const std::string head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
  CHECK(parser.feed(head, kBounds).event == RequestParser::Event::kHead);
  CHECK(parser.body_left() == 5);
  parser.discard_body();
  const RequestParser::Step step = parser.feed("helloGET", kBounds);
  CHECK(step.event == RequestParser::Event::kRequest);
  CHECK(step.consumed == 5);
  CHECK(parser.take().body.empty());
  CHECK(!parser.discarding());
}

TEST_CASE("a request that was let go leaves the memory of an ordinary one, and nothing in it") {
  RequestParser parser;
  const auto feed_whole = [&](const std::string& bytes) {
    std::size_t at = 0;
    while (parser.phase() != RequestParser::Phase::kWhole)
      at += parser.feed(std::string_view(bytes).substr(at), kBounds).consumed;
    return show(parser.request());
  };
  const std::string ordinary =
      "PUT /a/longer/key/than/that HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
      "Connection: close\r\nContent-Length: 40\r\n\r\n" +
      std::string(40, 'v');
  feed_whole(ordinary);
  const char* const body = parser.request().body.data();
  const Header* const headers = parser.request().headers.data();
  parser.next();
  CHECK(parser.request().body.data() == body);
  CHECK(parser.request().headers.data() == headers);
  CHECK(feed_whole("GET /b HTTP/1.1\r\nHost: h\r\n\r\n") == "GET /b host=h\n");
  parser.next();
  std::string large = "PUT /" + std::string(3000, 'k') + " HTTP/1.1\r\nHost: h\r\n";
  for (int i = 0; i < 40; ++i)
    large += strf("X-%d: 1\r\n", i);
  feed_whole(large + "Content-Length: 5000\r\n\r\n" + std::string(5000, 'v'));
  parser.next();
  CHECK(parser.request().target.capacity() <= 1024);
  CHECK(parser.request().body.capacity() <= 1024);
  CHECK(parser.request().headers.capacity() <= 16);
}

TEST_CASE("a head is told of before its body, unless that comes with it") {
  const std::string head = "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";
  RequestParser parser;
  RequestParser::Step step = parser.feed(head + "hell", kBounds);
  CHECK(step.event == RequestParser::Event::kHead);
  CHECK(step.consumed == head.size());
  CHECK(parser.feed("hell", kBounds).event == RequestParser::Event::kMore);
  CHECK(parser.feed("o", kBounds).event == RequestParser::Event::kRequest);
  CHECK(parser.take().body == "hello");
  step = parser.feed(head + "helloGET", kBounds);
  CHECK(step.event == RequestParser::Event::kRequest);
  CHECK(step.consumed == head.size() + 5);
  CHECK(parser.take().body == "hello");
}

TEST_CASE("the body of a POST to a streamed path is given as it comes, of any length") {
  const std::vector<std::string_view> paths{"/open", "/v2/open"};
  const ParserLimits bounds{
      .header_bytes = limits::kHttpHeaderBytesMax, .body_bytes = 4, .streamed_paths = paths};
  const auto post = [](std::string_view target, std::string_view fields) {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) +
           "\r\n";
  };
  CHECK(parse(post("/open?a", "Content-Length: 9\r\n") + "some more" + get(""), bounds) ==
        "POST /open?a host=h content-length=9\nopened some more\nGET /a host=h\n");
  CHECK(parse(post("/v2/open", "Transfer-Encoding: chunked\r\n") +
                  "5\r\nsome \r\n4\r\nmore\r\n0\r\n\r\n" + get(""),
              bounds) ==
        "POST /v2/open host=h transfer-encoding=chunked\nopened some more\nGET /a host=h\n");
  CHECK(parse(post("http://h/open", "Content-Length: 9\r\n") + "some", bounds) ==
        "POST /open host=h content-length=9\nopened somebody");
  CHECK(parse(post("/open", "") + post("/open", "Content-Length: 0\r\n"), bounds) ==
        "POST /open host=h\nopened without body\n"
        "POST /open host=h content-length=0\nopened without body\n");
  CHECK(parse(post("/open", "Transfer-Encoding: chunked\r\n") + "4\r\nmore\r\nx", bounds) ==
        "POST /open host=h transfer-encoding=chunked\nopened more then 400 bad_request  0 at 70: a "
        "chunk "
        "has no size");
  // Another path or method is as it was.
  CHECK(refused(post("/opened", "Content-Length: 9\r\n"), bounds) == 413);
  CHECK(refused(post("/", "Content-Length: 9\r\n"), bounds) == 413);
  CHECK(refused("PUT /open HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n", bounds) == 413);
}

TEST_CASE("what was taken of a streamed body is not kept") {
  const std::vector<std::string_view> paths{"/open"};
  const ParserLimits bounds{.header_bytes = limits::kHttpHeaderBytesMax,
                            .body_bytes = limits::kRequestBytesMax,
                            .streamed_paths = paths};
  RequestParser parser;
  const std::string head = "POST /open HTTP/1.1\r\nHost: h\r\nContent-Length: 200000000\r\n\r\n";
  REQUIRE(parser.feed(head, bounds).event == RequestParser::Event::kOpened);
  const std::size_t at_first = parser.request().body.capacity();
  const std::string piece(100'000, 'x');
  for (int i = 0; i < 1999; ++i) {
    REQUIRE(parser.feed(piece, bounds).event == RequestParser::Event::kMore);
    REQUIRE(parser.take_body() == piece);
  }
  CHECK(parser.request().body.capacity() == at_first);
  CHECK(parser.body_left() == piece.size());
  CHECK(parser.feed(piece, bounds).event == RequestParser::Event::kRequest);
}

TEST_CASE("a head that came at once is read as one that came byte by byte") {
  const std::string host = "Host: h\r\n";
  for (const char* line :
       {"GET /a HTTP/1.1", "get /a HTTP/1.1", "PATCH /a HTTP/1.1", "GET /a HTTP/1.0",
        "GET * HTTP/1.1", "GET http://h/a HTTP/1.1", "GET /a%20?b=#c HTTP/1.1", "GET  /a HTTP/1.1",
        "GET /a  HTTP/1.1", "GET /a HTTP/1.1 ", "GETS /a HTTP/1.1", "HEAD /\"<>[]{}|^`\\~ HTTP/1.1",
        "\r\nGET /a HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\xc3\xa4 HTTP/1.1",
        "CONNECT h:1 HTTP/1.1"}) {
    parse(std::string(line) + "\r\n" + host + "\r\n");
    parse(std::string(line) + "\n" + host + "\r\n");
  }
  for (const char* field : {"A:b",
                            "A: b \t",
                            "A:\t b",
                            "A:",
                            "A: ",
                            " A: b",
                            "A : b",
                            ":b",
                            "A",
                            "A: \x7f",
                            "A: \xff\xc3",
                            "A: b\rc",
                            "A: b\r\n c",
                            "Connection: keep-alive",
                            "Connection: Keep-Alive, x",
                            "Connection: close",
                            "Connection:",
                            "Upgrade: websocket\r\nConnection: upgrade",
                            "Proxy-Connection: close",
                            "Transfer-Encoding: chunked",
                            "Transfer-Encoding: chunked ",
                            "CONTENT-LENGTH: 0",
                            "Content-Length: 00",
                            "Content-Length: +0",
                            "Content-Length:",
                            "Content-Length: 0 ",
                            "Content-Length: 0 0",
                            "Content-Length: 0, 0",
                            "Content-Length: 0\r\nContent-Length: 0",
                            "Content-Length: 000000000000000000",
                            "Content-Length: 0000000000000000000",
                            "Content-Length: 18446744073709551615",
                            "Content-Length: 0\r\nTransfer-Encoding: chunked",
                            "Host: i",
                            "Expect: 100-continue"}) {
    for (const char* method : {"GET", "PUT", "HEAD"}) {
      parse(std::string(method) + " /a HTTP/1.1\r\n" + host + field + "\r\n\r\n0\r\n\r\n");
    }
  }
}

TEST_CASE("limits of a head are the same for one that came at once") {
  const std::string end = " HTTP/1.1\r\nHost: h\r\n\r\n";
  for (const std::size_t over : {0u, 1u, 2u, 3u}) {
    const std::string line =
        "GET /" + std::string(limits::kHttpRequestLineBytesMax - 15 + over, 'a');
    const int expected = (line + " HTTP/1.1").size() > limits::kHttpRequestLineBytesMax ? 414 : 0;
    CHECK(refused(line + end) == expected);
    std::string fields;
    for (std::size_t i = 0; i + 2 < limits::kHttpHeaderFieldsMax + over; ++i)
      fields += "A: b\r\n";
    CHECK(refused(get(fields)) == (over > 1 ? 431 : 0));
    const std::string whole = get("A: b\r\n");
    CHECK(refused(whole, {.header_bytes = whole.size() + 1 - over, .body_bytes = 1}) ==
          (over > 1 ? 431 : 0));
  }
}

TEST_CASE("it is known early that a refused request was a HEAD") {
  RequestParser parser;
  CHECK(parser.feed("HEAD /a HTTP/1.1\r\n\r\n", kBounds).event == RequestParser::Event::kRefused);
  CHECK(parser.is_head());
}

TEST_CASE("requests with random changes never give different results by how they are cut") {
  const std::vector<std::string> seeds = {
      get("A: b\r\nConnection: keep-alive\r\n"),
      "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
      chunked("5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n")};
  Rng rng(7);
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = seeds[rng.below(seeds.size())] + seeds[rng.below(seeds.size())];
    for (std::uint64_t n = rng.below(4); n > 0; --n) {
      const std::size_t at = rng.below(bytes.size());
      static constexpr std::string_view kOdd("\r\n :;\0\t0aA\xff,", 13);
      switch (rng.below(3)) {
        case 0:
          bytes[at] = kOdd[rng.below(kOdd.size())];
          break;
        case 1:
          bytes.erase(at, 1);
          break;
        default:
          bytes.insert(at, 1, kOdd[rng.below(kOdd.size())]);
      }
    }
    INFO(bytes);
    const std::string whole = parse_in_pieces(bytes, bytes.size(), kBounds);
    REQUIRE(parse_in_pieces(bytes, 1, kBounds) == whole);
    REQUIRE(parse_in_pieces(bytes, 5, kBounds) == whole);
  }
}

}  // namespace raftd::http
