// GET /watch: what a client gets, told by the bytes of its stream.
#include "unit/api/watch_fixture.h"

namespace raftd::api {

TEST_CASE("a watch answers at once and tells each change of its key as it is applied") {
  WatchFixture fixture;
  fixture.put("other", "x");
  Watching watch = fixture.watch("/watch/a");
  CHECK(watch.status == 200);
  CHECK(field(watch.response, "Content-Type") == "text/event-stream");
  CHECK(field(watch.response, "Cache-Control") == "no-cache");
  CHECK(field(watch.response, "X-Accel-Buffering") == "no");
  CHECK(field(watch.response, "Raftd-Revision") == "2");
  CHECK(fixture.read(watch) == "");
  fixture.put("a", "1");
  fixture.put("ab", "no");
  fixture.del("a");
  CHECK(fixture.read(watch) ==
        "id: 3\nevent: put\ndata: "
        "{\"key\":\"a\",\"value\":\"1\",\"mod\":3,\"create\":3,\"version\":1}\n\n"
        "id: 5\nevent: delete\ndata: {\"key\":\"a\",\"mod\":5}\n\n");
}

TEST_CASE("the same in ndjson, with what was there before") {
  WatchFixture fixture;
  Watching watch =
      fixture.watch("/watch/?prefix&prev", {{"accept", "text/html, application/x-ndjson;q=1"}});
  CHECK(field(watch.response, "Content-Type") == "application/x-ndjson");
  fixture.put("a", "1");
  fixture.put("\xff", "2");
  fixture.del_prefix("");
  CHECK(fixture.read(watch) ==
        "{\"type\":\"put\",\"revision\":2,\"last\":true,\"item\":{\"key\":\"a\",\"value\":\"1\","
        "\"mod\":2,\"create\":2,\"version\":1},\"prev\":null}\n"
        "{\"type\":\"put\",\"revision\":3,\"last\":true,\"item\":{\"key64\":\"/w==\","
        "\"value\":\"2\",\"mod\":3,\"create\":3,\"version\":1},\"prev\":null}\n"
        "{\"type\":\"delete\",\"revision\":4,\"last\":false,\"item\":{\"key\":\"a\",\"mod\":4},"
        "\"prev\":{\"key\":\"a\",\"value\":\"1\",\"mod\":2,\"create\":2,\"version\":1}}\n"
        "{\"type\":\"delete\",\"revision\":4,\"last\":true,\"item\":{\"key64\":\"/w==\",\"mod\":4},"
        "\"prev\":{\"key64\":\"/w==\",\"value\":\"2\",\"mod\":3,\"create\":3,\"version\":1}}\n");
}

TEST_CASE("only the last event of a revision that is delivered has an id") {
  WatchFixture fixture;
  for (const char* key : {"a/1", "a/2", "b"})
    fixture.put(key, "v");
  Watching watch = fixture.watch("/watch/a/?prefix&filter=delete,expire");
  fixture.put("a/3", "v");
  fixture.del_prefix("");
  CHECK(fixture.read(watch) ==
        "event: delete\ndata: {\"key\":\"a/1\",\"mod\":6}\n\n"
        "event: delete\ndata: {\"key\":\"a/2\",\"mod\":6}\n\n"
        "id: 6\nevent: delete\ndata: {\"key\":\"a/3\",\"mod\":6}\n\n");
}

TEST_CASE("init tells the items, then how far it is, then what comes") {
  WatchFixture fixture;
  fixture.put("a/1", "x");
  fixture.put("b", "no");
  fixture.put("a/2", "y");
  Watching watch = fixture.watch("/watch/a/?prefix&init");
  fixture.put("a/3", "later");
  CHECK(fixture.read(watch) ==
        "event: snapshot\ndata: "
        "{\"key\":\"a/1\",\"value\":\"x\",\"mod\":2,\"create\":2,\"version\":1}\n\n"
        "event: snapshot\ndata: "
        "{\"key\":\"a/2\",\"value\":\"y\",\"mod\":4,\"create\":4,\"version\":1}\n\n"
        "id: 4\nevent: progress\ndata: {\"revision\":4}\n\n"
        "id: 5\nevent: put\ndata: "
        "{\"key\":\"a/3\",\"value\":\"later\",\"mod\":5,\"create\":5,\"version\":1}\n\n");
  Watching one = fixture.watch("/watch/b?init", {{"accept", "application/x-ndjson"}});
  CHECK(fixture.read(one) ==
        "{\"type\":\"snapshot\",\"item\":{\"key\":\"b\",\"value\":\"no\",\"mod\":3,\"create\":3,"
        "\"version\":1}}\n{\"type\":\"progress\",\"revision\":5}\n");
  Watching none = fixture.watch("/watch/a?init");
  CHECK(fixture.read(none) == "id: 5\nevent: progress\ndata: {\"revision\":5}\n\n");
}

TEST_CASE("a list of many keys comes in bounded pieces, of one revision, while writes go on") {
  WatchFixture fixture;
  constexpr int kKeys = 9000;
  for (int i = 0; i < kKeys; ++i)
    fixture.put("k" + std::to_string(i), "v");
  Watching watch = fixture.watch("/watch/k?prefix&init", {{"accept", "application/x-ndjson"}});
  std::string all;
  int pieces = 0;
  while (!contains(all, "progress")) {
    fixture.service.pump(at_ms(1000));
    std::string piece;
    watch.response.stream->next(piece);
    CHECK(piece.size() < 60'000);
    all += piece;
    ++pieces;
    fixture.put("k" + std::to_string(pieces), "changed");
    REQUIRE(pieces < 1000);
  }
  CHECK(pieces > 3);
  CHECK(std::count(all.begin(), all.end(), '\n') == kKeys + 1);
  CHECK_FALSE(contains(all, "changed"));
  const std::string rest = fixture.read(watch);
  CHECK(std::count(rest.begin(), rest.end(), '\n') == pieces);
}

TEST_CASE("after, or what an EventSource remembers, is where a watch goes on") {
  WatchFixture fixture;
  for (int i = 0; i < 4; ++i)
    fixture.put("a", std::to_string(i));  // Revisions 2..5.
  const auto ids = [&](Watching watch) {
    std::string found;
    const std::string text = fixture.read(watch);
    for (std::size_t at = text.find("id: "); at != std::string::npos;
         at = text.find("id: ", at + 1))
      found += text.substr(at + 4, text.find('\n', at) - at - 4) + " ";
    return found;
  };
  CHECK(ids(fixture.watch("/watch/a?after=3")) == "4 5 ");
  CHECK(ids(fixture.watch("/watch/a?after=0")) == "2 3 4 5 ");
  CHECK(ids(fixture.watch("/watch/a", {{"last-event-id", "4"}})) == "5 ");
  CHECK(ids(fixture.watch("/watch/a?after=3", {{"last-event-id", "4"}})) == "4 5 ");
  CHECK(ids(fixture.watch("/watch/a?init", {{"last-event-id", "4"}})) == "5 ");
  CHECK(ids(fixture.watch("/watch/a")) == "");
  Watching future = fixture.watch("/watch/a?after=7");
  for (int i = 0; i < 3; ++i) {
    fixture.put("a", "f");  // 6..8.
    fixture.service.pump(at_ms(1000));
  }
  CHECK(ids(std::move(future)) == "8 ");
}

TEST_CASE(
    "history that was lost is told: at the start, to who has a list to begin with, or the end") {
  WatchFixture fixture;
  for (int i = 0; i < 4; ++i)
    fixture.put("a", std::to_string(i));
  fixture.compact(4);
  const RequestId refused_id = fixture.send(Fixture::make("GET", "/watch/a?after=3"));
  fixture.run();
  const http::Response refused = fixture.take(refused_id);
  CHECK(refused.status == 410);
  CHECK(contains(refused.body, "\"error\":\"compacted\""));
  CHECK(contains(refused.body, "\"compact_revision\":4"));
  Watching reset = fixture.watch("/watch/a?after=3&init");
  CHECK(fixture.read(reset) ==
        "event: reset\ndata: {\"compact_revision\":4}\n\n"
        "event: snapshot\ndata: "
        "{\"key\":\"a\",\"value\":\"3\",\"mod\":5,\"create\":2,\"version\":4}\n\n"
        "id: 5\nevent: progress\ndata: {\"revision\":5}\n\n");
  Watching slow = fixture.watch("/watch/a?after=4");
  fixture.put("a", "4");
  fixture.put("a", "5");
  fixture.service.pump(at_ms(1000));
  fixture.compact(7);
  while (fixture.store.tidy_slice()) {
  }
  CHECK(fixture.read(slow) == "event: compacted\ndata: {\"compact_revision\":7}\n\n");
  CHECK(slow.ended);
}

TEST_CASE("silence is broken by a heartbeat, and by progress when it lasts") {
  WatchFixture fixture;
  fixture.put("a", "1");
  Watching sse = fixture.watch("/watch/a");
  Watching lines = fixture.watch("/watch/a", {{"accept", "application/x-ndjson"}});
  Watching future = fixture.watch("/watch/a?after=9");
  fixture.read(sse);
  CHECK(fixture.service.next_wakeup() == at_ms(16'000));
  fixture.put("b", "1");
  fixture.time = at_ms(15'999);
  CHECK(fixture.read(sse) == "");
  fixture.time = at_ms(16'000);
  CHECK(fixture.read(sse) == ": hb\n\n");
  CHECK(fixture.read(lines) == "{\"type\":\"hb\"}\n");
  CHECK(fixture.read(sse) == "");
  CHECK(fixture.service.next_wakeup() == at_ms(31'000));
  fixture.time = at_ms(31'000);
  CHECK(fixture.read(sse) == ": hb\n\n");
  fixture.time = at_ms(40'000);
  fixture.put("a", "2");
  CHECK(contains(fixture.read(sse), "id: 4\nevent: put\n"));
  fixture.time = at_ms(54'999);
  CHECK(fixture.read(sse) == "");
  fixture.time = at_ms(55'000);
  CHECK(fixture.read(sse) == ": hb\n\n");
  fixture.time = at_ms(61'000);
  fixture.put("b", "2");
  CHECK(fixture.read(sse) == "id: 5\nevent: progress\ndata: {\"revision\":5}\n\n");
  CHECK(contains(fixture.read(lines), "{\"type\":\"progress\",\"revision\":5}\n"));
  CHECK(fixture.read(future) == ": hb\n\n");  // 9 is not there to be told.
}

TEST_CASE("who hears nothing for long is told where it is before history passes it") {
  WatchFixture fixture;
  fixture.store.set_history_limits({600'000, 100'000});
  Watching watch = fixture.watch("/watch/never");
  const std::string large(1000, 'v');
  kv::Revision told = 1;
  int progresses = 0;
  for (int i = 0; i < 400; ++i) {
    fixture.put("a", large);
    if (const auto chore = fixture.store.chore({0})) fixture.apply(*chore);
    fixture.store.tidy_slice();
    REQUIRE(told >= fixture.store.stats().compact_revision);
    const std::string text = fixture.read(watch);
    if (text.empty()) continue;
    REQUIRE(contains(text, "event: progress"));
    told = std::stoull(text.substr(4));
    ++progresses;
  }
  CHECK(fixture.store.stats().compact_revision > 200);
  CHECK(progresses < 40);
}

TEST_CASE("a client that does not read costs a cursor, and gets everything when it reads") {
  WatchFixture fixture;
  Watching watch = fixture.watch("/watch/a");
  for (int i = 0; i < 3000; ++i) {
    fixture.put("a", "value");
    fixture.service.pump(at_ms(1000));
  }
  CHECK_FALSE(fixture.service.has_more());
  const std::string text = fixture.read(watch);
  CHECK(contains(text, "id: 3001\n"));
  std::size_t events = 0;
  for (std::size_t at = 0; (at = text.find("event: put", at)) != std::string::npos; ++at)
    ++events;
  CHECK(events == 3000);
}

TEST_CASE("what a watch refuses") {
  WatchFixture fixture;
  const auto refused = [&](const std::string& target, std::vector<http::Header> headers = {}) {
    return fixture.now("GET", target, std::move(headers));
  };
  CHECK(refused("/watch/").status == 400);
  CHECK(refused("/watch").status == 400);
  CHECK(refused("/watch/a?filter=").status == 400);
  CHECK(refused("/watch/a?filter=put,gone").status == 400);
  CHECK(refused("/watch/a?after=-1").status == 400);
  CHECK(refused("/watch/a?after=1&after=2").status == 400);
  CHECK(refused("/watch/a?wait=3s").status == 400);
  CHECK(refused("/watch/a?key64=YQ").status == 400);
  CHECK(refused("/watch/a", {{"last-event-id", "x"}}).status == 400);
  CHECK(refused("/watch/" + std::string(2049, 'k')).status == 413);
  const http::Response form = refused("/watch/a", {{"accept", "application/json, image/*"}});
  CHECK(form.status == 406);
  CHECK(contains(form.body, "\"offers\":[\"text/event-stream\",\"application/x-ndjson\"]"));
  CHECK(fixture.now("PUT", "/watch/a").status == 405);
  CHECK(field(fixture.now("OPTIONS", "/watch/a"), "Allow") == "GET, HEAD, OPTIONS");
  CHECK(fixture.watch("/watch/?key64=YQ==").status == 200);
  CHECK(fixture.watch("/watch?prefix").status == 200);
}

TEST_CASE("there are no more watchers than limits.watchers, and status and metrics count them") {
  WatchFixture fixture;
  std::vector<Watching> watches;
  for (int i = 0; i < 100; ++i)
    watches.push_back(fixture.watch("/watch/a"));
  const http::Response refused = fixture.now("GET", "/watch/a");
  CHECK(refused.status == 429);
  CHECK(contains(refused.body, "\"error\":\"overloaded\""));
  CHECK(contains(refused.body, "\"limit\":\"limits.watchers\""));
  CHECK(field(refused, "Retry-After") == "1");
  CHECK(fixture.now("GET", "/kv/a?wait=1s&after=9").status == 429);
  CHECK(fixture.now("GET", "/kv/a?list&wait=1s&after=9").status == 429);
  CHECK(contains(fixture.now("GET", "/status").body, "\"watchers\":100,"));
  CHECK(contains(fixture.now("GET", "/metrics").body, "\nraftd_watchers 100\n"));
  watches.pop_back();
  CHECK(fixture.watch("/watch/a").status == 200);
}

TEST_CASE("all streams end when the node stops") {
  WatchFixture fixture;
  Watching idle = fixture.watch("/watch/a");
  Watching busy = fixture.watch("/watch/a");
  fixture.read(idle);
  fixture.put("a", "1");
  fixture.vitals.stopping = true;
  fixture.responder.woken.clear();
  fixture.service.pump(at_ms(1000));
  CHECK(fixture.responder.woken.size() == 2);
  CHECK(fixture.read(busy) == "");
  CHECK(busy.ended);
  fixture.read(idle);
  CHECK(idle.ended);
}

TEST_CASE("a state that is restored under a watch goes on with it") {
  WatchFixture fixture;
  WatchFixture ahead;
  fixture.put("a", "1");
  ahead.put("a", "1");
  Watching watch = fixture.watch("/watch/a?init");
  CHECK(contains(fixture.read(watch), "\"revision\":2"));
  ahead.put("a", "2");
  fixture.restore(ahead);
  CHECK(contains(fixture.read(watch), "id: 3\nevent: put"));
  ahead.put("a", "3");
  ahead.put("a", "4");
  ahead.compact(4);
  fixture.restore(ahead);
  const std::string text = fixture.read(watch);
  CHECK(text.starts_with("event: reset\ndata: {\"compact_revision\":4}\n\nevent: snapshot\n"));
  CHECK(text.ends_with("id: 5\nevent: progress\ndata: {\"revision\":5}\n\n"));
}

}  // namespace raftd::api
