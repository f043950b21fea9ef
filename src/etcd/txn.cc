// Transactions. One that writes goes through the log; one that only reads is a read like any
// other.
#include "etcd/txn.h"

#include <utility>

#include "api/native_kv.h"
#include "api/read_options.h"
#include "etcd/range.h"
#include "etcd/writes.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

kv::Guard::Relation to_relation(CompareResult result) {
  switch (result) {
    case CompareResult::kEqual:
      return kv::Guard::Relation::kEqual;
    case CompareResult::kGreater:
      return kv::Guard::Relation::kGreater;
    case CompareResult::kLess:
      return kv::Guard::Relation::kLess;
    case CompareResult::kNotEqual:
      return kv::Guard::Relation::kNotEqual;
  }
  ASSERT(false);
  return {};
}

kv::Guard::Target to_target(CompareTarget target) {
  switch (target) {
    case CompareTarget::kVersion:
      return kv::Guard::Target::kVersion;
    case CompareTarget::kCreate:
      return kv::Guard::Target::kCreate;
    case CompareTarget::kMod:
      return kv::Guard::Target::kMod;
    case CompareTarget::kValue:
      return kv::Guard::Target::kValue;
    case CompareTarget::kLease:
      return kv::Guard::Target::kLease;
  }
  ASSERT(false);
  return {};
}

// What is not the target's counts as not given: zero.
std::int64_t number_of(const Compare& compare) {
  switch (compare.target) {
    case CompareTarget::kVersion:
      return compare.version;
    case CompareTarget::kCreate:
      return compare.create_revision;
    case CompareTarget::kMod:
      return compare.mod_revision;
    case CompareTarget::kLease:
      return compare.lease;
    case CompareTarget::kValue:
      break;
  }
  return 0;
}

kv::Guard to_guard(const Compare& compare) {
  kv::Guard guard;
  guard.target = to_target(compare.target);
  guard.relation = to_relation(compare.result);
  guard.span = {compare.key, compare.range_end};
  guard.value = compare.value;
  const std::int64_t number = number_of(compare);
  if (number >= 0) {
    guard.number = static_cast<std::uint64_t>(number);
    return guard;
  }
  // Whatever the store has is not negative: it is above this, and differs from it.
  const bool holds =
      compare.result == CompareResult::kGreater || compare.result == CompareResult::kNotEqual;
  guard.relation = holds ? kv::Guard::Relation::kGreaterEqual : kv::Guard::Relation::kLess;
  return guard;
}

kv::TransactionOp to_op(const RequestOp& op) {
  if (op.request_range) return {to_list(*op.request_range)};
  if (op.request_put) return {to_put(*op.request_put)};
  if (op.request_delete_range) return {to_delete(*op.request_delete_range)};
  ASSERT(op.request_txn != nullptr);
  return {to_transaction(*op.request_txn)};
}

// What its puts may add to the store, whichever branch is taken.
void add_growth(const TxnRequest& request, std::vector<api::KeyWrite>& growth) {
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const RequestOp& op : *branch) {
      if (op.request_put) growth.push_back({op.request_put->key, op.request_put->value.size()});
      if (op.request_txn != nullptr) add_growth(*op.request_txn, growth);
    }
  }
}

// Each operation tells the revision that the store had after it.
struct Course {
  kv::Revision before = 0;
  bool wrote = false;

  ResponseHeader header() const {
    ResponseHeader header;
    header.revision = static_cast<std::int64_t>(before + (wrote ? 1 : 0));
    return header;
  }
};

const std::vector<RequestOp>& branch_of(const TxnRequest& request,
                                        const kv::TransactionReply& reply) {
  const std::vector<RequestOp>& branch = reply.succeeded ? request.success : request.failure;
  ASSERT_CMP(branch.size(), ==, reply.results.size());
  return branch;
}

bool wrote(const TxnRequest& request, const kv::TransactionReply& reply) {
  const std::vector<RequestOp>& branch = branch_of(request, reply);
  for (std::size_t i = 0; i < branch.size(); ++i) {
    const kv::OpReply& result = reply.results[i];
    if (branch[i].request_put || result.write.deleted != 0) return true;
    if (branch[i].request_txn != nullptr && wrote(*branch[i].request_txn, *result.transaction)) {
      return true;
    }
  }
  return false;
}

TxnResponse response_of(const TxnRequest& request, kv::TransactionReply& reply, Course& course);

ResponseOp response_op(const RequestOp& op, kv::OpReply& reply, Course& course) {
  ResponseOp response;
  if (op.request_range) {
    response.response_range = range_response(*op.request_range, reply, course.header());
  } else if (op.request_put) {
    course.wrote = true;
    response.response_put = put_response(reply.write, course.header());
  } else if (op.request_delete_range) {
    course.wrote = course.wrote || reply.write.deleted != 0;
    response.response_delete_range = delete_response(reply, course.header());
  } else {
    ASSERT(reply.transaction != nullptr);
    response.response_txn =
        std::make_unique<TxnResponse>(response_of(*op.request_txn, *reply.transaction, course));
    response.response_txn->header.emplace();
  }
  return response;
}

TxnResponse response_of(const TxnRequest& request, kv::TransactionReply& reply, Course& course) {
  TxnResponse response;
  response.succeeded = reply.succeeded;
  const std::vector<RequestOp>& branch = branch_of(request, reply);
  response.responses.reserve(branch.size());
  for (std::size_t i = 0; i < branch.size(); ++i)
    response.responses.push_back(response_op(branch[i], reply.results[i], course));
  return response;
}

http::Response txn_answer(const Site& site, const TxnRequest& request, kv::TransactionReply& reply,
                          kv::Revision revision) {
  if (auto error = error_of(reply)) return refuse(*error);
  Course course;
  course.before = wrote(request, reply) ? revision - 1 : revision;
  TxnResponse response = response_of(request, reply, course);
  response.header = header(site, revision);
  return answer(site, response);
}

class TxnCall final : public EtcdCall {
 public:
  explicit TxnCall(TxnRequest request) : request_(std::move(request)) {}

  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::TransactionReply>(done);
    return txn_answer(site, request_, reply, reply.revision);
  }

 private:
  TxnRequest request_;
};

class TxnReadCall final : public EtcdCall {
 public:
  explicit TxnReadCall(TxnRequest request) : request_(std::move(request)) {}

  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::TransactionQueryReply>(done);
    return txn_answer(site, request_, reply.transaction, reply.revision);
  }

 private:
  TxnRequest request_;
};

}  // namespace

kv::Transaction to_transaction(const TxnRequest& request) {
  kv::Transaction transaction;
  transaction.guards.reserve(request.compare.size());
  for (const Compare& compare : request.compare)
    transaction.guards.push_back(to_guard(compare));
  transaction.then.reserve(request.success.size());
  for (const RequestOp& op : request.success)
    transaction.then.push_back(to_op(op));
  transaction.otherwise.reserve(request.failure.size());
  for (const RequestOp& op : request.failure)
    transaction.otherwise.push_back(to_op(op));
  return transaction;
}

// A transaction of compares alone asks what is true now.
TxnReads reads_of(const TxnRequest& request) {
  TxnReads reads;
  bool fresh = false;
  bool any = false;
  for (const auto* branch : {&request.success, &request.failure}) {
    for (const RequestOp& op : *branch) {
      TxnReads part;
      if (op.request_txn != nullptr) {
        part = reads_of(*op.request_txn);
      } else {
        part.only = op.request_range.has_value();
        part.serializable = op.request_range && op.request_range->serializable;
      }
      any = true;
      reads.only = reads.only && part.only;
      fresh = fresh || !part.serializable;
    }
  }
  reads.serializable = any && !fresh;
  return reads;
}

Handled txn(const Site& site, TxnRequest request) {
  if (auto error = check(site, request)) return refuse(*error);
  const TxnReads reads = reads_of(request);
  const bool local = reads.only && reads.serializable;
  if (!local) {
    if (auto error = check_leader(site)) return refuse(*error);
  }
  kv::Transaction transaction = to_transaction(request);
  transaction.guards_first = true;
  Bytes encoded = kv::encode(transaction);
  if (reads.only) {
    kv::TransactionQuery query;
    query.transaction = std::move(encoded);
    return api::Started{std::make_unique<TxnReadCall>(std::move(request)),
                        api::read_op(std::move(query), local ? node::Consistency::kLocal
                                                             : node::Consistency::kLinearizable)};
  }
  std::vector<api::KeyWrite> growth;
  add_growth(request, growth);
  if (!growth.empty() && api::check_quota(site, growth)) return refuse(no_space());
  return api::Started{std::make_unique<TxnCall>(std::move(request)),
                      node::Write{node::Propose{std::move(encoded)}}};
}

}  // namespace raftd::etcd
