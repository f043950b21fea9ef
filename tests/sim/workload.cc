#include "sim/workload.h"

#include <algorithm>

#include "base/text.h"
#include "kv/command.h"

namespace raftd::sim {
namespace {

using Kind = support::Operation::Kind;

constexpr std::uint64_t kSearchSteps = 3'000'000;
constexpr std::size_t kHistoryMax = 150;  // Of one key; then clients leave it alone.
constexpr std::size_t kUnknownMax = 12;   // The same: each doubles the orders that are possible.

unsigned long long number(std::uint64_t value) {
  return value;
}

}  // namespace

Workload::Workload(Cluster& cluster, std::uint64_t seed)
    : cluster_(cluster), rng_(seed), clients_(cluster.options().clients) {}

void Workload::start() {
  for (std::size_t client = 0; client < clients_.size(); ++client) {
    clients_[client].node = rng_.below(cluster_.size());
    next(client);
  }
}

bool Workload::all_succeeded() const {
  return std::ranges::all_of(clients_, &Client::succeeded);
}

void Workload::forget_successes() {
  for (Client& client : clients_)
    client.succeeded = false;
}

void Workload::next(std::size_t client) {
  const Duration think = cluster_.options().think;
  cluster_.schedule().after(between(rng_, think / 4, think * 2), [this, client] { act(client); });
}

std::string Workload::pick_key() {
  const auto age = cluster_.schedule().now().since_origin / cluster_.options().key_life;
  // Skewed: half of all operations meet on one key.
  const std::uint64_t of = rng_.one_in(2) ? 0 : rng_.below(cluster_.options().keys);
  return strf("key-%lld-%llu", static_cast<long long>(age), number(of));
}

void Workload::act(std::size_t client) {
  if (stopping_) return;
  Client& c = clients_[client];
  if (rng_.one_in(8)) c.node = rng_.below(cluster_.size());
  const std::string key = pick_key();
  const Key& k = keys_[key];
  const bool spent = k.history.size() >= kHistoryMax || k.unknown >= kUnknownMax;
  if (!cluster_.running(c.node) || spent) {
    c.node = rng_.below(cluster_.size());
    return next(client);
  }
  c.busy = true;
  ++busy_;
  if (!chance(rng_, cluster_.options().reads_percent)) return write(client, key);
  return rng_.one_in(8) ? read_local(client, key) : read(client, key);
}

void Workload::end(std::size_t client) {
  Client& c = clients_[client];
  if (!std::exchange(c.busy, false)) return;
  --busy_;
  ++c.operations;
  next(client);
}

void Workload::write(std::size_t client, const std::string& key) {
  Key& k = keys_[key];
  support::Operation operation{.kind = Kind::kPut, .unknown = true, .called = now()};
  Bytes command;
  const std::uint64_t choice = rng_.below(10);
  if (choice == 0) {
    operation.kind = Kind::kDelete;
    command = kv::encode(kv::Delete{.key = key, .condition = {}});
  } else {
    operation.value = next_value_++;
    std::string value = strf("v%llu-", number(operation.value));
    value.resize(value.size() + rng_.below(cluster_.options().value_bytes), 'x');
    kv::Condition condition;
    if (choice <= 4) {
      operation.kind = Kind::kCas;
      operation.expect = k.seen_value;
      condition = {kv::Condition::Kind::kModIs, k.seen_revision};
      if (k.seen_value == 0) condition = {kv::Condition::Kind::kAbsent, 0};
    }
    command = kv::encode(kv::Put{.key = key, .value = value, .condition = condition});
  }
  const std::size_t at = k.history.size();
  k.history.push_back(operation);
  const auto token =
      cluster_.submit(clients_[client].node, node::Write{node::Propose{std::move(command)}},
                      between(rng_, cluster_.options().timeout / 4, cluster_.options().timeout),
                      [this, client, key, at](const auto& result) {
                        write_ended(client, key, at, result);
                        end(client);
                      });
  maybe_abandon(client, token, at, key);
}

void Workload::maybe_abandon(std::size_t client, std::optional<node::ClientToken> token,
                             std::size_t operation, const std::string& key) {
  ASSERT(token.has_value());
  if (!chance(rng_, cluster_.options().abandon_percent)) return;
  const std::size_t node = clients_[client].node;
  cluster_.schedule().after(
      between(rng_, {}, cluster_.options().timeout / 2),
      [this, client, node, token, key, operation, count = clients_[client].operations] {
        if (clients_[client].operations != count || !clients_[client].busy) return;
        cluster_.gone(node, *token);  // The operation stays unknown in the history.
        ASSERT(keys_[key].history[operation].unknown);
        ++keys_[key].unknown;
        end(client);
      });
}

void Workload::write_ended(std::size_t client, const std::string& key, std::size_t operation,
                           const std::optional<node::ClientResult>& result) {
  Coverage& coverage = cluster_.coverage();
  if (!result || std::holds_alternative<node::Unknown>(*result)) {
    ++coverage.writes_unknown;
    ++keys_[key].unknown;
    return;
  }
  support::Operation& o = keys_[key].history[operation];
  if (const auto* refused = std::get_if<node::Refused>(&*result)) {
    ++coverage.writes_refused;
    if (refused->error.code == Errc::kSuperseded) ++coverage.writes_superseded;
    if (o.value != 0) cluster_.oracle().refused(o.value);
    // As if it had never been asked for: nobody may ever see it.
    o = {.kind = Kind::kGet, .unknown = true, .called = o.called};
    return;
  }
  const node::Done& done = std::get<node::Done>(*result);
  cluster_.oracle().acknowledged(done.index, done.term, o.value);
  ++coverage.writes_done;
  clients_[client].succeeded = true;
  write_done(key, operation, done);
}

void Workload::write_done(const std::string& key, std::size_t operation, const node::Done& done) {
  Key& k = keys_[key];
  support::Operation& o = k.history[operation];
  const auto* reply = dynamic_cast<const kv::WriteReply*>(done.reply.get());
  if (reply == nullptr) throw Violation("answers: a write was done without a reply");
  using Result = kv::WriteReply::Result;
  o.unknown = false;
  o.returned = now();
  const bool happened = reply->result == Result::kDone;
  switch (o.kind) {
    case Kind::kCas:
      o.succeeded = happened;
      break;
    case Kind::kPut:
    case Kind::kDelete:
      if (!happened) throw Violation("answers: a write without a condition was not done");
      break;
    case Kind::kGet:
      ASSERT(false);
  }
  if (o.kind == Kind::kDelete && reply->deleted == 0) {
    o.known_before = true;  // And nothing was there.
  }
  if (happened && reply->revision > k.seen_revision) {
    k.seen_value = o.value;
    k.seen_revision = reply->revision;
  }
}

void Workload::read(std::size_t client, const std::string& key) {
  Key& k = keys_[key];
  auto query = std::make_unique<kv::GetQuery>();
  query->key = key;
  const std::size_t at = k.history.size();
  k.history.push_back({.kind = Kind::kGet, .unknown = true, .called = now()});
  const raft::Index heard = cluster_.oracle().heard();
  const auto token =
      cluster_.submit(clients_[client].node, node::Read{std::move(query)},
                      between(rng_, cluster_.options().timeout / 4, cluster_.options().timeout),
                      [this, client, key, at, heard](const auto& result) {
                        read_ended(key, at, heard, result);
                        end(client);
                      });
  maybe_abandon(client, token, at, key);
}

void Workload::read_ended(const std::string& key, std::size_t operation, raft::Index heard,
                          const std::optional<node::ClientResult>& result) {
  Coverage& coverage = cluster_.coverage();
  const auto* done = result ? std::get_if<node::Done>(&*result) : nullptr;
  if (done == nullptr) {
    ++coverage.reads_refused;
    if (result && std::holds_alternative<node::Unknown>(*result)) {
      throw Violation("answers: the outcome of a read is unknown");
    }
    return;
  }
  ++coverage.reads_done;
  if (done->index < heard) {
    throw Violation(strf("reads: %s was read at %llu when %llu was known", key.c_str(),
                         number(done->index.value), number(heard.value)));
  }
  cluster_.oracle().heard(done->index);
  const auto* reply = dynamic_cast<const kv::GetReply*>(done->reply.get());
  if (reply == nullptr) throw Violation("answers: a read was done without a reply");
  Key& k = keys_[key];
  support::Operation& o = k.history[operation];
  o.unknown = false;
  o.returned = now();
  const bool found = reply->result == kv::GetReply::Result::kFound;
  o.found = found ? value_number(reply->item.value) : 0;
  if (found ? reply->item.mod > k.seen_revision : reply->revision > k.seen_revision) {
    k.seen_value = o.found;
    k.seen_revision = found ? reply->item.mod : reply->revision;
  }
}

// Stale by contract; but never from a state that is not the log's, and at once.
void Workload::read_local(std::size_t client, const std::string& key) {
  auto query = std::make_unique<kv::GetQuery>();
  query->key = key;
  cluster_.submit(clients_[client].node, node::Read{std::move(query), node::Consistency::kLocal},
                  cluster_.options().timeout, [this, client](const auto& result) {
                    if (result && std::holds_alternative<node::Unknown>(*result)) {
                      throw Violation("answers: the outcome of a read is unknown");
                    }
                    end(client);
                  });
}

void Workload::check_histories() const {
  for (const auto& [name, key] : keys_) {
    const support::Verdict verdict = support::check_linearizable(key.history, kSearchSteps);
    if (verdict == support::Verdict::kLinearizable) continue;
    std::string text =
        verdict == support::Verdict::kGaveUp ? "the search gave up on " : "not linearizable: ";
    text += name;
    for (const support::Operation& operation : key.history) {
      if (operation.unknown && operation.kind == Kind::kGet) continue;
      text += "\n  " + support::text_of(operation);
    }
    throw Violation("linearizability: " + text);
  }
}

}  // namespace raftd::sim
