// The happy path is: a call's operation goes to the replica under a token; the result comes in a
// pump; the call makes the answer of it, asks for the next piece under another token, or is parked
// until there is a change and then goes on.
//
// Possible failure modes are: the replica refuses, or cannot say what became of a write (503, 504
// and others, with an outcome that is "none" only if it certainly did not happen); the client goes
// away (the operation is forgotten; a write may still happen; a call that must undo what it did, as
// that of a lock, goes on without a client); the node stops (parked calls end).
#include "api/pending_calls.h"

#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/metrics.h"
#include "api/retries.h"

namespace raftd::api {

http::Response Call::refuse(const Site& site, const ApiError& error) const {
  return to_response(error, site.headers);
}

Step Call::on_woken(const Site& site, const Woken&) {
  return refuse(site, internal_error("a call that does not wait was woken"));
}

PendingCalls::PendingCalls(Host& host, const ServiceLimits& limits, Watches& watches)
    : host_(host),
      limits_(limits),
      watches_(watches),
      beats_({[this](node::ClientOp op, Instant deadline) {
                ask_until(beats_, std::move(op), deadline);
              },
              [this](node::ClientToken token, node::ClientResult result) {
                complete(token, std::move(result));
              },
              [this](node::ClientToken token) { return find(token) != nullptr; }}) {}

// ---- Slots and tokens -------------------------------------------------------------------------

PendingCalls::Pending& PendingCalls::make() {
  if (free_slots_.empty()) {
    ASSERT_CMP(slots_.size(), <=, kSlotMask);
    free_slots_.push_back(slots_.size());
    slots_.emplace_back();
  }
  const std::uint64_t slot = free_slots_.back();
  free_slots_.pop_back();
  Pending& made = slots_[slot];
  ASSERT_CMP(made.token, ==, 0U);
  made.token = (++sequence_ << kSlotBits) | slot;
  return made;
}

PendingCalls::Pending& PendingCalls::make(Asker asker, Duration timeout,
                                          std::unique_ptr<Call> call) {
  Pending& made = make();
  made.asker = std::move(asker);
  made.timeout = timeout;
  made.deadline = now() + timeout;
  made.call = std::move(call);
  if (made.asker.id) remember(made.asker.id, {made.token});
  return made;
}

PendingCalls::Pending* PendingCalls::find(node::ClientToken token) {
  const std::uint64_t slot = token.value & kSlotMask;
  if (slot >= slots_.size() || slots_[slot].token != token.value) return nullptr;
  return &slots_[slot];
}

PendingCalls::Pending* PendingCalls::find(RequestId id) {
  const auto found = by_request_.find(id.value);
  if (found == by_request_.end()) return nullptr;
  Pending* pending = find(found->second);
  ASSERT(pending != nullptr);
  return pending;
}

void PendingCalls::free(Pending& pending) {
  const std::uint64_t slot = pending.token & kSlotMask;
  ASSERT(&pending == &slots_[slot]);
  pending = Pending();
  free_slots_.push_back(slot);
}

void PendingCalls::remember(RequestId id, node::ClientToken token) {
  if (spare_.empty()) {
    by_request_.emplace(id.value, token);
    return;
  }
  ByRequest::node_type node = std::move(spare_.back());
  spare_.pop_back();
  node.key() = id.value;
  node.mapped() = token;
  by_request_.insert(std::move(node));
}

void PendingCalls::forget(RequestId id) {
  ByRequest::node_type node = by_request_.extract(id.value);
  ASSERT(!node.empty());
  spare_.push_back(std::move(node));
}

// ---- Questions --------------------------------------------------------------------------------

void PendingCalls::start(Asker asker, Duration timeout, Started started) {
  Pending& made = make(std::move(asker), timeout, std::move(started.call));
  made.deadline = made.deadline + started.wait;
  ask_replica(made, std::move(started.op));
}

void PendingCalls::start_own(std::unique_ptr<Call> call, node::ClientOp op) {
  ask_replica(make(Asker{}, limits_.request_timeout, std::move(call)), std::move(op));
}

void PendingCalls::beat(Asker asker, Duration timeout, Beating beating) {
  Pending& made = make(std::move(asker), timeout, std::move(beating.call));
  made.beats = true;
  made.proposes = true;
  beats_.add({made.token}, beating.lease, made.deadline);
}

node::ClientToken PendingCalls::ask(Feed& feed, node::ClientOp op) {
  return ask_until(feed, std::move(op), now() + limits_.request_timeout);
}

node::ClientToken PendingCalls::ask_until(Feed& feed, node::ClientOp op, Instant deadline) {
  Pending& made = make();
  made.feed = &feed;
  made.deadline = deadline;
  const node::ClientToken token{made.token};
  ask_replica(made, std::move(op));
  return token;
}

void PendingCalls::drop(node::ClientToken token) {
  Pending* dropped = find(token);
  ASSERT(dropped != nullptr);
  free(*dropped);
  host_.backend().on_client_gone(token);
}

void PendingCalls::ask_replica(Pending& pending, node::ClientOp op) {
  pending.proposes = std::holds_alternative<node::Write>(op);
  host_.backend().on_client(now(), {pending.token}, std::move(op), pending.deadline);
  host_.leftovers().take_back(op);
}

void PendingCalls::ask_again(Pending& pending, node::ClientOp op) {
  pending.token = (++sequence_ << kSlotBits) | (pending.token & kSlotMask);
  if (pending.asker.id) by_request_[pending.asker.id.value] = {pending.token};
  ask_replica(pending, std::move(op));
}

// ---- Results ----------------------------------------------------------------------------------

void PendingCalls::complete(node::ClientToken token, node::ClientResult result) {
  Pending* found = find(token);
  ASSERT(found != nullptr);
  if (found->feed != nullptr) {
    Feed* feed = found->feed;
    free(*found);
    feed->on_result(std::move(result));
    return;
  }
  const Site site = host_.site();
  proceed(site, *found, take(site, *found, result));
  if (auto* done = std::get_if<node::Done>(&result)) host_.leftovers().take_back(*done);
}

Step PendingCalls::take(const Site& site, Pending& pending, node::ClientResult& result) {
  Call& call = *pending.call;
  const Asked asked = call.asked();
  const bool counts = pending.proposes && asked == Asked::kWrite;
  if (auto* done = std::get_if<node::Done>(&result)) {
    if (counts) host_.metrics().count_proposed();
    return take_result(site, call, pending.asker.id, *done);
  }
  if (const auto* refused = std::get_if<node::Refused>(&result)) {
    if (counts) host_.metrics().count_refused();
    if (auto error = call.refusal_of(site, *refused)) return call.refuse(site, *error);
    return call.refuse(site, error_of(*refused, asked, site.options.election_timeout_min));
  }
  if (counts) host_.metrics().count_unknown();
  return call.refuse(site, error_of(std::get<node::Unknown>(result), asked));
}

void PendingCalls::proceed(const Site& site, Pending& pending, Step step) {
  if (auto* op = std::get_if<node::ClientOp>(&step)) {
    return ask_again(pending, std::move(*op));
  }
  if (auto* change = std::get_if<Park>(&step)) return park(site, pending, std::move(*change));
  if (!pending.asker.id) return free(pending);
  auto& response = std::get<http::Response>(step);
  // What the call holds ends before somebody else is told anything.
  const Asker asker = std::move(pending.asker);
  forget(asker.id);
  free(pending);
  host_.answer(asker, std::move(response));
}

// ---- Changes ----------------------------------------------------------------------------------

void PendingCalls::park(const Site& site, Pending& pending, Park wanted) {
  // Who has a place in a queue was let in before.
  if (pending.call->asked() == Asked::kRead) {
    if (auto error = check_watchers(watches_, limits_)) {
      return proceed(site, pending, pending.call->refuse(site, *error));
    }
  }
  ASSERT(pending.poll == nullptr && pending.asker.id);
  pending.parked = now();
  if (pending.input_ended) wanted.until = now();
  pending.poll =
      std::make_unique<LongPoll>(watches_, *this, pending.asker.id.value, std::move(wanted));
}

std::unique_ptr<LongPoll> PendingCalls::unpark(Pending& pending) {
  pending.asker.begun = pending.asker.begun + (now() - pending.parked);
  pending.deadline = now() + pending.timeout;
  return std::move(pending.poll);
}

void PendingCalls::on_woken(std::uint64_t id, Woken woken) {
  Pending* found = find(RequestId{id});
  ASSERT(found != nullptr);
  const std::unique_ptr<LongPoll> ended = unpark(*found);
  const Site site = host_.site();
  if (woken.why == Woken::Why::kStopping) {
    node::ClientResult stopping = node::Refused{{Errc::kShuttingDown, "this node is stopping"}};
    return proceed(site, *found, take(site, *found, stopping));
  }
  proceed(site, *found, found->call->on_woken(site, woken));
}

// ---- Clients that go --------------------------------------------------------------------------

void PendingCalls::on_input_end(RequestId id) {
  Pending* ended = find(id);
  if (ended == nullptr) return;
  ended->input_ended = true;
  if (ended->beats) return;
  std::optional<node::ClientOp> op = ended->call->on_input_end();
  const bool parked = ended->poll != nullptr;
  if (!op && parked) return ended->poll->give_up();
  if (!op) return;
  if (parked) {
    unpark(*ended);
  } else {
    host_.backend().on_client_gone({ended->token});
  }
  ended->deadline = std::min(ended->deadline, now() + limits_.request_timeout);
  ask_again(*ended, *std::move(op));
}

void PendingCalls::on_gone(RequestId id) {
  Pending* gone = find(id);
  if (gone == nullptr) return;  // A stream: its source has dropped its question.
  forget(id);
  const bool asked = !gone->beats && gone->poll == nullptr;
  AfterGone after = gone->beats ? AfterGone(Forget{}) : gone->call->on_gone();
  gone->asker.id = {};
  if (std::holds_alternative<GoOn>(after)) {
    ASSERT(asked);
    return;
  }
  gone->poll.reset();
  if (asked) host_.backend().on_client_gone({gone->token});
  if (auto* op = std::get_if<node::ClientOp>(&after)) {
    gone->deadline = now() + limits_.request_timeout;
    ask_again(*gone, std::move(*op));
    return;
  }
  free(*gone);
}

}  // namespace raftd::api
