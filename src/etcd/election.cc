// The election service (etcd-io/etcd: v3election). The leader is whose key below the name was
// created first.
#include <utility>

#include "api/read_options.h"
#include "etcd/observe_stream.h"
#include "etcd/queue.h"
#include "kv/command.h"

namespace raftd::etcd {
namespace {

using api::Site;

Error unknown(std::string_view message) {
  return {Code::kUnknown, std::string(message)};
}

// A transaction that does something if the leader's key is still the one that he was elected with.
class LeaderWriteCall final : public EtcdCall {
 public:
  explicit LeaderWriteCall(bool must_lead) : must_lead_(must_lead) {}
  api::Asked asked() const override { return api::Asked::kWrite; }
  api::Step on_done(const Site& site, api::RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::TransactionReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(unknown(error->message));
    if (must_lead_ && !reply.succeeded) return etcd::refuse(unknown("election: not leader"));
    return header_answer(site, reply.revision);
  }

 private:
  bool must_lead_;
};

class LeaderCall final : public EtcdCall {
 public:
  api::Asked asked() const override { return api::Asked::kRead; }
  api::Step on_done(const Site& site, api::RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::TransactionQueryReply>(done);
    if (auto error = error_of(reply.transaction)) return etcd::refuse(*error);
    std::vector<kv::Item>& items = reply.transaction.results.front().items;
    if (items.empty()) return etcd::refuse(unknown("election: no leader"));
    LeaderResponse response;
    response.header = header(site, reply.revision);
    response.kv = key_value(std::move(items[0]));
    return answer(site, response);
  }
};

class ObserveCall final : public EtcdCall {
 public:
  explicit ObserveCall(std::string name) : name_(std::move(name)) {}
  api::Asked asked() const override { return api::Asked::kRead; }
  api::Step on_done(const Site& site, api::RequestId request, node::Done&) override {
    if (api::check_watchers(site.watches, site.limits)) {
      return etcd::refuse(exhausted("too many requests"));
    }
    return stream_answer(std::make_unique<ObserveStream>(site, request, std::move(name_)));
  }

 private:
  std::string name_;
};

kv::Transaction if_leads(const LeaderKey& leader) {
  kv::Transaction transaction;
  const auto rev = leader.rev > 0 ? static_cast<kv::Revision>(leader.rev) : 0;
  transaction.guards.push_back(
      {kv::Guard::Target::kCreate, kv::Guard::Relation::kEqual, {leader.key, {}}, rev, {}});
  return transaction;
}

api::Handled propose(bool must_lead, const kv::Transaction& transaction) {
  return api::Started{std::make_unique<LeaderWriteCall>(must_lead),
                      node::Write{node::Propose{kv::encode(transaction)}}};
}

// What is wrong with a request of who says that he leads. Nothing: go on.
std::optional<Error> check(const Site& site, const std::optional<LeaderKey>& leader) {
  if (!leader) return unknown("\"leader\" field must be provided");
  if (leader->key.empty()) return unknown("etcdserver: key is not provided");
  return check_leader(site);
}

}  // namespace

api::Handled campaign(const Site& site, CampaignRequest request) {
  return enter(site, {std::move(request.name), request.lease, std::move(request.value), true});
}

api::Handled proclaim(const Site& site, ProclaimRequest request) {
  if (auto error = check(site, request.leader)) return refuse(*error);
  if (request.value.size() > site.limits.value_bytes)
    return refuse(invalid("request is too large"));
  if (request.leader->rev <= 0 || request.leader->lease < 0) {
    return refuse(unknown("election: not leader"));
  }
  kv::Put put;
  put.key = request.leader->key;
  put.value = request.value;
  if (request.leader->lease > 0) {
    put.lease = {kv::LeaseChoice::Kind::kAttach, static_cast<kv::LeaseId>(request.leader->lease)};
  }
  kv::Transaction transaction = if_leads(*request.leader);
  transaction.then.push_back({put});
  return propose(true, transaction);
}

api::Handled resign(const Site& site, ResignRequest request) {
  if (auto error = check(site, request.leader)) return refuse(*error);
  kv::Transaction transaction = if_leads(*request.leader);
  transaction.then.push_back({kv::Delete{request.leader->key, {}, false}});
  return propose(false, transaction);
}

api::Handled leader(const Site& site, LeaderRequest request) {
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<LeaderCall>(),
                      api::read_op(first_query(request.name), node::Consistency::kLinearizable)};
}

api::Handled observe(const Site& site, LeaderRequest request) {
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<ObserveCall>(std::move(request.name)),
                      api::confirmation(node::Consistency::kLinearizable)};
}

}  // namespace raftd::etcd
