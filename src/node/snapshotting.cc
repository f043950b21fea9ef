// Snapshots as the replica sees them: when one is cut, what one that was received does to the
// state, and which files and entries are not needed any more.
#include <algorithm>

#include "base/limits.h"
#include "node/replica_state.h"

namespace raftd::node {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

// Plans that only remove old snapshots.
constexpr std::uint64_t kRemover = 7;

}  // namespace

// False: the plan is not of these.
bool Replica::State::on_snapshot_disk(Instant now, const storage::DiskResult& result) {
  if (SnapshotWriting::owns(result.id)) {
    if (const auto made = writing.on_done(now, result)) {
      ++snapshots_made;
      outside.log.info("snapshot: made at index %llu, %llu bytes", number(made->kept.index.value),
                       number(made->kept.bytes));
      own_snapshot(made->meta, made->kept);
    }
    return true;
  }
  if (SnapshotReceiving::owns(result.id)) {
    const SnapshotReceiving::Event event = receiving.on_done(result);
    switch (event.kind) {
      case SnapshotReceiving::Event::Kind::kStored:
        core.chunk_stored(now, event.id, event.next_offset);
        break;
      case SnapshotReceiving::Event::Kind::kFailed:
        core.install_failed(now, event.id, true);
        break;
      case SnapshotReceiving::Event::Kind::kReady:  // The next pump looks whether it may be taken.
      case SnapshotReceiving::Event::Kind::kNothing:
        break;
    }
    return true;
  }
  if (SnapshotSending::owns(result.id)) {
    const raft::NodeId lost = sending.on_done(result, core.role().term);
    if (lost) core.unreachable(lost);
    return true;
  }
  if (result.id.value >> 61U != kRemover) return false;
  removing = false;
  return true;
}

void Replica::State::pump_snapshots(Instant now) {
  if (receiving.meta() != nullptr) take_received(now);
  serve_snapshot_clients(now);
  if (snapshot_due(now)) begin_snapshot(now);
  if (writing.active() && enough_applied(writing.index())) writing.hurry();
  writing.pump(now);
  if (writing.take_damage()) {
    hashes.damaged(applied);
    note_doubt();
  }
  drop_superfluous();
}

// The state never goes back: where the log was faster, what is ready is one more of this node's
// own.
void Replica::State::take_received(Instant now) {
  const raft::SnapshotMeta meta = *receiving.meta();
  const raft::SnapshotId& id = meta.id;
  // What replaces a state that is wrong may be of the same index.
  const raft::Index passed = doubtful() ? applied.prev() : applied;
  if (id.last_index > passed) {
    if (receiving.ready() && !slicing) install(now);
    return;
  }
  if (receiving.ready()) {
    if (core.persisted_index() < id.last_index) return;  // It is, soon.
    own_snapshot(meta, {storage::format::snapshot_name(id.last_index.value, id.last_term.value),
                        id.last_index, id.last_term, id.file_bytes});
  }
  receiving.drop();
  core.install_failed(now, id, false);
}

// Of a state that this node has had, and whose log is durable.
void Replica::State::own_snapshot(const raft::SnapshotMeta& meta,
                                  const storage::KeptSnapshot& file) {
  lanes.snapshot_durable(meta.id);
  core.compacted(meta);
  keep_snapshot(file);
}

bool Replica::State::snapshot_due(Instant now) const {
  if (stop != Stop::kNo || slicing || doubtful()) return false;
  if (!writing.may_begin(now) || receiving.restoring() || lanes.full()) return false;
  const raft::Index last = kept.empty() ? raft::Index{} : kept.back().index;
  if (applied <= last || !applied) return false;
  // Never ahead of the own log: what a crash would leave could not be told from an installed one.
  if (core.persisted_index() < applied) return false;
  const bool wanted = reload_from > last && applied >= reload_from;
  if (wanted || !snapshot_clients.empty()) return true;
  const bool late =
      snapshot_options.interval > Duration{} && now - snapshot_at >= snapshot_options.interval;
  return enough_applied(last) || (snapshot_options.entries != 0 && late);
}

// For a snapshot of now, where the one before it is of this index, be it made by now or not.
bool Replica::State::enough_applied(raft::Index last) const {
  if (snapshot_options.entries == 0) return false;
  const bool many = applied - last >= snapshot_options.entries;
  const bool much = bytes_since >= snapshot_options.bytes;
  if (!many && !much) return false;
  if (kept.empty()) return true;
  const std::uint64_t state_bytes = kept.back().bytes;
  const std::uint64_t small = std::min(snapshot_options.small_bytes, snapshot_options.bytes);
  return bytes_since >= std::max(state_bytes / 4, std::min(state_bytes, small));
}

// Precondition: no entry is applied in part.
storage::SnapshotCut Replica::State::cut_here() const {
  ASSERT(!slicing);
  storage::SnapshotCut cut;
  cut.cluster_id = cluster_id;
  cut.last_index = applied;
  cut.last_term = applied_term;
  cut.configuration = core.configuration_at(applied);
  cut.cluster_time_ms = clock.applied().value;
  cut.machine_name = outside.machine.name();
  return cut;
}

void Replica::State::begin_snapshot(Instant now) {
  writing.begin(cut_here(), outside.machine.snapshot());
  bytes_since = 0;
  snapshot_at = now;
}

// The newest ones stay, and what is being sent.
void Replica::State::keep_snapshot(const storage::KeptSnapshot& made) {
  const auto after = [](const storage::KeptSnapshot& a, const storage::KeptSnapshot& b) {
    return std::pair(a.index, a.term) < std::pair(b.index, b.term);
  };
  std::erase_if(kept, [&](const auto& each) { return each.name == made.name; });
  kept.insert(std::ranges::upper_bound(kept, made, after), made);
  snapshot_kept(made);
}

// Beside the state that is served until now. Whoever waited for what it skips hears that nobody
// knows.
void Replica::State::install(Instant now) {
  writing.abort();
  backups.break_all();
  const SnapshotReceiving::Installed done = receiving.commit();
  const raft::SnapshotId& id = done.meta.id;
  applied = id.last_index;
  applied_term = id.last_term;
  applied_something = true;
  bytes_since = 0;
  snapshot_at = now;
  clock.apply(done.time);
  while (!applying.empty() && applying.front().index <= applied)
    applying.pop_front();
  writes.skip_to(applied, [&](const WaitingWrites::Waiter& waiter, raft::Term term) {
    unknown(waiter.token, term);
  });
  std::erase_if(changes, [&](const WaitingChange& change) {
    if (change.index > applied) return false;
    unknown(change.token, change.term);
    return true;
  });
  if (chore_at && chore_at <= applied) chore_at = {};
  lanes.snapshot_durable(id);
  core.installed(now, done.meta);
  keep_snapshot(done.kept);
  if (doubtful()) {
    ++reloads;
    distrusted_below = applied;
  }
  hashes.replaced();
  note_doubt();
  outside.log.info("snapshot: installed the one at index %llu", number(id.last_index.value));
}

// Up to here the log is in the older of the newest two snapshots: should the newest turn out bad,
// nothing is lost. What a follower still needs stays while the log is not too long.
raft::Index Replica::State::droppable() const {
  const std::size_t needed = std::min<std::size_t>(snapshot_options.keep, 2);
  if (kept.size() < needed) return {};
  raft::Index limit = kept[kept.size() - needed].index;
  if (!lanes.journal().can_drop_up_to(limit)) return {};
  if (const auto sent = core.sending_from()) limit = std::min(limit, *sent);
  if (lanes.journal().bytes_on_disk() >= 2 * snapshot_options.bytes + limits::kLogKeepBytes) {
    return limit;
  }
  for (const raft::PeerProgress& peer : core.progress()) {
    const bool heard =
        peer.last_contact && latest - *peer.last_contact < 10 * config.election_timeout_min;
    if (heard && peer.state != raft::PeerProgress::State::kSnapshot) {
      limit = std::min(limit, peer.match);
    }
  }
  return limit;
}

void Replica::State::drop_superfluous() {
  if (stop != Stop::kNo) return;
  const bool distrusted = !kept.empty() && kept.front().index < distrusted_below;
  const bool many = kept.size() > std::max<std::size_t>(snapshot_options.keep, 1);
  if (!removing && (many || distrusted)) {
    const auto sent = core.sending_from();
    const storage::KeptSnapshot oldest = kept.front();
    if (!sent || oldest.index < *sent) {
      kept.erase(kept.begin());
      removing = true;
      storage::DiskPlan plan;
      plan.id = {kRemover << 61U | ++removals};
      plan.lane = storage::Lane::kBackground;
      plan.ops.emplace_back(storage::RemoveFile{oldest.name});
      plan.ops.emplace_back(storage::SyncDirectory{});
      outside.disk.submit(std::move(plan));
    }
  }
  if (kept.empty()) return;
  if (lanes.drop_oldest(latest, droppable())) core.dropped(lanes.journal().first_index());
}

Instant Replica::State::snapshot_wakeup() const {
  const Instant slice = writing.next_slice();
  if (snapshot_options.entries == 0 || snapshot_options.interval == Duration{}) return slice;
  const raft::Index last = kept.empty() ? raft::Index{} : kept.back().index;
  return applied > last ? std::min(slice, snapshot_at + snapshot_options.interval) : slice;
}

}  // namespace raftd::node
