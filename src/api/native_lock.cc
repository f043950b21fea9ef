// Locks and elections: /lock/{name} and /election/{name} (native API, sections 10 and 11). An
// election is a lock with a value.
#include "api/locks.h"

#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/native_lease.h"
#include "api/retries.h"
#include "base/text.h"
#include "http/uri.h"

namespace raftd::api {
namespace {

using http::Method;

constexpr std::uint64_t kTtlMs = 30'000;
constexpr Duration kWaitMax = std::chrono::minutes(10);

constexpr ParamSet kAcquireParams =
    kCommonParams | ParamSet{Param::kTtl, Param::kWait, Param::kOwner};
constexpr ParamSet kKeepParams = kCommonParams | ParamSet{Param::kToken, Param::kTtl};
constexpr ParamSet kReleaseParams = kCommonParams | ParamSet{Param::kToken, Param::kForce};
constexpr ParamSet kProclaimParams = kCommonParams | ParamSet{Param::kToken};

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

  Step on_done(const Site& site, RequestId, node::Done& done) override {
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

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    return lock_shown(site, lock_, options_, reply_as<kv::LockQueryReply>(done), done.index);
  }

 private:
  LockName lock_;
  ReadOptions options_;
};

enum class Body : std::uint8_t {
  kIgnored,  // Of a DELETE.
  kNone,
  kValue,  // Of an election.
};

// What is checked of every write of a lock before it is proposed. Nothing: it can be.
std::optional<Handled> refuse_lock_write(const Site& site, const Context& context,
                                         ParamReader& reader, ParamSet params, Body body) {
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(params)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (body == Body::kValue) {
    if (auto error = check_value(site, context)) return refuse(site, *error);
  }
  if (body == Body::kNone && !context.head_only) {
    if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  return std::nullopt;
}

std::unique_ptr<Call> make_call(const Context& context, const LockName& lock, LockCall::What what) {
  return std::make_unique<LockCall>(lock, what, prefers_minimal(context.headers));
}

Handled propose(const Context& context, const LockName& lock, LockCall::What what,
                const kv::Command& command) {
  return Started{make_call(context, lock, what),
                 node::Write{node::Propose{kv::encode(command, context.terms.view())}}};
}

// Of the value that an election has now, as far as this node knows.
std::uint64_t value_bytes(const Site& site, const LockName& lock) {
  kv::LockQuery query;
  query.space = lock.space;
  query.name = lock.name;
  const std::unique_ptr<machine::Reply> reply = site.store.query(query, {});
  const auto* now = dynamic_cast<const kv::LockQueryReply*>(reply.get());
  ASSERT(now != nullptr);
  return now->lock.value.size();
}

// As a parameter, or as the body.
std::string_view read_election_value(const Site& site, const Context& context,
                                     ParamReader& reader) {
  if (!reader.has(Param::kValue)) return context.request.body;
  const std::string_view value = reader.text(Param::kValue);
  if (value.size() > site.limits.value_bytes) {
    reader.fail(too_large("limits.value_bytes", site.limits.value_bytes, value.size()));
  }
  if (!context.request.body.empty()) {
    reader.fail(Param::kValue, "the value is given twice, as a parameter and as the body");
  }
  return value;
}

Handled handle_acquire(const Site& site, const Context& context, const LockName& lock) {
  ParamReader reader(context.parameters);
  kv::Acquire acquire;
  acquire.space = lock.space;
  acquire.name = lock.name;
  acquire.ttl_ms = reader.has(Param::kTtl) ? read_ttl_ms(reader) : kTtlMs;
  acquire.owner = reader.text(Param::kOwner);
  const Duration wait = reader.duration(Param::kWait, Duration{}, Duration{}, kWaitMax);
  acquire.wait = wait > Duration{};
  if (acquire.owner.size() > limits::kLockOwnerBytesMax) {
    reader.fail(Param::kOwner, strf("owner is over %zu bytes", limits::kLockOwnerBytesMax));
  }
  if (lock.is_election()) acquire.value = read_election_value(site, context, reader);
  const ParamSet params =
      lock.is_election() ? kAcquireParams | ParamSet{Param::kValue} : kAcquireParams;
  const Body body = lock.is_election() ? Body::kValue : Body::kNone;
  if (auto handled = refuse_lock_write(site, context, reader, params, body)) {
    return *std::move(handled);
  }
  if (acquire.wait) {
    if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  }
  const kv::Terms terms = context.terms.view();
  const AcquireOptions options{.wait_until = context.now + wait,
                               .keyed = !terms.idempotency_key.empty(),
                               .minimal = prefers_minimal(context.headers)};
  std::unique_ptr<Call> call = make_acquire_call(lock, options);
  const std::uint64_t growth = lock.name.size() + acquire.owner.size() + acquire.value.size();
  if (std::optional<ApiError> full = check_quota(site, growth)) {
    return refuse_if_new(site, context, kv::ReplyKind::kLock, *std::move(full), std::move(call));
  }
  return Started{std::move(call), node::Write{node::Propose{kv::encode(acquire, terms)}}, wait};
}

Handled handle_keep(const Site& site, const Context& context, const LockName& lock) {
  ParamReader reader(context.parameters);
  kv::KeepLock keep;
  keep.space = lock.space;
  keep.name = lock.name;
  keep.token = read_token(reader);
  keep.ttl_ms = read_ttl_ms(reader);
  if (auto handled = refuse_lock_write(site, context, reader, kKeepParams, Body::kNone)) {
    return *std::move(handled);
  }
  return propose(context, lock, LockCall::What::kKeep, keep);
}

Handled handle_release(const Site& site, const Context& context, const LockName& lock) {
  ParamReader reader(context.parameters);
  kv::Release release;
  release.space = lock.space;
  release.name = lock.name;
  reader.exclude(Param::kForce, Param::kToken);
  if (!reader.flag(Param::kForce)) release.token = read_token(reader);
  if (auto handled = refuse_lock_write(site, context, reader, kReleaseParams, Body::kIgnored)) {
    return *std::move(handled);
  }
  return propose(context, lock, LockCall::What::kRelease, release);
}

Handled handle_proclaim(const Site& site, const Context& context, const LockName& lock) {
  ParamReader reader(context.parameters);
  kv::Proclaim proclaim;
  proclaim.name = lock.name;
  proclaim.token = read_token(reader);
  if (auto handled = refuse_lock_write(site, context, reader, kProclaimParams, Body::kValue)) {
    return *std::move(handled);
  }
  proclaim.value = context.request.body;
  const std::uint64_t replaced = value_bytes(site, lock);
  if (proclaim.value.size() > replaced) {
    if (std::optional<ApiError> full = check_quota(site, proclaim.value.size() - replaced)) {
      return refuse_if_new(site, context, kv::ReplyKind::kLock, *std::move(full),
                           make_call(context, lock, LockCall::What::kProclaim));
    }
  }
  return propose(context, lock, LockCall::What::kProclaim, proclaim);
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
    return handle_keep(site, context, lock);
  }
  if (context.request.method == Method::kPost) {
    return handle_acquire(site, context, lock);
  }
  if (context.request.method == Method::kPut) {
    return handle_proclaim(site, context, lock);
  }
  return handle_release(site, context, lock);
}

}  // namespace raftd::api
