// Members, as etcd shows and changes them.
//
// The happy path of a change is: a linearizable read confirms that this node knows the members, the
// wanted ones are computed from those, and the replica is asked for the change, which is answered
// when the last of its configurations is committed. A new member's id is claimed through the log
// before; the member gets the log as a learner at first, and the leader makes it a voter, if it is
// to be one, when it has caught up.
//
// Possible failure modes are: a change is under way, or came between (code 14: ask again); too few
// of those that would be left answer (code 14); the leader is lost meanwhile (code 14: whoever
// leads next ends the change, or it never was).
#include <algorithm>
#include <utility>

#include "api/members.h"
#include "api/membership.h"
#include "api/read_options.h"
#include "base/address.h"
#include "base/limits.h"
#include "etcd/call.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

// A member that has not said yet what it is called has neither name nor address, as in etcd.
std::vector<Member> members(const Site& site) {
  const Instant now = site.watches.now;
  std::vector<Member> all;
  for (const api::MemberView& view : api::members_of(site, site.backend.status(now), now)) {
    Member& member = all.emplace_back();
    member.id = view.id.value;
    member.peer_urls.push_back("http://" + view.peer);
    member.is_learner = std::string_view(view.role) == "learner";
    if (view.client.empty()) continue;
    member.name = view.name;
    member.client_urls.emplace_back(view.client);
  }
  return all;
}

http::Response members_answer(const Site& site) {
  return answer(site, MembersResponse{header(site, 0), members(site)});
}

// HOST:PORT; a member has one. Nothing: it is not one that others can reach.
std::optional<std::string> read_peer(const std::vector<std::string>& urls) {
  Address address;
  if (urls.size() != 1 || !parse_url(urls[0], address)) return std::nullopt;
  std::string text = address.text();
  if (address.is_wildcard() || text.size() > limits::kAddressBytesMax) return std::nullopt;
  return text;
}

raft::MemberAddress* find(raft::Configuration& members, raft::NodeId id) {
  const auto at = std::ranges::find(members.addresses, id, &raft::MemberAddress::id);
  return at == members.addresses.end() ? nullptr : &*at;
}

bool is_taken(const raft::Configuration& members, const std::string& peer) {
  return std::ranges::find(members.addresses, peer, &raft::MemberAddress::peer) !=
         members.addresses.end();
}

Error peer_exists() {
  return failed_precondition("Peer URLs already exists");
}

class ListCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done&) override { return members_answer(site); }
};

class ChangeCall : public EtcdCall {
 public:
  Asked asked() const final { return asked_; }

  Step on_done(const Site& site, RequestId, node::Done& done) final {
    if (asked_ == Asked::kMembers) return changed(site);
    const raft::ConfigurationAt present = site.backend.status(site.watches.now).configuration;
    if (present.configuration.joint()) {
      return etcd::refuse(unavailable("a change of members is under way"));
    }
    raft::Configuration target = present.configuration;
    Prepared prepared = prepare(site, done, target);
    if (const auto* error = std::get_if<Error>(&prepared)) return etcd::refuse(*error);
    if (auto* command = std::get_if<Bytes>(&prepared)) {
      asked_ = Asked::kWrite;
      return node::Write{node::Propose{std::move(*command)}};
    }
    asked_ = Asked::kMembers;
    if (target == present.configuration) return changed(site);
    return node::Write{node::ChangeMembers{std::move(target), present.index, false}};
  }

  std::optional<api::ApiError> refusal_of(const Site& site, const node::Refused& why) const final {
    if (asked_ != Asked::kMembers) return std::nullopt;
    if (why.error.code == Errc::kConflict) {
      return api::change_pending(site, site.watches.now, "the members are being changed");
    }
    if (why.error.code == Errc::kBusy) return api::refusal("not_caught_up", why.error.message);
    return std::nullopt;
  }

 protected:
  // target is made what is wanted; or why not; or a command that must be applied before.
  struct Ready {};
  using Prepared = std::variant<Ready, Error, Bytes>;

 private:
  virtual Prepared prepare(const Site& site, node::Done& done, raft::Configuration& target) = 0;
  virtual http::Response changed(const Site& site) const { return members_answer(site); }

  Asked asked_ = Asked::kRead;
};

class AddCall final : public ChangeCall {
 public:
  AddCall(std::string peer, bool voter) : peer_(std::move(peer)), voter_(voter) {}

 private:
  Prepared prepare(const Site& site, node::Done& done, raft::Configuration& target) override {
    if (is_taken(target, peer_)) return peer_exists();
    if (asked() == Asked::kRead) return claim(site, target);
    using Result = kv::MemberReply::Result;
    const Result claimed = api::reply_as<kv::MemberReply>(done).result;
    if (claimed == Result::kTooMany) return too_many();
    if (claimed != Result::kDone) return failed_precondition("member ID already exist");
    const auto at = std::ranges::lower_bound(target.addresses, id_, {}, &raft::MemberAddress::id);
    target.addresses.insert(at, {id_, peer_});
    target.learners.insert(std::ranges::lower_bound(target.learners, id_), id_);
    if (!raft::check(target)) return too_many();
    return Ready{};
  }

  Prepared claim(const Site& site, const raft::Configuration& present) {
    std::uint64_t id_max = site.store.max_id();
    for (const raft::MemberAddress& member : present.addresses)
      id_max = std::max(id_max, member.id.value);
    id_ = {id_max + 1};
    kv::ClaimMember command;
    command.id = id_.value;
    command.voter = voter_;
    return kv::encode(command);
  }

  static Error too_many() { return failed_precondition("too many learner members in cluster"); }

  http::Response changed(const Site& site) const override {
    MemberAddResponse response;
    response.header = header(site, 0);
    response.members = members(site);
    for (const Member& member : response.members) {
      if (member.id == id_.value) response.member = member;
    }
    return answer(site, response);
  }

  std::string peer_;
  bool voter_;
  raft::NodeId id_;
};

class RemoveCall final : public ChangeCall {
 public:
  explicit RemoveCall(raft::NodeId id) : id_(id) {}

 private:
  Prepared prepare(const Site&, node::Done&, raft::Configuration& target) override {
    if (find(target, id_) == nullptr) return not_found("member not found");
    std::erase(target.voters, id_);
    std::erase(target.learners, id_);
    std::erase_if(target.addresses, [&](const raft::MemberAddress& a) { return a.id == id_; });
    if (!target.voters.empty()) return Ready{};
    return failed_precondition("re-configuration failed due to not enough started members");
  }

  raft::NodeId id_;
};

class UpdateCall final : public ChangeCall {
 public:
  UpdateCall(raft::NodeId id, std::string peer) : id_(id), peer_(std::move(peer)) {}

 private:
  Prepared prepare(const Site&, node::Done&, raft::Configuration& target) override {
    raft::MemberAddress* member = find(target, id_);
    if (member == nullptr) return not_found("member not found");
    if (member->peer != peer_ && is_taken(target, peer_)) return peer_exists();
    member->peer = peer_;
    return Ready{};
  }

  raft::NodeId id_;
  std::string peer_;
};

class PromoteCall final : public ChangeCall {
 public:
  explicit PromoteCall(raft::NodeId id) : id_(id) {}

 private:
  Prepared prepare(const Site&, node::Done&, raft::Configuration& target) override {
    if (find(target, id_) == nullptr) return not_found("member not found");
    if (std::erase(target.learners, id_) == 0) {
      return failed_precondition("can only promote a learner member");
    }
    target.voters.insert(std::ranges::lower_bound(target.voters, id_), id_);
    if (const Status fits = raft::check(target); !fits) {
      return failed_precondition(fits.error().message);
    }
    return Ready{};
  }

  raft::NodeId id_;
};

Handled change(const Site& site, std::unique_ptr<ChangeCall> call) {
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::move(call), api::confirmation(node::Consistency::kLinearizable)};
}

}  // namespace

Handled member_list(const Site& site, MemberListRequest request) {
  if (!request.linearizable) return members_answer(site);
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<ListCall>(),
                      api::confirmation(node::Consistency::kLinearizable)};
}

Handled member_add(const Site& site, MemberAddRequest request) {
  std::optional<std::string> peer = read_peer(request.peer_urls);
  if (!peer) return refuse(invalid("given member URLs are invalid"));
  return change(site, std::make_unique<AddCall>(*std::move(peer), !request.is_learner));
}

Handled member_remove(const Site& site, MemberRemoveRequest request) {
  return change(site, std::make_unique<RemoveCall>(raft::NodeId{request.id}));
}

Handled member_update(const Site& site, MemberUpdateRequest request) {
  std::optional<std::string> peer = read_peer(request.peer_urls);
  if (!peer) return refuse(invalid("given member URLs are invalid"));
  return change(site, std::make_unique<UpdateCall>(raft::NodeId{request.id}, *std::move(peer)));
}

Handled member_promote(const Site& site, MemberPromoteRequest request) {
  return change(site, std::make_unique<PromoteCall>(raft::NodeId{request.id}));
}

}  // namespace raftd::etcd
