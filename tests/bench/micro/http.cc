// A request of a load generator and one of a browser-like client; the answer to a put.
#include <benchmark/benchmark.h>

#include "base/limits.h"
#include "http/parser.h"
#include "http/response.h"

namespace raftd {
namespace {

constexpr http::ParserLimits kLimits{limits::kHttpHeaderBytesMax, limits::kRequestBytesMax};

void parse(benchmark::State& state, const std::string& bytes) {
  http::RequestParser parser;
  for (auto _ : state) {
    std::string_view left = bytes;
    while (!left.empty())
      left.remove_prefix(parser.feed(left, kLimits).consumed);
    benchmark::DoNotOptimize(parser.take());
  }
}

const std::string kGet = "GET /kv/key00000001 HTTP/1.1\r\nHost: 127.0.0.1:2379\r\n\r\n";
const std::string kPut =
    "PUT /kv/key00000001 HTTP/1.1\r\nHost: 127.0.0.1:2379\r\nContent-Length: 100\r\n\r\n" +
    std::string(100, 'v');
const std::string kPutOfLibrary =
    "PUT /kv/key00000001 HTTP/1.1\r\nHost: 127.0.0.1:2379\r\nUser-Agent: python-requests/2.28.1\r\n"
    "Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n"
    "Content-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\n" +
    std::string(100, 'v');
BENCHMARK_CAPTURE(parse, get, kGet);
BENCHMARK_CAPTURE(parse, put, kPut);
BENCHMARK_CAPTURE(parse, put_of_library, kPutOfLibrary);

void response_head(benchmark::State& state) {
  http::Response response;
  response.fields =
      "Content-Type: application/json\r\nRaftd-Revision: 123456\r\nRaftd-Index: 123460\r\n"
      "Raftd-Node: 1\r\nRaftd-Cluster: 8f1c0a93d2be7745\r\nRaftd-Term: 3\r\n"
      "Raftd-Leader: http://10.0.0.1:2379\r\nETag: \"123456\"\r\n";
  response.body = "{\"revision\":123456,\"created\":false}\n";
  std::string out;
  for (auto _ : state) {
    out.clear();
    benchmark::DoNotOptimize(
        http::append_head(out, response, {.date = "Sun, 06 Nov 1994 08:49:37 GMT"}));
    out += response.body;
  }
}
BENCHMARK(response_head);

}  // namespace
}  // namespace raftd
