// The service's fixture with a replica that answers reads from the store, and a client that reads
// its stream.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "unit/api/fixture.h"

namespace raftd::api {

struct Watching {
  int status = 0;
  http::Response response;
  bool ended = false;
};

struct WatchFixture : Fixture {
  using Fixture::Fixture;

  // Answers all that was asked of the replica, as it would.
  void run() {
    while (!backend.asked.empty()) {
      const auto& read = std::get<node::Read>(backend.asked.front().op);
      std::unique_ptr<machine::Reply> reply = store.query(*read.query, {});
      REQUIRE(reply != nullptr);
      answer(done(std::move(reply), applied));
    }
  }
  Watching watch(const std::string& target, std::vector<http::Header> headers = {}) {
    const RequestId id = send(make("GET", target, std::move(headers)));
    run();
    Watching watching;
    watching.response = take(id);
    watching.status = watching.response.status;
    return watching;
  }
  // What the stream has by now.
  std::string read(Watching& watch) {
    std::string out;
    for (;;) {
      for (int i = 0; i < 10; ++i)
        service.pump(time);
      std::string piece;
      const http::BodySource::Next next = watch.response.stream->next(piece);
      out += piece;
      watch.ended = next == http::BodySource::Next::kEnd;
      if (watch.ended || next == http::BodySource::Next::kLater) {
        if (watch.ended || !service.has_more()) return out;
      }
    }
  }

  void apply(ByteView command) {
    ++applied;
    machine::Outcome outcome =
        store.apply({{applied}, {1}, {0}, ByteView(command).subspan(machine::kStampBytes)}, false);
    while (!outcome.finished)
      outcome = store.apply_slice();
  }
  void del(std::string_view key) { apply(kv::encode(kv::Delete{key, {}, false})); }
  void del_prefix(std::string_view prefix) { apply(kv::encode(kv::DeletePrefix{prefix, 0})); }
  void compact(kv::Revision revision) { apply(kv::encode(kv::Compact{revision})); }
  void restore(WatchFixture& from) {
    Bytes bytes;
    const auto writer = from.store.snapshot();
    while (!writer->write_slice(bytes, 4096)) {
    }
    const auto reader = store.restore();
    REQUIRE(reader->feed(bytes));
    reader->commit({from.applied}, {0});
    applied = from.applied;
  }

  Instant time = at_ms(1000);
};

}  // namespace raftd::api
