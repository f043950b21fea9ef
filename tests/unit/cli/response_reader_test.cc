// Goal: an answer is understood wherever it is cut, and a hostile one is refused within the limits.
#include "cli/response_reader.h"

#include <doctest/doctest.h>

namespace raftd::cli {
namespace {

struct Read {
  bool complete = false;
  std::string error;
  HttpAnswer answer;
};

Read read(const std::string& text, std::size_t step, bool close = false) {
  ResponseReader reader;
  for (std::size_t at = 0; at < text.size(); at += step) {
    if (Status fed = reader.feed(std::string_view(text).substr(at, step)); !fed) {
      return {false, fed.error().message, {}};
    }
  }
  if (close) {
    if (Status closed = reader.closed(); !closed) return {false, closed.error().message, {}};
  }
  return {reader.complete(), "", reader.answer()};
}

}  // namespace

TEST_CASE("counted, chunked and closed bodies are the same whole or byte by byte") {
  const std::string head = "HTTP/1.1 200 OK\r\nETag:  \"4\" \r\n";
  for (const std::string& text :
       {head + "Content-Length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 5\r\n\r\nhello",
        head + "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nT: x\r\n\r\n",
        head + "\r\nhello"}) {
    CAPTURE(text);
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, text.size()}) {
      const Read got = read(text, step, text.ends_with("\r\n\r\nhello"));
      CHECK(got.error.empty());
      CHECK(got.complete);
      CHECK(got.answer.status == 200);
      CHECK(got.answer.body == "hello");
      CHECK(got.answer.headers.at("etag") == "\"4\"");
    }
  }
  CHECK(read("HTTP/1.1 204 No Content\r\n\r\n", 3).complete);
  CHECK(read("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 3).complete);
}

TEST_CASE("what is not a whole HTTP answer is refused") {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  for (const std::string& text :
       {std::string("\x15\x03\x03"), std::string("SSH-2.0-x\r\n"),
        std::string("HTTP/2 200\r\n\r\n"), std::string("HTTP/1.1 2x0 OK\r\n\r\n"),
        ok + "no colon\r\n\r\n", ok + ": empty\r\n\r\n", ok + "Content-Length: -1\r\n\r\n",
        ok + "Content-Length: 99999999999999\r\n\r\n", ok + "Transfer-Encoding: gzip\r\n\r\n",
        ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        ok + "Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n",
        ok + "X: " + std::string(70'000, 'x'),
        ok + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(70'000, 'x')}) {
    CAPTURE(text.substr(0, 60));
    CHECK_FALSE(read(text, text.size()).error.empty());
  }
  CHECK_FALSE(read(ok + "Content-Length: 5\r\n\r\nhell", 4, true).error.empty());
  CHECK_FALSE(read(ok.substr(0, 9), 4, true).error.empty());
  CHECK_FALSE(read("", 4, true).error.empty());
}

TEST_CASE("a body that ends with the connection is bounded too") {
  ResponseReader reader;
  REQUIRE(static_cast<bool>(reader.feed("HTTP/1.1 200 OK\r\n\r\n")));
  const std::string block(limits::kMiB, 'x');
  std::size_t taken = 0;
  while (taken < 100 && reader.feed(block))
    ++taken;
  CHECK(taken == kAnswerBodyBytesMax / block.size());
}

TEST_CASE("a sink gets the body of a 200 of any size, and the trailers are kept") {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = head +
                              "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n"
                              "Sum-Of: 7 \r\nB: c\r\n\r\n";
  for (const std::string& text :
       {chunked, head + "Content-Length: 5\r\n\r\nhello", head + "\r\nhello"}) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, text.size()}) {
      std::string taken;
      ResponseReader reader([&](std::string_view piece) {
        taken += piece;
        return Status(Done{});
      });
      for (std::size_t at = 0; at < text.size(); at += step)
        REQUIRE(reader.feed(std::string_view(text).substr(at, step)));
      if (text.ends_with("\r\n\r\nhello")) REQUIRE(reader.closed());
      CHECK(reader.complete());
      CHECK(taken == "hello");
      CHECK(reader.answer().body.empty());
      if (text == chunked) CHECK(reader.answer().trailers.at("sum-of") == "7");
    }
  }
  std::uint64_t bytes = 0;
  ResponseReader reader([&](std::string_view piece) {
    bytes += piece.size();
    return Status(Done{});
  });
  REQUIRE(reader.feed(head + "Content-Length: 104857600\r\n\r\n"));
  const std::string block(limits::kMiB, 'x');
  for (int i = 0; i < 100; ++i)
    REQUIRE(reader.feed(block));
  CHECK(reader.complete());
  CHECK(bytes == 100 * limits::kMiB);
}

TEST_CASE("a refusal is kept though there is a sink, and what the sink says ends the reading") {
  ResponseReader refused([](std::string_view) { return Status(Done{}); });
  REQUIRE(refused.feed("HTTP/1.1 429 X\r\nContent-Length: 2\r\n\r\nno"));
  CHECK(refused.answer().body == "no");
  ResponseReader stopped([](std::string_view) { return Status(Error{Errc::kIo, "full"}); });
  const Status fed = stopped.feed("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nno");
  REQUIRE(!fed);
  CHECK(fed.error().message == "full");
}

}  // namespace raftd::cli
