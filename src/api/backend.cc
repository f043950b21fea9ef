#include "api/backend.h"

#include <utility>

namespace raftd::api {

void ReplicaBackend::on_client(Instant now, node::ClientToken token, node::ClientOp&& op,
                               Instant deadline) {
  replica_.on_client(now, token, std::move(op), deadline);
}

void ReplicaBackend::on_client_gone(node::ClientToken token) {
  replica_.on_client_gone(token);
}

Standing ReplicaBackend::standing(Instant now) const {
  return {replica_.role(), replica_.leader_contact(now)};
}

node::ReplicaStatus ReplicaBackend::status(Instant now) const {
  return replica_.status(now);
}

ReplicaTimes ReplicaBackend::times() const {
  return {replica_.sync_times(), replica_.commit_times(), replica_.apply_times()};
}

}  // namespace raftd::api
