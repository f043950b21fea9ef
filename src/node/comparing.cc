// What follows from a comparison of states (state_hashes.h says how it is made).
#include "node/replica_state.h"

namespace raftd::node {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

}  // namespace

void Replica::State::compare_states(Instant now) {
  if (const std::optional<HashAnswer> answer = hashes.answer(now, applied, role)) {
    outside.network.send(*answer);
  }
  const StateHashes::Steps steps =
      hashes.lead(now, role, core.configuration().configuration, links);
  for (const HashQuestion& question : steps.questions)
    outside.network.send(question);
  reload_from = {};
  for (const StateHashes::Reload& reload : steps.reloads) {
    reload_from = std::max(reload_from, reload.from);
    core.send_snapshot(reload.node, reload.from);
  }
  if (steps.hand_over && !transferring && stop == Stop::kNo) {
    // If it fails it is tried again: whoever leads next, this node must not.
    if (core.transfer(now, *steps.hand_over)) transferring = true;
  }
  note_doubt();
}

// Once for each change, and as loud as it can be.
void Replica::State::note_doubt() {
  if (doubted == doubtful()) return;
  doubted = doubtful();
  core.want_snapshot(doubted);
  Log& log = outside.log;
  if (!doubted) {
    log.warn("state: it is that of a quorum again at index %llu; this node serves again",
             number(applied.value));
    return;
  }
  ++doubts;
  writing.abort();  // Nobody may start from this state.
  backups.break_all();
  refuse_snapshot_clients(doubt_error());
  const StateDoubt& doubt = *hashes.doubt();
  const auto index = number(doubt.index.value);
  switch (doubt.why) {
    case StateDoubt::Why::kDiffers:
      log.error(
          "state: hash mismatch at index %llu: %016llx here, %016llx elsewhere; this node serves "
          "nobody until the leader's snapshot has replaced its state",
          index, number(doubt.own), number(doubt.other));
      return;
    case StateDoubt::Why::kUndecided:
      log.error(
          "state: hash mismatch at index %llu: %016llx here, %016llx elsewhere, and no quorum to "
          "tell which is right; nobody is served until another voter has answered. If none comes: "
          "restore from a backup",
          index, number(doubt.own), number(doubt.other));
      return;
    case StateDoubt::Why::kDamaged:
      log.error(
          "state: the store in memory at index %llu is not what was applied to it: suspect this "
          "machine's memory. This node serves nobody until a leader's snapshot has replaced its "
          "state; if there is no other voter, start it again",
          index);
      return;
  }
}

Error Replica::State::doubt_error() const {
  return {Errc::kNotReady,
          "this node's state differs from that of the others; it serves nobody "
          "until it has another one"};
}

// Whatever they wait for: this state must not answer.
void Replica::State::refuse_reads() {
  applied_something = false;
  for (const WaitingReads::Waiter& waiter : reads.take_parked())
    refuse(waiter.token, doubt_error());
  WaitingReads::Waiter ready;
  while (reads.next_ready(applied, ready))
    refuse(ready.token, doubt_error());
  while (!fresh_reads.empty())
    refuse(fresh_reads.pop_front().token, doubt_error());
}

}  // namespace raftd::node
