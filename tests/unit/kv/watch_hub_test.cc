// Watchers: each sees every event that concerns it once, in order; those that are not concerned are
// left alone.
#include "kv/watch_hub.h"

#include <memory>

#include "base/limits.h"
#include "base/rng.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

constexpr EventBounds kTurn{4, 64};

// Reads one bounded piece per turn, unless it is told to be slow.
struct Reader final : Watcher::Client {
  Reader(WatchHub& hub, KeySpan wanted, Revision after, EventKinds kinds = EventKinds::all())
      : span(wanted), from(after), watcher(hub, *this, std::move(wanted), kinds, after) {}

  void on_turn() override {
    ++turns;
    if (slow || ended) return;
    const EventsRead read = watcher.read(kTurn, true, events);
    if (read == EventsRead::kMore) watcher.ask_turn();
    if (read == EventsRead::kCompacted) ended = true;
  }
  void on_endangered(Revision revision) override { warned = revision; }

  KeySpan span;
  Revision from;
  std::vector<Event> events;
  std::size_t turns = 0;
  bool slow = false;
  bool ended = false;  // Compacted.
  Revision warned = 0;
  Watcher watcher;
};

struct Hub : Fed {
  explicit Hub(const HistoryLimits& limits = {600'000, 64 << 20}) : Fed(limits) {}
  void settle() {
    do {
      hub.pump();
    } while (hub.has_more());
  }
  Bytes cut() {
    Bytes bytes;
    const auto writer = store.snapshot();
    while (!writer->write_slice(bytes, 4096)) {
    }
    return bytes;
  }
  void restore(const Bytes& bytes, std::uint64_t at) {
    const auto reader = store.restore();
    REQUIRE(reader->feed(bytes));
    reader->commit({at}, {time});
    index = at;
  }
  WatchHub hub{store, 7};
};

KeySpan key(std::string name) {
  return {KeySpan::Kind::kKey, std::move(name), ""};
}
KeySpan prefix(std::string name) {
  return {KeySpan::Kind::kPrefix, std::move(name), ""};
}

}  // namespace

TEST_CASE("only who is concerned by an event has a turn") {
  Hub fed;
  std::vector<std::unique_ptr<Reader>> others;
  for (int i = 0; i < 300; ++i)
    others.push_back(std::make_unique<Reader>(fed.hub, key("k" + std::to_string(i)), 1));
  for (const char* name : {"ka", "kb/", "x"})
    others.push_back(std::make_unique<Reader>(fed.hub, prefix(name), 1));
  others.push_back(std::make_unique<Reader>(fed.hub, KeySpan{KeySpan::Kind::kRange, "l", "m"}, 1));
  Reader exact(fed.hub, key("k"), 1);
  Reader all(fed.hub, prefix(""), 1);
  Reader short_prefix(fed.hub, prefix("k"), 1);
  Reader range(fed.hub, {KeySpan::Kind::kRange, "a", ""}, 1);
  fed.settle();
  CHECK(exact.turns == 1);  // It looked whether there was anything.
  fed.put("k", "1");
  fed.put("k", "2");
  fed.settle();
  for (Reader* concerned : {&exact, &all, &short_prefix, &range}) {
    CHECK(concerned->turns == 2);
    CHECK(concerned->events.size() == 2);
    CHECK(concerned->watcher.position() == 3);
  }
  for (const auto& other : others) {
    CHECK(other->turns == 1);
    CHECK(other->watcher.position() == 3);
  }
  CHECK(fed.hub.watchers() == others.size() + 4);
}

TEST_CASE("a filter keeps a watcher asleep") {
  Hub fed;
  EventKinds deletes;
  deletes.add(EventKind::kDelete);
  Reader reader(fed.hub, key("a"), 1, deletes);
  fed.settle();
  fed.put("a", "1");
  fed.settle();
  CHECK(reader.turns == 1);
  fed.del("a");
  fed.settle();
  CHECK(reader.turns == 2);
  REQUIRE(reader.events.size() == 1);
  CHECK(reader.events[0].kind == EventKind::kDelete);
  CHECK(reader.events[0].last);
}

TEST_CASE("who asks for the future is silent until then") {
  Hub fed;
  Reader reader(fed.hub, prefix(""), 4);
  for (int i = 0; i < 5; ++i) {
    fed.put("a", std::to_string(i));  // Revisions 2..6.
    fed.settle();
  }
  REQUIRE(reader.events.size() == 2);
  CHECK(reader.events[0].item.mod == 5);
}

TEST_CASE("turns are bounded, and given in the order in which they were asked for") {
  Hub fed;
  std::vector<std::unique_ptr<Reader>> readers;
  for (std::size_t i = 0; i < 3 * limits::kWatchTurnsPerPumpMax; ++i)
    readers.push_back(std::make_unique<Reader>(fed.hub, key("a"), 1));
  fed.settle();
  fed.put("a", "1");
  fed.hub.pump();
  std::size_t had = 0;
  for (const auto& reader : readers)
    had += reader->events.size();
  CHECK(had == limits::kWatchTurnsPerPumpMax);
  CHECK(fed.hub.has_more());
  fed.hub.pump();
  fed.hub.pump();
  CHECK_FALSE(fed.hub.has_more());
  for (const auto& reader : readers)
    CHECK(reader->events.size() == 1);
}

TEST_CASE("those who catch up do not make those late who are woken, nor the other way round") {
  Hub fed;
  for (int i = 0; i < 200; ++i)
    fed.put("a", std::to_string(i));
  std::vector<std::unique_ptr<Reader>> behind;
  for (std::size_t i = 0; i < 4 * limits::kWatchTurnsPerPumpMax; ++i)
    behind.push_back(std::make_unique<Reader>(fed.hub, key("a"), 1));
  std::vector<std::unique_ptr<Reader>> woken;
  for (std::size_t i = 0; i < 2 * limits::kWatchTurnsPerPumpMax; ++i)
    woken.push_back(std::make_unique<Reader>(fed.hub, key("b"), fed.revision()));
  for (int i = 0; i < 6; ++i)
    fed.hub.pump();
  const auto had = [](const auto& readers) {
    std::size_t events = 0;
    for (const auto& reader : readers)
      events += reader->events.size();
    return events;
  };
  const std::size_t before = had(behind);
  fed.put("b", "1");
  fed.hub.pump();
  CHECK(had(woken) == limits::kWatchTurnsPerPumpMax * 3 / 4);
  CHECK(had(behind) > before);
  fed.settle();
  CHECK(had(behind) == behind.size() * 200);
  CHECK(had(woken) == woken.size());
}

TEST_CASE("a watcher that ends in the turn of another one, or in its own, is not missed") {
  struct Ending final : Watcher::Client {
    explicit Ending(WatchHub& hub)
        : watcher(std::make_unique<Watcher>(hub, *this, key("a"), EventKinds::all(), 1)) {}
    void on_turn() override {
      if (other != nullptr) other->watcher.reset();
      watcher.reset();
    }
    void on_endangered(Revision) override {}
    std::unique_ptr<Watcher> watcher;
    Ending* other = nullptr;
  };
  Hub fed;
  Ending first(fed.hub);
  Ending second(fed.hub);
  Ending third(fed.hub);
  first.other = &second;
  fed.settle();
  CHECK(fed.hub.watchers() == 0);
  fed.put("a", "1");
  fed.settle();
}

TEST_CASE("a compaction of everything, in the same pump as the events, hides none from who slept") {
  Hub fed;
  Reader asleep(fed.hub, prefix(""), 1);
  Reader slow(fed.hub, prefix(""), 1);
  fed.settle();
  slow.slow = true;
  for (int i = 0; i < 10; ++i)
    fed.put("a", std::to_string(i));
  fed.apply(Compact{fed.revision()});
  fed.tidy();
  fed.hub.pump();
  fed.settle();
  CHECK(asleep.events.size() == 10);
  fed.tidy();
  slow.slow = false;
  slow.watcher.ask_turn();
  fed.settle();
  CHECK(slow.events.empty());
  CHECK(slow.ended);
}

TEST_CASE(
    "a restored state goes on where the watchers are, or tells them that something is missing") {
  for (const Revision compacted : {Revision{0}, Revision{4}, Revision{8}}) {
    CAPTURE(compacted);
    Hub fed;
    Hub ahead;
    for (Hub* each : {&fed, &ahead}) {
      for (int i = 0; i < 4; ++i)
        each->put("a", std::to_string(i));  // Up to revision 5.
    }
    Reader reader(fed.hub, key("a"), 1);
    Reader later(fed.hub, key("b"), 20);
    fed.settle();
    CHECK(reader.events.size() == 4);
    for (int i = 0; i < 6; ++i)
      ahead.put("a", std::to_string(i));  // Up to revision 11.
    ahead.apply(Compact{compacted});
    fed.restore(ahead.cut(), ahead.index);
    fed.settle();
    CHECK(reader.ended == (compacted == 8));
    if (!reader.ended) CHECK(reader.events.size() == 10);
    fed.put("a", "after");
    fed.settle();
    if (!reader.ended) CHECK(reader.events.back().item.mod == 12);
    CHECK_FALSE(later.ended);
  }
}

TEST_CASE("who sleeps long hears of it before history passes it") {
  Hub fed({600'000, 100'000});
  Reader reader(fed.hub, key("never"), 1);
  fed.settle();
  const std::string large(1000, 'v');
  Revision compacted = 0;
  for (int i = 0; i < 1000; ++i) {
    fed.put("a", large);
    if (const auto chore = fed.store.chore({0})) {
      fed.start(ByteView(*chore).subspan(machine::kStampBytes));
      compacted = fed.store.stats().compact_revision;
      CHECK(reader.warned > compacted);
      fed.tidy();
    }
    fed.settle();
  }
  CHECK(compacted > 500);
}

namespace {

// A hub among random writes, compactions, restores and slow readers; and what happened, kept in
// full.
struct Play : Hub {
  explicit Play(std::uint64_t seed) : rng(seed) {}

  struct Log {
    std::string key;
    EventKind kind;
    Revision revision;
    std::string value;
    std::string prev;
  };

  std::string random_key() {
    std::string name;
    for (std::uint64_t length = 1 + rng.below(4); length > 0; --length)
      name += static_cast<char>('a' + rng.below(3));
    return name;
  }
  KeySpan random_span() {
    const std::uint64_t kind = rng.below(4);
    if (kind == 0) return ::raftd::kv::key(random_key());
    if (kind < 3) return prefix(random_key().substr(rng.below(2)));
    return {KeySpan::Kind::kRange, random_key(), rng.below(3) == 0 ? "" : random_key()};
  }

  void note_removal(const std::string& name, bool whole) {
    for (auto it = now.lower_bound(name); it != now.end();) {
      if (whole ? it->first != name : !it->first.starts_with(name)) break;
      history.push_back({it->first, EventKind::kDelete, revision() + 1, "", it->second});
      it = now.erase(it);
    }
  }
  void write(const std::string& name, const std::string& value) {
    const auto before = now.find(name);
    history.push_back(
        {name, EventKind::kPut, revision() + 1, value, before == now.end() ? "" : before->second});
    now[name] = value;
    put(name, value);
  }
  void open() {
    if (readers.size() == 30) return;
    const Revision floor = store.stats().compact_revision;
    const Revision after = floor + rng.below(revision() - floor + 3);
    readers.push_back(std::make_unique<Reader>(hub, random_span(), after));
  }

  void step(int number) {
    const std::string name = random_key();
    const Revision back = rng.below(400);
    switch (rng.below(20)) {
      case 0:
      case 1:
        note_removal(name, true);
        del(name);
        break;
      case 2:
        note_removal(name, false);
        apply(DeletePrefix{name, 0});
        break;
      case 3:
        apply(Compact{revision() > back ? revision() - back : 0});
        break;
      case 4:
        store.tidy_slice();
        break;
      case 5:
        restore(cut(), index);
        break;
      case 6:
        open();
        break;
      case 7:
        for (const auto& reader : readers) {
          if (rng.below(4) != 0) continue;
          reader->slow = !reader->slow;
          reader->watcher.ask_turn();
        }
        break;
      default:
        write(name, std::to_string(number));
    }
    if (rng.below(3) == 0) hub.pump();
  }

  void check(const Reader& reader) const {
    std::vector<const Log*> wanted;
    for (const Log& log : history) {
      if (log.revision > reader.from && reader.span.contains(log.key)) wanted.push_back(&log);
    }
    REQUIRE(reader.events.size() <= wanted.size());
    if (!reader.ended) REQUIRE(reader.events.size() == wanted.size());
    for (std::size_t i = 0; i < reader.events.size(); ++i) {
      const Event& event = reader.events[i];
      const Log& log = *wanted[i];
      REQUIRE(event.item.key == log.key);
      REQUIRE(event.kind == log.kind);
      REQUIRE(event.item.mod == log.revision);
      REQUIRE(event.item.value == log.value);
      REQUIRE((event.prev ? event.prev->value : "") == log.prev);
      const bool last = i + 1 == wanted.size() || wanted[i + 1]->revision != log.revision;
      REQUIRE(event.last == last);
    }
  }

  Rng rng;
  std::vector<Log> history;
  std::map<std::string, std::string> now;
  std::vector<std::unique_ptr<Reader>> readers;
};

}  // namespace

TEST_CASE("every watcher sees each event that it wants once, in order, or that history was lost") {
  std::size_t to_the_end = 0;
  std::size_t lost = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Play play(seed);
    for (int number = 0; number < 600; ++number)
      play.step(number);
    for (const auto& reader : play.readers) {
      reader->slow = false;
      reader->watcher.ask_turn();
    }
    play.settle();
    for (const auto& reader : play.readers) {
      play.check(*reader);
      ++(reader->ended ? lost : to_the_end);
    }
    play.store.check_invariants();
  }
  CHECK(to_the_end > 300);
  CHECK(lost > 50);
}

}  // namespace raftd::kv
