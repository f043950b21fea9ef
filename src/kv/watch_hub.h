// Everybody on this node who waits for changes: watch streams and long-polls of every protocol.
//
// A watcher is a cursor into the ring of changes, a span of keys and the kinds of events that it
// wants; it has no queue. The hub looks at each new event once. A watcher that has read everything
// is asleep: an event that does not concern it costs it nothing, and the first one that does moves
// its cursor there and gives it a turn. One that lags behind (its client reads slowly) is not even
// noticed: it reads on from the ring when it can, or finds that history has passed it.
//
// So many turns are given per iteration of the loop, in the order in which they were asked for.
// Most of them go to those who were woken by an event: who has much to catch up with must not make
// everybody else late.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/events.h"
#include "kv/span_index.h"
#include "kv/store.h"

namespace raftd::kv {

class WatchHub;

// What one client waits for, from its making to its end. Stays where it is.
class Watcher {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    // There may be something to read, or ask_turn() was called. Whoever has more than is good for
    // one turn asks for the next one. May end its own watcher and make others.
    virtual void on_turn() = 0;
    // It has not been concerned for long: tell it watcher.position(), if what it was told last is
    // not above revision. A turn is asked for by who needs one.
    virtual void on_endangered(Revision revision) = 0;
  };

  // Wants events of revisions above `after`, which may be in the future.
  Watcher(WatchHub& hub, Client& client, KeySpan span, EventKinds kinds, Revision after);
  ~Watcher();
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // As Store::read_events(). After kCaughtUp a turn comes with the next event that concerns it.
  EventsRead read(const EventBounds& bounds, bool with_prev, std::vector<Event>& out);
  void restart(Revision after);  // Another place to read from; what was before it is forgotten.
  void ask_turn();
  void keep_turn();  // It could not be used: it is among the first of the next iteration.
  // It has read every event that it wants up to here.
  Revision position() const;

  KeySpan span;             // For the index and its look-ups; not to be changed.
  std::size_t span_at = 0;  // The index's.

 private:
  friend class WatchHub;
  WatchHub& hub_;
  Client& client_;
  const EventKinds kinds_;
  EventCursor cursor_;
  bool asleep_ = false;  // Has read all that concerned it when the hub looked last.
  struct Queue {         // Of those who wait for their turn.
    Watcher* first = nullptr;
    Watcher* last = nullptr;
    std::size_t size = 0;
  };
  Queue* queue_ = nullptr;  // It is in this one; null: in none.
  Watcher* queue_before_ = nullptr;
  Watcher* queue_behind_ = nullptr;
  std::size_t all_at_ = 0;  // Its place among all.
};

class WatchHub {
 public:
  WatchHub(Store& store, std::uint64_t seed);
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Once per iteration, when entries may have been applied: looks at new events and gives turns,
  // bounded both.
  void pump();
  bool has_more() const;  // Call pump() again without waiting for anything.
  void ask_all_turns();   // Something has happened to all of them.
  std::size_t watchers() const { return all_.size(); }
  const Store& store() const { return store_; }

 private:
  friend class Watcher;
  void add(Watcher& watcher);
  void remove(Watcher& watcher);
  static void enqueue(Watcher& watcher, Watcher::Queue& queue);
  static void leave_queue(Watcher& watcher);
  SpanIndex<Watcher>& index_of(Space space) { return indices_[static_cast<std::size_t>(space)]; }
  void look();
  void look_again();
  void warn_endangered();

  Store& store_;
  std::vector<SpanIndex<Watcher>> indices_;  // One for each space.
  EventCursor seen_;                         // What was looked at.
  bool all_seen_ = true;
  std::vector<Watcher*> all_;
  Watcher::Queue woken_;  // By an event.
  Watcher::Queue asked_;  // For another turn.
  // Watchers are gone through one after the other; those before warned_ know of warned_for_.
  std::size_t warned_ = 0;
  Revision warned_for_ = 0;
};

}  // namespace raftd::kv
