// The happy path is: members() makes a link to each peer, links dial or are dialled, the doorkeeper
// hands accepted connections to their links, messages flow; flush() writes once per link, then
// pieces of snapshots, in turn, as fast as the links take them and the pace allows.
//
// Possible failure modes are: whoever connects is not a member, or not of this cluster, or is there
// twice (refused, with a sentence to both logs); a message cannot be sent (on_dropped tells the
// replica, which probes again). Nothing here waits for anything: a peer that is away costs a timer.
#include "uv/peer_network.h"

#include <algorithm>
#include <map>

#include "base/text.h"
#include "node/transfer_pace.h"
#include "uv/peer_link.h"
#include "uv/peer_listener.h"

namespace raftd::uv {
namespace {

constexpr Duration kTrimInterval = std::chrono::seconds(1);
constexpr std::uint64_t kPiecesLookMs = 2;  // While pieces wait and nothing else turns the loop.

raft::NodeId receiver_of(const node::PeerMessage& message) {
  return std::visit([](const auto& m) { return m.to; }, message);
}

}  // namespace

Instant peer_clock() {
  return {std::chrono::nanoseconds(uv_hrtime())};
}

bool LineLimiter::pass(const std::string& key, Instant now) {
  const auto known = said_.find(key);
  if (known != said_.end() && now - known->second < kInterval) return false;
  if (known == said_.end() && said_.size() >= kKeysMax) {
    said_.erase(std::min_element(said_.begin(), said_.end(),
                                 [](const auto& a, const auto& b) { return a.second < b.second; }));
  }
  said_[key] = now;
  return true;
}

wire::Hello PeerContext::own_hello(raft::NodeId expected) const {
  wire::Hello hello;
  hello.cluster_id = options.identity.cluster_id;
  hello.cluster_name = options.cluster_name;
  hello.node_id = options.identity.node_id;
  hello.expected = expected;
  hello.instance = options.identity.instance;
  hello.incarnation = options.incarnation;
  hello.priority = options.priority;
  hello.settings_hash = options.settings_hash;
  hello.configuration = configuration;
  hello.address = options.advertised;
  return hello;
}

void PeerContext::bury(std::unique_ptr<PeerConnection> connection) {
  connection->close();
  doomed.push_back(std::move(connection));
}

void PeerContext::refuse(std::unique_ptr<PeerConnection> connection, const wire::Refusal& refusal) {
  // One line a minute for each reason: whoever dials can make up as many sentences as it likes.
  const std::string key = strf("refused %u", static_cast<unsigned>(refusal.reason));
  if (refusal.reason != wire::Reason::kCallBack && limiter.pass(key, peer_clock())) {
    log.warn("refused a connection from %s: %s", connection->remote().c_str(),
             refusal.sentence.c_str());
  }
  connection->say_last(refusal, peer_clock());
  bury(std::move(connection));
}

struct PeerNetwork::State final : Doorkeeper {
  State(Loop& loop, const PeerOptions& options, const PeerDirectory& directory, Log& log,
        std::uint64_t network_seed)
      : context{loop, options, directory, log, nullptr, {}, 0, std::nullopt, {}, {}},
        seed(network_seed),
        pieces_wait(loop, this),
        listener(context, *this) {}

  PeerLink* find(raft::NodeId id);
  PeerLink& link_to(raft::NodeId id);
  bool is_member(raft::NodeId id) const;
  bool is_listed(raft::NodeId id) const;
  bool is_newcomer() const;
  void admit(std::unique_ptr<PeerConnection> connection, const wire::Hello& hello) override;
  void note_leaving();
  void drop_links(Instant now);
  void send_pieces(Instant now);
  bool send_piece_round(Instant now);
  void on_pieces_wait() noexcept {}  // The loop has turned: flush() comes.

  PeerContext context;
  const std::uint64_t seed;
  bool stopped = false;
  std::optional<raft::Configuration> configuration;
  std::map<raft::NodeId, std::unique_ptr<PeerLink>> links;
  std::map<raft::NodeId, Instant> leaving;         // Links to members that were: until then.
  std::vector<std::unique_ptr<PeerLink>> removed;  // Emptied, and told of, by flush.
  std::vector<raft::NodeId> dropped;               // To be told of by flush. Sorted.
  Instant trimmed_at{};
  node::TransferPace pace;
  raft::NodeId piece_to;  // Of the last one: the next receiver is the one after it.
  Timer pieces_wait;
  PeerListener listener;
};

PeerLink* PeerNetwork::State::find(raft::NodeId id) {
  const auto found = links.find(id);
  return found == links.end() ? nullptr : found->second.get();
}

PeerLink& PeerNetwork::State::link_to(raft::NodeId id) {
  std::unique_ptr<PeerLink>& link = links[id];
  if (!link) link = std::make_unique<PeerLink>(context, id, seed);
  return *link;
}

// A node that has no configuration yet does not know its peers: whoever is of its cluster may talk.
bool PeerNetwork::State::is_member(raft::NodeId id) const {
  if (!configuration || configuration->addresses.empty()) return true;
  return raft::is_member(*configuration, id);
}

void PeerNetwork::State::admit(std::unique_ptr<PeerConnection> connection,
                               const wire::Hello& hello) {
  const wire::Hello own = context.own_hello({});
  const raft::NodeId id = hello.node_id;
  const bool member = is_member(id);
  const wire::Expectation expectation{
      {}, member, context.directory.published_instance(id), context.directory.removed(id)};
  if (const auto refusal = wire::check_hello(own, hello, expectation)) {
    return context.refuse(std::move(connection), *refusal);
  }
  PeerLink* known = find(id);
  if (known == nullptr && links.size() >= limits::kMembersMax) {
    return context.bury(std::move(connection));
  }
  PeerLink& link = known != nullptr ? *known : link_to(id);
  if (const auto refusal = link.check_double(hello)) {
    return context.refuse(std::move(connection), *refusal);
  }
  // Whom it does not know it cannot call back.
  const bool knocks = configuration && !configuration->addresses.empty() && member &&
                      id < context.options.identity.node_id;
  if (!knocks) return link.adopt(std::move(connection), hello);
  context.refuse(std::move(connection), {own.cluster_id, own.node_id, wire::Reason::kCallBack,
                                         "the node with the higher id dials"});
  link.call_back(hello);
}

bool PeerNetwork::State::is_listed(raft::NodeId id) const {
  const std::vector<raft::MemberAddress>& listed = context.options.listed;
  return std::any_of(listed.begin(), listed.end(),
                     [&](const raft::MemberAddress& member) { return member.id == id; });
}

// The log does not say that this node is a member: it begins anew, or is older than its joining,
// and then its members may be those of long ago.
bool PeerNetwork::State::is_newcomer() const {
  return configuration->addresses.empty() || !is_member(context.options.identity.node_id);
}

void PeerNetwork::State::note_leaving() {
  const Instant until =
      peer_clock() + limits::kFarewellTimeouts * context.options.election_timeout_min;
  for (const auto& [id, link] : links) {
    if (is_member(id) || (is_newcomer() && is_listed(id))) {
      leaving.erase(id);
    } else {
      leaving.try_emplace(id, until);
    }
  }
}

void PeerNetwork::State::drop_links(Instant now) {
  std::erase_if(leaving, [&](const auto& each) {
    const auto at = links.find(each.first);
    ASSERT(at != links.end());
    // Whoever knows a newer configuration is not told what an older one says.
    const bool told = context.directory.removed(each.first) &&
                      at->second->configuration() <= context.configuration;
    if (!told && now < each.second) return false;
    if (told && at->second->up()) {
      at->second->refuse(wire::refuse_removed(context.own_hello({}), each.first));
    }
    removed.push_back(std::move(at->second));
    links.erase(at);
    return true;
  });
}

// One piece to each receiver that can take one. False: nobody could, or the pace is reached.
bool PeerNetwork::State::send_piece_round(Instant now) {
  bool sent = false;
  const auto begin = links.upper_bound(piece_to);
  auto at = begin;
  for (std::size_t i = 0; i < links.size(); ++i, ++at) {
    if (at == links.end()) at = links.begin();
    if (!pace.admits(now)) return false;
    const std::size_t bytes = at->second->send_piece(now);
    if (bytes == 0) continue;
    pace.sent(now, bytes);
    piece_to = at->first;
    sent = true;
  }
  return sent;
}

void PeerNetwork::State::send_pieces(Instant now) {
  while (send_piece_round(now)) {
  }
  const bool wait = std::any_of(links.begin(), links.end(),
                                [](const auto& link) { return link.second->has_pieces(); });
  if (wait) pieces_wait.start_once<State, &State::on_pieces_wait>(kPiecesLookMs);
}

PeerNetwork::PeerNetwork(Loop& loop, const PeerOptions& options, const PeerDirectory& directory,
                         Log& log, std::uint64_t seed)
    : state_(std::make_unique<State>(loop, options, directory, log, seed)) {}

PeerNetwork::~PeerNetwork() {
  state_->context.events = nullptr;
}

void PeerNetwork::bind(PeerEvents& events) {
  state_->context.events = &events;
}

Result<std::string> PeerNetwork::listen(const std::string& address) {
  return state_->listener.listen(address);
}

void PeerNetwork::send(node::PeerMessage message) {
  State& s = *state_;
  const raft::NodeId to = receiver_of(message);
  ASSERT(to != s.context.options.identity.node_id);
  PeerLink* link = s.find(to);
  if (link != nullptr && link->send(message)) return;
  const auto at = std::lower_bound(s.dropped.begin(), s.dropped.end(), to);
  if (at == s.dropped.end() || *at != to) s.dropped.insert(at, to);
}

void PeerNetwork::members(const raft::ConfigurationAt& configuration) {
  State& s = *state_;
  if (s.stopped) return;
  s.configuration = configuration.configuration;
  s.context.configuration = configuration.index;
  s.note_leaving();
  const auto dial = [&](const raft::MemberAddress& member) {
    if (member.id == s.context.options.identity.node_id) return;
    s.link_to(member.id).set_address(member.peer);
  };
  for (const raft::MemberAddress& member : s.configuration->addresses)
    dial(member);
  if (!s.is_newcomer()) return;
  // Their addresses are newer than those in the log.
  for (const raft::MemberAddress& member : s.context.options.listed)
    dial(member);
}

void PeerNetwork::flush(Instant now) {
  State& s = *state_;
  s.context.doomed.clear();
  s.drop_links(now);
  const std::vector<std::unique_ptr<PeerLink>> removed = std::exchange(s.removed, {});
  for (const auto& link : removed) {
    const bool was_up = link->up();
    link->flush(now);  // What was said last; then it closes.
    if (was_up && s.context.events != nullptr && link->up()) {
      link->close();
      s.context.events->on_disconnected(link->peer());
    }
  }
  const bool trim = now - s.trimmed_at >= kTrimInterval;
  if (trim) s.trimmed_at = now;
  for (const auto& [id, link] : s.links) {
    link->flush(now);
    if (trim) link->trim();
  }
  s.send_pieces(now);
  for (const raft::NodeId id : std::exchange(s.dropped, {})) {
    if (s.context.events != nullptr) s.context.events->on_dropped(id);
  }
}

void PeerNetwork::stop() {
  State& s = *state_;
  s.stopped = true;
  s.context.events = nullptr;
  s.listener.close();
  for (const auto& [id, link] : s.links)
    link->close();
  s.pieces_wait.stop();
  s.removed.clear();
  s.dropped.clear();
}

std::vector<raft::NodeId> PeerNetwork::connected() const {
  std::vector<raft::NodeId> ids;
  for (const auto& [id, link] : state_->links) {
    if (link->up()) ids.push_back(id);
  }
  return ids;
}

std::uint64_t PeerNetwork::bad_messages() const {
  return state_->context.bad_messages;
}

const std::optional<PeerVerdict>& PeerNetwork::fatal() const {
  return state_->context.fatal;
}

bool PeerNetwork::every_peer_answered() const {
  if (!state_->configuration) return false;
  return std::all_of(state_->links.begin(), state_->links.end(),
                     [](const auto& link) { return link.second->answered(); });
}

}  // namespace raftd::uv
