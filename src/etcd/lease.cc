// Leases.
//
// The happy path is: a lease is granted or revoked by one command; beats of many clients go into
// one command together (api/beats.h); what is long, all leases or the keys of one, is a stream of
// pieces, the first as fresh as any read, the others from this node's state.
//
// Possible failure modes are: the lease ends while its keys are listed (the body is cut off);
// the leader is lost before a keepalive is answered (code 14: the client asks again).
#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/pieces_stream.h"
#include "api/read_options.h"
#include "base/limits.h"
#include "etcd/call.h"
#include "http/base64.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

constexpr std::int64_t kTtlMin = 2;  // Seconds. As etcd with its default election timeout.
constexpr std::int64_t kTtlMax = 9'000'000'000;
static_assert(static_cast<std::uint64_t>(kTtlMax) * 1000 <= limits::kLeaseTtlMsMax);
constexpr std::int64_t kTtlOfNone = -1;  // What is left of a lease that is not there.

std::int64_t whole_seconds(std::uint64_t ms) {
  return static_cast<std::int64_t>(ms / 1000);
}

node::ClientOp propose(const kv::Command& command) {
  return node::Write{node::Propose{kv::encode(command)}};
}

class GrantCall final : public EtcdCall {
 public:
  // chosen_ttl_ms: of a lease whose id was not asked for; 0: it was.
  explicit GrantCall(std::uint64_t chosen_ttl_ms) : chosen_ttl_ms_(chosen_ttl_ms) {}
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::LeaseReply>(done);
    if (reply.result == kv::StoreReply::Result::kLeaseExists && chosen_ttl_ms_ != 0) {
      return propose(kv::GrantLease{choose_lease_id(site), chosen_ttl_ms_});
    }
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    LeaseGrantResponse response;
    response.header = header(site, reply.revision);
    response.id = static_cast<std::int64_t>(reply.id);
    response.ttl = whole_seconds(reply.ttl_ms);
    return answer(site, response);
  }

 private:
  std::uint64_t chosen_ttl_ms_;
};

class RevokeCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::LeaseReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    return header_answer(site, reply.revision);
  }
};

// ---- Keepalive --------------------------------------------------------------------------------

// A stream of one message: clients read one chunk, or until the end.
class OneMessage final : public http::BodySource {
 public:
  explicit OneMessage(std::string message) : message_(std::move(message)) {}
  Next next(std::string& out) override {
    if (message_.empty()) return Next::kEnd;
    out += std::exchange(message_, {});
    return Next::kMore;
  }

 private:
  std::string message_;
};

// ttl_ms 0: there is no such lease, and the answer has no TTL.
http::Response alive(const Site& site, kv::Revision revision, std::int64_t id,
                     std::uint64_t ttl_ms) {
  LeaseKeepAliveResponse response;
  response.header = header(site, revision);
  response.id = id;
  response.ttl = static_cast<std::int64_t>(api::seconds_of(ttl_ms));
  std::string message = "{\"result\":";
  add_json(message, response);
  return stream_answer(std::make_unique<OneMessage>(message + "}\n"));
}

class KeepCall final : public EtcdCall {
 public:
  explicit KeepCall(std::int64_t id) : id_(id) {}
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::KeepLeasesReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    ASSERT_CMP(reply.ttls_ms.size(), ==, 1U);
    return alive(site, reply.revision, id_, reply.ttls_ms[0]);
  }

 private:
  std::int64_t id_;
};

// ---- What there is ----------------------------------------------------------------------------

// The message but for its end.
template <class Message>
std::string open_json(const Message& message) {
  std::string json;
  add_json(json, message);
  ASSERT(json.back() == '}');
  json.pop_back();
  return json;
}

class LeasesStream final : public api::PiecesStream {
 public:
  using PiecesStream::PiecesStream;

 private:
  Next take(node::Done& done, std::string& out) override {
    const auto& piece = api::reply_as<kv::LeasesReply>(done);
    for (const kv::LeaseRow& row : piece.rows) {
      out += std::exchange(listed_, true) ? "," : ",\"leases\":[";
      add_json(out, LeaseStatus{static_cast<std::int64_t>(row.id)});
    }
    next_ = piece.next;
    if (next_ != 0) return Next::kMore;
    out += listed_ ? "]}" : "}";
    return Next::kEnd;
  }
  node::ClientOp ask_more() const override {
    kv::LeasesQuery query;
    query.start = next_;
    return api::read_op(query, node::Consistency::kLocal);
  }

  bool listed_ = false;
  kv::LeaseId next_ = 0;
};

class LeasesCall final : public EtcdCall {
 public:
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = api::reply_as<kv::LeasesReply>(done);
    LeaseLeasesResponse response;
    response.header = header(site, reply.revision);
    if (reply.next != 0) {
      auto stream = std::make_unique<LeasesStream>(site, request);
      stream->begin(done, open_json(response));
      return stream_answer(std::move(stream));
    }
    for (const kv::LeaseRow& row : reply.rows)
      response.leases.push_back({static_cast<std::int64_t>(row.id)});
    return answer(site, response);
  }
};

kv::LeaseQuery keys_of(kv::LeaseId id, std::string start) {
  kv::LeaseQuery query;
  query.id = id;
  query.with_keys = true;
  query.start = std::move(start);
  query.bytes_max = limits::kHttpStreamBytes;
  return query;
}

class LeaseKeysStream final : public api::PiecesStream {
 public:
  LeaseKeysStream(const Site& site, RequestId request, kv::LeaseId id)
      : PiecesStream(site, request), id_(id) {}

 private:
  Next take(node::Done& done, std::string& out) override {
    auto& piece = api::reply_as<kv::LeaseQueryReply>(done);
    if (!piece.found) return Next::kBroken;  // It has ended meanwhile.
    for (const std::string& key : piece.keys) {
      out += std::exchange(listed_, true) ? ",\"" : ",\"keys\":[\"";
      http::base64_append(out, key);
      out += '"';
    }
    next_ = std::move(piece.next);
    if (piece.more) return Next::kMore;
    out += listed_ ? "]}" : "}";
    return Next::kEnd;
  }
  node::ClientOp ask_more() const override {
    return api::read_op(keys_of(id_, next_), node::Consistency::kLocal);
  }

  kv::LeaseId id_;
  bool listed_ = false;
  std::string next_;
};

class TimeToLiveCall final : public EtcdCall {
 public:
  explicit TimeToLiveCall(std::int64_t id) : id_(id) {}
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    auto& reply = api::reply_as<kv::LeaseQueryReply>(done);
    LeaseTimeToLiveResponse response;
    response.header = header(site, reply.revision);
    response.id = id_;
    response.ttl = reply.found ? whole_seconds(reply.lease.remaining_ms) : kTtlOfNone;
    if (!reply.found) return answer(site, response);
    response.granted_ttl = whole_seconds(reply.lease.ttl_ms);
    if (reply.more) {
      auto stream = std::make_unique<LeaseKeysStream>(site, request, reply.lease.id);
      stream->begin(done, open_json(response));
      return stream_answer(std::move(stream));
    }
    response.keys = std::move(reply.keys);
    return answer(site, response);
  }

 private:
  std::int64_t id_;
};

}  // namespace

Handled lease_grant(const Site& site, LeaseGrantRequest request) {
  if (request.id < 0) return refuse(invalid("lease IDs are not negative"));
  if (request.ttl > kTtlMax) return refuse(out_of_range("too large lease TTL"));
  if (auto error = check_leader(site)) return refuse(*error);
  const std::uint64_t ttl_ms = static_cast<std::uint64_t>(std::max(request.ttl, kTtlMin)) * 1000;
  const bool chosen = request.id == 0;
  const kv::LeaseId id = chosen ? choose_lease_id(site) : static_cast<kv::LeaseId>(request.id);
  return api::Started{std::make_unique<GrantCall>(chosen ? ttl_ms : 0),
                      propose(kv::GrantLease{id, ttl_ms})};
}

Handled lease_revoke(const Site& site, LeaseRevokeRequest request) {
  const std::optional<kv::LeaseId> id = positive(request.id);
  if (!id) return refuse(not_found("requested lease not found"));
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<RevokeCall>(), propose(kv::RevokeLease{*id})};
}

Handled lease_keepalive(const Site& site, LeaseKeepAliveRequest request) {
  const std::optional<kv::LeaseId> id = positive(request.id);
  if (!id) return alive(site, site.store.stats().revision, request.id, 0);
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Beating{std::make_unique<KeepCall>(request.id), *id};
}

Handled lease_timetolive(const Site& site, LeaseTimeToLiveRequest request) {
  if (auto error = check_leader(site)) return refuse(*error);
  kv::LeaseQuery query = keys_of(positive(request.id).value_or(0), "");
  query.with_keys = request.keys;
  return api::Started{std::make_unique<TimeToLiveCall>(request.id),
                      api::read_op(std::move(query), node::Consistency::kLinearizable)};
}

Handled lease_leases(const Site& site, Empty) {
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<LeasesCall>(),
                      api::read_op(kv::LeasesQuery{}, node::Consistency::kLinearizable)};
}

}  // namespace raftd::etcd
