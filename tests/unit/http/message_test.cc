// Goal: what a connection's next request finds is nothing of the one before.
// Method: a request with something in every field; a new field does not compile here until it is
// looked at, too.
#include "http/message.h"

#include <doctest/doctest.h>

namespace raftd::http {
namespace {

TEST_CASE("a request that was cleared is as a new one, in each of its fields") {
  Request request{Method::kPost, "POST", "/kv/a?meta", {{"a", "b"}}, "body", true, false, true};
  request.clear();
  const Request fresh;
  const auto& [method, name, target, headers, body, http_1_0, keep_alive, expects] = request;
  CHECK((method == fresh.method));
  CHECK((name == fresh.method_name));
  CHECK((target == fresh.target));
  CHECK((headers.empty()));
  CHECK((body == fresh.body));
  CHECK((http_1_0 == fresh.http_1_0));
  CHECK((keep_alive == fresh.keep_alive));
  CHECK((expects == fresh.expects_continue));
}

}  // namespace
}  // namespace raftd::http
