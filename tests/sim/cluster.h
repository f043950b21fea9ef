// A whole cluster in one thread and in virtual time: the daemon's own replica, core, journal,
// recovery and store, on simulated disks, network and clocks, all from one seed. Everything that
// can be known to be wrong is looked for after every event of a node; what is found is thrown as a
// Violation, and the same seed finds it again.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "kv/store.h"
#include "sim/disk.h"
#include "sim/network.h"
#include "sim/oracle.h"
#include "sim/wishes.h"
#include "storage/repair.h"

namespace raftd::sim {

// Events that the run is worth its time for; a swarm in which one never happens is blind.
struct Coverage {
  std::uint64_t events = 0;
  std::uint64_t messages = 0;
  std::uint64_t leader_changes = 0;
  std::uint64_t overwritten = 0;  // Entries.
  std::uint64_t elections = 0;
  std::uint64_t kills = 0;
  std::uint64_t power_losses = 0;
  std::uint64_t torn_sectors = 0;
  std::uint64_t recoveries_with_notes = 0;
  std::uint64_t interrupted_repairs = 0;
  std::uint64_t clean_stops = 0;
  std::uint64_t pauses = 0;
  std::uint64_t partitions = 0;
  std::uint64_t resets = 0;
  std::uint64_t late_messages = 0;
  std::uint64_t full_disks = 0;
  std::uint64_t disk_errors = 0;  // That ended a process.
  std::uint64_t slow_disks = 0;   // And stuck ones.
  std::uint64_t damage = 0;       // Bit flips, zeroed sectors, writes gone astray, wiped disks.
  std::uint64_t damage_harmless = 0;
  std::uint64_t damage_refused = 0;    // By the start.
  std::uint64_t damage_unnoticed = 0;  // The last frame is gone: a start cannot know.
  std::uint64_t log_repairs = 0;
  std::uint64_t log_repairs_cut_short = 0;  // And done again.
  std::uint64_t log_repairs_refused = 0;    // Nobody knows what the node has promised.
  std::uint64_t starts_without_reads = 0;
  std::uint64_t strays = 0;           // Nodes whose state was made to differ.
  std::uint64_t strays_noticed = 0;   // By themselves, as they must.
  std::uint64_t strays_reloaded = 0;  // And got another state.
  std::uint64_t strays_spread = 0;    // Runs in which another one got it by a snapshot before that.
  std::uint64_t clock_jumps = 0;
  std::uint64_t snapshots_made = 0;
  std::uint64_t snapshots_sent = 0;
  std::uint64_t snapshots_installed = 0;
  std::uint64_t starts_from_snapshots = 0;
  std::uint64_t log_drops = 0;  // Nodes that ended without the beginning of the log.
  std::uint64_t transfers = 0;
  std::uint64_t changes_asked = 0;  // Of members.
  std::uint64_t changes_done = 0;
  std::uint64_t changes_unknown = 0;
  std::uint64_t leaders_removed = 0;
  std::uint64_t tickets_asked = 0;
  std::uint64_t claims_done = 0;
  std::uint64_t claims_refused = 0;
  std::uint64_t disks_lost = 0;        // Of members, for good.
  std::uint64_t members_replaced = 0;  // By a learner that became a voter.
  std::uint64_t lost_replaced = 0;     // Of these: their disk was lost.
  std::uint64_t recovers_refused = 0;
  std::uint64_t recovers_allowed = 0;
  std::uint64_t forwarded = 0;
  std::uint64_t writes_done = 0;
  std::uint64_t clients_awaited = 0;  // Pumps that left writes waiting for them.
  std::uint64_t writes_refused = 0;
  std::uint64_t writes_superseded = 0;
  std::uint64_t writes_unknown = 0;
  std::uint64_t reads_done = 0;
  std::uint64_t reads_refused = 0;
  std::uint64_t stale_reads = 0;
  std::uint64_t lists = 0;
  std::uint64_t repeats = 0;
  std::uint64_t abandoned = 0;
  std::uint64_t commands_done = 0;  // By clients that use more than keys.
  std::uint64_t commands_replayed = 0;
  std::uint64_t commands_fenced = 0;
  std::uint64_t keys_misused = 0;
  std::uint64_t fences_passed = 0;
  std::uint64_t locks_taken = 0;
  std::uint64_t lock_waits = 0;
  std::uint64_t leases_expired = 0;
  std::uint64_t events_watched = 0;
  std::uint64_t watches_cut_off = 0;
  void add(const Coverage& other);
};

class Cluster final : private Peers {
 public:
  // nullopt: the node died before it answered.
  using Answer = std::function<void(std::optional<node::ClientResult>)>;
  using TraceSink = std::function<void(const std::string&)>;

  Cluster(std::uint64_t seed, const Options& options, TraceSink trace = {});
  ~Cluster() override;

  const Options& options() const { return options_; }
  Schedule& schedule() { return schedule_; }
  Oracle& oracle() { return oracle_; }
  const Oracle& oracle() const { return oracle_; }
  SimNetwork& network() { return network_; }
  Coverage& coverage() { return coverage_; }
  std::size_t size() const { return nodes_.size(); }
  std::uint64_t seed() const { return seed_; }
  // The same for two runs of one seed, whatever compiled them.
  std::uint64_t trace_hash() const { return trace_hash_; }
  void collect_coverage();

  void run_for(Duration duration);
  // False: it was not so in time.
  bool run_until(const std::function<bool()>& reached, Duration patience);

  bool running(std::size_t node) const;
  bool paused(std::size_t node) const;
  std::uint64_t life(std::size_t node) const;  // Another one after each start and end.
  // Of a running node.
  node::ReplicaStatus status(std::size_t node) const;
  const kv::Store& store(std::size_t node) const;
  SimDisk& disk(std::size_t node);
  std::optional<std::size_t> leader() const;  // Of the highest term.
  std::int32_t priority(std::size_t node) const;

  void start(std::size_t node);
  void kill(std::size_t node, bool power);
  void stop(std::size_t node, Duration patience);  // Orderly.
  void pause(std::size_t node, Duration duration);
  // The machine was suspended: its clock leaps, and nobody was told.
  void jump_clock(std::size_t node, Duration by);
  // The next operation of this kind.
  void break_disk(std::size_t node, DiskFault fault);
  void slow_disk(std::size_t node, Duration extra, Duration lasting);
  void stick_disk(std::size_t node, Duration lasting);
  enum class Damage : std::uint8_t { kBitFlip, kZeroSector, kLostWrite, kMisdirected, kWipe };
  // Damage that nobody repairs. False: not on this node. Only so few nodes of a run are ever hit
  // that the others hold everything that is committed, and are a quorum; unless the options say
  // that damage may go beyond. What a start refuses is repaired, if the options say so and it can
  // be. What a node does not notice, an operator does: it stays away.
  bool damage(std::size_t node, Damage kind);
  // The machine of a member is gone, with its disk: it never starts again, not even under another
  // id. False: it is no member, or too few of some that count would be left.
  bool lose_disk(std::size_t node);
  // The next write that it applies is another one than it says: from then on its state differs.
  // Once in a run. Until the node has noticed, what it answers counts as not answered.
  void stray(std::size_t node);
  // Its next snapshot finds that the store in memory has changed by itself. In place of stray().
  void rot_memory(std::size_t node);
  bool strayed(std::size_t node) const;  // It runs, and has that state or one that came of it.
  bool stray_spread() const { return coverage_.strays_spread > 0; }
  // Asks this node: the voters and learners that it knows to become these, each as bits. A voter
  // that is no member yet becomes a learner first. False: it does not run.
  bool change_members(std::size_t node, std::uint64_t voters, std::uint64_t learners, bool forced,
                      Duration timeout, Answer answer);
  // The same, for any members. Precondition: it runs.
  void change_members(std::size_t node, node::ChangeMembers change, Duration timeout,
                      Answer answer);
  bool members_change() const { return members_change_; }  // In this run.
  // Of the newest configuration that is committed. A node that is none is owed nothing.
  bool is_member(std::size_t node) const;
  // Whether enough nodes are such, by that configuration and by each that may still follow it.
  bool quorum(const std::function<bool(std::size_t node)>& is_such) const {
    return logs_.quorums().each_has(is_such);
  }
  Wishes& wishes() { return wishes_; }
  bool lost(std::size_t node) const;  // It will never start again.
  bool owes(std::size_t node) const;  // It was repaired, and has not yet what it once had.
  void be_kind();                     // No more faults of network and disks; everything heals.

  // Nothing if the node does not run: its port is closed. timeout is by the node's clock.
  std::optional<node::ClientToken> submit(std::size_t node, node::ClientOp op, Duration timeout,
                                          Answer answer);
  void gone(std::size_t node, node::ClientToken token);

  // For what tests do by hand. Key and value of a put; the result is there when it is answered.
  struct Asked {
    bool answered = false;
    std::optional<node::ClientResult> result;
  };
  std::shared_ptr<Asked> put(std::size_t node, const std::string& key, const std::string& value,
                             Duration timeout = std::chrono::seconds(2));
  std::shared_ptr<Asked> get(std::size_t node, const std::string& key,
                             Duration timeout = std::chrono::seconds(2));

 private:
  struct Node;
  class Machine;

  void deliver(std::size_t to, node::PeerMessage message) override;
  void part(std::size_t node, std::size_t peer) override;
  void connected(std::size_t node, std::size_t peer) override;
  void disconnected(std::size_t node, std::size_t peer) override;
  void dropped(std::size_t node, std::size_t peer) override;
  bool stalled(std::size_t node) const override;

  using Event = std::function<void(node::Replica&, Instant)>;
  void happen(std::size_t node, Event event);
  void schedule_pump(std::size_t node);
  void pump(std::size_t node);
  void arm_timer(std::size_t node);
  void resume(std::size_t node);
  void check(std::size_t node);
  void check_bounds(std::size_t node, const node::ReplicaMarks& now);
  bool linked(std::size_t node, std::size_t peer) const;
  void note_members(std::size_t node, const raft::ConfigurationAt& at);
  void check_retires(std::size_t node, raft::Index commit);
  void count_snapshots(const node::ReplicaStatus& status);
  void check_doubt(std::size_t node, const node::ReplicaStatus& status);
  node::ClientResult trusted(std::size_t node, node::ClientResult result);
  void format_disk(std::size_t node);
  // nullopt: it is refused, as it must be.
  std::optional<storage::Recovered> recover_disk(std::size_t node);
  void refused(std::size_t node, const Error& error);
  bool repair(std::size_t node, storage::RecoverOptions options);
  bool finished_by_itself(std::size_t node, const storage::RecoverOptions& options,
                          const storage::RepairPlan& plan);
  bool repaired(std::size_t node, const storage::RecoverOptions& options,
                const storage::RepairPlan& plan);
  bool accept(std::size_t node, const storage::Recovered& recovered);
  void disk_failed(std::size_t node, const char* what);
  void complete(std::size_t node, node::ClientToken token, node::ClientResult result);
  void watch_answer(std::size_t node, node::ClientToken token, Duration patience);
  void poll_stop(std::size_t node, std::uint64_t life, Instant deadline);
  Instant local(const Node& node) const;
  Instant global(const Node& node, Instant local) const;
  void trace(std::size_t node, std::uint64_t what, std::uint64_t detail);
  void say(std::size_t node, const std::string& text);

  std::uint64_t seed_;
  Options options_;
  TraceSink trace_sink_;
  Rng rng_;
  Schedule schedule_;
  Oracle oracle_;
  LogRules logs_;
  Wishes wishes_;
  SimNetwork network_;
  std::vector<std::unique_ptr<Node>> nodes_;
  bool members_change_ = false;  // In this run: from then on each node is asked after each event.
  std::uint64_t next_token_ = 1;
  std::uint64_t trace_hash_ = 0xcbf29ce484222325;
  Coverage coverage_;
};

}  // namespace raftd::sim
