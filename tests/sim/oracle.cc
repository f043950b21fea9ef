#include "sim/oracle.h"

#include <charconv>

#include "base/crc32c.h"
#include "base/text.h"
#include "kv/command.h"

namespace raftd::sim {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

std::uint64_t value_of(ByteView command) {
  if (command.empty()) return 0;
  const auto decoded = kv::decode(command);
  if (!decoded) return 0;
  const auto* put = std::get_if<kv::Put>(&decoded->command);
  return put == nullptr ? 0 : value_number(put->value);
}

}  // namespace

std::uint64_t value_number(std::string_view value) {
  std::uint64_t number = 0;
  if (!value.starts_with('v')) return 0;
  std::from_chars(value.data() + 1, value.data() + value.size(), number);
  return number;
}

void Oracle::node_is(std::size_t node, std::uint64_t life, const node::ReplicaMarks& status) {
  const bool leads = status.role.role == raft::Role::kLeader;
  if (leads) {
    const auto [leader, first] = leaders_.try_emplace(status.role.term, node);
    if (leader->second != node) {
      violated("election safety", strf("nodes %zu and %zu lead in term %llu", leader->second + 1,
                                       node + 1, number(status.role.term.value)));
    }
  }
  if (nodes_.size() <= node) nodes_.resize(node + 1);
  Last& last = nodes_[node];
  const bool same_life = last.life == life;
  if (same_life) delta(node, last, status);
  if (logs_ != nullptr) {
    const bool led = same_life && last.role == raft::Role::kLeader &&
                     last.hard_state.term == status.hard_state.term;
    if (leads && !led) logs_->elected(node, status.role.term, status.last);
    logs_->committed(node, status.commit, status.hard_state.term);
    logs_->persisted(node, status.persisted);
  }
  last = {life, status.role.role, status.hard_state, status.commit, status.applied, status.last};
}

void Oracle::delta(std::size_t node, const Last& last, const node::ReplicaMarks& status) const {
  if (status.commit < last.commit) violated("delta", strf("commit of node %zu fell", node + 1));
  if (status.applied < last.applied) violated("delta", strf("applied of %zu fell", node + 1));
  if (status.hard_state.term < last.hard_state.term) {
    violated("delta", strf("term of node %zu fell", node + 1));
  }
  if (status.hard_state.term != last.hard_state.term) return;
  if (last.hard_state.voted_for && status.hard_state.voted_for != last.hard_state.voted_for) {
    violated("delta",
             strf("node %zu voted for %llu and for %llu in term %llu", node + 1,
                  number(last.hard_state.voted_for.value),
                  number(status.hard_state.voted_for.value), number(last.hard_state.term.value)));
  }
  const bool led = last.role == raft::Role::kLeader && status.role.role == raft::Role::kLeader;
  if (led && status.last < last.last) {
    violated("leader append-only", strf("node %zu cuts its log to %llu while it leads", node + 1,
                                        number(status.last.value)));
  }
}

void Oracle::applied(std::size_t node, const machine::Applied& entry) {
  const std::uint32_t crc = crc32c(entry.command);
  const Committed now{entry.term, entry.time, crc, value_of(entry.command)};
  if (logs_ != nullptr) {
    const raft::Term in = node < nodes_.size() ? nodes_[node].hard_state.term : entry.term;
    logs_->committed(node, entry.index, in);
    logs_->applied(node, entry.index, entry.term,
                   entry.command.empty() ? std::nullopt : std::optional(crc));
  }
  if (entry.index.value == canonical_.size() + 1) {
    canonical_.push_back(now);
    model_.apply(entry);
    expired_ += model_.expired().size();
    for (const auto& [lease, ttl_ms] : model_.expired())
      if (on_expiry_) on_expiry_(lease, ttl_ms);
    return;
  }
  if (entry.index.value == 0 || entry.index.value > canonical_.size()) {
    violated("state machine safety", strf("node %zu applied %llu, before it is %zu", node + 1,
                                          number(entry.index.value), canonical_.size()));
  }
  const Committed& was = canonical_[entry.index.value - 1];
  if (was.term == now.term && was.hash == now.hash && was.time == now.time) return;
  violated(
      "state machine safety",
      strf("node %zu applied another entry at %llu: term %llu, was %llu; value %llu, was %llu; "
           "time %llu, was %llu",
           node + 1, number(entry.index.value), number(now.term.value), number(was.term.value),
           number(now.value), number(was.value), number(now.time.value), number(was.time.value)));
}

void Oracle::installed(std::size_t node, raft::Index index) const {
  if (index.value > 0 && index <= last()) return;
  violated("state machine safety", strf("node %zu installed a state at %llu, applied is %llu",
                                        node + 1, number(index.value), number(last().value)));
}

void Oracle::store_is(std::size_t node, raft::Index index, const kv::Store& store,
                      bool everything) const {
  const std::string why = model_.check(index, store, everything);
  if (!why.empty()) violated("model", strf("of node %zu: ", node + 1) + why);
}

void Oracle::state_is(std::size_t node, raft::Index index, std::uint64_t digest) {
  const auto [known, first] = digests_.try_emplace(index, digest);
  if (known->second != digest) {
    violated("state machine safety",
             strf("node %zu has another state after %llu", node + 1, number(index.value)));
  }
}

std::optional<std::uint64_t> Oracle::known_state(raft::Index index) const {
  const auto found = digests_.find(index);
  return found == digests_.end() ? std::nullopt : std::optional(found->second);
}

void Oracle::acknowledged(raft::Index index, raft::Term term, std::uint64_t value) {
  heard(index);
  if (index.value == 0 || index.value > canonical_.size()) {
    violated("acknowledged", strf("value %llu at %llu, which nobody has applied", number(value),
                                  number(index.value)));
  }
  if (logs_ != nullptr) logs_->acknowledged(index);
  const Committed& was = canonical_[index.value - 1];
  if (was.term != term || was.value != value) {
    violated("acknowledged", strf("value %llu at %llu in term %llu, where value %llu of term %llu "
                                  "was committed",
                                  number(value), number(index.value), number(term.value),
                                  number(was.value), number(was.term.value)));
  }
}

void Oracle::heard(raft::Index index) {
  heard_ = std::max(heard_, index);
}

void Oracle::check_refused() const {
  for (const Committed& committed : canonical_) {
    if (committed.value != 0 && refused_.contains(committed.value)) {
      violated("refused", strf("value %llu was refused and is committed", number(committed.value)));
    }
  }
}

}  // namespace raftd::sim
