#include "sim/log_rules.h"

#include <algorithm>

#include "base/assert.h"
#include "base/text.h"
#include "sim/violation.h"

namespace raftd::sim {
namespace {

constexpr std::size_t kLeadersRemembered = 2;

unsigned long long number(std::uint64_t value) {
  return value;
}

raft::NodeId id_of(std::size_t node) {
  return {node + 1};
}

}  // namespace

// Log matching: an index and a term name one entry, and one log before it.
void LogRules::wrote(std::size_t node, const LogImage& image, raft::Index index) {
  const LogSlot& slot = *image.at(index);
  if (known_.size() < index.value) known_.resize(index.value);
  std::vector<Known>& known = known_[index.value - 1];
  const auto same = std::ranges::find(known, slot.term, &Known::term);
  if (same != known.end()) {
    if (same->chain == slot.chain) return;
    violated("log matching", strf("node %zu writes another log up to entry %llu of term %llu",
                                  node + 1, number(index.value), number(slot.term.value)));
  }
  known.push_back({slot.term, slot.chain});
  const LogSlot* before = image.at(index.prev());
  if (before != nullptr && before->term == slot.term) return;
  // The first entry of a term, by its leader: all that was committed before stands before it.
  const raft::Index must = committed_before(slot.term);
  if (!must) return;
  const bool held = index > must && image.chain_at(must) == committed_[must.value - 1].slot.chain;
  if (held) return;
  violated("leader completeness",
           strf("the log of term %llu does not hold entry %llu, which is committed",
                number(slot.term.value), number(must.value)));
}

// A node that did not take part in the commit may still write what an earlier leader sent it,
// behind a slow disk, and take it back a frame later. One that said it holds the entry may not, and
// a quorum always has it.
void LogRules::replaced(std::size_t node, raft::Index index, const LogSlot& slot) const {
  if (index > last_committed()) return;
  const Committed& entry = committed_[index.value - 1];
  if (entry.slot.chain != slot.chain) return;
  const Acked& acked = acked_[node];
  const bool promised = acked.term >= entry.in && acked.match >= index;
  // This disk still counts: the frame that replaces is about to be durable.
  const auto others = [&](std::size_t disk) {
    return disk != node && has(disk, index, slot.chain);
  };
  if (!promised && quorums_.has(others)) return;
  violated("durability", strf("node %zu replaces entry %llu, which is committed, on its disk",
                              node + 1, number(index.value)));
}

void LogRules::hard_state(std::size_t node, const raft::HardState& before,
                          const raft::HardState& now) const {
  const bool fell = now.term < before.term;
  const bool again =
      now.term == before.term && before.voted_for && now.voted_for != before.voted_for;
  if (!fell && !again) return;
  violated("delta", strf("the disk of node %zu: term %llu, vote %llu after term %llu, vote %llu",
                         node + 1, number(now.term.value), number(now.voted_for.value),
                         number(before.term.value), number(before.voted_for.value)));
}

void LogRules::committed(std::size_t node, raft::Index index, raft::Term term) {
  if (index <= last_committed()) return;
  for (const DiskLog* disk : disks_) {
    const std::uint64_t chain = disk->chain_at(index);
    const auto holds = [&](std::size_t each) { return has(each, index, chain); };
    if (chain == 0 || !quorums_.has(node, holds)) continue;
    while (last_committed() < index) {
      committed_.push_back({*disk->at(last_committed().next()), term});
      quorums_.committed(last_committed(), committed_.back().slot.crc);
    }
    return;
  }
  violated("durability", strf("node %zu counts entry %llu as committed, and it is on no quorum of "
                              "disks",
                              node + 1, number(index.value)));
}

// Committed in an earlier term: leaders of later ones hold it. By terms, not by time: a vote that
// comes late may crown a leader of an old term after newer entries were committed.
raft::Index LogRules::committed_before(raft::Term term) const {
  std::size_t count = committed_.size();
  while (count > 0 && committed_[count - 1].in >= term)
    --count;
  return {count};
}

void LogRules::leads(std::size_t node, raft::Term term) {
  const auto [leader, first] = leaders_.try_emplace(term, node);
  if (leader->second == node) return;
  violated("election safety", strf("nodes %zu and %zu lead in term %llu", leader->second + 1,
                                   node + 1, number(term.value)));
}

void LogRules::elected(std::size_t node, raft::Term term, raft::Index last) const {
  const raft::Index must = committed_before(term);
  if (last >= must) return;
  violated("leader completeness",
           strf("node %zu leads in term %llu with a log to %llu; %llu is committed", node + 1,
                number(term.value), number(last.value), number(must.value)));
}

void LogRules::applied(std::size_t node, raft::Index index, raft::Term term,
                       std::optional<std::uint32_t> crc) const {
  ASSERT_CMP(index, <=, last_committed());
  const LogSlot& slot = committed_[index.value - 1].slot;
  if (slot.term == term && (!crc || *crc == slot.crc)) return;
  violated("state machine safety",
           strf("node %zu applied what is not entry %llu of term %llu on a quorum of disks",
                node + 1, number(index.value), number(slot.term.value)));
}

void LogRules::persisted(std::size_t node, raft::Index index) const {
  // A log that a received snapshot is about to replace still counts as it stands in memory.
  if (index <= std::max(disks_[node]->last(), disks_[node]->durable().last())) return;
  violated("durability", strf("node %zu takes entry %llu for durable, and its disk ends at %llu",
                              node + 1, number(index.value), number(disks_[node]->last().value)));
}

void LogRules::acknowledged(raft::Index index) const {
  const auto holds = [&](std::size_t disk) {
    return has(disk, index, committed_[index.value - 1].slot.chain);
  };
  if (index && index <= last_committed() && quorums_.has(holds)) return;
  violated("durability of acks",
           strf("entry %llu is acknowledged and on no quorum of disks", number(index.value)));
}

void LogRules::sends(std::size_t node, const raft::Message& message) {
  const raft::HardState& durable = disks_[node]->durable().hard;
  if (const auto* request = std::get_if<raft::VoteRequest>(&message.body)) {
    const raft::HardState promised{message.term, id_of(node)};
    if (!request->pre_vote && durable != promised) {
      violated("persist before send", strf("node %zu asks for votes in term %llu before its own is "
                                           "durable",
                                           node + 1, number(message.term.value)));
    }
  } else if (const auto* vote = std::get_if<raft::VoteReply>(&message.body)) {
    if (!vote->pre_vote) sends_vote(node, message, *vote);
  } else if (const auto* entries = std::get_if<raft::AppendRequest>(&message.body)) {
    sends_entries(node, message, *entries);
  } else if (const auto* ack = std::get_if<raft::AppendReply>(&message.body)) {
    if (durable.term < message.term) {
      violated("persist before send", strf("node %zu answers in term %llu before it is durable",
                                           node + 1, number(message.term.value)));
    }
    const auto* accepted = std::get_if<raft::AppendReply::Accepted>(&ack->result);
    if (accepted != nullptr) sends_ack(node, message, accepted->match);
  } else if (std::holds_alternative<raft::SnapshotChunk>(message.body)) {
    leads(node, message.term);
  } else if (std::holds_alternative<raft::TimeoutNow>(message.body)) {
    hands_over(node, message);
  }
}

void LogRules::sends_vote(std::size_t node, const raft::Message& message,
                          const raft::VoteReply& reply) {
  const raft::HardState& durable = disks_[node]->durable().hard;
  const raft::HardState promised{message.term, message.to};
  if (durable.term < message.term || (reply.granted && durable != promised)) {
    violated("persist before send", strf("node %zu answers a candidate of term %llu before its "
                                         "vote is durable",
                                         node + 1, number(message.term.value)));
  }
  if (!reply.granted) return;
  const auto [vote, first] = votes_.try_emplace({node, message.term}, message.to);
  if (vote->second == message.to) return;
  violated("one vote per term",
           strf("node %zu voted for %llu and for %llu in term %llu", node + 1,
                number(vote->second.value), number(message.to.value), number(message.term.value)));
}

void LogRules::sends_ack(std::size_t node, const raft::Message& message, raft::Index match) {
  Acked& acked = acked_[node];
  if (message.term > acked.term) acked = {message.term, match};
  acked.match = std::max(acked.match, match);
  const DiskLog& disk = *disks_[node];
  bool promised = match <= disk.last();
  const auto leader = sent_.find(message.term);
  if (promised && match && leader != sent_.end() && match.value <= leader->second.size()) {
    const raft::Term term = leader->second[match.value - 1];
    promised = !term || term == disk.at(match)->term;
  }
  if (promised) return;
  violated("persist before send",
           strf("node %zu acknowledges entry %llu in term %llu, and its disk does not hold it",
                node + 1, number(match.value), number(message.term.value)));
}

void LogRules::sends_entries(std::size_t node, const raft::Message& message,
                             const raft::AppendRequest& request) {
  const raft::HardState promised{message.term, id_of(node)};
  if (disks_[node]->durable().hard != promised) {
    violated("persist before send", strf("node %zu leads in term %llu before its own vote is "
                                         "durable",
                                         node + 1, number(message.term.value)));
  }
  leads(node, message.term);
  committed(node, request.commit, message.term);
  while (sent_.size() >= kLeadersRemembered && !sent_.contains(message.term))
    sent_.erase(sent_.begin());
  std::vector<raft::Term>& sent = sent_[message.term];
  const raft::Index last = request.prev_index + request.entries.size();
  if (sent.size() < last.value) sent.resize(last.value);
  const auto send = [&](raft::Index index, raft::Term term) {
    raft::Term& known = sent[index.value - 1];
    if (known && known != term) {
      violated("leader append-only",
               strf("node %zu sends entry %llu as one of term %llu and of term %llu", node + 1,
                    number(index.value), number(known.value), number(term.value)));
    }
    known = term;
  };
  if (request.prev_index) send(request.prev_index, request.prev_term);
  for (const raft::Entry& entry : request.entries)
    send(entry.index, entry.term);
}

// Whoever is told to campaign has said that it holds all of the log, so that it can win.
void LogRules::hands_over(std::size_t node, const raft::Message& message) {
  leads(node, message.term);
  const Acked& acked = acked_[message.to.value - 1];
  if (acked.term > message.term) return;  // Another one leads by now.
  if (acked.term == message.term && acked.match >= disks_[node]->last()) return;
  violated("transfer", strf("node %zu hands over to node %llu, which lacks entry %llu", node + 1,
                            number(message.to.value), number(disks_[node]->last().value)));
}

}  // namespace raftd::sim
