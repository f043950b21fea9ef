#include "sim/watching.h"

#include <algorithm>

#include "base/text.h"

namespace raftd::sim {
namespace {

unsigned long long number(std::uint64_t value) {
  return value;
}

}  // namespace

Watching::Watching(Cluster& cluster, std::uint64_t seed) : cluster_(cluster) {
  using Kind = kv::KeySpan::Kind;
  for (std::size_t i = 0; i < cluster.options().coordinators; ++i) {
    Client client{.rng = Rng(stream(seed, Stream::kWatching, i)), .span = {}, .cursor = {}};
    client.prev = client.rng.one_in(2);
    client.span = {Kind::kPrefix, "", "", kv::Space::kKeys};
    if (client.rng.one_in(2)) client.span = {Kind::kPrefix, "s-", "", kv::Space::kKeys};
    if (client.rng.one_in(4)) client.span = {Kind::kKey, "s-1", "", kv::Space::kKeys};
    if (client.rng.one_in(4)) client.span = {Kind::kRange, "s-2", "s-5", kv::Space::kKeys};
    clients_.push_back(std::move(client));
  }
}

void Watching::start() {
  for (std::size_t client = 0; client < clients_.size(); ++client)
    next(client);
}

void Watching::next(std::size_t client) {
  const Duration pause = 2 * cluster_.options().think;
  cluster_.schedule().after(between(clients_[client].rng, pause / 4, pause * 2),
                            [this, client] { act(client); });
}

void Watching::act(std::size_t client) {
  // What a state that strayed gives is wrong, and allowed to be.
  if (stopping_ || cluster_.oracle().strays()) return;
  Client& c = clients_[client];
  if (c.rng.one_in(8)) cut_off(c);
  if (cluster_.running(c.node) && cluster_.life(c.node) == c.life) {
    read(c);
  } else {
    cut_off(c);
  }
  next(client);
}

// It goes on with what it has seen the whole of.
void Watching::cut_off(Client& client) {
  client.node = client.rng.below(cluster_.size());
  client.life = cluster_.life(client.node);
  client.cursor = {};
  client.cursor.after = client.complete;
  client.seen = 0;
  ++cluster_.coverage().watches_cut_off;
}

bool Watching::read(Client& client) {
  const kv::Store& store = cluster_.store(client.node);
  const kv::StoreStats stats = store.stats();
  std::vector<kv::Event> events;
  const kv::EventBounds bounds{1 + client.rng.below(40), 1 + client.rng.below(2000)};
  const kv::EventsRead result = store.read_events(
      client.cursor, {client.span, kv::EventKinds::all(), client.prev}, bounds, events);
  for (const kv::Event& event : events) {
    if (event.item.mod > stats.revision) {
      violated("watch", strf("an event of %llu, which is not visible at %llu yet",
                             number(event.item.mod), number(stats.revision)));
    }
    take(client, event);
  }
  cluster_.coverage().events_watched += events.size();
  if (result == kv::EventsRead::kCompacted) {
    if (client.complete >= stats.compact_revision) {
      violated("watch", strf("history is said to begin after %llu, and is there from %llu on",
                             number(client.complete), number(stats.compact_revision)));
    }
    // As a client does that lists everything then.
    client.complete = stats.revision;
    cut_off(client);
    return false;
  }
  if (result == kv::EventsRead::kMore) return true;
  const kv::Revision missed = next_revision(client);
  if (missed != 0 && missed <= stats.revision) {
    violated("watch", strf("an event of %llu is left out by a node at %llu", number(missed),
                           number(stats.revision)));
  }
  client.complete = std::max(client.complete, stats.revision);
  return false;
}

std::vector<std::string> Watching::wanted(const Client& client, kv::Revision revision) const {
  std::vector<std::string> keys = cluster_.oracle().model().state().written(revision);
  std::erase_if(keys, [&](const std::string& key) { return !client.span.contains(key); });
  return keys;
}

kv::Revision Watching::next_revision(const Client& client) const {
  const kv::Revision last = cluster_.oracle().revision();
  for (kv::Revision revision = std::max<kv::Revision>(client.complete + 1, 2); revision <= last;
       ++revision) {
    if (!wanted(client, revision).empty()) return revision;
  }
  return 0;
}

void Watching::take(Client& client, const kv::Event& event) {
  const kv::Revision revision = next_revision(client);
  const std::vector<std::string> keys =
      revision == 0 ? std::vector<std::string>() : wanted(client, revision);
  if (keys.empty() || event.item.mod != revision || event.item.key != keys[client.seen]) {
    violated("watch", strf("%s of %llu is seen, %zu events after the whole of %llu; expected one "
                           "of %llu",
                           event.item.key.c_str(), number(event.item.mod), client.seen,
                           number(client.complete), number(revision)));
  }
  const auto& versions = cluster_.oracle().model().state().history().at(event.item.key);
  const auto at = std::ranges::lower_bound(versions, revision, {}, &ModelVersion::mod);
  ASSERT(at != versions.end() && at->mod == revision);
  kv::EventKind kind = at->expired ? kv::EventKind::kExpire : kv::EventKind::kDelete;
  if (at->version != 0) kind = kv::EventKind::kPut;
  const bool same = event.kind == kind && event.item.create == at->create &&
                    event.item.version == at->version &&
                    (at->version == 0 || event.item.lease == at->lease) &&
                    shortened(event.item.value) == at->value;
  const bool first = at == versions.begin() || std::prev(at)->version == 0;
  const bool prev = client.prev && !first;
  if (!same || event.prev.has_value() != prev || (prev && event.prev->mod != std::prev(at)->mod)) {
    violated("watch", strf("the event of %s at %llu is not what was written",
                           keys[client.seen].c_str(), number(revision)));
  }
  ++client.seen;
  if (event.last != (client.seen == keys.size())) {
    violated("watch", strf("event %zu of %zu of revision %llu says %s", client.seen, keys.size(),
                           number(revision), event.last ? "that it is the last" : "more follow"));
  }
  if (!event.last) return;
  client.complete = revision;
  client.seen = 0;
}

void Watching::check_end(std::size_t node) {
  if (cluster_.oracle().strays()) return;
  for (Client& client : clients_) {
    // Twice, should history have passed it: then it was sent elsewhere.
    for (int i = 0; i < 2; ++i) {
      cut_off(client);
      client.node = node;
      while (read(client)) {
      }
    }
  }
}

}  // namespace raftd::sim
