// What the front end asks of the replica behind it: an interface, so that the front end is tested
// without one.
#pragma once

#include <optional>

#include "node/replica.h"

namespace raftd::api {

// Who leads, as this node knows it. Cheap to ask for: each request does.
struct Standing {
  raft::RoleView role;
  std::optional<Instant> leader_contact;  // When the leader was last heard; now if it is this node.
};

struct ReplicaTimes {
  const RecentHistogram& sync;
  const RecentHistogram& commit;
  const RecentHistogram& apply;
};

class Backend {
 public:
  virtual ~Backend() = default;
  // As node::Replica: one Clients::complete(token) follows, later, unless on_client_gone(token).
  // What it does not keep of op it leaves there.
  virtual void on_client(Instant now, node::ClientToken token, node::ClientOp&& op,
                         Instant deadline) = 0;
  virtual void on_client_gone(node::ClientToken token) = 0;
  virtual Standing standing(Instant now) const = 0;
  virtual node::ReplicaStatus status(Instant now) const = 0;  // Not cheap.
  virtual ReplicaTimes times() const = 0;
};

// node::Replica as a Backend.
class ReplicaBackend final : public Backend {
 public:
  explicit ReplicaBackend(node::Replica& replica) : replica_(replica) {}

  void on_client(Instant now, node::ClientToken token, node::ClientOp&& op,
                 Instant deadline) override;
  void on_client_gone(node::ClientToken token) override;
  Standing standing(Instant now) const override;
  node::ReplicaStatus status(Instant now) const override;
  ReplicaTimes times() const override;

 private:
  node::Replica& replica_;
};

}  // namespace raftd::api
