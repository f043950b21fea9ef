// libFuzzer: any bytes as a stream of HTTP requests. Proves: how they are cut in pieces changes
// nothing, nor that a body is given as it comes; limits hold; a plain reading of the framing rules
// finds the same end of each accepted request, and written anew it is the same request, so that no
// other server can be led to see one where raftd sees two.
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/limits.h"
#include "base/rng.h"
#include "base/text.h"
#include "http/parser.h"

namespace {

using namespace raftd;
using http::ParserLimits;
using http::Request;
using http::RequestParser;

constexpr auto npos = std::string_view::npos;

// What came out, and where each accepted request ended. heads: that came before their bodies.
struct Seen {
  std::string events;
  std::size_t heads = 0;
  std::vector<Request> requests;
  std::vector<std::size_t> ends;
};

std::string show(const Request& request, bool body) {
  std::string text = request.method_name + " " + request.target;
  text += request.http_1_0 ? " 1.0" : " 1.1";
  if (!request.keep_alive) text += " close";
  if (request.expects_continue) text += " continue";
  for (const http::Header& header : request.headers) {
    const bool framing = header.name == "content-length" || header.name == "transfer-encoding";
    if (!framing) text += "\n" + header.name + "=" + header.value;
  }
  return body ? text + "\n\n" + request.body : text;
}

enum class Cut : std::uint8_t { kWhole, kBytes, kPieces };

Seen parse(std::string_view bytes, const ParserLimits& bounds, Cut cut, bool keep_bodies) {
  Rng rng(crc32c(as_bytes(bytes)));
  RequestParser parser;
  Seen seen;
  std::string streamed;  // Of the body of the request that is being read.
  std::size_t end = 0;
  std::size_t at = 0;
  while (at < bytes.size()) {
    if (at == end) {
      if (cut == Cut::kWhole) end = bytes.size();
      if (cut == Cut::kBytes) end += 1;
      if (cut == Cut::kPieces) end = std::min(bytes.size(), end + 1 + rng.below(40));
    }
    const RequestParser::Step step = parser.feed(bytes.substr(at, end - at), bounds);
    ASSERT_CMP(step.consumed, <=, end - at);
    at += step.consumed;
    switch (step.event) {
      case RequestParser::Event::kMore:
        ASSERT_CMP(at, ==, end);
        if (!bounds.streamed_paths.empty()) streamed += parser.take_body();
        break;
      case RequestParser::Event::kHead:
        ASSERT_CMP(parser.body_left(), >, 0U);
        ASSERT(parser.request().body.empty());
        ++seen.heads;
        if (!keep_bodies) parser.discard_body();
        break;
      case RequestParser::Event::kOpened:
        ASSERT(parser.request().method == http::Method::kPost);
        ASSERT(parser.request().body.empty());
        if (parser.phase() == RequestParser::Phase::kBody) break;
        ASSERT(parser.phase() == RequestParser::Phase::kWhole);
        [[fallthrough]];
      case RequestParser::Event::kRequest:
        seen.requests.push_back(parser.take());
        seen.requests.back().body.insert(0, std::exchange(streamed, {}));
        seen.ends.push_back(at);
        seen.events += strf("request at %zu: ", at) + show(seen.requests.back(), keep_bodies);
        break;
      case RequestParser::Event::kRefused: {
        const http::Refusal& refusal = parser.refusal();
        ASSERT_CMP(refusal.status, >=, 400);
        ASSERT(!refusal.message.empty());
        seen.events +=
            strf("%d at %zu %d: ", refusal.status, at, parser.is_head() ? 1 : 0) + refusal.message;
        return seen;
      }
    }
  }
  return seen;
}

// Where a chunked body ends that begins at begin. A plain reading of RFC 9112, 7.1.
std::size_t end_of_chunks(std::string_view bytes, std::size_t begin, std::string& body) {
  std::size_t at = begin;
  for (;;) {
    const std::size_t line = bytes.find("\r\n", at);
    ASSERT(line != npos);
    std::size_t size = 0;
    const auto [digits, error] = std::from_chars(bytes.data() + at, bytes.data() + line, size, 16);
    ASSERT(error == std::errc());
    ASSERT(digits == bytes.data() + line || *digits == ';');
    at = line + 2;
    if (size == 0) break;
    body += bytes.substr(at, size);
    ASSERT(bytes.substr(at + size, 2) == "\r\n");
    at += size + 2;
  }
  while (bytes.substr(at, 2) != "\r\n") {
    at = bytes.find("\r\n", at);
    ASSERT(at != npos);
    at += 2;
  }
  return at + 2;
}

// The request that was accepted from begin to end, by its own headers and nothing else.
void check_framing(std::string_view bytes, std::size_t begin, std::size_t end,
                   const Request& request, const ParserLimits& bounds) {
  while (bytes.substr(begin, 2) == "\r\n")
    begin += 2;
  const std::size_t head_end = bytes.find("\r\n\r\n", begin);
  ASSERT(head_end != npos);
  const std::string_view head = bytes.substr(begin, head_end - begin);
  for (std::size_t i = 0; i < head.size(); ++i) {
    if (head[i] == '\n') ASSERT(i > 0 && head[i - 1] == '\r');
    if (head[i] == '\r') ASSERT(i + 1 < head.size() && head[i + 1] == '\n');
    ASSERT(head[i] != '\0');
  }
  const std::size_t lengths = request.header_count("content-length");
  const std::size_t encodings = request.header_count("transfer-encoding");
  ASSERT_CMP(lengths + encodings, <=, 1U);
  std::size_t expected_end = head_end + 4;
  if (lengths != 0) {
    std::uint64_t length = 0;
    ASSERT(parse_u64(*request.header("content-length"), length));
    ASSERT_CMP(request.body.size(), ==, length);
    ASSERT(bytes.substr(expected_end, length) == request.body);
    expected_end += length;
  } else if (encodings != 0) {
    ASSERT(*request.header("transfer-encoding") == "chunked");
    ASSERT(!request.http_1_0);
    std::string body;
    expected_end = end_of_chunks(bytes, expected_end, body);
    ASSERT(body == request.body);
  } else {
    ASSERT(request.body.empty());
  }
  ASSERT_CMP(end, ==, expected_end);
  ASSERT_CMP(head.size() + 4, <=, bounds.header_bytes);
  ASSERT_CMP(request.body.size(), <=, bounds.body_bytes);
  ASSERT_CMP(request.target.size(), <=, limits::kHttpRequestLineBytesMax);
  ASSERT_CMP(request.headers.size(), <=, limits::kHttpHeaderFieldsMax);
  ASSERT(request.http_1_0 || request.header_count("host") == 1);
}

void check_same_when_written_anew(const Request& request) {
  std::string text = request.method_name + " " + request.target;
  text += request.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n";
  for (const http::Header& header : request.headers) {
    const bool framing = header.name == "content-length" || header.name == "transfer-encoding";
    text += framing ? strf("Content-Length: %zu", request.body.size())
                    : header.name + ": " + header.value;
    text += "\r\n";
  }
  text += "\r\n" + request.body;
  const ParserLimits wide{2 * limits::kHttpHeaderBytesMax, limits::kRequestBytesMax};
  const Seen again = parse(text, wide, Cut::kWhole, true);
  ASSERT_CMP(again.requests.size(), ==, 1U);
  ASSERT_CMP(again.ends.front(), ==, text.size());
  ASSERT(show(again.requests.front(), true) == show(request, true));
}

// Each head is told of before its body, unless that came with it. The last one perhaps has no end.
void check_heads(const Seen& whole, const Seen& slowly) {
  std::size_t bodies = 0;
  for (const Request& request : slowly.requests)
    bodies += !request.body.empty() || request.header("transfer-encoding") != nullptr ? 1 : 0;
  ASSERT_CMP(slowly.heads, >=, bodies);
  ASSERT_CMP(slowly.heads, <=, bodies + 1);
  ASSERT_CMP(whole.heads, <=, slowly.heads);
}

// Where bodies are given as they come; they may be larger then, so that more is accepted.
void check_streamed(std::string_view bytes, ParserLimits bounds, const Seen& whole) {
  constexpr std::string_view kPaths[] = {"/open", "/"};
  bounds.streamed_paths = kPaths;
  const Seen streamed = parse(bytes, bounds, Cut::kPieces, true);
  ASSERT_CMP(streamed.requests.size(), >=, whole.requests.size());
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    ASSERT_CMP(streamed.ends[i], ==, whole.ends[i]);
    ASSERT(show(streamed.requests[i], true) == show(whole.requests[i], true));
  }
}

void check(std::string_view bytes, const ParserLimits& bounds) {
  const Seen whole = parse(bytes, bounds, Cut::kWhole, true);
  const Seen slowly = parse(bytes, bounds, Cut::kBytes, true);
  ASSERT(slowly.events == whole.events);
  ASSERT(parse(bytes, bounds, Cut::kPieces, true).events == whole.events);
  check_heads(whole, slowly);
  check_streamed(bytes, bounds, whole);
  const Seen discarded = parse(bytes, bounds, Cut::kPieces, false);
  ASSERT(discarded.ends == whole.ends);
  std::size_t begin = 0;
  for (std::size_t i = 0; i < whole.requests.size(); ++i) {
    check_framing(bytes, begin, whole.ends[i], whole.requests[i], bounds);
    check_same_when_written_anew(whole.requests[i]);
    begin = whole.ends[i];
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, {limits::kHttpHeaderBytesMax, limits::kRequestBytesMax});
  check(bytes, {128, 16});
  return 0;
}
