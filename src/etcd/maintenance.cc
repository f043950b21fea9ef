// What operators ask a node, in etcd's words: its state, another leader, a copy of its state.
//
// A copy is api/backup_stream.h, each of its pieces in a message.
#include <algorithm>
#include <utility>

#include "api/backup_stream.h"
#include "api/native_kv.h"
#include "etcd/call.h"
#include "http/base64.h"
#include "node/backup.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

class TransferCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kTransfer; }
  Step on_done(const Site& site, RequestId, node::Done&) override {
    return header_answer(site, site.store.stats().revision);
  }
};

class SnapshotStream final : public api::BackupStream {
 public:
  using BackupStream::BackupStream;

 private:
  void add_piece(ByteView piece, std::string& out) override {
    SnapshotResponse message;
    message.remaining_bytes = bytes_left();
    message.blob = as_text(piece);
    out += "{\"result\":";
    add_json(out, message);
    out += "}\n";
  }
};

class SnapshotCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kSnapshot; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<node::BackupReply>(done);
    return stream_answer(std::make_unique<SnapshotStream>(site, std::move(reply.backup)));
  }
};

bool is_learner(const Site& site, const node::ReplicaStatus& status) {
  const std::vector<raft::NodeId>& learners = status.configuration.configuration.learners;
  return std::ranges::binary_search(learners, site.options.self);
}

}  // namespace

Handled status(const Site& site, Empty) {
  const node::ReplicaStatus status = site.backend.status(site.watches.now);
  const kv::StoreStats stats = site.store.stats();
  const std::uint64_t in_use = api::stored_bytes(site);
  StatusResponse response;
  response.header = header(site, stats.revision);
  response.version = site.options.etcd_version;
  response.db_size = static_cast<std::int64_t>(in_use + stats.history_bytes);
  response.leader = status.role.leader.value;
  response.raft_index = status.commit.value;
  response.raft_term = status.role.term.value;
  response.raft_applied_index = status.applied.value;
  if (!status.role.leader) response.errors.push_back(no_leader().message);
  if (status.disk_full || in_use >= site.limits.store_bytes) {
    response.errors.push_back(no_space().message);
  }
  if (status.doubt) response.errors.emplace_back("etcdserver: corrupt cluster");
  response.db_size_in_use = static_cast<std::int64_t>(in_use);
  response.is_learner = is_learner(site, status);
  response.storage_version = site.options.etcd_version;
  response.db_size_quota = static_cast<std::int64_t>(site.limits.store_bytes);
  return answer(site, response);
}

// There are none, and nobody can raise one: what is full or in doubt says so by itself.
Handled alarm(const Site& site, AlarmRequest request) {
  if (request.action < AlarmAction::kGet || request.action > AlarmAction::kDeactivate) {
    return refuse(invalid("unknown alarm action"));
  }
  return answer(site, AlarmResponse());
}

// Nothing is ever fragmented here.
Handled defragment(const Site& site, Empty) {
  return answer(site, HeaderResponse());
}

// Only the leader knows who could follow it: clients of etcd look for it themselves.
Handled transfer_leadership(const Site& site, MoveLeaderRequest request) {
  if (auto error = check_leader(site)) return refuse(*error);
  if (!site.headers.is_leader()) return refuse(failed_precondition("not leader"));
  const raft::NodeId target{request.target_id};
  if (target == site.options.self) return header_answer(site, site.store.stats().revision);
  const node::ReplicaStatus status = site.backend.status(site.watches.now);
  if (!raft::is_member(status.configuration.configuration, target)) {
    return refuse(failed_precondition("bad leader transferee"));
  }
  return api::Started{std::make_unique<TransferCall>(), node::Write{node::Transfer{target}}};
}

Handled snapshot(const Site&, Empty) {
  return api::Started{std::make_unique<SnapshotCall>(), node::OpenBackup{}};
}

}  // namespace raftd::etcd
