// The calls under /lease (native API, section 9).
//
// The happy path is: a lease is granted or revoked by one command; beats of many clients go into
// one command together (beats.h); lists are read in pieces (pieces_stream.h), the first as fresh as
// any read, the others from this node's state. So a long list is no snapshot: a lease that ends
// meanwhile may be left out, and its time is that of its piece.
//
// A possible failure mode is: the lease ends while its keys are listed (the body is cut off).
#include "api/native_lease.h"

#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/pieces_stream.h"
#include "api/read_options.h"
#include "api/write_refusal.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::api {
namespace {

constexpr Duration kTtlMin = std::chrono::seconds(1);
constexpr Duration kTtlMax = std::chrono::milliseconds(limits::kLeaseTtlMsMax);

void add_lease_members(std::string& json, kv::LeaseId id, std::uint64_t ttl_ms) {
  add_lease_id(json, "id", id);
  add_member(json, "ttl", seconds_of(ttl_ms));
}

void add_row(std::string& json, const kv::LeaseRow& row) {
  add_lease_members(json, row.id, row.ttl_ms);
  add_member(json, "remaining_ms", row.remaining_ms);
}

http::Response lease_answer(const Site& site, const node::Done& done, const Written& what,
                            kv::LeaseId id, std::uint64_t ttl_ms) {
  std::string json = "{";
  add_lease_members(json, id, ttl_ms);
  return written(site, done, what, json + "}\n");
}

class GrantCall final : public Call {
 public:
  explicit GrantCall(bool minimal) : minimal_(minimal) {}
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::LeaseReply>(done);
    if (reply.result != kv::StoreReply::Result::kDone) {
      return refused_write(site, done, reply, {});
    }
    return lease_answer(site, done, {201, minimal_, reply.revision}, reply.id, reply.ttl_ms);
  }

 private:
  bool minimal_;
};

class KeepCall final : public Call {
 public:
  KeepCall(kv::LeaseId id, bool minimal) : id_(id), minimal_(minimal) {}
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::KeepLeasesReply>(done);
    if (reply.result != kv::StoreReply::Result::kDone) {
      return refused_write(site, done, reply, {});
    }
    ASSERT_CMP(reply.ttls_ms.size(), ==, 1U);
    if (reply.ttls_ms[0] != 0) {
      return lease_answer(site, done, {200, minimal_, reply.revision}, id_, reply.ttls_ms[0]);
    }
    ApiError error = lease_not_found(id_);
    error.revision = reply.revision;
    return refuse_write(site, error, done);
  }

 private:
  kv::LeaseId id_;
  bool minimal_;
};

class RevokeCall final : public Call {
 public:
  explicit RevokeCall(bool minimal) : minimal_(minimal) {}
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::LeaseReply>(done);
    const bool revoked = reply.result == kv::StoreReply::Result::kDone;
    if (!revoked && reply.result != kv::StoreReply::Result::kLeaseNotFound) {
      return refused_write(site, done, reply, {});
    }
    std::string json = "{";
    add_flag(json, "revoked", revoked);
    add_member(json, "deleted", reply.deleted);
    add_member(json, "revision", reply.revision);
    return written(site, done, {200, minimal_, reply.revision}, json + "}\n");
  }

 private:
  bool minimal_;
};

class LeasesStream final : public PiecesStream {
 public:
  using PiecesStream::PiecesStream;

 private:
  Next take(node::Done& done, std::string& out) override {
    const auto& piece = reply_as<kv::LeasesReply>(done);
    for (const kv::LeaseRow& row : piece.rows) {
      out += std::exchange(listed_, true) ? ",{" : "{";
      add_row(out, row);
      add_member(out, "keys", row.keys);
      out += '}';
    }
    next_ = piece.next;
    if (next_ != 0) return Next::kMore;
    out += "]}\n";
    return Next::kEnd;
  }

  node::ClientOp ask_more() const override {
    kv::LeasesQuery query;
    query.start = next_;
    return read_op(query, node::Consistency::kLocal);
  }

  bool listed_ = false;
  kv::LeaseId next_ = 0;
};

kv::LeaseQuery keys_of(kv::LeaseId id, std::string start) {
  kv::LeaseQuery query;
  query.id = id;
  query.with_keys = true;
  query.start = std::move(start);
  query.bytes_max = limits::kHttpStreamBytes;
  return query;
}

class LeaseKeysStream final : public PiecesStream {
 public:
  LeaseKeysStream(const Site& site, RequestId request, kv::LeaseId id)
      : PiecesStream(site, request), id_(id) {}

 private:
  Next take(node::Done& done, std::string& out) override {
    auto& piece = reply_as<kv::LeaseQueryReply>(done);
    if (!piece.found) return Next::kBroken;  // It has ended meanwhile.
    for (const std::string& key : piece.keys) {
      out += std::exchange(listed_, true) ? ",{" : "{";
      add_bytes(out, "key", key);
      out += '}';
    }
    next_ = std::move(piece.next);
    if (piece.more) return Next::kMore;
    out += "]}\n";
    return Next::kEnd;
  }

  node::ClientOp ask_more() const override {
    return read_op(keys_of(id_, next_), node::Consistency::kLocal);
  }

  kv::LeaseId id_;
  bool listed_ = false;
  std::string next_;
};

http::Response read_answer(const Site& site, kv::Revision revision, raft::Index at) {
  http::Response response = json_answer(200, site.headers, {});
  add_read_headers(response.fields, ReadOptions{}, revision, at);
  return response;
}

class ListCall final : public Call {
 public:
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = reply_as<kv::LeasesReply>(done);
    http::Response response = read_answer(site, reply.revision, done.index);
    std::string head = "{";
    add_member(head, "revision", reply.revision);
    auto stream = std::make_unique<LeasesStream>(site, request);
    stream->begin(done, head + ",\"leases\":[");
    response.stream = std::move(stream);
    return response;
  }
};

class LookCall final : public Call {
 public:
  LookCall(kv::LeaseId id, bool with_keys) : id_(id), with_keys_(with_keys) {}
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = reply_as<kv::LeaseQueryReply>(done);
    if (!reply.found) {
      ApiError error = lease_not_found(id_);
      error.revision = reply.revision;
      return to_response(error, site.headers);
    }
    http::Response response = read_answer(site, reply.revision, done.index);
    std::string json = "{";
    add_row(json, reply.lease);
    if (with_keys_) {
      auto stream = std::make_unique<LeaseKeysStream>(site, request, id_);
      stream->begin(done, json + ",\"keys\":[");
      response.stream = std::move(stream);
      return response;
    }
    add_member(json, "keys", reply.lease.keys);
    response.body = json + "}\n";
    return response;
  }

 private:
  kv::LeaseId id_;
  bool with_keys_;
};

// Digits: an id and nothing else.
std::optional<kv::LeaseId> parse_lease_id(std::string_view text) {
  std::uint64_t id = 0;
  if (!parse_u64(text, id) || id == 0 || id > limits::kLeaseIdMax) return std::nullopt;
  return id;
}

Handled handle_grant(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  kv::GrantLease command;
  command.ttl_ms = read_ttl_ms(reader);
  command.id = reader.number(Param::kId, 0, 1, limits::kLeaseIdMax);
  if (!reader.has(Param::kTtl)) reader.fail(Param::kTtl, "ttl is missing");
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kCommonParams | ParamSet{Param::kTtl, Param::kId})) {
    return refuse(site, *error);
  }
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  return Started{std::make_unique<GrantCall>(prefers_minimal(context.headers)),
                 node::Write{node::Propose{kv::encode(command, context.terms.view())}}};
}

Handled handle_keepalive(const Site& site, const Context& context, kv::LeaseId id) {
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  auto call = std::make_unique<KeepCall>(id, prefers_minimal(context.headers));
  if (context.terms.none()) return Beating{std::move(call), id};
  // Beats of many share an entry of the log, but each request has terms of its own.
  return Started{
      std::move(call),
      node::Write{node::Propose{kv::encode(kv::KeepLeases{{id}}, context.terms.view())}}};
}

Handled handle_look(const Site& site, const Context& context, kv::LeaseId id, bool with_keys) {
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  kv::LeaseQuery query = keys_of(id, "");
  query.with_keys = with_keys;
  return Started{std::make_unique<LookCall>(id, with_keys),
                 read_op(std::move(query), node::Consistency::kLinearizable)};
}

}  // namespace

std::uint64_t read_ttl_ms(ParamReader& reader) {
  const Duration ttl = reader.duration(Param::kTtl, {}, kTtlMin, kTtlMax);
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(ttl).count());
}

kv::LeaseChoice read_lease_choice(ParamReader& reader) {
  using Kind = kv::LeaseChoice::Kind;
  const bool keep = reader.flag(Param::kKeepLease);
  reader.exclude(Param::kTtl, Param::kLease);
  if (keep && (reader.has(Param::kTtl) || reader.has(Param::kLease))) {
    reader.fail(Param::kKeepLease, "keep_lease goes neither with ttl nor with lease");
  }
  if (keep) return {Kind::kKeep, 0};
  if (reader.has(Param::kLease)) {
    return {Kind::kAttach, reader.number(Param::kLease, 0, 1, limits::kLeaseIdMax)};
  }
  if (reader.has(Param::kTtl)) return {Kind::kPrivate, read_ttl_ms(reader)};
  return {};
}

ApiError lease_not_found(kv::LeaseId id) {
  ApiError error = bad_request("there is no lease " + std::to_string(id));
  error.status = 404;
  error.code = "lease_not_found";
  add_lease_id(error.extra, "id", id);
  return error;
}

Handled handle_leases(const Site& site, const Context& context) {
  if (!context.is_read()) return handle_grant(site, context);
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  return Started{std::make_unique<ListCall>(),
                 read_op(kv::LeasesQuery{}, node::Consistency::kLinearizable)};
}

Handled handle_lease(const Site& site, const Context& context) {
  const std::optional<kv::LeaseId> id = parse_lease_id(context.routed.rest);
  if (!id) return refuse(site, bad_request("the id of a lease is a number of at least 1"));
  ParamReader reader(context.parameters);
  const bool with_keys = reader.flag(Param::kKeys);
  if (!context.is_read()) refuse_condition(context.headers, reader);
  const ParamSet allowed =
      context.is_read() ? kCommonParams | ParamSet{Param::kKeys} : kCommonParams;
  if (auto error = context.parameters.only(allowed)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (context.is_read()) return handle_look(site, context, *id, with_keys);
  if (context.routed.route == Route::kKeepLease) return handle_keepalive(site, context, *id);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  return Started{
      std::make_unique<RevokeCall>(prefers_minimal(context.headers)),
      node::Write{node::Propose{kv::encode(kv::RevokeLease{*id}, context.terms.view())}}};
}

}  // namespace raftd::api
