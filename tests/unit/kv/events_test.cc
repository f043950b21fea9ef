// The ring as a stream of events: every event once, in order, whole revisions, with what was there
// before, however small the pieces are in which it is read.
#include "kv/events.h"

#include "base/limits.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

const KeySpan kAll{KeySpan::Kind::kPrefix, "", ""};
constexpr EventBounds kWide{1'000'000, 1 << 30};

std::vector<Event> read_all(const Fed& fed, EventCursor& cursor, const KeySpan& span = kAll,
                            const EventBounds& bounds = kWide,
                            EventKinds kinds = EventKinds::all()) {
  std::vector<Event> events;
  for (;;) {
    const EventsRead read =
        fed.store.read_events(cursor, {.span = span, .kinds = kinds, .prev = true}, bounds, events);
    REQUIRE(read != EventsRead::kCompacted);
    if (read == EventsRead::kCaughtUp) return events;
  }
}

EventsRead outcome(const Fed& fed, Revision after) {
  EventCursor cursor;
  cursor.after = after;
  std::vector<Event> events;
  return fed.store.read_events(cursor, {.span = kAll}, {1, 1}, events);
}

std::string shown(const std::vector<Event>& events) {
  std::string out;
  for (const Event& event : events) {
    out += event.kind == EventKind::kPut ? "+" : "-";
    out += event.item.key + "@" + std::to_string(event.item.mod);
    if (event.kind == EventKind::kPut) out += "=" + event.item.value;
    if (event.prev) out += "(" + event.prev->value + ")";
    out += event.last ? ". " : " ";
  }
  return out;
}

}  // namespace

TEST_CASE("events come in order with what was there before; only the last of a revision says so") {
  Fed fed;
  fed.put("a/1", "x");
  fed.put("a/2", "y");
  fed.put("b", "z");
  fed.put("a/1", "w");
  fed.apply(DeletePrefix{"a/", 0});
  fed.put("a/1", "v");
  EventCursor cursor;
  CHECK(shown(read_all(fed, cursor)) ==
        "+a/1@2=x. +a/2@3=y. +b@4=z. +a/1@5=w(x). -a/1@6(w) -a/2@6(y). +a/1@7=v. ");
  CHECK(cursor.after == 7);
  CHECK(read_all(fed, cursor).empty());
  fed.put("b", "1");
  CHECK(shown(read_all(fed, cursor)) == "+b@8=1(z). ");
}

TEST_CASE("the last of a revision is the last one that is wanted, seen through any bound") {
  Fed fed;
  for (const char* key : {"a", "b", "c", "d", "e"})
    fed.put(key, key);
  fed.apply(DeletePrefix{"", 0});
  fed.put("a", "new");
  for (std::size_t visits = 1; visits < 8; ++visits) {
    for (const std::size_t bytes : std::initializer_list<std::size_t>{1, 2, 3, 1000}) {
      CAPTURE(visits);
      CAPTURE(bytes);
      EventCursor cursor;
      cursor.after = 6;
      const KeySpan span{KeySpan::Kind::kRange, "b", "d"};
      CHECK(shown(read_all(fed, cursor, span, {visits, bytes})) == "-b@7(b) -c@7(c). ");
      CHECK(cursor.after == 8);
    }
  }
  EventCursor cursor;
  EventKinds puts;
  puts.add(EventKind::kPut);
  CHECK(shown(read_all(fed, cursor, {KeySpan::Kind::kKey, "a", ""}, kWide, puts)) ==
        "+a@2=a. +a@8=new. ");
}

TEST_CASE("nothing of a large delete is seen before its last slice") {
  Fed fed;
  for (std::size_t i = 0; i <= limits::kApplyKeysPerSliceMax; ++i)
    fed.start(Put{"k" + std::to_string(i), "v", {}, false}, false);
  EventCursor cursor;
  cursor.after = fed.revision();
  REQUIRE_FALSE(fed.start(DeletePrefix{"k", 0}).finished);
  CHECK(read_all(fed, cursor).empty());
  CHECK(cursor.after == fed.revision());
  REQUIRE(fed.store.apply_slice().finished);
  const std::vector<Event> events = read_all(fed, cursor);
  REQUIRE(events.size() == limits::kApplyKeysPerSliceMax + 1);
  for (std::size_t i = 0; i < events.size(); ++i)
    CHECK(events[i].last == (i + 1 == events.size()));
}

TEST_CASE("what was before an event is right at the edge of history, while it is freed and after") {
  Fed fed;
  fed.put("a", "1");  // 2.
  fed.put("b", "1");  // 3.
  fed.put("a", "2");  // 4.
  fed.del("b");       // 5.
  fed.put("a", "3");  // 6.
  fed.put("b", "2");  // 7.
  fed.apply(Compact{5});
  for (int tidied = 0; tidied < 2; ++tidied) {
    EventCursor cursor;
    cursor.after = 5;
    CHECK(shown(read_all(fed, cursor)) == "+a@6=3(2). +b@7=2. ");
    fed.tidy();
  }
  CHECK(outcome(fed, 4) == EventsRead::kCompacted);
  CHECK(outcome(fed, 5) == EventsRead::kMore);
  CHECK(outcome(fed, 7) == EventsRead::kCaughtUp);
  CHECK(outcome(fed, 1000) == EventsRead::kCaughtUp);
}

TEST_CASE("a place in history is good after a restore, in the middle of a revision as well") {
  Fed fed;
  for (const char* key : {"a", "b", "c", "d", "e"})
    fed.put(key, key);
  fed.apply(Compact{3});
  fed.apply(DeletePrefix{"", 0});
  EventCursor cursor;
  cursor.after = 6;
  std::vector<Event> events;
  CHECK(fed.store.read_events(cursor, {.span = kAll}, {3, 1000}, events) == EventsRead::kMore);
  REQUIRE(events.size() == 2);  // The third is held: it may be the last.
  Bytes bytes;
  {
    const auto writer = fed.store.snapshot();
    while (!writer->write_slice(bytes, 4096)) {
    }
  }
  const auto reader = fed.store.restore();
  REQUIRE(reader->feed(bytes));
  reader->commit({fed.index}, {fed.time});
  CHECK(shown(read_all(fed, cursor)) == "-c@7(c) -d@7(d) -e@7(e). ");
  CHECK(outcome(fed, 2) == EventsRead::kCompacted);
  CHECK(outcome(fed, 3) == EventsRead::kMore);
}

TEST_CASE("a cursor at the end of a ring is not taken for one at the beginning of the next ring") {
  Fed fed;
  fed.put("a", "1");
  EventCursor cursor;
  CHECK(shown(read_all(fed, cursor)) == "+a@2=1. ");
  Fed other;
  for (int i = 1; i < 5; ++i)
    other.put("a", std::to_string(i));
  Bytes bytes;
  {
    const auto writer = other.store.snapshot();
    while (!writer->write_slice(bytes, 4096)) {
    }
  }
  const auto reader = fed.store.restore();
  REQUIRE(reader->feed(bytes));
  reader->commit({other.index}, {0});
  CHECK(shown(read_all(fed, cursor)) == "+a@3=2(1). +a@4=3(2). +a@5=4(3). ");
}

TEST_CASE("events that somebody still wants stay, whatever is compacted") {
  Fed fed;
  fed.put("a", "1");
  fed.put("a", "2");
  fed.store.keep_events_after(2);
  fed.apply(Compact{3});
  fed.tidy();
  EventCursor cursor;
  cursor.after = 2;
  CHECK(shown(read_all(fed, cursor)) == "+a@3=2(1). ");
  fed.store.keep_events_after(3);
  fed.tidy();
  CHECK(outcome(fed, 2) == EventsRead::kCompacted);
  fed.store.check_invariants();
}

TEST_CASE("history is in danger when half of its bytes are there, a third of the events at most") {
  Fed fed({600'000, 100'000});
  for (int i = 0; i < 30; ++i)
    fed.put("a", "v");
  CHECK(fed.store.endangered() == 0);
  const std::string large(1000, 'v');
  for (int i = 0; i < 70; ++i)
    fed.put("a", large);
  CHECK(fed.store.endangered() > 20);
  CHECK(fed.store.endangered() < fed.revision() / 2);
  fed.apply(Compact{90});
  fed.tidy();
  CHECK(fed.store.endangered() == 90);
}

}  // namespace raftd::kv
