// Goal: the watch stream says what etcd's says, event by event. Method: a store of its own behind
// the gateway; the body is fed by hand, and each message is what one call of next() gives.
#include "unit/etcd/fixture.h"

namespace raftd::etcd {
namespace {

struct WatchClient : EtcdFixture {
  WatchClient() {
    const api::RequestId id = begin("/v3/watch", "");
    response = take(id);
    REQUIRE(response.stream != nullptr);
    CHECK(response.stream->lasting());
  }
  void send_body(const std::string& bytes) { response.stream->on_body(bytes); }
  // What the stream has by now, message by message.
  std::vector<std::string> read() {
    std::vector<std::string> messages;
    while (!ended) {
      for (int i = 0; i < 10; ++i)
        service.pump(time);
      std::string piece;
      const http::BodySource::Next next = response.stream->next(piece);
      if (!piece.empty()) messages.push_back(without_header(piece));
      ended = next == http::BodySource::Next::kEnd;
      if (next == http::BodySource::Next::kLater && !service.has_more()) break;
    }
    return messages;
  }
  std::string read_one() {
    const std::vector<std::string> messages = read();
    REQUIRE(messages.size() == 1);
    return messages[0];
  }
  std::string create(const std::string& fields) {
    send_body("{\"create_request\":{" + fields + "}}");
    return read_one();
  }
  void store_put(std::string_view key, std::string_view value) {
    apply(kv::encode(kv::Put{key, value}));
  }

  http::Response response;
  bool ended = false;
};

std::string put_event(std::string_view key, int create, int mod, int version,
                      std::string_view value) {
  return "{\"kv\":{\"key\":" + b64(key) + ",\"create_revision\":\"" + std::to_string(create) +
         "\",\"mod_revision\":\"" + std::to_string(mod) + "\",\"version\":\"" +
         std::to_string(version) + "\",\"value\":" + b64(value) + "}}";
}
std::string delete_event(std::string_view key, int mod) {
  return "{\"type\":\"DELETE\",\"kv\":{\"key\":" + b64(key) + ",\"mod_revision\":\"" +
         std::to_string(mod) + "\"}}";
}
std::string message(const std::string& rest) {
  return "{\"result\":{" + rest + "}}\n";
}

}  // namespace

TEST_CASE("a watch is confirmed at once and tells what changes, one message for each revision") {
  WatchClient f;
  CHECK(f.create("\"key\":" + b64("k")) == message("@1,\"created\":true"));
  f.store_put("k", "1");
  CHECK(f.read_one() == message("@2,\"events\":[" + put_event("k", 2, 2, 1, "1") + "]"));
  f.store_put("other", "1");
  CHECK(f.read().empty());
  f.del("k");
  CHECK(f.read_one() == message("@4,\"events\":[" + delete_event("k", 4) + "]"));
}

TEST_CASE("all events of a revision are in one message, however many there are") {
  WatchClient f;
  for (int i = 0; i < 2000; ++i)
    f.store_put("p/" + std::to_string(10'000 + i), std::string(20, 'v'));
  f.create("\"key\":" + b64("p/") + ",\"range_end\":" + b64("p0"));
  f.del_prefix("p/");
  const std::string all = f.read_one();
  CHECK(all.find(delete_event("p/10000", 2002)) != std::string::npos);
  CHECK(all.find(delete_event("p/11999", 2002)) != std::string::npos);
}

TEST_CASE("a revision with more events than a message may have goes on in the next one") {
  WatchClient f;
  for (int i = 0; i < 20'000; ++i)
    f.store_put("p/" + std::to_string(10'000 + i), "");
  bool fragment = false;
  SUBCASE("and says nothing of it") {}
  SUBCASE("and says so if it is asked to") {
    fragment = true;
  }
  f.create("\"key\":" + b64("p/") + ",\"range_end\":" + b64("p0") +
           (fragment ? ",\"fragment\":true" : ""));
  f.del_prefix("p/");
  const std::vector<std::string> messages = f.read();
  CHECK(messages.size() > 1);
  for (const std::string& one : messages) {
    const bool goes_on = one.find("\"fragment\":true") != std::string::npos;
    CHECK(goes_on == (fragment && &one != &messages.back()));
  }
  std::size_t events = 0;
  for (const std::string& one : messages) {
    CHECK(one.size() < 2 * limits::kEtcdWatchMessageBytes);
    for (std::size_t at = one.find("DELETE"); at != std::string::npos;
         at = one.find("DELETE", at + 1))
      ++events;
  }
  CHECK(events == 20'000);
}

TEST_CASE("a watch from an old revision begins there") {
  WatchClient f;
  f.store_put("k", "1");
  f.store_put("k", "2");
  f.send_body("{\"create_request\":{\"key\":" + b64("k") +
              ",\"start_revision\":\"2\",\"prev_kv\":true}}");
  const std::vector<std::string> messages = f.read();
  std::string all;
  for (const std::string& one : messages)
    all += one;
  CHECK(messages[0] == message("@3,\"created\":true"));
  CHECK(all.find(put_event("k", 2, 2, 1, "1")) != std::string::npos);
  std::string second = put_event("k", 2, 3, 2, "2");
  second.pop_back();
  CHECK(all.find(second + ",\"prev_kv\":{\"key\":" + b64("k")) != std::string::npos);
}

TEST_CASE("a watch from the future waits for it in silence") {
  WatchClient f;
  CHECK(f.create("\"key\":" + b64("k") + ",\"start_revision\":4") ==
        message("@1,\"created\":true"));
  f.store_put("k", "1");
  f.store_put("k", "2");
  CHECK(f.read().empty());
  f.store_put("k", "3");
  CHECK(f.read_one() == message("@4,\"events\":[" + put_event("k", 2, 4, 3, "3") + "]"));
}

TEST_CASE("a watch of what is compacted is cancelled, says where history begins, and ends") {
  WatchClient f;
  for (int i = 0; i < 6; ++i)
    f.store_put("k", "1");
  f.compact(5);
  while (f.store.tidy_slice()) {
  }
  f.send_body("{\"create_request\":{\"key\":" + b64("k") + ",\"start_revision\":3}}");
  const std::vector<std::string> messages = f.read();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0] == message("@7,\"created\":true"));
  CHECK(messages[1] == message("@,\"canceled\":true,\"compact_revision\":\"5\""));
  CHECK(f.ended);
}

TEST_CASE("who begins anew where history began gets further") {
  WatchClient f;
  for (int i = 0; i < 6; ++i)
    f.store_put("k", "1");
  f.service.pump(f.time);
  f.compact(5);
  while (f.store.tidy_slice()) {
  }
  f.send_body("{\"create_request\":{\"key\":" + b64("k") + ",\"start_revision\":5}}");
  CHECK(f.read().back() == message("@,\"canceled\":true,\"compact_revision\":\"6\""));
}

TEST_CASE("several watches share a stream, each with its number") {
  WatchClient f;
  CHECK(f.create("\"key\":" + b64("a")) == message("@1,\"created\":true"));
  CHECK(f.create("\"key\":" + b64("b")) == message("@1,\"watch_id\":\"1\",\"created\":true"));
  CHECK(f.create("\"key\":" + b64("c") + ",\"watch_id\":\"7\"") ==
        message("@1,\"watch_id\":\"7\",\"created\":true"));
  CHECK(f.create("\"key\":" + b64("c") + ",\"watch_id\":7") ==
        message("@1,\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,\"cancel_reason\":"
                "\"mvcc: duplicate watch ID provided on the WatchStream\""));
  f.store_put("b", "1");
  CHECK(f.read_one() ==
        message("@2,\"watch_id\":\"1\",\"events\":[" + put_event("b", 2, 2, 1, "1") + "]"));
  f.send_body("{\"cancel_request\":{\"watch_id\":1}}");
  CHECK(f.read_one() == message("@2,\"watch_id\":\"1\",\"canceled\":true"));
  f.store_put("b", "2");
  f.store_put("c", "2");
  CHECK(f.read_one() ==
        message("@4,\"watch_id\":\"7\",\"events\":[" + put_event("c", 4, 4, 1, "2") + "]"));
  f.send_body("{\"cancel_request\":{\"watch_id\":99}}{}{\"nope\":1}");
  CHECK(f.read().empty());
}

TEST_CASE("filters leave out puts, or deletes and what expires") {
  WatchClient f;
  f.create("\"key\":" + b64("k") + ",\"filters\":[\"NOPUT\"]");
  f.create("\"key\":" + b64("k") + ",\"filters\":[1]");
  f.store_put("k", "1");
  CHECK(f.read_one() ==
        message("@2,\"watch_id\":\"1\",\"events\":[" + put_event("k", 2, 2, 1, "1") + "]"));
  f.del("k");
  CHECK(f.read_one() == message("@3,\"events\":[" + delete_event("k", 3) + "]"));
}

TEST_CASE("an empty key is the smallest one, and a range without keys is refused") {
  WatchClient f;
  f.create("\"range_end\":\"AA==\"");
  f.store_put("anything", "1");
  CHECK(f.read_one() == message("@2,\"events\":[" + put_event("anything", 2, 2, 1, "1") + "]"));
  CHECK(f.create("\"key\":" + b64("e") + ",\"range_end\":" + b64("e")) ==
        message("@2,\"watch_id\":\"-1\",\"created\":true,\"canceled\":true,\"cancel_reason\":"
                "\"mvcc: watcher range is empty\""));
}

TEST_CASE("progress is told when it is asked for, and after silence to who wants to be notified") {
  WatchClient f;
  f.send_body("{\"progress_request\":{}}");
  CHECK(f.read_one() == message("@1,\"watch_id\":\"-1\""));
  f.create("\"key\":" + b64("k") + ",\"progress_notify\":true");
  f.store_put("other", "1");
  CHECK(f.read().empty());
  f.time = f.time + std::chrono::minutes(10);
  f.service.on_turn(f.time);
  CHECK(f.read_one() == message("@2"));
  f.send_body("{\"progress_request\":{}}");
  CHECK(f.read_one() == message("@2,\"watch_id\":\"-1\""));
}

TEST_CASE("requests come in any pieces, and what is none ends the stream with a reason") {
  WatchClient f;
  const std::string body =
      " {\"createRequest\":{\"key\":" + b64("k") + "}}\n{\"progress_request\":{}}";
  for (const char byte : body)
    f.send_body(std::string(1, byte));
  const std::vector<std::string> messages = f.read();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0] == message("@1,\"created\":true"));
  f.send_body("{\"create_request\":{\"key\":5}}");
  const std::string error = f.read_one();
  CHECK(
      error.starts_with("{\"error\":{\"grpc_code\":3,\"http_code\":400,\"http_status\":\"Bad "
                        "Request\",\"code\":3,\"message\":\"create_request.key"));
  CHECK(f.ended);
}

TEST_CASE("the end of the body ends no watch, but an object that it cuts in two is an error") {
  WatchClient f;
  f.create("\"key\":" + b64("k"));
  f.response.stream->on_body_end();
  f.store_put("k", "1");
  CHECK(f.read_one().find("events") != std::string::npos);
  WatchClient cut;
  cut.send_body("{\"create_request\":");
  cut.response.stream->on_body_end();
  CHECK(cut.read_one().find("\"code\":3") != std::string::npos);
  CHECK(cut.ended);
}

TEST_CASE("a client that asks and does not read is stopped") {
  WatchClient f;
  for (int i = 0; i < 2000; ++i)
    f.send_body("{\"progress_request\":{}}");
  const std::vector<std::string> messages = f.read();
  CHECK(messages.size() == limits::kEtcdWatchAnswersMax + 1);
  CHECK(messages.back().find("too many requests") != std::string::npos);
  CHECK(f.ended);
}

TEST_CASE("more watchers than a node may have are refused") {
  WatchClient f;
  for (int i = 0; i < 100; ++i)
    f.create("\"key\":" + b64("k"));
  f.send_body("{\"create_request\":{\"key\":" + b64("k") + "}}");
  CHECK(f.read_one().find("\"code\":8") != std::string::npos);
  CHECK(f.ended);
}

TEST_CASE("streams end when the node stops") {
  WatchClient f;
  f.create("\"key\":" + b64("k"));
  f.vitals.stopping = true;
  f.service.pump(f.time);
  CHECK(f.read().empty());
  CHECK(f.ended);
}

}  // namespace raftd::etcd
