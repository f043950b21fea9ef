#include "sim/coordination.h"

#include <algorithm>

#include "base/text.h"

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Result = kv::StoreReply::Result;

constexpr std::size_t kRequestsKept = 8;
constexpr int kRepeatsMax = 4;
// A new leader may have lost as much of the time as nobody led, and stood still.
constexpr int kLostElections = 4;
constexpr Duration kExact = seconds(1);

unsigned long long number(std::uint64_t value) {
  return value;
}

// Clocks that tell the time: then a lease lives at least as long outside as by cluster time.
bool healthy_clocks(const Options& options) {
  return options.clock_rate_spread == 0 && options.late_timer_percent == 0 &&
         options.pause_every == Duration{} && options.jump_clock_every == Duration{} &&
         options.check_quorum;
}

}  // namespace

Coordination::Coordination(Cluster& cluster, std::uint64_t seed) : cluster_(cluster) {
  for (std::size_t i = 0; i < cluster.options().coordinators; ++i)
    clients_.push_back({.rng = Rng(stream(seed, Stream::kCoordination, i)), .done = {}});
  if (!clients_.empty() && healthy_clocks(cluster.options())) {
    cluster.oracle().on_expiry(
        [this](kv::LeaseId lease, std::uint64_t ttl_ms) { expired(lease, ttl_ms); });
  }
}

void Coordination::start() {
  for (std::size_t client = 0; client < clients_.size(); ++client) {
    clients_[client].node = clients_[client].rng.below(cluster_.size());
    next(client);
  }
}

void Coordination::next(std::size_t client) {
  const Duration think = cluster_.options().think;
  cluster_.schedule().after(between(clients_[client].rng, think / 4, think * 2),
                            [this, client] { act(client); });
}

void Coordination::end(std::size_t client) {
  --busy_;
  next(client);
}

void Coordination::act(std::size_t client) {
  if (stopping_) return;
  Client& c = clients_[client];
  if (c.rng.one_in(6)) c.node = c.rng.below(cluster_.size());
  if (!cluster_.running(c.node)) {
    c.node = c.rng.below(cluster_.size());
    return next(client);
  }
  ++busy_;
  if (c.rng.one_in(6)) return read(client);
  // The same once more, long after it was answered.
  if (!c.done.empty() && c.rng.one_in(10)) {
    const Request& before = c.done[c.rng.below(c.done.size())];
    return ask(client, c.rng.one_in(4) ? Requests::misuse(before) : before, 0);
  }
  const kv::Revision revision = cluster_.oracle().revision();
  Request request = requests_.make(c.rng, strf("c%zu", client), ++c.requests, revision);
  request.called = cluster_.schedule().now();
  if (!request.counter.empty()) ++counters_[request.counter].asked;
  ask(client, std::move(request), kRepeatsMax);
}

void Coordination::ask(std::size_t client, Request request, int repeats) {
  Client& c = clients_[client];
  const raft::Index heard = cluster_.oracle().heard();
  const Duration timeout = cluster_.options().timeout;
  node::Write write{node::Propose{Bytes(request.command)}};
  cluster_.submit(c.node, std::move(write), between(c.rng, timeout / 4, timeout),
                  [this, client, repeats, heard, again = std::move(request)](const auto& result) {
                    answered(client, again, repeats, heard, result);
                  });
}

void Coordination::answered(std::size_t client, Request request, int repeats, raft::Index heard,
                            const std::optional<node::ClientResult>& result) {
  Client& c = clients_[client];
  Coverage& coverage = cluster_.coverage();
  const bool unknown = !result || std::holds_alternative<node::Unknown>(*result);
  bool waits = false;
  if (const auto* done = unknown ? nullptr : std::get_if<node::Done>(&*result)) {
    const auto* reply = dynamic_cast<const kv::StoreReply*>(done->reply.get());
    if (reply == nullptr) throw Violation("answers: a command was done without a reply");
    if (done->index <= heard) {
      throw Violation(strf("writes: one was done at %llu when %llu was known before",
                           number(done->index.value), number(heard.value)));
    }
    cluster_.oracle().acknowledged(done->index, done->term, 0);
    cluster_.oracle().answered(done->index, *reply);
    ++coverage.commands_done;
    coverage.commands_replayed += reply->replayed ? 1 : 0;
    this->done(request, *done, *reply);
    waits = reply->result == Result::kWaiting;
  }
  // Who waits for a lock asks again until it has it.
  const bool again = unknown || (waits && !c.rng.one_in(4));
  if (!request.idempotency_key.empty() && again && repeats > 0 && !stopping_) {
    if (c.rng.one_in(2)) c.node = c.rng.below(cluster_.size());
    const Duration pause = waits ? milliseconds(50 + c.rng.below(500)) : milliseconds(1);
    cluster_.schedule().after(pause, [this, client, request = std::move(request), repeats] {
      if (!cluster_.running(clients_[client].node)) return end(client);
      ask(client, request, repeats - 1);
    });
    return;
  }
  if (!request.idempotency_key.empty()) {
    c.done.push_back(std::move(request));
    if (c.done.size() > kRequestsKept) c.done.pop_front();
  }
  end(client);
}

void Coordination::done(const Request& request, const node::Done& done,
                        const kv::StoreReply& reply) {
  requests_.heard(request, reply);
  Coverage& coverage = cluster_.coverage();
  coverage.commands_fenced += reply.result == Result::kFenced ? 1 : 0;
  coverage.keys_misused += reply.result == Result::kMismatch ? 1 : 0;
  if (const auto* lock = dynamic_cast<const kv::LockReply*>(&reply)) lock_done(request, *lock);
  if (const auto* lease = dynamic_cast<const kv::LeaseReply*>(&reply);
      lease != nullptr && lease->result == Result::kDone && !lease->replayed) {
    renewed(lease->id, done, request.called);
  }
  const auto* write = dynamic_cast<const kv::WriteReply*>(&reply);
  if (reply.result != Result::kDone) return;
  if (!request.fence.empty() && !reply.replayed) {
    fenced_[request.fence][done.index] = request.token;
    ++coverage.fences_passed;
  }
  if (request.counter.empty()) return;
  if (write == nullptr) throw Violation("answers: a counter gave no sum");
  const auto [sum, first] =
      counters_[request.counter].sums.try_emplace(write->value, request.idempotency_key);
  if (sum->second != request.idempotency_key) {
    violated("exactly once", strf("%s and %s were both told that they made %s %lld",
                                  sum->second.c_str(), request.idempotency_key.c_str(),
                                  request.counter.c_str(), static_cast<long long>(write->value)));
  }
}

void Coordination::lock_done(const Request& request, const kv::LockReply& reply) {
  if (request.name.empty()) return;
  if (reply.result == Result::kWaiting) {
    ++cluster_.coverage().lock_waits;
  }
  if (reply.result != Result::kDone) return;
  ++cluster_.coverage().locks_taken;
  // Of those without a key each asks once.
  static constexpr std::string_view kOnce = "somebody";
  const std::string who =
      request.idempotency_key.empty() ? std::string(kOnce) : request.idempotency_key;
  const auto [holder, first] = holders_.try_emplace({request.name, reply.token}, who);
  if (!first && (holder->second != who || who == kOnce)) {
    violated("mutual exclusion",
             strf("%s and %s both got %s with the token %llu", holder->second.c_str(), who.c_str(),
                  request.name.c_str(), number(reply.token)));
  }
}

void Coordination::renewed(kv::LeaseId lease, const node::Done& done, Instant called) {
  Renewal& renewal = renewals_[lease];
  if (done.index > renewal.at) renewal = {done.index, called};
}

// Somebody has just applied that it ended by its time.
void Coordination::expired(kv::LeaseId lease, std::uint64_t ttl_ms) const {
  const auto renewal = renewals_.find(lease);
  if (renewal == renewals_.end()) return;
  const Duration lived = cluster_.schedule().now() - renewal->second.called;
  const Duration slack = kExact + kLostElections * cluster_.options().election;
  if (lived + slack >= milliseconds(ttl_ms)) return;
  violated("leases",
           strf("%llu ended %lld ms after it was renewed, and should live for %llu ms",
                number(lease), static_cast<long long>(lived / milliseconds(1)), number(ttl_ms)));
}

// A key or all of them, now or at a revision of the past.
void Coordination::read(std::size_t client) {
  Rng& rng = clients_[client].rng;
  const raft::Index heard = cluster_.oracle().heard();
  const auto ended = [this, client, heard](const std::optional<node::ClientResult>& result,
                                           const auto& query, const auto* reply) {
    const node::Done& done = std::get<node::Done>(*result);
    if (reply == nullptr) throw Violation("answers: a read was done without a reply");
    if (done.index < heard) throw Violation("reads: something older than what was known");
    cluster_.oracle().heard(done.index);
    cluster_.oracle().answered(done.index, query, *reply);
    end(client);
  };
  const kv::Revision rev = rng.one_in(2) ? 0 : 1 + rng.below(cluster_.oracle().revision());
  const auto ask = [&](auto query, auto empty_reply) {
    query.rev = rev;
    using Reply = decltype(empty_reply);
    auto asked = std::make_unique<decltype(query)>(query);
    cluster_.submit(clients_[client].node, node::Read{std::move(asked)}, cluster_.options().timeout,
                    [this, client, query, ended](const auto& result) {
                      const bool done = result && std::holds_alternative<node::Done>(*result);
                      if (!done) return end(client);
                      const auto& reply = std::get<node::Done>(*result).reply;
                      ended(result, query, dynamic_cast<const Reply*>(reply.get()));
                    });
  };
  if (rng.one_in(2)) {
    kv::GetQuery query;
    query.key = strf("s-%llu", number(rng.below(8)));
    ask(query, kv::GetReply());
  } else {
    kv::RangeQuery query;
    query.prefix = "s-";
    ask(query, kv::RangeReply());
  }
}

void Coordination::check() const {
  const ModelState& state = cluster_.oracle().model().state();
  for (const auto& [name, counter] : counters_) {
    const ModelKey* key = state.find(kv::Space::kKeys, name);
    const std::uint64_t sum = key == nullptr ? 0 : std::stoull(key->value);
    if (sum >= counter.sums.size() && sum <= counter.asked) continue;
    violated("exactly once",
             strf("%s is %llu; %zu were told that they made it so much, and %llu "
                  "asked for it",
                  name.c_str(), number(sum), counter.sums.size(), number(counter.asked)));
  }
  for (const auto& [name, writes] : fenced_) {
    kv::Revision last = 0;
    for (const auto& [index, token] : writes) {
      if (token < last) {
        violated("fences", strf("a write at %llu passed with token %llu of %s, after one with %llu",
                                number(index.value), number(token), name.c_str(), number(last)));
      }
      last = token;
    }
  }
}

}  // namespace raftd::sim
