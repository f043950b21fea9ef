// Responses as bytes: what stands in the head, and when there is a body.
#include "http/response.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace raftd::http {

namespace {

class NoSource final : public BodySource {
 public:
  Next next(std::string&) override { return Next::kEnd; }
};

Response text(int status, std::string body) {
  Response response;
  response.status = status;
  response.fields = "Raftd-Node: 1\r\n";
  response.body = std::move(body);
  return response;
}

std::string whole(const Response& response, ResponseContext context, Appended* appended = nullptr) {
  context.date = "D";
  std::string out;
  const Appended result = append_head(out, response, context);
  if (result.body) out += response.body;
  if (appended != nullptr) *appended = result;
  return out;
}

}  // namespace

TEST_CASE("a response carries its date, its fields and its length") {
  Appended appended;
  CHECK(whole(text(200, "hi\n"), {}, &appended) ==
        "HTTP/1.1 200 OK\r\nDate: D\r\nRaftd-Node: 1\r\nContent-Length: 3\r\n\r\nhi\n");
  CHECK(appended.form == BodyForm::kComplete);
  CHECK(!appended.close);
}

TEST_CASE("a HEAD response has the length of the body it leaves out") {
  CHECK(whole(text(404, "hi\n"), {.head_request = true}) ==
        "HTTP/1.1 404 Not Found\r\nDate: D\r\nRaftd-Node: 1\r\nContent-Length: 3\r\n\r\n");
}

TEST_CASE("204 and 304 have neither body nor length") {
  CHECK(whole(text(204, "x"), {}) == "HTTP/1.1 204 No Content\r\nDate: D\r\nRaftd-Node: 1\r\n\r\n");
  CHECK(whole(text(304, "x"), {}) ==
        "HTTP/1.1 304 Not Modified\r\nDate: D\r\nRaftd-Node: 1\r\n\r\n");
}

TEST_CASE("whether the connection stays open is said when it is not what the version implies") {
  Appended appended;
  CHECK(whole(text(200, ""), {.keep_alive = false}, &appended).find("Connection: close\r\n") !=
        std::string::npos);
  CHECK(appended.close);
  CHECK(whole(text(200, ""), {.http_1_0 = true}).find("Connection: keep-alive\r\n") !=
        std::string::npos);
  Response closing = text(200, "");
  closing.close = true;
  CHECK(whole(closing, {}, &appended).find("Connection: close\r\n") != std::string::npos);
  CHECK(appended.close);
}

TEST_CASE("a stream is chunked, or in HTTP/1.0 ended by the close") {
  Response stream = text(200, "");
  stream.stream = std::make_unique<NoSource>();
  Appended appended;
  CHECK(whole(stream, {}, &appended) ==
        "HTTP/1.1 200 OK\r\nDate: D\r\nRaftd-Node: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
  CHECK(appended.form == BodyForm::kChunked);
  CHECK(whole(stream, {.http_1_0 = true, .keep_alive = true}, &appended) ==
        "HTTP/1.1 200 OK\r\nDate: D\r\nRaftd-Node: 1\r\nConnection: close\r\n\r\n");
  CHECK(appended.form == BodyForm::kUntilClose);
  CHECK(appended.close);
  CHECK(whole(stream, {.head_request = true}, &appended).find("chunked") != std::string::npos);
  CHECK(appended.form == BodyForm::kComplete);
}

TEST_CASE("chunks are framed and never empty by accident") {
  std::string out;
  append_chunk(out, "");
  CHECK(out.empty());
  append_chunk(out, std::string(26, 'x'));
  append_last_chunk(out);
  CHECK(out == "1a\r\n" + std::string(26, 'x') + "\r\n0\r\n\r\n");
  out.clear();
  append_last_chunk(out, "Sum: 1\r\n");
  CHECK(out == "0\r\nSum: 1\r\n\r\n");
}

TEST_CASE("dates are written as HTTP wants them") {
  CHECK(http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(http_date(951782399) == "Mon, 28 Feb 2000 23:59:59 GMT");
  CHECK(http_date(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
  CHECK(http_date(4102444799) == "Thu, 31 Dec 2099 23:59:59 GMT");
}

TEST_CASE("each status of the native API has its line") {
  for (const int status : {200, 201, 204, 304, 307, 400, 401, 403, 404, 405, 406, 408, 409, 410,
                           412, 413, 414, 417, 421, 422, 429, 431, 500, 501, 503, 504, 505, 507}) {
    INFO(status);
    CHECK(status_line(status).starts_with(strf("HTTP/1.1 %d ", status)));
    CHECK(status_line(status).ends_with("\r\n"));
  }
}

}  // namespace raftd::http
