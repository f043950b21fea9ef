#include "sim/workload.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "kv/command.h"

namespace raftd::sim {
namespace {

constexpr Duration kCalmThink = std::chrono::milliseconds(500);
// Long enough for some commits in a row, and clients are back before the next one.
constexpr Duration kBurst = std::chrono::milliseconds(40);
constexpr Duration kBurstThink = std::chrono::microseconds(50);
constexpr Duration kCalmTimeout = std::chrono::seconds(10);

using Kind = support::Operation::Kind;

constexpr std::uint64_t kSearchSteps = 3'000'000;
constexpr std::size_t kClientsMax = 64;
constexpr std::size_t kHistoryMax = 150;  // Of one key; then clients leave it alone.
constexpr std::size_t kUnknownMax = 12;   // The same: each doubles the orders that are possible.

unsigned long long number(std::uint64_t value) {
  return value;
}

}  // namespace

Workload::Workload(Cluster& cluster, std::uint64_t seed) : cluster_(cluster) {
  for (std::size_t i = 0; i < cluster.options().clients; ++i) {
    clients_.push_back({.rng = Rng(stream(seed, Stream::kClients, i))});
    clients_[i].works = (cluster.options().without_clients >> i & 1) == 0;
  }
  double sum = 0;
  for (std::size_t i = 0; i < cluster.options().keys; ++i)
    popularity_.push_back(sum += std::pow(static_cast<double>(i + 1), -cluster.options().skew));
  for (double& part : popularity_)
    part /= sum;
}

void Workload::start() {
  for (std::size_t client = 0; client < clients_.size(); ++client) {
    clients_[client].node = clients_[client].rng.below(cluster_.size());
    if (clients_[client].works) next(client);
  }
}

bool Workload::all_succeeded() const {
  return std::ranges::all_of(clients_, [](const Client& c) { return c.succeeded || !c.works; });
}

void Workload::forget_successes() {
  everyone_writes_ = true;
  for (Client& client : clients_)
    client.succeeded = false;
}

Duration Workload::think() const {
  const Options& options = cluster_.options();
  if (calm_) return std::max(options.think, kCalmThink);
  const Duration now = cluster_.schedule().now().since_origin;
  const bool burst = options.burst_every != Duration{} && now % options.burst_every < kBurst;
  return burst ? std::min(options.think, kBurstThink) : options.think;
}

void Workload::next(std::size_t client) {
  const Duration mean = think();
  cluster_.schedule().after(between(clients_[client].rng, mean / 4, mean * 2),
                            [this, client] { act(client); });
}

std::string Workload::key_prefix() const {
  const auto age = cluster_.schedule().now().since_origin / cluster_.options().key_life;
  return strf("key-%lld-", static_cast<long long>(age));
}

std::string Workload::pick_key(Rng& rng) const {
  const double draw = static_cast<double>(rng.next() >> 11) * 0x1p-53;
  const auto at = std::ranges::upper_bound(popularity_, draw) - popularity_.begin();
  const auto last = static_cast<std::ptrdiff_t>(popularity_.size()) - 1;
  return key_prefix() + std::to_string(std::min(at, last));
}

Duration Workload::pick_timeout(Rng& rng) const {
  if (calm_) return kCalmTimeout;
  const Duration timeout = cluster_.options().timeout;
  return between(rng, timeout / 4, timeout);
}

void Workload::act(std::size_t client) {
  if (stopping_) return;
  Client& c = clients_[client];
  if (c.rng.one_in(8)) c.node = c.rng.below(cluster_.size());
  const std::string key = pick_key(c.rng);
  const Key& k = keys_[key];
  const bool spent = k.history.size() >= kHistoryMax || k.unknown >= kUnknownMax;
  const bool removed = calm_ && !cluster_.is_member(c.node);  // Until then some go on asking it.
  if (!cluster_.running(c.node) || removed || spent) {
    c.node = c.rng.below(cluster_.size());
    return next(client);
  }
  c.busy = true;
  ++busy_;
  const bool has_to_write = everyone_writes_ && !c.succeeded;
  if (has_to_write || !chance(c.rng, cluster_.options().reads_percent)) {
    return write(client, key, make_write(client, key), 3);
  }
  if (chance(c.rng, cluster_.options().lists_percent)) return list(client, key);
  return chance(c.rng, cluster_.options().stale_percent) ? read_stale(client, key)
                                                         : read(client, key);
}

void Workload::end(std::size_t client) {
  Client& c = clients_[client];
  if (!std::exchange(c.busy, false)) return;
  --busy_;
  ++c.operations;
  next(client);
}

Workload::Write Workload::make_write(std::size_t client, const std::string& key) {
  Client& c = clients_[client];
  const Key& k = keys_[key];
  support::Operation operation{.kind = Kind::kPut, .unknown = true};
  const std::uint64_t choice = c.rng.below(10);
  if (choice == 0) {
    operation.kind = Kind::kDelete;
    return {operation, kv::encode(kv::Delete{.key = key, .condition = {}})};
  }
  operation.value = ++c.values * kClientsMax + client;
  std::string value = strf("v%llu-", number(operation.value));
  value.resize(value.size() + c.rng.below(cluster_.options().value_bytes), 'x');
  kv::Condition condition;
  if (choice <= 4) {
    operation.kind = Kind::kCas;
    operation.expect = k.seen_value;
    condition = {kv::Condition::Kind::kModIs, k.seen_revision};
    if (k.seen_value == 0) condition = {kv::Condition::Kind::kAbsent, 0};
  }
  return {operation, kv::encode(kv::Put{.key = key, .value = value, .condition = condition})};
}

// repeats: how often at most it is asked for again.
void Workload::write(std::size_t client, const std::string& key, Write write, int repeats) {
  Key& k = keys_[key];
  const std::size_t at = k.history.size();
  write.operation.called = now();
  k.history.push_back(write.operation);
  const raft::Index heard = cluster_.oracle().heard();
  Bytes command = write.command;
  const auto token =
      cluster_.submit(clients_[client].node, node::Write{node::Propose{std::move(command)}},
                      pick_timeout(clients_[client].rng),
                      [this, client, key, at, heard, repeats,
                       again = std::move(write)](const auto& result) mutable {
                        write_ended(client, key, at, heard, result);
                        if (maybe_repeat(client, key, std::move(again), repeats, result)) return;
                        end(client);
                      });
  maybe_abandon(client, token, at, key);
}

// The same bytes once more, through another node: nobody knows whether the first ones were written.
bool Workload::maybe_repeat(std::size_t client, const std::string& key, Write write, int repeats,
                            const std::optional<node::ClientResult>& result) {
  if (result && !std::holds_alternative<node::Unknown>(*result)) return false;
  if (repeats == 0 || stopping_ || !clients_[client].busy) return false;
  if (!chance(clients_[client].rng, cluster_.options().repeat_percent)) return false;
  Client& c = clients_[client];
  c.node = clients_[client].rng.below(cluster_.size());
  if (!cluster_.running(c.node) || keys_[key].unknown >= kUnknownMax) return false;
  ++cluster_.coverage().repeats;
  ++c.operations;
  keys_[key].repeated.insert(write.operation.value);
  this->write(client, key, std::move(write), repeats - 1);
  return true;
}

void Workload::maybe_abandon(std::size_t client, std::optional<node::ClientToken> token,
                             std::size_t operation, const std::string& key) {
  ASSERT(token.has_value());
  if (!chance(clients_[client].rng, cluster_.options().abandon_percent)) return;
  const std::size_t node = clients_[client].node;
  cluster_.schedule().after(
      between(clients_[client].rng, {}, cluster_.options().timeout / 2),
      [this, client, node, token, key, operation, count = clients_[client].operations] {
        if (clients_[client].operations != count || !clients_[client].busy) return;
        cluster_.gone(node, *token);  // The operation stays unknown in the history.
        ASSERT(keys_[key].history[operation].unknown);
        ++keys_[key].unknown;
        end(client);
      });
}

void Workload::write_ended(std::size_t client, const std::string& key, std::size_t operation,
                           raft::Index heard, const std::optional<node::ClientResult>& result) {
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
    const bool once = !keys_[key].repeated.contains(o.value);
    if (o.value != 0 && once) cluster_.oracle().refused(o.value);
    // As if it had never been asked for: nobody may ever see it.
    o = {.kind = Kind::kGet, .unknown = true, .called = o.called};
    return;
  }
  const node::Done& done = std::get<node::Done>(*result);
  if (done.index <= heard) {
    throw Violation(strf("writes: one was done at %llu when %llu was known before it was asked for",
                         number(done.index.value), number(heard.value)));
  }
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
  cluster_.oracle().answered(done.index, *reply);
  using Result = kv::WriteReply::Result;
  o.unknown = false;
  o.returned = now();
  const bool happened = reply->result == Result::kDone;
  switch (o.kind) {
    case Kind::kCas:
      o.succeeded = happened;
      // Its condition is a revision: another write of the expected value has another one.
      if (!happened && k.repeated.contains(o.expect)) {
        o = {.kind = Kind::kGet, .unknown = true, .called = o.called};
      }
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
  const kv::GetQuery asked = *query;
  const auto token = cluster_.submit(clients_[client].node, node::Read{std::move(query)},
                                     pick_timeout(clients_[client].rng),
                                     [this, client, key, at, heard, asked](const auto& result) {
                                       read_ended(key, at, heard, asked, result);
                                       end(client);
                                     });
  maybe_abandon(client, token, at, key);
}

// Null: it was not answered, which is allowed; that nobody knows is not.
const node::Done* Workload::answer_to_read(const std::optional<node::ClientResult>& result) {
  if (result && std::holds_alternative<node::Unknown>(*result)) {
    throw Violation("answers: the outcome of a read is unknown");
  }
  const auto* done = result ? std::get_if<node::Done>(&*result) : nullptr;
  ++(done == nullptr ? cluster_.coverage().reads_refused : cluster_.coverage().reads_done);
  if (done != nullptr) cluster_.oracle().heard(done->index);
  return done;
}

void Workload::read_ended(const std::string& key, std::size_t operation, raft::Index heard,
                          const kv::GetQuery& query,
                          const std::optional<node::ClientResult>& result) {
  const node::Done* done = answer_to_read(result);
  if (done == nullptr) return;
  if (done->index < heard) {
    throw Violation(strf("reads: %s was read at %llu when %llu was known", key.c_str(),
                         number(done->index.value), number(heard.value)));
  }
  const auto* reply = dynamic_cast<const kv::GetReply*>(done->reply.get());
  if (reply == nullptr) throw Violation("answers: a read was done without a reply");
  cluster_.oracle().answered(done->index, query, *reply);
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

// Now, whatever there is; or not before a revision that somebody has seen, or that may yet come.
Workload::Freshness Workload::pick_freshness(Rng& rng) {
  Freshness fresh{node::Consistency::kLocal, 0};
  if (rng.one_in(2)) return fresh;
  fresh.min_revision = cluster_.oracle().revision() + (rng.one_in(4) ? rng.below(3) : 0);
  return fresh;
}

// Stale by contract: the state of the log at some index, at or after the revision asked for.
void Workload::read_stale(std::size_t client, const std::string& key) {
  const Freshness fresh = pick_freshness(clients_[client].rng);
  auto query = std::make_unique<kv::GetQuery>();
  query->key = key;
  query->min_revision = fresh.min_revision;
  // Of the past, or of what is not there yet.
  Rng& rng = clients_[client].rng;
  if (rng.one_in(4)) query->rev = 1 + rng.below(cluster_.oracle().revision() + 1);
  const kv::GetQuery asked = *query;
  cluster_.submit(clients_[client].node, node::Read{std::move(query), fresh.consistency},
                  pick_timeout(clients_[client].rng), [this, client, asked](const auto& result) {
                    if (const node::Done* done = answer_to_read(result)) {
                      const auto* reply = dynamic_cast<const kv::GetReply*>(done->reply.get());
                      if (reply == nullptr) throw Violation("answers: a read without a reply");
                      cluster_.oracle().answered(done->index, asked, *reply);
                      ++cluster_.coverage().stale_reads;
                    }
                    end(client);
                  });
}

// Several keys at one revision, perhaps in pages.
void Workload::list(std::size_t client, const std::string& key) {
  Rng& rng = clients_[client].rng;
  Freshness fresh;
  if (chance(rng, cluster_.options().stale_percent)) fresh = pick_freshness(rng);
  kv::RangeQuery query;
  query.prefix = key_prefix();
  if (rng.one_in(4)) query.prefix = key;
  if (rng.one_in(10)) query.prefix = "key-";
  query.limit = rng.one_in(2) ? 0 : 1 + rng.below(5);
  query.keys_only = rng.one_in(3);
  query.reverse = rng.one_in(4);
  query.count_only = rng.one_in(10);
  query.min_revision = fresh.min_revision;
  list_page(client, query, fresh.consistency);
}

void Workload::list_page(std::size_t client, const kv::RangeQuery& page,
                         node::Consistency consistency) {
  const bool local = consistency == node::Consistency::kLocal;
  const raft::Index heard = local ? raft::Index{} : cluster_.oracle().heard();
  cluster_.submit(clients_[client].node,
                  node::Read{std::make_unique<kv::RangeQuery>(page), consistency},
                  pick_timeout(clients_[client].rng),
                  [this, client, page, consistency, heard](const auto& result) {
                    const auto next = list_ended(client, page, heard, result);
                    if (next) return list_page(client, *next, consistency);
                    end(client);
                  });
}

// The next page, if the client wants it: of the same revision, whatever has changed since.
std::optional<kv::RangeQuery> Workload::list_ended(
    std::size_t client, const kv::RangeQuery& page, raft::Index heard,
    const std::optional<node::ClientResult>& result) {
  const node::Done* done = answer_to_read(result);
  if (done == nullptr) return std::nullopt;
  const auto* reply = dynamic_cast<const kv::RangeReply*>(done->reply.get());
  if (reply == nullptr) throw Violation("answers: a list without a reply");
  if (done->index < heard) {
    throw Violation(strf("reads: a list of %llu when %llu was known", number(done->index.value),
                         number(heard.value)));
  }
  cluster_.oracle().answered(done->index, page, *reply);
  ++cluster_.coverage().lists;
  Client& c = clients_[client];
  if (!reply->more || page.count_only || stopping_ || c.rng.one_in(3)) return std::nullopt;
  if (reply->next == page.start) throw Violation("reads: a page of a list that does not go on");
  if (c.rng.one_in(3)) c.node = c.rng.below(cluster_.size());
  if (!cluster_.running(c.node)) return std::nullopt;
  kv::RangeQuery next = page;
  next.start = reply->next;
  next.rev = reply->revision;
  return next;
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
