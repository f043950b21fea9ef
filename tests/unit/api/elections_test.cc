// Elections that are followed (native API, section 11): by a stream, and by a read that waits.
#include "unit/api/watch_fixture.h"

namespace raftd::api {
namespace {

struct Elections : WatchFixture {
  kv::Revision stand_for(std::string_view owner, std::string_view value, bool wait = false) {
    kv::Acquire acquire;
    acquire.space = kv::Space::kElections;
    acquire.name = "db";
    acquire.owner = owner;
    acquire.value = value;
    acquire.ttl_ms = 20'000;
    acquire.wait = wait;
    apply(kv::encode(acquire));
    return store.stats().revision;
  }
  void proclaim(kv::Revision token, std::string_view value) {
    apply(kv::encode(kv::Proclaim{"db", token, value}));
  }
  void resign(kv::Revision token) {
    apply(kv::encode(kv::Release{kv::Space::kElections, "db", token}));
  }
  RequestId poll(const std::string& target) {
    const RequestId id = send(make("GET", target));
    settle();
    return id;
  }
  void settle() {
    do {
      service.pump(time);
      run();
    } while (service.has_more());
  }
};

std::string state(const char* event, int id, const std::string& data) {
  return "id: " + std::to_string(id) + "\nevent: " + event + "\ndata: {\"name\":\"db\"," + data +
         "}\n\n";
}
std::string held(int token, const std::string& owner, const std::string& value, int candidates) {
  return "\"elected\":true,\"token\":" + std::to_string(token) + ",\"owner\":\"" + owner +
         "\",\"value\":\"" + value +
         "\",\"expires_in_ms\":20000,\"candidates\":" + std::to_string(candidates);
}

}  // namespace

TEST_CASE("an election that is watched begins with its state and tells of each change") {
  Elections f;
  Watching watch = f.watch("/election/db?watch");
  CHECK(watch.status == 200);
  CHECK(field(watch.response, "Content-Type") == "text/event-stream");
  CHECK(field(watch.response, "Raftd-Consistency") == "stale");
  CHECK(f.read(watch) == state("vacant", 1, "\"elected\":false,\"candidates\":0") + "id: 1\n\n");
  f.put("db", "no election");
  CHECK(f.stand_for("h1", "a") == 3);
  CHECK(f.read(watch) == state("elected", 3, held(3, "h1", "a", 0)));
  CHECK(f.stand_for("h2", "b", true) == 4);
  CHECK(f.read(watch).empty());
  f.proclaim(3, "a2");
  CHECK(f.read(watch) == state("value", 5, held(3, "h1", "a2", 1)));
  f.resign(3);
  CHECK(f.read(watch) == state("vacant", 6, "\"elected\":false,\"candidates\":0") +
                             state("elected", 7, held(7, "h2", "b", 0)));
  Watching later = f.watch("/election/db?watch");
  CHECK(f.read(later) == state("elected", 7, held(7, "h2", "b", 0)) + "id: 7\n\n");
}

TEST_CASE("who opens a watch of an election long after its last change can go on from now") {
  Elections f;
  f.stand_for("h1", "a");
  for (int i = 0; i < 5; ++i)
    f.put("k", "v");
  f.compact(7);
  Watching watch = f.watch("/election/db?watch");
  CHECK(f.read(watch) == state("elected", 2, held(2, "h1", "a", 0)) + "id: 7\n\n");
  CHECK(f.watch("/election/db?watch", {{"last-event-id", "7"}}).status == 200);
  const Watching lost = f.watch("/election/db?watch", {{"last-event-id", "2"}});
  CHECK(lost.status == 410);
  CHECK(contains(lost.response.body, "\"error\":\"compacted\""));
}

TEST_CASE("a watch of an election that is resumed tells of what came since, once") {
  for (const bool header : {false, true}) {
    Elections f;
    f.stand_for("h1", "a");
    f.proclaim(2, "b");
    f.resign(2);
    Watching watch = header ? f.watch("/election/db?watch", {{"last-event-id", "2"}})
                            : f.watch("/election/db?watch&after=2");
    const std::string out = f.read(watch);
    CHECK(out.starts_with("id: 3\nevent: value\ndata: {\"name\":\"db\",\"elected\":true,"));
    CHECK(out.ends_with(state("vacant", 4, "\"elected\":false,\"candidates\":0")));
  }
}

TEST_CASE("a stream of an election beats, says silently how far it is, and ends when it is lost") {
  Elections f;
  Watching watch = f.watch("/election/db?watch&after=1");
  CHECK(f.read(watch).empty());
  f.time = at_ms(17'000);
  CHECK(f.read(watch) == ": hb\n\n");
  f.put("k", "1");
  f.time = at_ms(62'000);
  CHECK(f.read(watch) == "id: 2\n\n");
  Elections other;
  for (int i = 0; i < 10; ++i)
    other.put("k", "v");
  other.compact(9);
  f.restore(other);
  CHECK(f.read(watch) == "event: compacted\ndata: {\"compact_revision\":9}\n\n");
  CHECK(watch.ended);
}

TEST_CASE("a read of an election waits for a change after a revision, or is 304") {
  Elections f;
  f.stand_for("h1", "a");
  const RequestId changed = f.poll("/election/db?wait=30s&after=2");
  const RequestId future = f.poll("/election/db?wait=30s&after=100");
  CHECK(f.backend.asked.empty());  // It is not asked again and again.
  CHECK(f.take(f.poll("/election/db?wait=30s&after=1")).status == 200);
  f.put("db", "no election");
  f.settle();
  CHECK_FALSE(f.answered(changed));
  f.proclaim(2, "b");
  f.settle();
  http::Response response = f.take(changed);
  CHECK(response.status == 200);
  CHECK(contains(response.body, "\"value\":\"b\""));
  CHECK(field(response, "Raftd-Revision") == "4");
  CHECK(field(response, "Raftd-Consistency") == "linearizable");
  f.time = at_ms(31'000);
  f.settle();
  response = f.take(future);
  CHECK(response.status == 304);
  CHECK(response.body.empty());
  const RequestId vacant = f.poll("/election/db?wait=30s&after=4");
  f.resign(2);
  f.settle();
  CHECK(f.take(vacant).body == "{\"name\":\"db\",\"elected\":false,\"candidates\":0}\n");
}

TEST_CASE("a read of an election that waits since before history gets the state of now") {
  Elections f;
  f.stand_for("h1", "a");
  f.put("k", "v");
  f.compact(3);
  CHECK(f.take(f.poll("/election/db?wait=30s&after=2")).status == 200);
  const RequestId id = f.poll("/election/db?wait=30s&after=3");
  f.vitals.stopping = true;
  f.settle();
  CHECK(f.take(id).status == 503);
}

TEST_CASE("how an election cannot be followed is said at once") {
  Elections f;
  for (const char* bad :
       {"/election/db?watch&wait=3s", "/election/db?wait=3s", "/election/db?after=3",
        "/election/db?watch&after=x", "/election/db?watch&consistency=stale",
        "/election/db?watch=perhaps", "/election/db?wait=3s&after=1&rev=2", "/lock/db?watch",
        "/lock/db?wait=3s&after=1"}) {
    CAPTURE(bad);
    CHECK(f.now("GET", bad).status == 400);
  }
  const auto response = f.now("GET", "/election/db?watch", {{"accept", "application/x-ndjson"}});
  CHECK(response.status == 406);
  CHECK(contains(response.body, "\"offers\":[\"text/event-stream\"]"));
  CHECK(f.watch("/election/db?watch=0").response.stream == nullptr);
}

}  // namespace raftd::api
