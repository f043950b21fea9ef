// Reads that wait for a change (native API, 5.1 and 6): of a key, and of all keys under a prefix.
#include "unit/api/watch_fixture.h"

namespace raftd::api {
namespace {

struct Polls : WatchFixture {
  RequestId poll(const std::string& target, std::vector<http::Header> headers = {},
                 const char* method = "GET") {
    const RequestId id = send(make(method, target, std::move(headers)));
    settle();
    return id;
  }
  RequestId poll_tag(const std::string& target, const std::string& tag) {
    return poll(target, {{"if-none-match", tag}});
  }
  void settle() {
    do {
      service.pump(time);
      run();
    } while (service.has_more());
  }
  http::Response at(int ms, RequestId id) {
    time = at_ms(ms);
    settle();
    return take(id);
  }
};

}  // namespace

TEST_CASE("a GET with a tag waits while the key is as the client has it") {
  Polls f;
  f.put("a", "1");
  f.put("b", "1");
  const RequestId id = f.poll_tag("/kv/a?wait=30s", "\"2\"");
  CHECK_FALSE(f.answered(id));
  CHECK(f.backend.asked.empty());  // It is not asked again and again.
  f.put("b", "2");
  f.settle();
  CHECK_FALSE(f.answered(id));
  f.put("a", "2");
  f.settle();
  const http::Response response = f.take(id);
  CHECK(response.status == 200);
  CHECK(response.body == "2");
  CHECK(field(response, "ETag") == "\"5\"");
  CHECK(field(response, "Raftd-Consistency") == "linearizable");
  CHECK(f.service.next_wakeup() == Instant::never());
}

TEST_CASE("another state than the client's is answered at once, absence as 404") {
  Polls f;
  f.put("a", "1");
  CHECK(f.take(f.poll_tag("/kv/a?wait=30s", "\"1\"")).status == 200);
  CHECK(f.take(f.poll_tag("/kv/a?wait=30s", "\"0\"")).status == 200);
  CHECK(f.take(f.poll_tag("/kv/x?wait=30s", "\"3\"")).status == 404);
  const RequestId absent = f.poll_tag("/kv/x?wait=30s", "\"0\"");
  const RequestId present = f.poll_tag("/kv/a?wait=30s", "\"2\"");
  f.del("a");
  f.settle();
  CHECK(f.take(present).status == 404);
  f.put("x", "1");
  f.del("x");
  f.settle();
  CHECK_FALSE(f.answered(absent));  // It is absent still, or again.
  f.put("x", "2");
  f.settle();
  CHECK(f.take(absent).body == "2");
}

TEST_CASE("304 when the time is over, with the tag and the revision of then") {
  Polls f;
  f.put("a", "1");
  const RequestId tag = f.poll_tag("/kv/a?wait=30s", "\"2\"");
  const RequestId after = f.poll("/kv/a?wait=20&after=2");
  const RequestId future = f.poll("/kv/a?wait=20s&after=100");
  const RequestId absent = f.poll("/kv/x?wait=20s&after=2");
  f.put("b", "1");
  CHECK(f.service.next_wakeup() == at_ms(21'000));
  f.time = at_ms(20'999);
  f.settle();
  for (const RequestId id : {tag, after, future, absent})
    CHECK_FALSE(f.answered(id));
  for (const RequestId id : {after, future, absent}) {
    const http::Response response = f.at(21'000, id);
    CHECK(response.status == 304);
    CHECK(response.body.empty());
    CHECK(field(response, "Raftd-Revision") == "3");
    CHECK(field(response, "ETag") == (id == absent ? "\"0\"" : "\"2\""));
  }
  CHECK(f.at(31'000, tag).status == 304);
  CHECK(contains(f.now("GET", "/status").body, "\"watchers\":0,"));
}

TEST_CASE("after N: a change of the key above N, also one that was made already, or forgotten") {
  Polls f;
  f.put("a", "1");  // 2.
  f.put("a", "1");  // 3.
  f.put("x", "1");  // 4.
  f.del("x");       // 5.
  CHECK(f.take(f.poll("/kv/a?wait=30s&after=2")).status == 200);
  CHECK(f.take(f.poll("/kv/x?wait=30s&after=4")).status == 404);
  const RequestId same = f.poll("/kv/a?wait=30s&after=3");
  const RequestId gone = f.poll("/kv/x?wait=30s&after=5");
  const RequestId future = f.poll("/kv/a?wait=30s&after=7");
  f.put("a", "1");  // 6: the same value is a change.
  f.settle();
  CHECK(f.take(same).status == 200);
  CHECK_FALSE(f.answered(gone));
  f.put("a", "2");  // 7.
  f.settle();
  CHECK_FALSE(f.answered(future));
  f.put("a", "3");  // 8.
  f.settle();
  CHECK(f.take(future).body == "3");
  f.compact(7);
  CHECK(f.take(f.poll("/kv/x?wait=30s&after=6")).status == 404);
  CHECK_FALSE(f.answered(gone));  // Nothing has happened to it while it waited.
  CHECK(f.at(31'000, gone).status == 304);
}

TEST_CASE("a list waits for an event under its prefix") {
  Polls f;
  f.put("a/1", "x");
  f.put("b", "x");
  const RequestId id = f.poll("/kv/a/?list&wait=30s&after=2");
  const RequestId count = f.poll("/kv/a/?list&count&wait=30s&after=2");
  const RequestId stream =
      f.poll("/kv/a/?list&wait=30s&after=2", {{"accept", "application/x-ndjson"}});
  f.put("b", "y");
  f.settle();
  CHECK_FALSE(f.answered(id));
  f.put("a/2", "y");
  f.settle();
  const http::Response response = f.take(id);
  CHECK(response.status == 200);
  CHECK(contains(response.body, "{\"revision\":5,\"items\":[{\"key\":\"a/1\""));
  CHECK(contains(response.body, "{\"key\":\"a/2\""));
  CHECK(f.take(count).body == "{\"revision\":5,\"count\":2}\n");
  CHECK(f.take(stream).status == 200);
  CHECK(f.take(f.poll("/kv/a/?list&wait=30s&after=4")).status == 200);
  f.compact(5);
  CHECK(f.take(f.poll("/kv/c/?list&wait=30s&after=4")).status == 200);
}

TEST_CASE("a list to which nothing happened is 304, of a revision at which to go on") {
  Polls f;
  f.put("a/1", "x");
  const RequestId id = f.poll("/kv/a/?list&wait=30s&after=2");
  f.put("b", "x");
  const http::Response response = f.at(31'000, id);
  CHECK(response.status == 304);
  CHECK(field(response, "Raftd-Revision") == "3");
  CHECK(f.at(31'000, f.poll("/kv/a/?list&wait=0s&after=2")).status == 304);
  CHECK(f.at(31'000, f.poll("/kv/a/?list&wait=0s&after=1")).status == 200);
}

TEST_CASE("the first look is as fresh as was asked for, and given up after the timeout alone") {
  Polls f;
  f.put("a", "1");
  f.send(Fixture::make("GET", "/kv/a?wait=30s&after=2&timeout=2s"));
  REQUIRE(f.backend.asked.size() == 1);
  CHECK(f.backend.asked.front().deadline == at_ms(3000));
  f.run();
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  f.send(Fixture::make("GET", "/kv/a?wait=30s&after=2&consistency=stale"));
  f.run();
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  f.send(Fixture::make("GET", "/kv/a?list&wait=30s&after=2&min_revision=9"));
  REQUIRE(f.backend.asked.size() == 1);
  f.answer(refused(Errc::kTimeout));
  CHECK(f.last_query<kv::GetQuery>().min_revision == 9);
  f.time = at_ms(11'000);
  f.put("a", "2");
  f.service.pump(f.time);
  REQUIRE(f.backend.asked.size() == 2);
  CHECK(f.backend.asked.front().deadline == at_ms(13'000));
  f.run();
  f.stand(raft::Role::kFollower, 0);
  CHECK(f.now("GET", "/kv/a?wait=30s&after=2").status == 503);
}

TEST_CASE(
    "HEAD waits for nothing, nor does a client that has closed its side, or a stopping node") {
  Polls f;
  f.put("a", "1");
  CHECK(f.take(f.poll("/kv/a?wait=30s&after=2", {}, "HEAD")).status == 304);
  CHECK(f.take(f.poll("/kv/a?wait=30s&after=1", {}, "HEAD")).status == 200);
  CHECK(f.take(f.poll("/kv/?list&wait=30s&after=2", {}, "HEAD")).status == 304);
  const RequestId closed = f.poll("/kv/a?wait=30s&after=2");
  f.service.on_input_end(closed);
  f.settle();
  CHECK(f.take(closed).status == 304);
  const RequestId early = f.send(Fixture::make("GET", "/kv/a?list&wait=30s&after=2"));
  f.service.on_input_end(early);
  f.settle();
  CHECK(f.take(early).status == 304);
  const RequestId gone = f.poll("/kv/a?wait=30s&after=2");
  f.service.on_gone(gone);
  CHECK(f.backend.gone.empty());
  CHECK(f.service.next_wakeup() == Instant::never());
  const RequestId waits = f.poll("/kv/a?wait=30s&after=2");
  f.vitals.stopping = true;
  f.settle();
  const http::Response response = f.take(waits);
  CHECK(response.status == 503);
  CHECK(field(response, "Raftd-Error") == "shutting_down");
}

TEST_CASE("a restored state that may hide a change ends the waiting") {
  Polls f;
  Polls ahead;
  f.put("a", "1");
  ahead.put("a", "1");
  const RequestId key = f.poll("/kv/a?wait=30s&after=2");
  const RequestId list = f.poll("/kv/?list&wait=30s&after=2");
  ahead.put("a", "2");
  ahead.put("b", "2");
  ahead.compact(4);
  f.restore(ahead);
  f.settle();
  CHECK(f.take(key).body == "2");
  CHECK(f.take(list).status == 200);
}

TEST_CASE("what does not go together with waiting is refused") {
  Polls f;
  for (const char* query :
       {"wait=3s", "after=4", "wait=3s&after=x", "wait=11m&after=4", "wait=3s&after=4&rev=3",
        "wait=-1s&after=4", "list&wait=3s", "list&after=3", "list&wait=1s&after=3&rev=2",
        "list&wait=1s&after=3&cursor=abc"}) {
    CAPTURE(query);
    const http::Response response = f.now("GET", std::string("/kv/a?") + query);
    CHECK(response.status == 400);
    CHECK(field(response, "Raftd-Error") == "bad_request");
  }
  CHECK(f.now("GET", "/kv/a?wait=3s&after=4", {{"if-none-match", "\"4\""}}).status == 400);
  CHECK(f.now("PUT", "/kv/a?wait=3s").status == 400);
  CHECK(f.now("GET", "/status?wait=3s").status == 400);
}

TEST_CASE("the time that a request waits for a change does not make it a slow one") {
  Polls f;
  f.put("a", "1");
  const RequestId id = f.poll("/kv/a?wait=30s&after=2");
  CHECK(f.at(31'000, id).status == 304);
  const std::string metrics = f.now("GET", "/metrics").body;
  CHECK(contains(metrics, "raftd_http_request_seconds_bucket{api=\"native\",le=\"0.001\"} 1"));
}

}  // namespace raftd::api
