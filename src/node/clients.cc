// Requests of clients and of peers on behalf of theirs, and the answers to them. Each client gets
// exactly one answer, at the end of a pump: what it then asks next cannot disturb what is going on.
#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "base/text.h"
#include "node/replica_state.h"

namespace raftd::node {
namespace {

Error no_leader() {
  return {Errc::kNotLeader, "no leader is known"};
}

Error busy(const char* what) {
  return {Errc::kBusy, strf("too many %s are waiting", what)};
}

// Propose only. kBadInput: there is no room for the stamp. kTooBig.
Status check_command(const Bytes& command) {
  if (command.size() < machine::kStampBytes) {
    return Error{Errc::kBadInput, "a command without room for its time stamp"};
  }
  if (command.size() > limits::kEntryBytesMax) {
    return Error{Errc::kTooBig, strf("a command of %zu bytes; the log takes %zu", command.size(),
                                     limits::kEntryBytesMax)};
  }
  return raftd::Done();
}

}  // namespace

void Replica::State::refuse(ClientToken token, Error error) {
  answers.emplace_back(token, Refused{std::move(error)});
}

void Replica::State::unknown(ClientToken token, raft::Term asked_in) {
  const bool leader_lost = asked_in != role.term || !role.leader;
  answers.emplace_back(token, Unknown{.leader_lost = leader_lost});
}

std::size_t Replica::State::waiting_writes() const {
  return writes.size() + forwards.size() + transfers.size() + changes.size();
}

std::size_t Replica::State::waiting() const {
  return waiting_writes() + reads.size();
}

void Replica::State::start_write(Instant now, ClientToken token, WriteOp& op, Instant deadline) {
  if (auto* command = std::get_if<Propose>(&op)) {
    if (Status status = check_command(command->command); !status) {
      return refuse(token, std::move(status).error());
    }
    if (doubtful()) return refuse(token, doubt_error());
  }
  if (const auto* change = std::get_if<ChangeMembers>(&op)) {
    if (Status status = raft::check(change->target); !status) {
      return refuse(token, std::move(status).error());
    }
  }
  if (waiting_writes() >= limits::kProposalsPendingMax) return refuse(token, busy("writes"));
  const raft::RoleView view = core.role();
  const auto* wanted = std::get_if<Transfer>(&op);
  const bool is_transfer = wanted != nullptr;
  if (is_transfer && view.leader && wanted->target == view.leader) {
    answers.emplace_back(token, node::Done{applied, view.term, false, nullptr});
    return;
  }
  Forwards::Pending pending{token, {}, view.term, deadline, now, std::move(op)};
  if (view.role == raft::Role::kLeader) {
    start_leading(now, pending);
    op = std::move(pending.op);
    return;
  }
  if (!view.leader) return refuse(token, no_leader());
  if (lanes.full() && !is_transfer) {
    // It takes no entries, so it would never hear what became of the write.
    return refuse(token, {Errc::kNotReady, "this node's disk is full; ask another node"});
  }
  forward(std::move(pending), view.leader);
}

void Replica::State::start_leading(Instant now, Forwards::Pending& pending) {
  const Result<Led> led = lead(now, pending.op);
  if (!led) return refuse(pending.token, led.error());
  if (const auto* at = std::get_if<Forwarded::Appended>(&*led)) {
    return wait_at(*at, pending, false);
  }
  const raft::NodeId target = std::get<Transfer>(pending.op).target;
  transfers.push_back({pending.token, pending.deadline, target, config.self, pending.term, true});
}

// What this node's clients and those of its peers want of it as the leader. Takes out of op what
// the log keeps.
Result<Replica::State::Led> Replica::State::lead(Instant now, WriteOp& op) {
  const raft::Term term = core.role().term;
  if (auto* command = std::get_if<Propose>(&op)) {
    // With a stamp of the last pump, a lease would begin before it was asked for, and end early.
    advance_clock(now);
    store_le<std::uint64_t>(command->command, 0, clock.reading().value);
    TRY(const raft::Index index, core.propose(now, blocks.share(command->command)));
    return Led{Forwarded::Appended{index, term}};
  }
  if (const auto* change = std::get_if<ChangeMembers>(&op)) {
    TRY(const raft::Index index, core.change_members(now, *change));
    return Led{Forwarded::Appended{index, term}};
  }
  const raft::NodeId target = std::get<Transfer>(op).target;
  if (target != config.self) {
    TRY([[maybe_unused]] const raftd::Done begun, core.transfer(now, target));
    transferring = true;
  }
  return Led{Forwarded::Begun{}};
}

// Puts it on its way. It is sent in the next pump.
void Replica::State::forward(Forwards::Pending pending, raft::NodeId leader) {
  ASSERT(leader);
  ASSERT(leader != config.self);
  if (std::ranges::find(links, leader) == links.end()) {
    return refuse(pending.token,
                  {Errc::kNotLeader, strf("no connection to the leader, node %llu",
                                          static_cast<unsigned long long>(leader.value))});
  }
  if (!forwards.has_room(pending.op)) return refuse(pending.token, busy("forwarded writes"));
  pending.to = leader;
  WriteOp op = pending.op;
  const ForwardId id = forwards.add(std::move(pending));
  outbox.emplace_back(Forward{config.self, leader, id, std::move(op)});
  ++forwarded_total;
}

// On the leader: a peer's client wants this. Answered in the next pump. Never forwarded again.
void Replica::State::lead_forward(Instant now, Forward request) {
  Forwarded answer{config.self, request.from, request.id, Forwarded::Begun{}};
  const raft::RoleView view = core.role();
  Status status = raftd::Done();
  if (view.role != raft::Role::kLeader) {
    status = no_leader();
  } else if (stop != Stop::kNo) {
    status = Error{Errc::kTransferring, "the leader is shutting down"};
  } else if (const auto* command = std::get_if<Propose>(&request.op)) {
    status = check_command(command->command);
    if (doubtful()) status = doubt_error();
  }
  if (status) {
    Result<Led> led = lead(now, request.op);
    if (led) {
      std::visit([&](const auto& result) { answer.result = result; }, *led);
    } else {
      status = std::move(led).error();
    }
  }
  if (const auto* at = std::get_if<Forwarded::Appended>(&answer.result)) {
    core.announce(request.from, at->index);
  }
  if (!status) answer.result = Forwarded::Refused{status.error().code, view.leader};
  outbox.emplace_back(std::move(answer));
}

void Replica::State::forward_ended(Instant now, Forwards::Pending pending,
                                   const Forwarded& answer) {
  const auto* wanted = std::get_if<Transfer>(&pending.op);
  if (const auto* refused = std::get_if<Forwarded::Refused>(&answer.result)) {
    forward_refused(now, std::move(pending), answer.from, *refused);
  } else if (const auto* at = std::get_if<Forwarded::Appended>(&answer.result);
             at != nullptr && wanted == nullptr && at->index > applied) {
    wait_at(*at, pending, true);
  } else if (at == nullptr && wanted != nullptr) {
    transfers.push_back(
        {pending.token, pending.deadline, wanted->target, answer.from, pending.term});
    end_transfers(role);
  } else {
    // Applied before the answer came: its result is gone. Or an answer that fits no question.
    unknown(pending.token, pending.term);
  }
}

// For the entry there, or, if it begins a change of members, for the end of that.
void Replica::State::wait_at(const Forwarded::Appended& at, const Forwards::Pending& pending,
                             bool forwarded) {
  if (const auto* change = std::get_if<ChangeMembers>(&pending.op)) {
    const bool leaves = !raft::is_member(change->target, config.self);
    changes.push_back({pending.token, pending.deadline, at.index, at.term, forwarded, leaves});
  } else {
    writes.add(at.term, {at.index, pending.token, pending.deadline, pending.since, forwarded});
  }
}

// A change ends with the first configuration after the joint one, whoever appended it.
void Replica::State::end_changes(const raft::Entry& applied_now) {
  std::erase_if(changes, [&](const WaitingChange& change) {
    if (applied_now.index < change.index) return false;
    if (applied_now.index == change.index) {
      if (applied_now.term == change.term) return false;
      refuse(change.token, {Errc::kSuperseded, "another entry was committed in its place"});
      return true;
    }
    if (applied_now.kind != raft::EntryKind::kConfiguration) return false;
    answers.emplace_back(
        change.token, node::Done{applied_now.index, applied_now.term, change.forwarded, nullptr});
    return true;
  });
}

void Replica::State::forward_refused(Instant now, Forwards::Pending pending, raft::NodeId from,
                                     const Forwarded::Refused& refused) {
  if (refused.code == Errc::kNotLeader && !pending.repeated) {
    const raft::RoleView view = core.role();
    if (view.role == raft::Role::kLeader) {
      return start_write(now, pending.token, pending.op, pending.deadline);
    }
    raft::NodeId next = refused.leader;
    if (!next || next == from || next == config.self) next = view.leader;
    if (next && next != from && next != config.self) {
      pending.repeated = true;
      pending.term = view.term;
      return forward(std::move(pending), next);
    }
  }
  refuse(pending.token,
         {refused.code, strf("refused by node %llu", static_cast<unsigned long long>(from.value))});
}

void Replica::State::start_read(Instant now, WaitingReads::Waiter waiter) {
  if (doubtful()) return refuse(waiter.token, doubt_error());
  if (reads.size() + fresh_reads.size() >= limits::kReadsPendingMax) {
    return refuse(waiter.token, busy("reads"));
  }
  if (Status status = core.read(now, reads.next_read()); !status) {
    return refuse(waiter.token, std::move(status).error());
  }
  reads.asked(std::move(waiter));
}

// Reads that no leader confirmed, while one is known.
void Replica::State::ask_again(Instant now) {
  for (WaitingReads::Waiter& waiter : reads.take_unasked(now)) {
    if (core.role().leader) {
      start_read(now, std::move(waiter));
    } else {
      refuse(waiter.token, no_leader());
    }
  }
}

void Replica::State::confirm_read(const raft::ReadDone& read) {
  if (read.token > kConfirmations) {
    if (read.token != confirmation || !confirming) return;
    confirming = false;
    if (read.at) paused = false;
    return;
  }
  reads.answered(read.token, read.at);
}

// So much in a pump that its answers can be sent before there are more of them: a read that is
// confirmed may be served as much later as one likes.
void Replica::State::serve_reads() {
  if (doubtful()) return refuse_reads();
  std::size_t bytes_left = limits::kReplyBytesPerPumpMax;
  const auto serve = [&](WaitingReads::Waiter waiter) {
    if (!gone.empty() && gone.contains(waiter.token)) return;
    std::unique_ptr<machine::Reply> reply = outside.machine.query(*waiter.query, clock.reading());
    if (reply == nullptr) {
      reads.park(std::move(waiter));
      return;
    }
    bytes_left -= std::min(reply->bytes(), bytes_left);
    answers.emplace_back(waiter.token, node::Done{applied, role.term, false, std::move(reply),
                                                  std::move(waiter.query)});
  };
  if (std::exchange(applied_something, false)) {
    for (WaitingReads::Waiter& waiter : reads.take_parked()) {
      if (bytes_left > 0) {
        serve(std::move(waiter));
      } else {
        reads.park(std::move(waiter));
        applied_something = true;  // For this one.
      }
    }
  }
  WaitingReads::Waiter ready;
  while (bytes_left > 0 && reads.next_ready(applied, ready))
    serve(std::move(ready));
  while (bytes_left > 0 && !fresh_reads.empty())
    serve(fresh_reads.pop_front());
}

// Who waits for another leader has got one.
void Replica::State::end_transfers(const raft::RoleView& view) {
  if (!view.leader) return;
  std::erase_if(transfers, [&](const WaitingTransfer& transfer) {
    if (view.leader == transfer.leader && view.term == transfer.term) return false;
    const bool done =
        transfer.target ? view.leader == transfer.target : view.leader != transfer.leader;
    if (done) {
      answers.emplace_back(transfer.token, node::Done{applied, view.term, !transfer.here, nullptr});
    } else {
      refuse(transfer.token,
             {Errc::kConflict, strf("another node leads now: %llu",
                                    static_cast<unsigned long long>(view.leader.value))});
    }
    return true;
  });
}

void Replica::State::fail_transfers() {
  transferring = false;
  std::erase_if(transfers, [&](const WaitingTransfer& transfer) {
    if (!transfer.here) return false;
    refuse(transfer.token,
           {Errc::kConflict, "the transfer took an election timeout and was given up"});
    return true;
  });
}

void Replica::State::stand(Instant now, ClientToken token) {
  if (Status status = core.stand(now); !status) return refuse(token, std::move(status).error());
  answers.emplace_back(token, node::Done{applied, core.role().term, false, nullptr});
}

// As if every deadline had passed.
void Replica::State::end_membership(Instant now) {
  constexpr auto kLongerThanAnyWait = std::chrono::hours(24);
  const Instant end = now + kLongerThanAnyWait;
  // There is no leader for this node any more.
  const auto lost = [&](ClientToken token) {
    answers.emplace_back(token, Unknown{.leader_lost = true});
  };
  const auto left = [&](ClientToken token, bool forwarded) {
    answers.emplace_back(token,
                         node::Done{core.configuration().index, role.term, forwarded, nullptr});
  };
  forwards.scan(end, gone, [&](const Forwards::Pending& pending) {
    const auto* change = std::get_if<ChangeMembers>(&pending.op);
    const bool leaves = change != nullptr && !raft::is_member(change->target, config.self);
    leaves ? left(pending.token, true) : lost(pending.token);
  });
  for (const WaitingChange& change : std::exchange(changes, {})) {
    change.leaves ? left(change.token, change.forwarded) : lost(change.token);
  }
  writes.scan(end, gone,
              [&](const WaitingWrites::Waiter& waiter, raft::Term) { lost(waiter.token); });
  reads.scan(end, gone, [&](ClientToken token) {
    refuse(token, {Errc::kShuttingDown, "this node was removed from the cluster"});
  });
  for (const WaitingTransfer& transfer : std::exchange(transfers, {}))
    lost(transfer.token);
}

void Replica::State::scan_deadlines(Instant now) {
  const bool gone_due = !gone.empty() && now >= gone_scan_at;
  const auto is_due = [&](const auto& waiter) { return waiter.deadline <= now; };
  if (!gone_due && !writes.scan_due(now) && !reads.scan_due(now) && !forwards.scan_due(now) &&
      std::ranges::none_of(transfers, is_due) && std::ranges::none_of(changes, is_due) &&
      (fresh_reads.empty() || !is_due(fresh_reads.front()))) {
    return;
  }
  const auto timed_out = [&](ClientToken token) {
    refuse(token, {Errc::kTimeout, "nothing was decided before the deadline"});
  };
  writes.scan(now, gone, [&](const WaitingWrites::Waiter& waiter, raft::Term term) {
    unknown(waiter.token, term);
  });
  forwards.scan(now, gone,
                [&](const Forwards::Pending& pending) { unknown(pending.token, pending.term); });
  reads.scan(now, gone, timed_out);
  const auto expired = [&](const auto& waiter) {
    if (gone.contains(waiter.token)) return true;
    if (waiter.deadline > now) return false;
    unknown(waiter.token, waiter.term);
    return true;
  };
  std::erase_if(transfers, expired);
  std::erase_if(changes, expired);
  std::erase_if(answers, [&](const auto& answer) { return gone.contains(answer.first); });
  fresh_reads.erase_if([&](const WaitingReads::Waiter& waiter) {
    const bool left = gone.contains(waiter.token);
    if (!left && waiter.deadline > now) return false;
    if (!left) timed_out(waiter.token);
    return true;
  });
  gone.clear();
  gone_scan_at = now + kDeadlineScanInterval;
}

void Replica::State::deliver_answers() {
  std::swap(answers, delivering);
  for (auto& [token, result] : delivering) {
    if (!gone.empty() && gone.contains(token)) continue;
    outside.clients.complete(token, std::move(result));
  }
  delivering.clear();
}

}  // namespace raftd::node
