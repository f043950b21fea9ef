#include "node/forwarding.h"

#include "base/limits.h"
#include "base/overloaded.h"

namespace raftd::node {

std::size_t bytes_of(const WriteOp& op) {
  return std::visit(
      overloaded{
          [](const Propose& propose) { return propose.command.size(); },
          [](const Transfer&) { return std::size_t{0}; },
          [](const ChangeMembers& change) { return raft::encode(change.target).size(); },
      },
      op);
}

bool Forwards::has_room(const WriteOp& op) const {
  if (live_ >= limits::kForwardsPendingMax) return false;
  // The ring also holds what was answered behind the oldest that was not: one lost answer must not
  // stop all others until its deadline.
  if (pending_.size() >= 4 * limits::kForwardsPendingMax) return false;
  return bytes_ + bytes_of(op) <= bytes_max_;
}

ForwardId Forwards::add(Pending pending) {
  ASSERT(pending.token);
  ASSERT(has_room(pending.op));
  bytes_ += bytes_of(pending.op);
  ++live_;
  watch_.add(pending.deadline);
  pending_.push_back(std::move(pending));
  return {incarnation_, first_seq_ + pending_.size() - 1};
}

bool Forwards::take(const ForwardId& id, raft::NodeId from, Pending& pending) {
  if (id.incarnation != incarnation_ || id.seq < first_seq_) return false;
  if (id.seq - first_seq_ >= pending_.size()) return false;
  Pending& found = pending_[id.seq - first_seq_];
  if (!found.token || found.to != from) return false;
  pending = std::move(found);
  bytes_ -= bytes_of(pending.op);
  --live_;
  found = Pending();
  drop_done();
  return true;
}

std::vector<Forwards::Pending> Forwards::take_all(raft::NodeId to) {
  std::vector<Pending> taken;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    Pending& pending = pending_[i];
    if (!pending.token || pending.to != to) continue;
    taken.push_back(pending);
    release(pending);
  }
  drop_done();
  return taken;
}

void Forwards::release(Pending& pending) {
  bytes_ -= bytes_of(pending.op);
  --live_;
  pending = Pending();
}

void Forwards::drop_done() {
  while (!pending_.empty() && !pending_.front().token) {
    pending_.pop_front();
    ++first_seq_;
  }
}

void Forwards::check_invariants() const {
  std::size_t bytes = 0;
  std::size_t live = 0;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    bytes += bytes_of(pending_[i].op);
    if (pending_[i].token) ++live;
  }
  ASSERT_CMP(bytes, ==, bytes_);
  ASSERT_CMP(live, ==, live_);
}

}  // namespace raftd::node
