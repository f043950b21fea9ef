#include "kv/watch_hub.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace raftd::kv {

Watcher::Watcher(WatchHub& hub, Client& client, KeySpan wanted, EventKinds kinds, Revision after)
    : span(std::move(wanted)), hub_(hub), client_(client), kinds_(kinds) {
  cursor_.after = after;
  hub_.add(*this);
}

Watcher::~Watcher() {
  hub_.remove(*this);
}

EventsRead Watcher::read(const EventBounds& bounds, bool with_prev, std::vector<Event>& out) {
  const EventsRead result = hub_.store_.read_events(
      cursor_, {.span = span, .kinds = kinds_, .prev = with_prev}, bounds, out);
  asleep_ = result == EventsRead::kCaughtUp;
  return result;
}

void Watcher::restart(Revision after) {
  cursor_ = EventCursor();
  cursor_.after = after;
  asleep_ = false;
}

void Watcher::ask_turn() {
  WatchHub::enqueue(*this, hub_.asked_);
}

void Watcher::keep_turn() {
  WatchHub::enqueue(*this, hub_.woken_);
}

Revision Watcher::position() const {
  return asleep_ ? std::max(cursor_.after, hub_.seen_.after) : cursor_.after;
}

WatchHub::WatchHub(Store& store, std::uint64_t seed)
    : store_(store), indices_(kSpaces, SpanIndex<Watcher>(seed)) {
  seen_.after = store_.stats().revision;
  store_.keep_events_after(seen_.after);
}

WatchHub::~WatchHub() {
  ASSERT(all_.empty());
}

void WatchHub::add(Watcher& watcher) {
  watcher.all_at_ = all_.size();
  all_.push_back(&watcher);
  index_of(watcher.span.space).add(watcher.span, &watcher);
  enqueue(watcher, asked_);  // It may have something to read, and falls asleep if not.
}

void WatchHub::remove(Watcher& watcher) {
  leave_queue(watcher);
  index_of(watcher.span.space).remove(watcher.span, &watcher);
  all_[watcher.all_at_] = all_.back();
  all_[watcher.all_at_]->all_at_ = watcher.all_at_;
  all_.pop_back();
}

void WatchHub::enqueue(Watcher& watcher, Watcher::Queue& queue) {
  if (watcher.queue_ != nullptr) return;
  watcher.queue_ = &queue;
  watcher.queue_before_ = queue.last;
  watcher.queue_behind_ = nullptr;
  (queue.last == nullptr ? queue.first : queue.last->queue_behind_) = &watcher;
  queue.last = &watcher;
  ++queue.size;
}

void WatchHub::leave_queue(Watcher& watcher) {
  if (watcher.queue_ == nullptr) return;
  Watcher::Queue& queue = *std::exchange(watcher.queue_, nullptr);
  Watcher* front = watcher.queue_before_;
  Watcher* behind = watcher.queue_behind_;
  (front == nullptr ? queue.first : front->queue_behind_) = behind;
  (behind == nullptr ? queue.last : behind->queue_before_) = front;
  --queue.size;
}

void WatchHub::ask_all_turns() {
  for (Watcher* watcher : all_)
    enqueue(*watcher, asked_);
}

bool WatchHub::has_more() const {
  return woken_.size + asked_.size != 0 || !all_seen_;
}

void WatchHub::pump() {
  look();
  warn_endangered();
  // Who asks for its next turn in this one has it after the others.
  const std::size_t waiting = woken_.size + asked_.size;
  for (std::size_t turn = std::min(waiting, limits::kWatchTurnsPerPumpMax); turn > 0; --turn) {
    const bool asked_first = turn % 4 == 0 || woken_.size == 0;
    Watcher* next = asked_first && asked_.size != 0 ? asked_.first : woken_.first;
    if (next == nullptr) return;  // Some have ended in the turns of others.
    leave_queue(*next);
    next->client_.on_turn();
  }
}

void WatchHub::look() {
  if (all_.empty()) {
    seen_ = EventCursor();
    seen_.after = store_.stats().revision;
    all_seen_ = true;
    store_.keep_events_after(seen_.after);
    return;
  }
  const auto visit = [this](Space space, std::string_view key, EventKind kind,
                            const EventCursor& at) {
    index_of(space).for_each(key, [&](Watcher& watcher) {
      // Who is awake reads the event anyway; the cursor of a sleeper may be in the future.
      if (!watcher.asleep_ || !watcher.kinds_.contains(kind)) return;
      if (before(at, watcher.cursor_)) return;
      watcher.cursor_ = at;
      watcher.asleep_ = false;
      enqueue(watcher, woken_);
    });
  };
  const EventsRead read = store_.visit_events(seen_, limits::kWatchEventsPerPumpMax, visit);
  if (read == EventsRead::kCompacted) return look_again();
  all_seen_ = read == EventsRead::kCaughtUp;
  store_.keep_events_after(seen_.after);
}

// Another state was restored, and its history does not reach back to what was seen: who slept has
// missed something, nobody knows what. Awake, it finds that out when it reads.
void WatchHub::look_again() {
  for (Watcher* watcher : all_) {
    if (!watcher->asleep_) continue;
    if (before(watcher->cursor_, seen_)) watcher->cursor_ = seen_;
    watcher->asleep_ = false;
    enqueue(*watcher, asked_);
  }
  seen_ = EventCursor();
  seen_.after = store_.stats().compact_revision;
  all_seen_ = false;
  store_.keep_events_after(seen_.after);
}

void WatchHub::warn_endangered() {
  const Revision endangered = store_.endangered();
  if (warned_ >= all_.size() && endangered <= warned_for_) return;
  if (warned_ >= all_.size()) {
    warned_ = 0;
    // What they are told now is above this; they are not told again before half of it is in danger.
    warned_for_ = endangered + (store_.stats().revision - endangered) / 4;
  }
  const std::size_t end = std::min(all_.size(), warned_ + limits::kWatchEventsPerPumpMax);
  for (; warned_ < end; ++warned_) {
    if (all_[warned_]->asleep_) all_[warned_]->client_.on_endangered(warned_for_);
  }
}

}  // namespace raftd::kv
