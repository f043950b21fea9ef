// Locks and elections: /lock/{name} and /election/{name} (native API, sections 10 and 11). An
// election is a lock with a value.
#include "api/locks.h"

#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "base/text.h"
#include "http/uri.h"

namespace raftd::api {
namespace {

using http::Method;

constexpr Duration kTtl = std::chrono::seconds(30);
constexpr Duration kTtlMin = std::chrono::seconds(1);
constexpr Duration kTtlMax = std::chrono::milliseconds(limits::kLeaseTtlMsMax);
constexpr Duration kWaitMax = std::chrono::minutes(10);

constexpr ParamSet kAcquireParams =
    kCommonParams | ParamSet{Param::kTtl, Param::kWait, Param::kOwner};
constexpr ParamSet kKeepParams = kCommonParams | ParamSet{Param::kToken, Param::kTtl};
constexpr ParamSet kReleaseParams = kCommonParams | ParamSet{Param::kToken, Param::kForce};
constexpr ParamSet kProclaimParams = kCommonParams | ParamSet{Param::kToken};

std::uint64_t ms_of(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

std::optional<ApiError> read_name(const Context& context, LockName& lock) {
  const Route route = context.routed.route;
  const bool election = route == Route::kElection || route == Route::kKeepElection;
  lock.space = election ? kv::Space::kElections : kv::Space::kLocks;
  Result<std::string> decoded = http::percent_decode(context.routed.rest);
  if (!decoded) return bad_request("the path: " + decoded.error().message);
  lock.name = *std::move(decoded);
  if (lock.name.size() <= limits::kLockNameBytesMax) return std::nullopt;
  return too_large("lock_name_bytes", limits::kLockNameBytesMax, lock.name.size());
}

kv::Revision read_token(ParamReader& reader) {
  if (!reader.has(Param::kToken)) reader.fail(Param::kToken, "the token of the lock is missing");
  return reader.number(Param::kToken, 0, 1, UINT64_MAX);
}

// Of KeepLock, Release and Proclaim.
class LockCall final : public Call {
 public:
  enum class What : std::uint8_t { kKeep, kRelease, kProclaim };
  LockCall(LockName lock, What what, bool minimal)
      : lock_(std::move(lock)), what_(what), minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done done) override {
    if (auto error = error_of(reply_as<kv::StoreReply>(done))) {
      return refuse_write(site, *error, done);
    }
    const auto& reply = reply_as<kv::LockReply>(done);
    if (reply.result == kv::StoreReply::Result::kLockLost) {
      ApiError error = lock_lost(lock_);
      error.revision = reply.revision;
      return refuse_write(site, error, done);
    }
    std::string json = "{";
    switch (what_) {
      case What::kKeep:
        add_bytes(json, "name", lock_.name);
        add_member(json, "token", reply.token);
        add_member(json, "expires_in_ms", reply.remaining_ms);
        break;
      case What::kRelease:
        add_flag(json, "released", true);
        add_member(json, "revision", reply.revision);
        break;
      case What::kProclaim:
        add_member(json, "revision", reply.revision);
        break;
    }
    return written(site, done, {200, minimal_, reply.revision}, json + "}\n");
  }

 private:
  LockName lock_;
  What what_;
  bool minimal_;
};

class ViewCall final : public Call {
 public:
  ViewCall(LockName lock, const ReadOptions& options) : lock_(std::move(lock)), options_(options) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done done) override {
    return lock_shown(site, lock_, options_, reply_as<kv::LockQueryReply>(done), done.index);
  }

 private:
  LockName lock_;
  ReadOptions options_;
};

// What all writes have before they are proposed. Nothing: go on.
std::optional<http::Response> refuse_lock_write(const Site& site, const Context& context,
                                                ParamReader& reader, ParamSet params) {
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(params)) return to_response(*error, site.headers);
  if (reader.failed()) return to_response(reader.take_error(), site.headers);
  return std::nullopt;
}

// Only an election has a value; no other body means anything.
std::optional<ApiError> check_body(const Site& site, const Context& context, bool is_value) {
  if (is_value) return check_value(site, context);
  if (context.head_only) return std::nullopt;
  return check_no_fields(context.request.body);
}

Handled propose(const Context& context, LockName lock, LockCall::What what,
                const kv::Command& command) {
  return Started{
      std::make_unique<LockCall>(std::move(lock), what, prefers_minimal(context.headers)),
      node::Write{node::Propose{kv::encode(command, context.terms.view())}}};
}

Handled handle_acquire(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  kv::Acquire acquire;
  acquire.space = lock.space;
  acquire.name = lock.name;
  acquire.ttl_ms = ms_of(reader.duration(Param::kTtl, kTtl, kTtlMin, kTtlMax));
  acquire.owner = reader.text(Param::kOwner);
  const Duration wait = reader.duration(Param::kWait, Duration{}, Duration{}, kWaitMax);
  acquire.wait = wait > Duration{};
  if (acquire.owner.size() > limits::kLockOwnerBytesMax) {
    reader.fail(Param::kOwner, strf("owner is over %zu bytes", limits::kLockOwnerBytesMax));
  }
  const ParamSet params =
      lock.is_election() ? kAcquireParams | ParamSet{Param::kValue} : kAcquireParams;
  if (auto response = refuse_lock_write(site, context, reader, params)) return *std::move(response);
  if (auto error = check_body(site, context, lock.is_election())) return refuse(site, *error);
  if (acquire.wait) {
    if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  }
  acquire.value = reader.text(Param::kValue);
  if (acquire.value.size() > site.limits.value_bytes) {
    return refuse(site,
                  too_large("limits.value_bytes", site.limits.value_bytes, acquire.value.size()));
  }
  if (lock.is_election() && !context.request.body.empty()) {
    if (reader.has(Param::kValue)) {
      return refuse(site, bad_parameter("value",
                                        "the value is given twice, as a parameter and as "
                                        "the body"));
    }
    acquire.value = context.request.body;
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  const kv::Terms terms = context.terms.view();
  AcquireOptions options;
  options.wait_until = context.now + wait;
  options.keyed = !terms.idempotency_key.empty();
  options.minimal = prefers_minimal(context.headers);
  Bytes command = kv::encode(acquire, terms);
  return Started{make_acquire_call(std::move(lock), options),
                 node::Write{node::Propose{std::move(command)}}, wait};
}

Handled handle_keep(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  kv::KeepLock keep;
  keep.space = lock.space;
  keep.token = read_token(reader);
  keep.ttl_ms = ms_of(reader.duration(Param::kTtl, Duration{}, kTtlMin, kTtlMax));
  if (auto response = refuse_lock_write(site, context, reader, kKeepParams)) {
    return *std::move(response);
  }
  if (auto error = check_body(site, context, false)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  const std::string name = lock.name;
  keep.name = name;
  return propose(context, std::move(lock), LockCall::What::kKeep, keep);
}

Handled handle_release(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  kv::Release release;
  release.space = lock.space;
  reader.exclude(Param::kForce, Param::kToken);
  if (!reader.flag(Param::kForce)) release.token = read_token(reader);
  if (auto response = refuse_lock_write(site, context, reader, kReleaseParams)) {
    return *std::move(response);
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  const std::string name = lock.name;
  release.name = name;
  return propose(context, std::move(lock), LockCall::What::kRelease, release);
}

Handled handle_proclaim(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  kv::Proclaim proclaim;
  proclaim.token = read_token(reader);
  if (auto response = refuse_lock_write(site, context, reader, kProclaimParams)) {
    return *std::move(response);
  }
  if (auto error = check_value(site, context)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  const std::string name = lock.name;
  proclaim.name = name;
  proclaim.value = context.request.body;
  return propose(context, std::move(lock), LockCall::What::kProclaim, proclaim);
}

Handled handle_view(const Site& site, const Context& context, LockName lock) {
  ParamReader reader(context.parameters);
  const bool election = lock.is_election();
  if (election && reader.flag(Param::kWatch)) return watch_election(site, context, std::move(lock));
  if (election && reader.has(Param::kWait)) return poll_election(site, context, std::move(lock));
  const ReadOptions options = read_options(reader);
  const ParamSet params = election ? kLockReadParams | ParamSet{Param::kWatch} : kLockReadParams;
  if (auto error = context.parameters.only(params)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  kv::LockQuery query;
  query.space = lock.space;
  query.name = lock.name;
  query.min_revision = options.min_revision;
  return Started{std::make_unique<ViewCall>(std::move(lock), options),
                 read_op(std::move(query), options.consistency)};
}

}  // namespace

std::string LockName::shown() const {
  return (is_election() ? "election " : "lock ") + percent_escape(name);
}

http::Response lock_shown(const Site& site, const LockName& lock, const ReadOptions& options,
                          const kv::LockQueryReply& reply, raft::Index at) {
  std::string json;
  add_lock_json(json, reply.lock, lock.is_election());
  http::Response response = json_answer(200, site.headers, json + "\n");
  add_read_headers(response.fields, options, reply.revision, at);
  return response;
}

ApiError lock_lost(const LockName& lock) {
  ApiError error;
  error.status = 409;
  error.code = "lock_lost";
  error.message = lock.shown() + " is not held with this token";
  add_bytes(error.extra, "name", lock.name);
  return error;
}

void add_lock_json(std::string& json, const kv::LockView& lock, bool is_election) {
  const bool held = lock.token != 0;
  json += '{';
  add_bytes(json, "name", lock.name);
  add_flag(json, is_election ? "elected" : "held", held);
  if (held) {
    add_member(json, "token", lock.token);
    if (!is_election) add_member(json, "lease", std::to_string(lock.lease));
    add_bytes(json, "owner", lock.owner);
    if (is_election) add_bytes(json, "value", lock.value);
    add_member(json, "expires_in_ms", lock.remaining_ms);
  }
  if (is_election) {
    add_member(json, "candidates", lock.waiting);
    json += '}';
    return;
  }
  add_name(json, "waiters");
  json += '[';
  for (const kv::LockView::Waiter& waiter : lock.waiters) {
    json += json.back() == '[' ? "{" : ",{";
    add_bytes(json, "owner", waiter.owner);
    add_member(json, "waiting_ms", waiter.waiting_ms);
    json += '}';
  }
  json += ']';
  if (lock.waiting > lock.waiters.size()) add_member(json, "waiting", lock.waiting);
  json += '}';
}

Handled handle_lock(const Site& site, const Context& context) {
  LockName lock;
  if (auto error = read_name(context, lock)) return refuse(site, *error);
  if (context.is_read()) return handle_view(site, context, std::move(lock));
  const Route route = context.routed.route;
  if (route == Route::kKeepLock || route == Route::kKeepElection) {
    return handle_keep(site, context, std::move(lock));
  }
  if (context.request.method == Method::kPost) {
    return handle_acquire(site, context, std::move(lock));
  }
  if (context.request.method == Method::kPut) {
    return handle_proclaim(site, context, std::move(lock));
  }
  return handle_release(site, context, std::move(lock));
}

}  // namespace raftd::api
