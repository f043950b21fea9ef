// What a node of the simulated cluster consists of. Included by the cluster's own files alone:
// cluster.cc (time, processes, events), cluster_disks.cc, cluster_clients.cc.
#pragma once

#include <deque>
#include <unordered_map>

#include "base/text.h"
#include "kv/command.h"
#include "sim/cluster.h"

namespace raftd::sim {

constexpr std::uint64_t kDigestEvery = 64;    // Entries: a digest reads the whole store,
constexpr std::uint64_t kContentEvery = 256;  //   and so does a comparison with the model.

// Of one node. The busiest runs send a tenth of that.
constexpr std::uint64_t kMessagesPerSecondMax = 100'000;

inline unsigned long long number(std::uint64_t value) {
  return value;
}

inline raft::NodeId id_of(std::size_t node) {
  return {node + 1};
}

// The store, with the oracle looking on.
class Cluster::Machine final : public machine::StateMachine, public storage::StateSink {
 public:
  Machine(std::size_t node, Oracle& oracle)
      : node_(node), oracle_(oracle), store_({.age_ms = 5000, .bytes = 64 * limits::kKiB}) {}

  machine::Outcome apply(const machine::Applied& applied, bool reply_wanted) override {
    oracle_.applied(node_, applied);
    index_ = applied.index;
    if (strays_next_ && !applied.command.empty()) return stray(applied, reply_wanted);
    return finished(store_.apply(applied, reply_wanted));
  }
  machine::Outcome apply_slice() override { return finished(store_.apply_slice()); }
  std::unique_ptr<machine::Reply> query(const machine::Query& query,
                                        machine::ClusterTime now) const override {
    return store_.query(query, now);
  }
  std::string_view name() const override { return store_.name(); }
  std::unique_ptr<machine::SnapshotWriter> snapshot() override {
    look();
    return std::make_unique<Writer>(*this, store_.snapshot());
  }
  std::unique_ptr<machine::RestoreReader> restore() override {
    return std::make_unique<Restore>(*this, store_.restore());
  }
  std::optional<Bytes> chore(machine::ClusterTime now) const override { return store_.chore(now); }
  std::optional<machine::ClusterTime> next_chore() const override { return store_.next_chore(); }
  const std::vector<machine::Promotion>& promotions() const override { return store_.promotions(); }
  std::uint64_t state_hash() const override { return store_.state_hash(); }
  bool tidy_slice() override { return store_.tidy_slice(); }

  const kv::Store& store() const { return store_; }

  void stray_next() { strays_next_ = true; }
  void stray_no_more() { strays_next_ = false; }
  // A bit of its memory has turned: whoever writes all of it sees that.
  void rot() {
    rotten_ = true;
    oracle_.note_stray();
  }
  bool strayed() const { return strayed_; }

  // A start reads a snapshot into it, and goes on from there if recovery says so.
  void begin() override { starting_ = restore(); }
  Status feed(ByteView body) override { return starting_->feed(body); }
  Status complete() override { return starting_->complete(); }
  void restored(const storage::Recovered& recovered) {
    if (recovered.durable.snapshot) {
      starting_->commit(recovered.durable.snapshot->id.last_index, {recovered.snapshot_time_ms});
    }
    starting_.reset();
  }

 private:
  class Writer final : public machine::SnapshotWriter {
   public:
    Writer(Machine& machine, std::unique_ptr<machine::SnapshotWriter> writer)
        : machine_(machine), writer_(std::move(writer)) {}
    bool write_slice(Bytes& out, std::size_t bytes_max) override {
      return writer_->write_slice(out, bytes_max);
    }
    Status intact() const override {
      if (machine_.rotten_) return Error{Errc::kCorrupt, "a bit has turned"};
      return writer_->intact();
    }

   private:
    Machine& machine_;
    std::unique_ptr<machine::SnapshotWriter> writer_;
  };

  // The state jumps: what the store is afterwards must be what others are at that index.
  class Restore final : public machine::RestoreReader {
   public:
    Restore(Machine& machine, std::unique_ptr<machine::RestoreReader> reader)
        : machine_(machine), reader_(std::move(reader)) {}
    Status feed(ByteView bytes) override { return reader_->feed(bytes); }
    Status complete() const override { return reader_->complete(); }
    void commit(raft::Index index, machine::ClusterTime time) override {
      reader_->commit(index, time);
      machine_.rotten_ = false;
      machine_.looked_at_ = {};
      machine_.index_ = index;
      machine_.oracle_.installed(machine_.node_, index);
      // Whoever writes a snapshot tells its digest, unless that is of a state that strayed.
      const bool known = machine_.oracle_.known_state(index).has_value();
      machine_.strayed_ = machine_.oracle_.strays() &&
                          machine_.oracle_.known_state(index) != machine_.store_.digest();
      if (known || !machine_.oracle_.strays()) machine_.look();
      machine_.store_.check_invariants();
      if (machine_.strayed_) return;
      machine_.oracle_.store_is(machine_.node_, index, machine_.store_, true);
    }

   private:
    Machine& machine_;
    std::unique_ptr<machine::RestoreReader> reader_;
  };

  // The value of a put has one bit turned, and nothing else differs.
  machine::Outcome stray(machine::Applied applied, bool reply_wanted) {
    const Result<kv::Request> request = kv::decode(applied.command);
    const auto* put = request ? std::get_if<kv::Put>(&request->command) : nullptr;
    if (put == nullptr || put->value.empty()) return finished(store_.apply(applied, reply_wanted));
    std::string value(put->value);
    value.back() = static_cast<char>(value.back() ^ 1);
    kv::Put other = *put;
    other.value = value;
    const Bytes bytes = kv::encode(other, request->terms);
    applied.command = ByteView(bytes).subspan(machine::kStampBytes);
    const kv::Revision before = store_.stats().revision;
    machine::Outcome outcome = store_.apply(applied, reply_wanted);
    if (store_.stats().revision > before) {  // Else its condition did not hold.
      strays_next_ = false;
      strayed_ = true;
      looked_at_ = {};
      oracle_.note_stray();
    }
    return finished(std::move(outcome));
  }

  // A state that strayed may be as the others again, when what was wrong is overwritten.
  void look() {
    const std::uint64_t digest = store_.digest();
    // Whoever applies first finds nothing to compare with: then the others have told it by now.
    if (strayed_ && oracle_.known_state(looked_at_) == looked_) strayed_ = false;
    if (strayed_ && oracle_.known_state(index_) == digest) strayed_ = false;
    looked_at_ = strayed_ ? index_ : raft::Index{};  // What was looked at before proves nothing.
    looked_ = digest;
    if (!strayed_) oracle_.state_is(node_, index_, digest);
  }

  machine::Outcome finished(machine::Outcome outcome) {
    if (!outcome.finished) return outcome;
    const bool everything = index_.value % kContentEvery == 0;
    if (!strayed_) oracle_.store_is(node_, index_, store_, everything);
    if (index_.value % kDigestEvery == 0) {
      look();
      store_.check_invariants();
    }
    return outcome;
  }

  std::size_t node_;
  Oracle& oracle_;
  kv::Store store_;
  raft::Index index_;
  bool strays_next_ = false;
  bool strayed_ = false;
  bool rotten_ = false;
  raft::Index looked_at_;
  std::uint64_t looked_ = 0;
  std::unique_ptr<machine::RestoreReader> starting_;
};

struct Cluster::Node final : node::Network, node::Clients, LogObserver {
  Node(Cluster& owner, std::size_t number, std::uint64_t seed)
      : cluster(owner),
        index(number),
        rng(seed),
        disk(
            owner.schedule_, owner.options_, rng.next(),
            [this](storage::DiskResult result) {
              cluster.trace(index, 2, result.id.value);
              cluster.happen(index, [r = std::move(result)](node::Replica& to, Instant now) {
                to.on_disk_done(now, r);
              });
            },
            [this](const char* what) { cluster.disk_failed(index, what); }),
        log(LogLevel::kInfo,
            [this](LogLevel, std::string_view line) { cluster.say(index, std::string(line)); }) {}

  void send(node::PeerMessage message) override {
    const raft::NodeId to = std::visit([](const auto& body) { return body.to; }, message);
    ASSERT_CMP(to.value, >, 0U);
    ASSERT_CMP(to.value, <=, cluster.size());
    cluster.trace(index, 1, to.value * 16 + message.index());
    if (const auto* raft = std::get_if<raft::Message>(&message)) cluster.logs_.sends(index, *raft);
    count_message();
    if (!cluster.linked(index, to.value - 1)) return cluster.dropped(index, to.value - 1);
    cluster.network_.send(index, to.value - 1, std::move(message));
  }
  // A storm, messages that only cause each other, shows in how many leave in a second.
  void count_message() {
    const auto second = cluster.schedule_.now().since_origin / std::chrono::seconds(1);
    if (std::exchange(sent_in, second) != second) sent = 0;
    if (++sent <= kMessagesPerSecondMax) return;
    violated("event budget", strf("node %zu sends more than %llu messages in a second", index + 1,
                                  number(kMessagesPerSecondMax)));
  }
  void members(const raft::ConfigurationAt& configuration) override {
    cluster.note_members(index, configuration);
    if (cluster.members_change_) note_links(raft::members_of(configuration.configuration));
  }
  // As uv::PeerNetwork does it: the link to whom is removed stays for a while, and after a start
  // there is none.
  void note_links(const std::vector<raft::NodeId>& members) {
    const Instant now = cluster.schedule_.now();
    const bool started = link_ends.empty();
    link_ends.resize(cluster.size(), Instant::never());
    for (std::size_t peer = 0; peer < cluster.size(); ++peer) {
      if (std::ranges::binary_search(members, id_of(peer))) {
        link_ends[peer] = Instant::never();
      } else if (link_ends[peer] == Instant::never()) {
        link_ends[peer] =
            started ? now : now + limits::kFarewellTimeouts * cluster.options_.election;
      }
    }
  }
  bool has_link(std::size_t peer) const {
    if (!replica) return true;
    if (link_ends.empty() || cluster.schedule_.now() < link_ends[peer]) return true;
    const auto& other = cluster.nodes_[peer]->replica;  // May know more (wire::check_hello).
    return other && other->configuration().index > replica->configuration().index;
  }
  void complete(node::ClientToken token, node::ClientResult result) override {
    cluster.complete(index, token, std::move(result));
  }
  void wrote(const LogImage& image, raft::Index at) override {
    cluster.logs_.wrote(index, image, at);
  }
  void replaced(raft::Index at, const LogSlot& slot) override {
    cluster.logs_.replaced(index, at, slot);
  }
  void hard_state(const raft::HardState& before, const raft::HardState& now) override {
    cluster.logs_.hard_state(index, before, now);
  }
  const LogSlot& committed(raft::Index at) const override { return cluster.logs_.committed_at(at); }

  Cluster& cluster;
  std::size_t index;
  Rng rng;
  SimDisk disk;
  Log log;
  storage::Identity identity;
  std::int64_t clock_rate = 1000;  // Per mille of virtual time.
  Duration clock_offset{};

  std::unique_ptr<Machine> machine;
  std::unique_ptr<node::Replica> replica;
  bool damaged = false;  // And not looked at by a start since.
  bool victim = false;   // Damage may hit it.
  bool lost = false;
  std::uint64_t life = 0;
  std::uint64_t doubts_seen = 0;  // In this life.
  std::uint64_t reloads_seen = 0;
  bool pump_scheduled = false;
  std::uint64_t timer = 0;
  Instant paused_until{};
  Instant resumed{};
  Instant alone_since = Instant::never();     // By its clock: it leads and hears no majority.
  Instant retiring_since = Instant::never();  // The same: it leads and is no voter any more.
  std::vector<Instant> link_ends;             // By peer, in this life, once members change.
  std::int64_t sent_in = 0;                   // The second of which the next one speaks.
  std::uint64_t sent = 0;                     // Messages.
  std::deque<Event> inbox;                    // While it is paused.
  std::unordered_map<node::ClientToken, Answer> clients;
};

}  // namespace raftd::sim
