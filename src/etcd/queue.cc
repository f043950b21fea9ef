// The happy path is: without a lease one is granted; the key is put if it is not there; then the
// one that was created last before it is looked for, again and again, and its end is waited for;
// when there is none, a read that the leader confirms shows that the own key is there still.
//
// Possible failure modes are: the lease does not exist, or ends while the call waits (code 2, as
// etcd has it); the client goes away (the key is deleted, if this request put it); the leader is
// lost at a step (code 14; the key stays as long as its lease does, and who asks again with that
// lease finds it).
#include "etcd/queue.h"

#include <charconv>
#include <utility>

#include "api/read_options.h"
#include "kv/command.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::RequestId;
using api::Site;
using api::Step;

constexpr std::uint64_t kOwnLeaseMs = 60'000;

std::string own_key(const Entrant& entrant) {
  char digits[16];
  const auto end =
      std::to_chars(digits, digits + sizeof digits, static_cast<std::uint64_t>(entrant.lease), 16)
          .ptr;
  return entrant.name + '/' + std::string(digits, end);
}

Error unknown(std::string message) {
  return {Code::kUnknown, std::move(message)};
}

class EnterCall final : public EtcdCall {
 public:
  explicit EnterCall(Entrant entrant) : entrant_(std::move(entrant)) {}

  node::ClientOp first(const Site& site) {
    return entrant_.lease == 0 ? grant(site) : put_if_absent();
  }

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    switch (stage_) {
      case Stage::kGranting:
        return on_granted(site, done);
      case Stage::kEntering:
        return on_entered(site, done);
      case Stage::kUpdating:
        return on_updated(done);
      case Stage::kLooking:
        return on_looked(site, done);
      case Stage::kConfirming:
        return on_confirmed(site, done);
      case Stage::kLeaving:
        break;
    }
    return etcd::refuse(unavailable("request timed out"));
  }

  Step on_woken(const Site&, const api::Woken&) override { return look(); }

  api::AfterGone on_gone() override {
    gone_ = true;
    if (stage_ == Stage::kLooking || stage_ == Stage::kConfirming) return leave();
    return api::GoOn{};
  }
  std::optional<node::ClientOp> on_input_end() override {
    if (stage_ != Stage::kLooking) return std::nullopt;
    return leave();
  }

 private:
  enum class Stage : std::uint8_t {
    kGranting,
    kEntering,
    kUpdating,
    kLooking,  // Or sleeping, after that.
    kConfirming,
    kLeaving
  };

  static node::ClientOp propose(const kv::Command& command) {
    return node::Write{node::Propose{kv::encode(command)}};
  }

  node::ClientOp grant(const Site& site) {
    stage_ = Stage::kGranting;
    return propose(kv::GrantLease{choose_lease_id(site), kOwnLeaseMs});
  }

  Step on_granted(const Site& site, node::Done& done) {
    const auto& reply = api::reply_as<kv::LeaseReply>(done);
    if (reply.result == kv::StoreReply::Result::kLeaseExists) return grant(site);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    entrant_.lease = static_cast<std::int64_t>(reply.id);
    return put_if_absent();
  }

  kv::Put put() const {
    kv::Put put;
    put.key = key_;
    put.value = entrant_.value;
    put.lease = {kv::LeaseChoice::Kind::kAttach, static_cast<kv::LeaseId>(entrant_.lease)};
    return put;
  }

  node::ClientOp put_if_absent() {
    stage_ = Stage::kEntering;
    key_ = own_key(entrant_);
    kv::Transaction transaction;
    transaction.guards.push_back(
        {kv::Guard::Target::kCreate, kv::Guard::Relation::kEqual, {key_, {}}, 0, {}});
    transaction.then.push_back({put()});
    transaction.otherwise.push_back({kv::Get{key_}});
    return propose(transaction);
  }

  Step on_entered(const Site& site, node::Done& done) {
    auto& reply = api::reply_as<kv::TransactionReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(unknown(error->message));
    seen_ = reply.revision;
    header_ = header(site, reply.revision);
    put_ = reply.succeeded;
    if (put_) {
      created_ = reply.revision;
      return go_on();
    }
    ASSERT_CMP(reply.results.size(), ==, 1U);
    ASSERT_CMP(reply.results[0].items.size(), ==, 1U);
    const kv::Item& item = reply.results[0].items[0];
    created_ = item.create;
    if (!entrant_.campaigns || item.value == entrant_.value) return go_on();
    stage_ = Stage::kUpdating;
    kv::Transaction transaction;
    transaction.guards.push_back(
        {kv::Guard::Target::kCreate, kv::Guard::Relation::kEqual, {key_, {}}, created_, {}});
    transaction.then.push_back({put()});
    return propose(transaction);
  }

  Step on_updated(node::Done& done) {
    const auto& reply = api::reply_as<kv::TransactionReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(unknown(error->message));
    if (!reply.succeeded) return etcd::refuse(unknown("election: not leader"));
    seen_ = reply.revision;
    return go_on();
  }

  Step go_on() {
    if (gone_) return leave();
    return look();
  }

  // The one that was created last before this one.
  node::ClientOp look() {
    stage_ = Stage::kLooking;
    const std::string begin = entrant_.name + '/';
    const std::string end = kv::prefix_end(begin);
    kv::List list;
    list.span = {begin, end};
    list.limit = 1;
    list.keys_only = true;
    list.max_create = created_ - 1;
    list.sort = {kv::Sort::Target::kCreate, true};
    kv::Transaction transaction;
    transaction.then.push_back({list});
    kv::TransactionQuery query;
    query.transaction = kv::encode(transaction);
    query.min_revision = seen_;
    return api::read_op(std::move(query), node::Consistency::kLocal);
  }

  Step on_looked(const Site& site, node::Done& done) {
    const auto& reply = api::reply_as<kv::TransactionQueryReply>(done);
    if (auto error = error_of(reply.transaction)) return etcd::refuse(*error);
    ASSERT_CMP(reply.transaction.results.size(), ==, 1U);
    const std::vector<kv::Item>& before = reply.transaction.results[0].items;
    if (before.empty()) return confirm();
    // From when it was seen to be there: whatever happens to it is a reason to look again.
    seen_ = reply.revision;
    waited_ = true;
    return api::Park{{kv::KeySpan::Kind::kKey, before[0].key, {}, kv::Space::kKeys},
                     reply.revision,
                     site.watches.now + site.limits.wait};
  }

  node::ClientOp confirm() {
    stage_ = Stage::kConfirming;
    kv::GetQuery query;
    query.key = key_;
    query.min_revision = seen_;
    return api::read_op(std::move(query), node::Consistency::kLinearizable);
  }

  Step on_confirmed(const Site& site, node::Done& done) const {
    const auto& reply = api::reply_as<kv::GetReply>(done);
    if (reply.result != kv::GetReply::Result::kFound || reply.item.create != created_) {
      return etcd::refuse(unknown("etcdserver: requested lease not found"));
    }
    if (entrant_.campaigns) {
      CampaignResponse response;
      response.header = header_;
      response.leader = {entrant_.name, key_, static_cast<std::int64_t>(created_), entrant_.lease};
      return answer(site, response);
    }
    LockResponse response;
    response.header = waited_ ? header(site, reply.revision) : header_;
    response.key = key_;
    return answer(site, response);
  }

  // What another request with this lease has put is not given up: somebody holds it, perhaps.
  node::ClientOp leave() {
    stage_ = Stage::kLeaving;
    if (!put_) return api::confirmation(node::Consistency::kLocal);
    return propose(kv::Delete{key_, {}, false});
  }

  Entrant entrant_;
  Stage stage_ = Stage::kGranting;
  bool gone_ = false;  // The client.
  bool waited_ = false;
  bool put_ = false;  // The key is this request's.
  std::string key_;
  ResponseHeader header_;     // As it was when the key was found or put.
  kv::Revision created_ = 0;  // Of the key.
  kv::Revision seen_ = 0;     // The state that is looked at is not older.
};

}  // namespace

kv::TransactionQuery first_query(const std::string& name) {
  const std::string begin = name + '/';
  const std::string end = kv::prefix_end(begin);
  kv::List list;
  list.span = {begin, end};
  list.limit = 1;
  list.sort = {kv::Sort::Target::kCreate, false};
  kv::Transaction transaction;
  transaction.then.push_back({list});
  kv::TransactionQuery query;
  query.transaction = kv::encode(transaction);
  return query;
}

api::Handled enter(const Site& site, Entrant entrant) {
  if (auto error = check_leader(site)) return refuse(*error);
  if (entrant.lease < 0) return refuse(unknown("etcdserver: requested lease not found"));
  if (own_key(entrant).size() > site.limits.key_bytes ||
      entrant.value.size() > site.limits.value_bytes) {
    return refuse(invalid("request is too large"));
  }
  if (api::check_watchers(site.watches, site.limits)) return refuse(exhausted("too many requests"));
  auto call = std::make_unique<EnterCall>(std::move(entrant));
  node::ClientOp first = call->first(site);
  return api::Started{std::move(call), std::move(first)};
}

}  // namespace raftd::etcd
