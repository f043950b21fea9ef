// The cluster's clients: each request gets one answer, in time.
#include "kv/command.h"
#include "sim/cluster_node.h"

namespace raftd::sim {

using std::chrono::milliseconds;

std::optional<node::ClientToken> Cluster::submit(std::size_t node, node::ClientOp op,
                                                 Duration timeout, Answer answer) {
  Node& n = *nodes_[node];
  if (!n.replica) return std::nullopt;
  const node::ClientToken token{next_token_++};
  n.clients.emplace(token, std::move(answer));
  const auto shared = std::make_shared<node::ClientOp>(std::move(op));
  happen(node, [token, shared, timeout](node::Replica& replica, Instant now) {
    replica.on_client(now, token, std::move(*shared), now + timeout);
  });
  const auto late = milliseconds(options_.late_timer_percent == 0 ? 200 : 700);
  watch_answer(node, token, timeout + timeout / 4 + late);
  return token;
}

// Every request is answered by its deadline: none hangs. What is read after a pause has all of its
// time from then on.
void Cluster::watch_answer(std::size_t node, node::ClientToken token, Duration patience) {
  schedule_.after(
      patience, [this, node, token, patience, since = schedule_.now(), life = nodes_[node]->life] {
        const Node& n = *nodes_[node];
        if (n.life != life || !n.clients.contains(token)) return;
        if (paused(node) || n.resumed >= since) return watch_answer(node, token, patience);
        throw Violation(
            strf("answers: node %zu has not answered client %llu", node + 1, number(token.value)));
      });
}

void Cluster::gone(std::size_t node, node::ClientToken token) {
  if (nodes_[node]->clients.erase(token) == 0) return;
  ++coverage_.abandoned;
  happen(node, [token](node::Replica& replica, Instant) { replica.on_client_gone(token); });
}

void Cluster::complete(std::size_t node, node::ClientToken token, node::ClientResult result) {
  Node& n = *nodes_[node];
  trace(node, 7, token.value * 4 + result.index());
  const auto client = n.clients.find(token);
  if (client == n.clients.end()) {
    // It was answered twice, or its client is gone and the replica has been told so, unless that
    // news waits for the end of a pause.
    throw Violation(strf("answers: node %zu answered client %llu, who does not wait", node + 1,
                         number(token.value)));
  }
  Answer answer = std::move(client->second);
  n.clients.erase(client);
  const auto shared = std::make_shared<node::ClientResult>(trusted(node, std::move(result)));
  schedule_.after({}, [answer = std::move(answer), shared] { answer(std::move(*shared)); });
}

// A state that strayed answers wrongly until that is noticed: as if it had not answered. From then
// on it does not answer at all.
node::ClientResult Cluster::trusted(std::size_t node, node::ClientResult result) {
  const auto* done = std::get_if<node::Done>(&result);
  if (!oracle_.strays() || done == nullptr || done->reply == nullptr) return result;
  const bool write = dynamic_cast<const kv::StoreReply*>(done->reply.get()) != nullptr;
  if (!write && status(node).doubt) {
    violated("state hash", strf("node %zu reads from a state that it knows to be wrong", node + 1));
  }
  if (!strayed(node)) return result;
  if (write) return node::Unknown{};
  return node::Refused{{Errc::kNotReady, "not trusted"}};
}

bool Cluster::change_members(std::size_t node, std::uint64_t voters, std::uint64_t learners,
                             bool forced, Duration timeout, Answer answer) {
  if (!running(node)) return false;
  const raft::ConfigurationAt present = nodes_[node]->replica->configuration();
  const std::vector<raft::NodeId> members = raft::members_of(present.configuration);
  raft::Configuration target;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const bool votes = (voters >> i & 1) != 0;
    const bool known = std::ranges::binary_search(members, id_of(i));
    if (!votes && (learners >> i & 1) == 0) continue;
    (votes && known ? target.voters : target.learners).push_back(id_of(i));
    target.addresses.push_back({id_of(i), strf("node%zu:2380", i + 1)});
  }
  change_members(node, {std::move(target), present.index, forced}, timeout, std::move(answer));
  return true;
}

void Cluster::change_members(std::size_t node, node::ChangeMembers change, Duration timeout,
                             Answer answer) {
  members_change_ = true;
  wishes_.members(change.target);
  ++coverage_.changes_asked;
  const auto leads = leader();
  const bool leaves = leads && !std::ranges::binary_search(change.target.voters, id_of(*leads));
  submit(node, node::Write{std::move(change)}, timeout,
         [this, leaves, answer = std::move(answer)](std::optional<node::ClientResult> result) {
           if (!result || std::holds_alternative<node::Unknown>(*result)) {
             ++coverage_.changes_unknown;
           } else if (std::holds_alternative<node::Done>(*result)) {
             ++coverage_.changes_done;
             coverage_.leaders_removed += leaves ? 1 : 0;
           }
           answer(std::move(result));
         });
}

void Cluster::note_members(std::size_t node, const raft::ConfigurationAt& at) {
  if (!logs_.quorums().in_effect(node, at)) return;
  const auto replaced = wishes_.in_effect(node, at);
  if (!replaced) return;
  ++coverage_.members_replaced;
  if (lost(replaced->value - 1)) ++coverage_.lost_replaced;
}

bool Cluster::is_member(std::size_t node) const {
  return std::ranges::binary_search(raft::members_of(logs_.quorums().committed()), id_of(node));
}

std::shared_ptr<Cluster::Asked> Cluster::put(std::size_t node, const std::string& key,
                                             const std::string& value, Duration timeout) {
  auto asked = std::make_shared<Asked>();
  node::Write write{
      node::Propose{kv::encode(kv::Put{.key = key, .value = value, .condition = {}})}};
  const auto token = submit(node, std::move(write), timeout, [asked](auto result) {
    asked->answered = true;
    asked->result = std::move(result);
  });
  asked->answered = !token;
  return asked;
}

std::shared_ptr<Cluster::Asked> Cluster::get(std::size_t node, const std::string& key,
                                             Duration timeout) {
  auto asked = std::make_shared<Asked>();
  auto query = std::make_unique<kv::GetQuery>();
  query->key = key;
  const auto token = submit(node, node::Read{std::move(query)}, timeout, [asked](auto result) {
    asked->answered = true;
    asked->result = std::move(result);
  });
  asked->answered = !token;
  return asked;
}

}  // namespace raftd::sim
