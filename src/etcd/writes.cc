// Put, deleterange and compaction.
#include "etcd/writes.h"

#include <algorithm>
#include <utility>

#include "api/native_kv.h"
#include "base/limits.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

api::Started propose(std::unique_ptr<api::Call> call, const kv::Command& command) {
  return {std::move(call), node::Write{node::Propose{kv::encode(command)}}};
}

class PutCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::WriteReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    return answer(site, put_response(reply, header(site, reply.revision)));
  }
};

// Of one key.
class DeleteCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::WriteReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    DeleteRangeResponse response;
    response.header = header(site, reply.revision);
    response.deleted = static_cast<std::int64_t>(reply.deleted);
    if (reply.prev) response.prev_kvs.push_back(key_value(*std::move(reply.prev)));
    return answer(site, response);
  }
};

// Of many: a transaction with one operation.
class DeleteSpanCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::TransactionReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    ASSERT_CMP(reply.results.size(), ==, 1U);
    return answer(site, delete_response(reply.results.front(), header(site, reply.revision)));
  }
};

class CompactCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::StoreReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    return header_answer(site, reply.revision);
  }
};

}  // namespace

std::optional<Error> check(const Site& site, const PutRequest& request) {
  if (request.key.empty()) return invalid("key is not provided");
  if (request.ignore_value && !request.value.empty()) return invalid("value is provided");
  if (request.ignore_lease && request.lease != 0) return invalid("lease is provided");
  const bool fits = request.key.size() <= site.limits.key_bytes &&
                    request.value.size() <= site.limits.value_bytes;
  if (!fits) return invalid("request is too large");
  if (request.lease < 0) return not_found("requested lease not found");
  return std::nullopt;
}

std::optional<Error> check_span(std::string_view key, std::string_view range_end) {
  if (key.empty()) return invalid("key is not provided");
  if (std::max(key.size(), range_end.size()) > limits::kKeyBytesMax) {
    return invalid("request is too large");
  }
  return std::nullopt;
}

std::optional<Error> check(const DeleteRangeRequest& request) {
  return check_span(request.key, request.range_end);
}

std::optional<Error> check(const RangeRequest& request) {
  if (auto error = check_span(request.key, request.range_end)) return error;
  const bool known =
      request.sort_order >= SortOrder::kNone && request.sort_order <= SortOrder::kDescend &&
      request.sort_target >= SortTarget::kKey && request.sort_target <= SortTarget::kValue;
  if (!known) return invalid("invalid sort option");
  return std::nullopt;
}

kv::DeleteSpan to_delete(const DeleteRangeRequest& request) {
  return {{request.key, request.range_end}, request.prev_kv};
}

kv::Put to_put(const PutRequest& request) {
  using Choice = kv::LeaseChoice::Kind;
  kv::Put put;
  put.key = request.key;
  put.value = request.value;
  put.want_prev = request.prev_kv;
  put.keep_value = request.ignore_value;
  put.must_exist = request.ignore_value || request.ignore_lease;
  if (request.ignore_lease) {
    put.lease = {Choice::kKeep, 0};
  } else if (request.lease != 0) {
    put.lease = {Choice::kAttach, static_cast<kv::LeaseId>(request.lease)};
  }
  return put;
}

PutResponse put_response(kv::WriteReply& reply, const ResponseHeader& header) {
  PutResponse response;
  response.header = header;
  if (reply.prev) response.prev_kv = key_value(*std::move(reply.prev));
  return response;
}

DeleteRangeResponse delete_response(kv::OpReply& reply, const ResponseHeader& header) {
  DeleteRangeResponse response;
  response.header = header;
  response.deleted = static_cast<std::int64_t>(reply.write.deleted);
  for (kv::Item& item : reply.items)
    response.prev_kvs.push_back(key_value(std::move(item)));
  return response;
}

Handled put(const Site& site, PutRequest request) {
  if (auto error = check(site, request)) return refuse(*error);
  if (auto error = check_leader(site)) return refuse(*error);
  const api::KeyWrite growth{request.key, request.value.size()};
  if (api::check_quota(site, {&growth, 1})) return refuse(no_space());
  return propose(std::make_unique<PutCall>(), to_put(request));
}

Handled delete_range(const Site& site, DeleteRangeRequest request) {
  if (auto error = check(request)) return refuse(*error);
  if (auto error = check_leader(site)) return refuse(*error);
  if (request.range_end.empty()) {
    return propose(std::make_unique<DeleteCall>(), kv::Delete{request.key, {}, request.prev_kv});
  }
  kv::Transaction transaction;
  transaction.then.push_back({to_delete(request)});
  return propose(std::make_unique<DeleteSpanCall>(), transaction);
}

// What it takes from the disk is nothing that a client could wait for: physical changes nothing.
Handled compaction(const Site& site, CompactionRequest request) {
  if (request.revision < 0) return refuse(compacted());
  if (auto error = check_leader(site)) return refuse(*error);
  return propose(std::make_unique<CompactCall>(),
                 kv::Compact{static_cast<std::uint64_t>(request.revision)});
}

}  // namespace raftd::etcd
