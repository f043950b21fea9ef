// Snapshots that clients of this node ask for: one that is durable here, or the state as bytes.
#include <algorithm>

#include "base/limits.h"
#include "node/replica_state.h"

namespace raftd::node {
namespace {

Error nothing_applied() {
  return {Errc::kNotReady, "nothing is applied on this node yet: there is no state to save"};
}

Error no_space() {
  return {Errc::kDiskFull, "there is no space for a snapshot on this node's disk"};
}

}  // namespace

void Replica::State::ask_snapshot(ClientToken token, Instant deadline) {
  if (!applied) return refuse(token, nothing_applied());
  if (snapshot_clients.size() == limits::kSnapshotClientsMax) {
    return refuse(token, {Errc::kBusy, "too many requests wait for a snapshot"});
  }
  snapshot_clients.push_back({token, deadline, applied});
}

void Replica::State::ask_backup(ClientToken token, Instant deadline) {
  if (!applied) return refuse(token, nothing_applied());
  if (backups.size() + backup_clients.size() >= limits::kBackupsMax) {
    return refuse(token, {Errc::kBusy, "as many snapshots as may be are being sent"});
  }
  backup_clients.push_back({token, deadline, applied});
}

// Before it is looked whether one is due: who wants what there is already has it.
void Replica::State::serve_snapshot_clients(Instant now) {
  if (snapshot_clients.empty()) return;
  if (!kept.empty()) snapshot_kept(storage::KeptSnapshot(kept.back()));
  if (!lanes.full() && !writing.lacks_space(now)) return;
  for (const SnapshotClient& client : std::exchange(snapshot_clients, {}))
    refuse(client.token, no_space());
}

void Replica::State::snapshot_kept(const storage::KeptSnapshot& made) {
  std::erase_if(snapshot_clients, [&](const SnapshotClient& client) {
    if (client.at_least > made.index) return false;
    auto reply = std::make_unique<MakeSnapshotReply>();
    reply->kept = made;
    answers.emplace_back(client.token, node::Done{made.index, made.term, false, std::move(reply)});
    return true;
  });
}

// A state is cut between two entries only.
void Replica::State::open_backups() {
  if (slicing) return;
  if (doubtful()) return refuse_snapshot_clients(doubt_error());
  for (const SnapshotClient& client : std::exchange(backup_clients, {})) {
    auto reply = std::make_unique<BackupReply>();
    reply->backup = std::make_unique<Backup>(backups, cut_here(), outside.machine);
    answers.emplace_back(client.token, node::Done{applied, role.term, false, std::move(reply)});
  }
}

void Replica::State::scan_snapshot_clients(Instant now) {
  const auto scan = [&](std::vector<SnapshotClient>& clients, bool may_happen) {
    std::erase_if(clients, [&](const SnapshotClient& client) {
      if (gone.contains(client.token)) return true;
      if (client.deadline > now) return false;
      if (may_happen) {
        answers.emplace_back(client.token, Unknown{});
      } else {
        refuse(client.token, {Errc::kTimeout, "the state could not be cut before the deadline"});
      }
      return true;
    });
  };
  if (!snapshot_clients.empty()) scan(snapshot_clients, true);
  if (!backup_clients.empty()) scan(backup_clients, false);
}

void Replica::State::refuse_snapshot_clients(const Error& error) {
  for (std::vector<SnapshotClient>* clients : {&snapshot_clients, &backup_clients}) {
    for (const SnapshotClient& client : std::exchange(*clients, {}))
      refuse(client.token, error);
  }
}

}  // namespace raftd::node
