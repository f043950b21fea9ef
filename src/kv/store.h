// The key-value store as a replicated state machine: keys with all their versions within the
// history window (etcd's data model: one global revision, mod, create and version of a key).
#pragma once

#include <functional>
#include <memory>

#include "kv/command.h"
#include "kv/events.h"
#include "kv/query.h"
#include "machine/state_machine.h"

namespace raftd::kv {

// When the leader proposes to drop history. Local: what was dropped is in the log.
struct HistoryLimits {
  std::uint64_t age_ms = 0;
  std::uint64_t bytes = 0;
};

// What an event is about, and the place before it.
using EventVisitor =
    std::function<void(Space space, std::string_view key, EventKind kind, const EventCursor& at)>;

class Store final : public machine::StateMachine {
 public:
  explicit Store(const HistoryLimits& history);
  ~Store() override;

  machine::Outcome apply(const machine::Applied& applied, bool reply_wanted) override;
  machine::Outcome apply_slice() override;
  std::unique_ptr<machine::Reply> query(const machine::Query& query,
                                        machine::ClusterTime now) const override;
  std::optional<Bytes> chore(machine::ClusterTime now) const override;
  std::optional<machine::ClusterTime> next_chore() const override;
  const std::vector<machine::Promotion>& promotions() const override;
  // Of apply() or query(), and read: its memory may be used for another one.
  void take_back(std::unique_ptr<machine::Reply> reply);
  static constexpr std::string_view kName = "kv/1";
  std::string_view name() const override { return kName; }
  std::unique_ptr<machine::SnapshotWriter> snapshot() override;
  std::unique_ptr<machine::RestoreReader> restore() override;
  std::uint64_t state_hash() const override;
  bool tidy_slice() override;

  // For the state of another cluster: who was a member there means nothing here. max_id: the
  // largest of the members that it begins with here.
  void forget_members(std::uint64_t max_id);
  void set_history_limits(const HistoryLimits& history);
  const HistoryLimits& history_limits() const;

  // events.cc. Events of revisions that are not visible yet are never given.
  // Appends the wanted events behind the cursor and moves it. Those of one revision follow each
  // other, perhaps over several reads; only the last that is wanted says so.
  EventsRead read_events(EventCursor& cursor, const EventsWanted& wanted, const EventBounds& bounds,
                         std::vector<Event>& out) const;
  EventsRead visit_events(EventCursor& cursor, std::size_t visits_max,
                          const EventVisitor& visitor) const;
  // Later events stay until this is called again, compacted or not: who looks at all of them once
  // may be an iteration of the loop behind.
  void keep_events_after(Revision revision);
  // Who has seen nothing above this revision should hear of a later one soon: history up to here
  // may be dropped before long.
  Revision endangered() const;

  StoreStats stats() const;
  const std::vector<PublishedMember>& members() const;  // By id.
  const std::vector<Ticket>& tickets() const;           // By id.
  std::uint64_t max_id() const;                         // No larger id was ever had or reserved.
  std::uint64_t digest() const;  // Of everything replicated; equal at equal applied index. Slow.

  void check_invariants() const;  // Slow.

 private:
  struct State;
  class Writer;
  class Reader;
  std::unique_ptr<State> state_;
};

}  // namespace raftd::kv
