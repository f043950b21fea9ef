// Runs every tests/scenario/*.txt: a script of commands and, behind each, the trace that it must
// leave. A script is read by people who do not read C++; each begins with what it shows.
//
//   # text                 a comment
//   voters 1 2 3           the cluster's configuration; also outgoing ..., learners ...
//   log 1 term 5: 2 2 3    before start: node 1's term, and the terms of its log behind index 1
//   vote 1 2               before start: node 1 voted for 2 in its term
//   start                  all nodes run, each waits for its first election timeout
//   tick 2 600ms           node 2's clock goes on so long; it wakes whenever it wants to
//   campaign 2             node 2's clock goes on to its next campaign
//   deliver 1->2 [n]       the messages on that link now, or the first n of them
//   deliver all            whatever is on the way, and what that causes, until all is quiet
//   drop 1->2 | drop all   they are lost
//   hold 2                 node 2's disk is slow: what it writes waits for "persist 2"
//   persist 2 | quick 2    one write is done | the disk is quick again
//   propose 1 text         read 2 token       transfer 1 2      announce 1 2 index
//   crash 2 | restart 2    only what was durable survives
//   links 1 2              tells both that they are connected
//   show                   one line for each node
//
// Lines that begin with two spaces are the trace. With RAFTD_RECORD=1 the files are written anew.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "raft/state.h"
#include "raft_support/node.h"

namespace raftd::raft::testing {
namespace {

std::string describe(const Entry& entry) {
  std::string text = strf("%lu:%lu", entry.index.value, entry.term.value);
  if (entry.kind == EntryKind::kCommand) {
    text += "=" + std::string(as_text(entry.payload.bytes));
  }
  if (entry.kind == EntryKind::kConfiguration) text += "=members";
  return text;
}

std::string describe(const std::vector<Entry>& entries) {
  std::string text = "[";
  for (const Entry& entry : entries)
    text += (text.size() > 1 ? " " : "") + describe(entry);
  return text + "]";
}

std::string describe(const Body& body) {
  return std::visit(
      overloaded{
          [](const VoteRequest& request) {
            return strf("%s last=%lu:%lu%s", request.pre_vote ? "PreVote" : "Vote",
                        request.last_index.value, request.last_term.value,
                        request.transfer ? " transfer" : "");
          },
          [](const VoteReply& reply) {
            return strf("%sReply %s", reply.pre_vote ? "PreVote" : "Vote",
                        reply.granted ? "granted" : "denied");
          },
          [](const AppendRequest& request) {
            std::string text = strf("Append prev=%lu:%lu commit=%lu", request.prev_index.value,
                                    request.prev_term.value, request.commit.value);
            if (request.read_seq) text += strf(" read_seq=%lu", request.read_seq.value);
            return request.entries.empty() ? text : text + " " + describe(request.entries);
          },
          [](const AppendReply& reply) {
            std::string text;
            if (const auto* accepted = std::get_if<AppendReply::Accepted>(&reply.result)) {
              text = strf("Accepted match=%lu", accepted->match.value);
            } else {
              const auto& rejected = *std::get_if<AppendReply::Rejected>(&reply.result);
              text = strf("Rejected prev=%lu last=%lu conflict=%lu:%lu", rejected.prev_index.value,
                          rejected.last_index.value, rejected.conflict_first.value,
                          rejected.conflict_term.value);
            }
            if (reply.read_seq) text += strf(" read_seq=%lu", reply.read_seq.value);
            return text;
          },
          [](const ReadIndexRequest& request) { return strf("ReadIndex seq=%lu", request.seq); },
          [](const ReadIndexReply& reply) {
            return reply.at ? strf("ReadIndexReply seq=%lu at=%lu", reply.seq, reply.at->value)
                            : strf("ReadIndexReply seq=%lu no", reply.seq);
          },
          [](const TimeoutNow&) { return std::string("TimeoutNow"); },
          [](const SnapshotChunk& chunk) {
            return strf("Chunk %lu:%lu offset=%lu bytes=%u", chunk.meta.id.last_index.value,
                        chunk.meta.id.last_term.value, chunk.offset, chunk.bytes);
          },
          [](const SnapshotReply& reply) {
            return strf("ChunkReply %lu:%lu next=%lu%s", reply.id.last_index.value,
                        reply.id.last_term.value, reply.next_offset,
                        reply.rejected ? " rejected" : "");
          },
      },
      body);
}

const char* name_of(Role role) {
  switch (role) {
    case Role::kFollower:
      return "follower";
    case Role::kPreCandidate:
      return "pre-candidate";
    case Role::kCandidate:
      return "candidate";
    case Role::kLeader:
      return "leader";
  }
  return "?";
}

class Scenario {
 public:
  // The trace of one command; an error of the script begins with "script: ".
  std::string run(const std::string& line) {
    trace_.clear();
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    if (verb == "voters") return read_ids(words, voters_), "";
    if (verb == "outgoing") return read_ids(words, outgoing_), "";
    if (verb == "learners") return read_ids(words, learners_), "";
    if (verb == "log" || verb == "vote" || verb == "start") {
      prepare(verb, words);
    } else if (verb == "deliver" || verb == "drop") {
      move_messages(verb == "deliver", words);
    } else if (verb == "show") {
      show();
    } else {
      std::uint64_t id = 0;
      words >> id;
      if (!(verb == "restart" ? down_.count(id) : nodes_.count(id))) return "script: no such node";
      if (!act(verb, id, words)) return "script: no such command";
    }
    return trace_;
  }

 private:
  using Link = std::pair<std::uint64_t, std::uint64_t>;

  static void read_ids(std::istringstream& words, std::vector<std::uint64_t>& ids) {
    for (std::uint64_t id = 0; words >> id;)
      ids.push_back(id);
  }
  void say(const std::string& text) { trace_ += "  " + text + "\n"; }

  void prepare(const std::string& verb, std::istringstream& words) {
    const Configuration configuration = make_configuration(voters_, outgoing_, learners_);
    std::uint64_t id = 0;
    std::string word;
    if (verb == "log") {
      std::uint64_t term = 0;
      std::vector<std::uint64_t> terms;
      words >> id >> word >> term >> word;
      read_ids(words, terms);
      down_[id] = with_log(configuration, term, terms);
    } else if (verb == "vote") {
      words >> id >> down_.at(id).hard_state.voted_for.value;
    } else {
      for (const MemberAddress& member : configuration.addresses) {
        down_.emplace(member.id.value, first_start(configuration));
      }
      while (!down_.empty())
        restart(down_.begin()->first);
    }
  }

  void restart(std::uint64_t id) {
    times_[id] = std::max(times_[id], at(0ms));
    CoreConfig config = core_config(id);
    config.incarnation = {id * 1000 + ++lives_};
    nodes_[id] = std::make_unique<TestNode>(config, down_.at(id), times_[id], id);
    down_.erase(id);
  }

  bool act(const std::string& verb, std::uint64_t id, std::istringstream& words) {
    std::string word;
    std::uint64_t number = 0;
    Instant& now = times_[id];
    if (verb == "crash") {
      down_[id] = nodes_.at(id)->disk;
      nodes_.erase(id);
      return true;
    }
    if (verb == "restart") {
      restart(id);
      return settle(id), true;
    }
    TestNode& node = *nodes_.at(id);
    if (verb == "tick") {
      words >> number >> word;
      node.run_until(now, now + std::chrono::milliseconds(number));
    } else if (verb == "campaign") {
      const Role before = node.core->role().role;
      for (int i = 0; i < 1000 && node.core->role().role == before; ++i) {
        node.run_until(now, now + 1ms);
      }
    } else if (verb == "hold") {
      node.auto_persist = false;
    } else if (verb == "quick") {
      node.auto_persist = true;
      if (node.writing) node.persist(now);
    } else if (verb == "persist") {
      if (!node.writing) return false;
      node.persist(now);
    } else if (verb == "propose") {
      words >> word;
      const auto index = node.core->propose(now, share(to_bytes(word)));
      say(index ? strf("%lu proposes %s at %lu", id, word.c_str(), index->value)
                : strf("%lu refuses: %s", id, index.error().message.c_str()));
    } else if (verb == "read") {
      words >> number;
      const Status status = node.core->read(now, number);
      if (!status) say(strf("%lu refuses: %s", id, status.error().message.c_str()));
    } else if (verb == "transfer") {
      words >> number;
      const Status status = node.core->transfer(now, {number});
      if (!status) say(strf("%lu refuses: %s", id, status.error().message.c_str()));
    } else if (verb == "announce") {
      std::uint64_t index = 0;
      words >> number >> index;
      node.core->announce({number}, {index});
    } else if (verb == "links") {
      words >> number;
      node.core->connected({number}, 0);
      nodes_.at(number)->core->connected({id}, 0);
    } else {
      return false;
    }
    settle(id);
    return true;
  }

  // Brings out and writes down what the node did.
  void settle(std::uint64_t id) {
    TestNode& node = *nodes_.at(id);
    node.pump(times_[id]);
    for (const RoleView& view : std::exchange(node.roles, {})) {
      std::string text = strf("%lu is %s of term %lu", id, name_of(view.role), view.term.value);
      if (view.leader && view.role == Role::kFollower) {
        text += strf(", led by %lu", view.leader.value);
      }
      say(text);
    }
    for (const Message& message : node.take_sent()) {
      say(strf("%lu->%lu term %lu: %s", id, message.to.value, message.term.value,
               describe(message.body).c_str()));
      links_[{id, message.to.value}].push_back(message);
    }
    if (node.writing && !writing_said_.count({id, node.writing->seq.value})) {
      writing_said_[{id, node.writing->seq.value}] = true;
      say(strf("%lu writes term %lu %s", id, node.core->hard_state().term.value,
               describe(node.writing->entries).c_str()));
    }
    if (!node.applied.empty()) {
      say(strf("%lu applies ", id) + describe(std::exchange(node.applied, {})));
    }
    for (const ReadDone& read : std::exchange(node.reads, {})) {
      say(read.at ? strf("%lu serves read %lu at %lu", id, read.token, read.at->value)
                  : strf("%lu cannot confirm read %lu", id, read.token));
    }
    if (std::exchange(node.transfers_failed, 0) > 0) say(strf("%lu gives its transfer up", id));
    const std::uint64_t bad = node.core->counters().bad_messages;
    if (bad > bad_said_[id]) say(strf("%lu refuses a message", id));
    bad_said_[id] = bad;
  }

  void move_messages(bool deliver, std::istringstream& words) {
    std::string which;
    std::size_t count = ~std::size_t{0};
    words >> which;
    if (words >> count; !words) count = ~std::size_t{0};
    if (which == "all") {
      if (!deliver) return links_.clear();
      while (!links_.empty())
        move_link(true, links_.begin()->first, 1);
      return;
    }
    Link link;
    char dash = 0;
    std::istringstream(which) >> link.first >> dash >> dash >> link.second;
    if (!links_.count(link)) return say("script: nothing on that link");
    move_link(deliver, link, count);
  }

  void move_link(bool deliver, Link link, std::size_t count) {
    auto& queue = links_.at(link);
    std::deque<Message> moved;
    for (; count > 0 && !queue.empty(); --count) {
      moved.push_back(queue.front());
      queue.pop_front();
    }
    if (queue.empty()) links_.erase(link);
    if (!deliver || !nodes_.count(link.second)) return;
    for (const Message& message : moved) {
      nodes_.at(link.second)->core->step(times_[link.second], message);
      settle(link.second);
    }
  }

  void show() {
    for (const auto& [id, node] : nodes_) {
      const RoleView view = node->core->role();
      say(strf("%lu: %s term %lu commit %lu durable %lu disk ", id, name_of(view.role),
               view.term.value, node->core->commit_index().value,
               node->core->persisted_index().value) +
          describe(node->disk.entries));
    }
    for (const auto& [id, disk] : down_) {
      say(strf("%lu: down term %lu disk ", id, disk.hard_state.term.value) +
          describe(disk.entries));
    }
  }

  std::vector<std::uint64_t> voters_;
  std::vector<std::uint64_t> outgoing_;
  std::vector<std::uint64_t> learners_;
  std::map<std::uint64_t, std::unique_ptr<TestNode>> nodes_;
  std::map<std::uint64_t, TestDisk> down_;
  std::map<std::uint64_t, Instant> times_;
  std::map<Link, std::deque<Message>> links_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, bool> writing_said_;
  std::map<std::uint64_t, std::uint64_t> bad_said_;
  std::uint64_t lives_ = 0;
  std::string trace_;
};

bool is_trace(const std::string& line) {
  return line.rfind("  ", 0) == 0;
}

// The script with the trace that it leaves now.
std::string replay(const std::string& script) {
  Scenario scenario;
  std::istringstream lines(script);
  std::string result;
  for (std::string line; std::getline(lines, line);) {
    if (is_trace(line)) continue;
    result += line + "\n";
    if (!line.empty() && line[0] != '#') result += scenario.run(line);
  }
  return result;
}

TEST_CASE("every scenario leaves the trace that its file shows") {
  const std::filesystem::path folder = std::filesystem::path(RAFTD_SOURCE_DIR) / "tests/scenario";
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  CHECK(files.size() >= 12);
  for (const auto& file : files) {
    INFO(file.string());
    std::ostringstream content;
    content << std::ifstream(file).rdbuf();
    const std::string trace = replay(content.str());
    CHECK(trace.find("script: ") == std::string::npos);
    CHECK(trace == content.str());
    if (std::getenv("RAFTD_RECORD")) std::ofstream(file) << trace;
  }
}

}  // namespace
}  // namespace raftd::raft::testing
