// POST /lock/{name} and POST /election/{name}: taking a lock, or waiting for it (native API,
// sections 10 and 11).
//
// The happy path is: Acquire goes through the log. If the lock was free, a read that the leader
// confirms shows that it is held still, and the client hears so. If it was held and the client
// waits, it has a place in the queue: this node renews the lease of the place, and the call sleeps
// until the key of the place changes; the lock comes by itself when it is the turn of the place.
//
// Possible failure modes are: the time to wait is over (the place is left; if it became the lock
// just before that, the client has it); the place is lost, because this node was cut off for longer
// than its lease (504, the client asks again); the lock has ended before the client could be told
// (409 lock_lost); the client goes away (the place is left; a lock that was got is released, unless
// an idempotency key says that somebody may ask for it again); this cannot be proposed, or the
// node dies (the leases end).
#include "api/answer.h"
#include "api/locks.h"
#include "api/native_kv.h"
#include "base/text.h"
#include "kv/lock_record.h"

namespace raftd::api {
namespace {

class AcquireCall final : public Call {
 public:
  AcquireCall(LockName lock, const AcquireOptions& options)
      : lock_(std::move(lock)), options_(options) {}
  ~AcquireCall() override { stop_keeping(); }
  AcquireCall(const AcquireCall&) = delete;
  AcquireCall& operator=(const AcquireCall&) = delete;

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    switch (stage_) {
      case Stage::kAsking:
      case Stage::kLeaving:
        return on_reply(site, std::move(done));
      case Stage::kWaiting:
        return on_place(site, done);
      case Stage::kConfirming:
        return on_confirmed(site, done);
      case Stage::kReleasing:
        break;
    }
    ApiError error = lock_lost(lock_);
    error.message =
        "the client closed its side of the connection; " + lock_.shown() + " was given back";
    return to_response(error, site.headers);
  }

  Step on_woken(const Site&, const Woken& woken) override {
    ASSERT(stage_ == Stage::kWaiting);
    if (woken.why == Woken::Why::kTimedOut) return leave();
    kv::PlaceQuery query;
    query.space = lock_.space;
    query.name = lock_.name;
    query.place = place_;
    return read_op(std::move(query), node::Consistency::kLocal);
  }

  // The lock may be held, or will be: only the first question can do nothing at all.
  std::optional<ApiError> refusal_of(const Site&, const node::Refused& refused) const override {
    if (stage_ == Stage::kAsking) return std::nullopt;
    return uncertain(refused.error.message);
  }

  AfterGone on_gone() override {
    gone_ = true;
    switch (stage_) {
      case Stage::kAsking:
      case Stage::kLeaving:
      case Stage::kReleasing:
        return GoOn{};
      case Stage::kWaiting:
        return leave();
      case Stage::kConfirming:
        break;
    }
    if (options_.keyed) return Forget{};
    return release();
  }

  // Few clients close one side alone, and those that are gone must not hold a lock.
  std::optional<node::ClientOp> on_input_end() override {
    AfterGone after = on_gone();
    if (auto* op = std::get_if<node::ClientOp>(&after)) return std::move(*op);
    return std::nullopt;
  }

 private:
  enum class Stage : std::uint8_t { kAsking, kWaiting, kLeaving, kConfirming, kReleasing };

  // Of Acquire, and of LeaveQueue.
  Step on_reply(const Site& site, node::Done done) {
    if (auto error = error_of(reply_as<kv::StoreReply>(done))) {
      return refuse_write(site, *error, done);
    }
    const auto& reply = reply_as<kv::LockReply>(done);
    using Result = kv::StoreReply::Result;
    forwarded_ = done.forwarded;
    if (reply.result == Result::kDone) return got(reply.token, done.index);
    if (reply.result == Result::kLocked) return locked(site, reply, done);
    ASSERT(reply.result == Result::kWaiting);
    place_ = reply.place;
    if (gone_) return leave();
    stage_ = Stage::kWaiting;
    keep(site.queue_keeper, reply.lease);
    return sleep_after(place_);
  }

  // The key of the place was written at the revision that is its number: what comes next of it is
  // its end.
  Park sleep_after(kv::Revision revision) const {
    const std::string queue = kv::queue_key(lock_.space, lock_.name);
    return {{kv::KeySpan::Kind::kKey, kv::waiter_key(queue, place_), {}, kv::Space::kWaiters},
            revision,
            options_.wait_until};
  }

  Step on_place(const Site& site, node::Done& done) {
    const auto& reply = reply_as<kv::PlaceReply>(done);
    // History had passed it: nothing had happened.
    if (reply.waits) return sleep_after(reply.revision);
    stop_keeping();
    if (reply.token != 0) return got(reply.token, done.index);
    return to_response(uncertain("the place in the queue was lost"), site.headers);
  }

  Step got(kv::Revision token, raft::Index index) {
    token_ = token;
    index_ = index;
    if (gone_ && !options_.keyed) return release();
    stage_ = Stage::kConfirming;
    kv::LockQuery query;
    query.space = lock_.space;
    query.name = lock_.name;
    return read_op(std::move(query), node::Consistency::kLinearizable);
  }

  // A node that slept may hear of its lock when that has ended long ago.
  Step on_confirmed(const Site& site, node::Done& done) const {
    const kv::LockView& view = reply_as<kv::LockQueryReply>(done).lock;
    if (view.token != token_ || view.remaining_ms == 0) {
      return to_response(lock_lost(lock_), site.headers);
    }
    std::string json = "{";
    add_bytes(json, "name", lock_.name);
    add_member(json, "token", token_);
    add_member(json, "lease", std::to_string(view.lease));
    add_bytes(json, "owner", view.owner);
    if (lock_.is_election()) add_bytes(json, "value", view.value);
    add_member(json, "expires_in_ms", view.remaining_ms);
    done.index = index_;
    done.forwarded = forwarded_;
    return written(site, done, {200, options_.minimal, token_}, json + "}\n");
  }

  http::Response locked(const Site& site, const kv::LockReply& reply,
                        const node::Done& done) const {
    ApiError error;
    error.status = 409;
    error.code = "locked";
    error.message = lock_.shown() + " is held";
    if (!reply.owner.empty()) error.message += " by " + percent_escape(reply.owner);
    error.revision = reply.revision;
    add_bytes(error.extra, "owner", reply.owner);
    add_member(error.extra, "remaining_ms", reply.remaining_ms);
    add_member(error.extra, "waiters", reply.waiters);
    if (lock_.is_election() && !reply.truncated) add_bytes(error.extra, "value", reply.value);
    if (reply.truncated) add_flag(error.extra, "truncated", true);
    return refuse_write(site, error, done);
  }

  static ApiError uncertain(const std::string& why) {
    ApiError error;
    error.status = 504;
    error.code = "leader_lost";
    error.message = "what became of the lock is not known: " + why;
    error.outcome = Outcome::kUnknown;
    return error;
  }

  node::ClientOp leave() {
    stop_keeping();
    stage_ = Stage::kLeaving;
    return node::Write{node::Propose{kv::encode(kv::LeaveQueue{lock_.space, lock_.name, place_})}};
  }

  node::ClientOp release() {
    stage_ = Stage::kReleasing;
    return node::Write{node::Propose{kv::encode(kv::Release{lock_.space, lock_.name, token_})}};
  }

  void keep(QueueKeeper& keeper, kv::LeaseId lease) {
    ASSERT(keeper_ == nullptr);
    keeper_ = &keeper;
    lease_ = lease;
    keeper.add(lease);
  }
  void stop_keeping() {
    if (keeper_ != nullptr) std::exchange(keeper_, nullptr)->remove(lease_);
  }

  LockName lock_;
  AcquireOptions options_;
  Stage stage_ = Stage::kAsking;
  bool gone_ = false;  // The client, as far as can be told.
  bool forwarded_ = false;
  kv::Revision place_ = 0;
  kv::Revision token_ = 0;
  raft::Index index_;              // Of the entry that gave it, or at which that was seen.
  QueueKeeper* keeper_ = nullptr;  // While it waits.
  kv::LeaseId lease_ = 0;
};

}  // namespace

std::unique_ptr<Call> make_acquire_call(LockName lock, const AcquireOptions& options) {
  return std::make_unique<AcquireCall>(std::move(lock), options);
}

}  // namespace raftd::api
