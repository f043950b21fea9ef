// Several nodes, one virtual clock, a network and disks that misbehave by a seed; checks what must
// never happen after every event.
#pragma once

#include <map>
#include <set>

#include "base/rng.h"
#include "raft_support/node.h"

namespace raftd::raft::testing {

struct ClusterOptions {
  Configuration configuration = make_configuration({1, 2, 3});
  bool pre_vote = true;
  bool check_quorum = true;
  bool members_change = false;
  bool priorities = false;  // Of each node: its id.
  Duration latency_max = 4ms;
  Duration disk_max = 3ms;
};

class Cluster {
 public:
  Cluster(ClusterOptions cluster_options, std::uint64_t seed)
      : options(std::move(cluster_options)), rng(seed) {
    for (const MemberAddress& member : options.configuration.addresses) {
      start(member.id.value, first_start(options.configuration));
    }
  }

  void start(std::uint64_t id, TestDisk disk) {
    CoreConfig config = core_config(id);
    config.pre_vote = options.pre_vote;
    config.check_quorum = options.check_quorum;
    config.priority = priority_of(id);
    config.incarnation = {rng.next()};
    const std::size_t tail = rng.one_in(2) ? 1000 : rng.below(8);
    auto node = std::make_unique<TestNode>(config, std::move(disk), now, rng.next(), tail);
    node->auto_persist = false;
    nodes[id] = std::move(node);
    for (auto& [other, running] : nodes) {
      if (other == id) continue;
      running->core->connected({id}, priority_of(id));
      nodes[id]->core->connected({other}, priority_of(other));
    }
    settle(id);
  }

  std::int32_t priority_of(std::uint64_t id) const {
    return options.priorities ? static_cast<std::int32_t>(id) : 0;
  }

  // Only what was durable survives; the batch being written may have made it.
  void crash(std::uint64_t id) {
    TestNode& node = *nodes.at(id);
    if (node.writing && rng.one_in(2)) node.disk.write(*node.writing);
    down[id] = node.disk;
    nodes.erase(id);
    persists.erase(id);
    open_reads.erase(id);
    for (auto& [other, running] : nodes) {
      running->core->disconnected(now, {id});
      settle(other);
    }
  }
  void restart(std::uint64_t id) {
    const TestDisk disk = down.at(id);
    down.erase(id);
    start(id, disk);
  }

  // Runs the earliest event not after end; false: there is none, and now is end.
  bool run_one(Instant end) {
    Instant first = end;
    std::uint64_t timer = 0;
    for (const auto& [id, node] : nodes) {
      const Instant deadline = std::max(now, node->core->next_deadline());
      if (deadline < first) {
        first = deadline;
        timer = id;
      }
    }
    std::uint64_t disk = 0;
    for (const auto& [id, when] : persists) {
      if (when < first) {
        first = when;
        disk = id;
      }
    }
    if (!wire.empty() && wire.begin()->first.first < first) {
      now = std::max(now, wire.begin()->first.first);
      Message message = std::move(wire.begin()->second);
      wire.erase(wire.begin());
      deliver(std::move(message));
      return true;
    }
    now = std::max(now, first);
    if (disk != 0) {
      persists.erase(disk);
      nodes.at(disk)->persist(now);
      settle(disk);
    } else if (timer != 0) {
      nodes.at(timer)->core->tick(now);
      settle(timer);
    }
    return disk != 0 || timer != 0;
  }
  void run_for(Duration duration) {
    const Instant end = now + duration;
    while (run_one(end)) {
    }
  }

  void deliver(Message message) {
    const std::uint64_t to = message.to.value;
    if (!nodes.count(to) || cut.count({message.from.value, to})) return;
    ++delivered;
    nodes.at(to)->core->step(now, std::move(message));
    settle(to);
  }

  std::uint64_t leader() const {
    std::uint64_t best = 0;
    Term term;
    for (const auto& [id, node] : nodes) {
      const RoleView view = node->core->role();
      if (view.role == Role::kLeader && view.term >= term) {
        best = id;
        term = view.term;
      }
    }
    return best;
  }
  bool propose(std::uint64_t id, std::string_view text) {
    const bool taken = static_cast<bool>(nodes.at(id)->core->propose(now, share(to_bytes(text))));
    settle(id);
    return taken;
  }
  // A read that starts now must see everything that anybody has applied by now.
  bool read(std::uint64_t id) {
    const std::uint64_t token = ++last_token;
    if (!nodes.at(id)->core->read(now, token)) return false;
    open_reads[id][token] = {Index{history.size()}, now};
    settle(id);
    return true;
  }

  void heal() {
    cut.clear();
    loss = 0;
    while (!down.empty())
      restart(down.begin()->first);
    for (auto& [id, node] : nodes)
      node->core->disk_full(false);
  }

  // What a node did, brought to the outside, and checked.
  void settle(std::uint64_t id) {
    TestNode& node = *nodes.at(id);
    node.pump(now);
    if (node.writing && !persists.count(id)) {
      persists[id] = now + Duration(static_cast<Duration::rep>(
                               rng.below(static_cast<std::uint64_t>(options.disk_max.count()))));
    }
    for (Message& message : node.take_sent())
      send(std::move(message));
    check_applied(node);
    check_reads(id, node);
    const RoleView view = node.core->role();
    if (view.role == Role::kLeader) {
      const auto [known, fresh] = leaders.emplace(view.term, id);
      ASSERT_CMP(known->second, ==, id);  // Election Safety.
      // Leader Completeness, as far as lengths show it; the applied entries show the rest.
      if (fresh) ASSERT_CMP(node.core->last_index().value, >=, history.size());
    }
  }

  void check_applied(TestNode& node) {
    // State Machine Safety: one entry at each index, for all nodes and all lives.
    for (const Entry& entry : std::exchange(node.applied, {})) {
      const std::size_t place = entry.index.value - 1;
      ASSERT_CMP(place, <=, history.size());
      if (place == history.size()) {
        history.push_back(entry);
        continue;
      }
      ASSERT_CMP(history[place].term, ==, entry.term);
      ASSERT(as_text(history[place].payload.bytes) == as_text(entry.payload.bytes));
    }
  }
  void check_reads(std::uint64_t id, TestNode& node) {
    auto& open = open_reads[id];
    for (const ReadDone& read : std::exchange(node.reads, {})) {
      const auto asked = open.find(read.token);
      ASSERT(asked != open.end());  // Answered once.
      if (read.at) {
        ASSERT_CMP(*read.at, >=, asked->second.floor);  // Linearizable.
        ++reads_served;
      }
      open.erase(asked);
    }
    for (const auto& [token, asked] : open) {
      ASSERT_CMP((now - asked.since).count(), <=, Duration(400ms).count());
    }
  }
  // Log Matching, on the disks.
  void check_log_matching() const {
    for (const auto& [a, left] : nodes) {
      for (const auto& [b, right] : nodes) {
        if (a >= b) continue;
        const auto& x = left->disk.entries;
        const auto& y = right->disk.entries;
        std::size_t same = std::min(x.size(), y.size());
        while (same > 0 && x[same - 1].term != y[same - 1].term)
          --same;
        for (std::size_t i = 0; i < same; ++i) {
          ASSERT_CMP(x[i].term, ==, y[i].term);
          ASSERT(as_text(x[i].payload.bytes) == as_text(y[i].payload.bytes));
        }
      }
    }
  }

  void send(Message message) {
    ++posted;
    if (cut.count({message.from.value, message.to.value})) {
      return;
    }
    if (loss > 0 && rng.below(100) < loss) return;
    const int copies = loss > 0 && rng.one_in(20) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      Instant when = now + Duration(static_cast<Duration::rep>(
                               rng.below(static_cast<std::uint64_t>(options.latency_max.count()))));
      if (loss > 0 && rng.one_in(50)) when = when + 80ms;
      auto& last = last_on_link[{message.from.value, message.to.value}];
      if (!reorder) last = when = std::max(when, last);
      wire.emplace(std::pair{when, ++wire_seq}, message);
    }
  }

  struct OpenRead {
    Index floor;
    Instant since{};
  };

  ClusterOptions options;
  Rng rng;
  Instant now = at(0ms);
  std::map<std::uint64_t, std::unique_ptr<TestNode>> nodes;
  std::map<std::uint64_t, TestDisk> down;
  std::map<std::uint64_t, Instant> persists;
  std::map<std::pair<Instant, std::uint64_t>, Message> wire;
  std::map<std::pair<std::uint64_t, std::uint64_t>, Instant> last_on_link;
  std::set<std::pair<std::uint64_t, std::uint64_t>> cut;
  std::uint64_t loss = 0;  // Percent.
  bool reorder = false;
  std::uint64_t wire_seq = 0;
  std::uint64_t posted = 0;
  std::uint64_t delivered = 0;
  std::uint64_t last_token = 0;
  std::uint64_t reads_served = 0;
  std::uint64_t changes = 0;   // Of members, begun.
  std::vector<Entry> history;  // Committed.
  std::map<Term, std::uint64_t> leaders;
  std::map<std::uint64_t, std::map<std::uint64_t, OpenRead>> open_reads;
};

}  // namespace raftd::raft::testing
