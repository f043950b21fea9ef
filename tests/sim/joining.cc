#include "sim/joining.h"

#include <algorithm>

#include "base/text.h"
#include "sim/violation.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = seconds(2);
constexpr int kAttempts = 8;
constexpr std::uint64_t kTtlMs = 3000;

unsigned long long number(std::uint64_t value) {
  return value;
}

node::Write propose(const kv::Command& command) {
  return {node::Propose{kv::encode(command)}};
}

const kv::MemberReply* reply_in(const std::optional<node::ClientResult>& result) {
  const auto* done = result ? std::get_if<node::Done>(&*result) : nullptr;
  return done == nullptr ? nullptr : dynamic_cast<const kv::MemberReply*>(done->reply.get());
}

bool is_done(const kv::MemberReply* reply) {
  return reply != nullptr && reply->result == kv::MemberReply::Result::kDone;
}

}  // namespace

void Joining::join(std::size_t node, std::uint64_t dice) {
  const std::uint64_t size = cluster_.size();
  if (dice % 4 == 0) {
    const raft::NodeId id{1 + dice / 4 % (size - cluster_.options().fresh)};
    cluster_.wishes().given(cluster_.wishes().ticket({}), id);
    return claim(node, id.value, "", ++last_instance_);
  }
  kv::ReserveMember reserve;
  reserve.voter = dice % 8 != 1;
  reserve.replaces = dice / 128 % 2 == 0 ? 0 : 1 + dice / 256 % size;
  ask(node, reserve, std::string(kv::kTokenHashBytes, static_cast<char>('a' + dice / 4 % 26)));
}

void Joining::replace(std::size_t lost) {
  const auto leader = cluster_.leader();
  if (!leader) return;
  kv::ReserveMember reserve;
  reserve.replaces = lost + 1;
  ask(*leader, reserve, std::string(kv::kTokenHashBytes, static_cast<char>('0' + lost)));
}

void Joining::ask(std::size_t node, kv::ReserveMember reserve, std::string token) {
  reserve.token_hash = token;
  reserve.ttl_ms = kTtlMs;
  std::optional<std::size_t> wish;
  if (reserve.voter) wish = cluster_.wishes().ticket({reserve.replaces});
  ++cluster_.coverage().tickets_asked;
  cluster_.submit(node, propose(reserve), kPatience, [this, node, token, wish](auto result) {
    reserved(node, token, wish, std::move(result));
  });
}

void Joining::reserved(std::size_t node, const std::string& token, std::optional<std::size_t> wish,
                       std::optional<node::ClientResult> result) {
  const kv::MemberReply* reply = reply_in(result);
  if (!is_done(reply)) return;
  const std::uint64_t id = reply->id;
  const std::size_t first = cluster_.size() - cluster_.options().spares;
  if (id <= first || owners_.contains(id) || !given_.insert(id).second) {
    violated("tickets", strf("the id %llu was given before", number(id)));
  }
  if (wish) cluster_.wishes().given(*wish, {id});
  claim(node, id, token, ++last_instance_);
  claim((node + 1) % cluster_.size(), id, token, ++last_instance_);
}

void Joining::claim(std::size_t node, std::uint64_t id, const std::string& token,
                    std::uint64_t instance) {
  kv::ClaimMember claim;
  claim.id = id;
  claim.token_hash = token;
  claim.instance = instance;
  cluster_.submit(node, propose(claim), kPatience,
                  [this, node, id, instance, with_ticket = !token.empty()](auto result) {
                    claimed(node, id, with_ticket, instance, std::move(result));
                  });
}

void Joining::claimed(std::size_t node, std::uint64_t id, bool with_ticket, std::uint64_t instance,
                      std::optional<node::ClientResult> result) {
  const kv::MemberReply* reply = reply_in(result);
  if (reply == nullptr) return;
  if (!is_done(reply)) {
    ++cluster_.coverage().claims_refused;
    return;
  }
  ++cluster_.coverage().claims_done;
  const auto [owner, first] = owners_.emplace(id, instance);
  if (!first && owner->second != instance) {
    violated("tickets", strf("two data directories are node %llu", number(id)));
  }
  if (with_ticket != given_.contains(id)) {
    violated("tickets", strf("the id %llu was claimed with the wrong right", number(id)));
  }
  if (id <= cluster_.size()) take_in(node, id, kAttempts);
}

void Joining::take_in(std::size_t node, std::uint64_t id, int attempts) {
  if (attempts == 0 || !cluster_.running(node) || cluster_.lost(id - 1)) return;
  const raft::ConfigurationAt present = cluster_.status(node).configuration;
  raft::Configuration target = present.configuration;
  const auto at =
      std::ranges::lower_bound(target.addresses, raft::NodeId{id}, {}, &raft::MemberAddress::id);
  if (at != target.addresses.end() && at->id == raft::NodeId{id}) return;
  target.addresses.insert(at, {{id}, strf("node%llu:2380", number(id))});
  target.learners.insert(std::ranges::lower_bound(target.learners, raft::NodeId{id}), {id});
  cluster_.change_members(
      node, {std::move(target), present.index, false}, kPatience,
      [this, node, id, attempts](const std::optional<node::ClientResult>& result) {
        if (result && std::holds_alternative<node::Done>(*result)) return;
        cluster_.schedule().after(milliseconds(300),
                                  [this, node, id, attempts] { take_in(node, id, attempts - 1); });
      });
}

bool Joining::promotions_wait() const {
  const auto leader = cluster_.leader();
  if (!leader) return true;
  const auto& wanted = cluster_.store(*leader).promotions();
  return std::ranges::any_of(wanted, [&](const machine::Promotion& each) {
    return cluster_.running(each.learner.value - 1);
  });
}

}  // namespace raftd::sim
