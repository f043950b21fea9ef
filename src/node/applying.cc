// Committed entries become state, in order, bounded per pump; whoever waits for one gets its reply.
#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "node/replica_state.h"

namespace raftd::node {

void Replica::State::apply(Instant now) {
  if (applying.empty()) return;
  const bool measured = outside.stopwatch != nullptr;
  const Instant begin = measured ? outside.stopwatch->read() : now;
  const raft::Index before = applied;
  while (!applying.empty() && apply_entries_left > 0 && reply_bytes_left > 0) {
    if (doubtful() && !slicing) break;
    // Any single entry fits in what a pump may apply; a second one may not.
    const std::size_t bytes = applying.front().payload.bytes.size();
    if (bytes > apply_bytes_left) apply_entries_left = 0;
    if (apply_entries_left == 0) break;
    apply_bytes_left -= bytes;
    --apply_entries_left;
    if (!apply_front(now)) {
      apply_entries_left = 0;  // One slice per pump.
      break;
    }
  }
  if (applied == before) return;
  applied_something = true;
  core.applied(applied);
  if (measured) apply_times.add(now, outside.stopwatch->read() - begin);
}

// False: it is not finished.
bool Replica::State::apply_front(Instant now) {
  const raft::Entry& entry = applying.front();
  ASSERT_CMP(entry.index, ==, applied.next());
  machine::Outcome outcome;
  if (slicing) {
    outcome = outside.machine.apply_slice();
  } else {
    std::optional<raft::Configuration> room;
    const bool led_here = role.role == raft::Role::kLeader && role.term == entry.term;
    outcome = outside.machine.apply(to_apply(entry, clock, led_here, room),
                                    writes.wanted(entry.index, entry.term));
  }
  slicing = !outcome.finished;
  if (slicing) return false;
  applied_entry(now, entry, std::move(outcome.reply));
  applying.pop_front();
  return true;
}

void Replica::State::applied_entry(Instant now, const raft::Entry& entry,
                                   std::unique_ptr<machine::Reply> reply) {
  applied = entry.index;
  applied_term = entry.term;
  bytes_since += entry.payload.bytes.size();
  if (StateHashes::is_mark(applied)) hashes.note(applied, outside.machine.state_hash());
  writes.applied(entry.index, entry.term, [&](const WaitingWrites::Waiter& waiter, bool other) {
    if (other) {
      refuse(waiter.token, {Errc::kSuperseded, "another entry was committed in its place"});
      return;
    }
    commit_times.add(now, now - waiter.since);
    if (reply != nullptr) reply_bytes_left -= std::min(reply->bytes(), reply_bytes_left);
    answers.emplace_back(waiter.token,
                         node::Done{entry.index, entry.term, waiter.forwarded, std::move(reply)});
  });
  end_changes(entry);
  if (entry.term == role.term && role.role == raft::Role::kLeader) leading = true;
  if (chore_at && applied >= chore_at) chore_at = {};
}

// A round that is under way proves nothing any more: its answers may be older than the pause.
void Replica::State::note_pause() {
  paused = true;
  confirming = false;
}

// While it was paused another one may lead, and the beats that keep leases alive may have gone
// there, or wait unread in this node's sockets. What is due by its clock is not ended before a
// quorum has said, later than that, that it follows this leader.
bool Replica::State::still_leads(Instant now) {
  if (!paused) return true;
  if (!confirming) confirming = static_cast<bool>(core.read(now, ++confirmation));
  return false;
}

// Housekeeping that must go through the log: one command at a time, by the leader, once its clock
// knows everything that was committed before its term.
void Replica::State::propose_chore(Instant now) {
  if (!leading || chore_at || transferring || stop != Stop::kNo || doubtful()) return;
  const std::optional<machine::ClusterTime> due = outside.machine.next_chore();
  if (!due || *due > clock.reading() || !still_leads(now)) return;
  std::optional<Bytes> command = outside.machine.chore(clock.reading());
  if (!command) return;
  ASSERT_CMP(command->size(), >=, machine::kStampBytes);
  store_le<std::uint64_t>(*command, 0, clock.reading().value);
  const Result<raft::Index> index = core.propose(now, share(*std::move(command)));
  if (index) chore_at = *index;  // Else it is asked for again: nothing is lost.
}

}  // namespace raftd::node
