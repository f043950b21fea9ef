// libFuzzer: three live cores with a leader; their messages travel as bytes, are delivered in any
// order, twice, to the wrong node or changed on the way, and messages that no core sent come among
// them. Proves: whatever a peer sends, no assertion fails and the invariants of each core hold.
#include <array>
#include <cstdint>
#include <deque>
#include <memory>

#include "base/assert.h"
#include "fuzz/input.h"
#include "raft_support/node.h"
#include "wire/codec.h"

namespace {

using namespace raftd;
using namespace raftd::raft;
using namespace raftd::raft::testing;

constexpr std::size_t kStepsMax = 300;
constexpr std::size_t kMailMax = 64;

class Three {
 public:
  explicit Three(fuzz::Input& input) : input_(input), tail_(input.below(8)) {
    for (std::uint64_t id = 1; id <= 3; ++id)
      start(id, first_start(make_configuration({1, 2, 3})));
    while (node(1).core->role().role != Role::kLeader) {
      now_ = std::max(now_, node(1).core->next_deadline());
      node(1).core->tick(now_);
      settle(1);
      while (!mail_.empty())
        deliver(0);
    }
  }

  void run() {
    for (std::size_t steps = 0; steps < kStepsMax && !input_.empty(); ++steps)
      step();
  }

 private:
  TestNode& node(std::uint64_t id) { return *nodes_.at(id - 1); }
  std::uint64_t any_node() { return 1 + input_.below(3); }

  void start(std::uint64_t id, TestDisk disk) {
    nodes_.at(id - 1) =
        std::make_unique<TestNode>(core_config(id), std::move(disk), now_, id, tail_);
    for (std::uint64_t other = 1; other <= 3; ++other)
      if (other != id) node(id).core->connected({other}, 0);
    settle(id);
  }

  void settle(std::uint64_t id) {
    node(id).pump(now_);
    for (const Message& message : node(id).take_sent()) {
      Bytes body;
      wire::encode(message, body);
      if (mail_.size() == kMailMax) mail_.pop_front();
      mail_.push_back(std::move(body));
    }
    node(id).applied.clear();
    node(id).reads.clear();
  }

  // What the receiving side does with a frame's body: replicas look whether it is for them.
  void receive(std::uint64_t id, const Bytes& body) {
    const auto decoded = wire::decode(share(body));
    if (!decoded) return;
    const auto* message = std::get_if<Message>(&*decoded);
    if (message == nullptr) return;
    node(id).core->step(now_, *message);
    settle(id);
  }

  void deliver(std::size_t at) {
    if (mail_.empty()) return;
    at %= mail_.size();
    const Bytes body = std::move(mail_[at]);
    mail_.erase(mail_.begin() + static_cast<std::ptrdiff_t>(at));
    for (std::uint64_t id = 1; id <= 3; ++id)
      receive(id, body);
  }

  void change(std::size_t at) {
    if (mail_.empty()) return;
    Bytes& body = mail_[at % mail_.size()];
    body[input_.below(body.size())] = static_cast<std::byte>(input_.byte());
  }

  // Around what that node has, so that not everything is refused at the first look.
  Index index_near(std::uint64_t id) {
    const std::uint64_t last = node(id).core->last_index().value;
    return {last + 3 - std::min(last + 3, input_.below(8))};
  }
  Term term_near(std::uint64_t id) {
    const std::uint64_t term = node(id).core->hard_state().term.value;
    return {term + 1 - std::min(term + 1, input_.below(4))};
  }

  AppendRequest forged_append(std::uint64_t to, Term term) {
    AppendRequest request{index_near(to), term_near(to), index_near(to), {input_.below(8)}, {}};
    if (input_.flag()) {  // Where the receiver agrees.
      const auto& known = node(to).disk.entries;
      const std::size_t at = std::min<std::size_t>(request.prev_index.value, known.size());
      request.prev_index = {at};
      request.prev_term = at == 0 ? Term{} : known[at - 1].term;
    }
    Index index = request.prev_index;
    for (std::uint64_t left = input_.below(4); left > 0; --left) {
      index = index.next();
      switch (input_.below(4)) {
        case 0:
          request.entries.push_back(noop(index.value, term.value));
          break;
        case 1:
          request.entries.push_back(members(index.value, term.value, forged_configuration()));
          break;
        default:
          request.entries.push_back(command(index.value, term_near(to).value, "12345678"));
      }
    }
    return request;
  }

  Configuration forged_configuration() {
    std::vector<std::uint64_t> lists[3];
    for (std::uint64_t id = 1; id <= 4; ++id) {
      const std::uint64_t which = input_.below(5);
      if (which < 3) lists[which].push_back(id);
      if (which == 3) lists[0].push_back(id), lists[1].push_back(id);
    }
    if (lists[0].empty()) lists[0].push_back(5);
    return make_configuration(lists[0], lists[1], lists[2]);
  }

  void forge(std::uint64_t to) {
    Message message{{1 + input_.below(4)}, {to}, term_near(to), TimeoutNow{}};
    switch (input_.below(7)) {
      case 0:
        message.body = VoteRequest{index_near(to), term_near(to), input_.flag(), input_.flag()};
        break;
      case 1:
        message.body = VoteReply{input_.flag(), input_.flag()};
        break;
      case 2:
        message.body = forged_append(to, message.term);
        break;
      case 3:
        message.body = AppendReply{AppendReply::Accepted{index_near(to)}, {input_.below(8)}};
        break;
      case 4:
        message.body = AppendReply{
            AppendReply::Rejected{index_near(to), index_near(to), term_near(to), index_near(to)},
            {input_.below(8)}};
        break;
      case 5:
        message.body =
            ReadIndexReply{{input_.flag() ? to * 1000 : 1}, input_.below(4), index_near(to)};
        break;
      default:
        break;
    }
    Bytes body;
    wire::encode(message, body);
    receive(to, body);
  }

  void restart(std::uint64_t id) { start(id, node(id).disk); }

  void step() {
    const std::uint64_t id = any_node();
    switch (input_.below(13)) {
      case 0:
        now_ = now_ + Duration(std::chrono::milliseconds(input_.below(64)));
        node(id).core->tick(now_);
        break;
      case 1:  // With a hanging disk it may be never.
        now_ = std::clamp(node(id).core->next_deadline(), now_, now_ + std::chrono::seconds(1));
        node(id).core->tick(now_);
        break;
      case 2:
      case 3:
        return deliver(input_.below(8));
      case 4:
        return change(input_.below(8));
      case 5:
      case 6:
        return forge(id);
      case 7:
        (void)node(id).core->propose(now_, share(to_bytes("12345678")));
        break;
      case 8:
        (void)node(id).core->read(now_, input_.byte());
        break;
      case 9:
        (void)node(id).core->transfer(now_, {input_.below(4)});
        break;
      case 10:
        node(id).auto_persist = !node(id).auto_persist;
        if (node(id).writing) node(id).persist(now_);
        break;
      case 11:
        return restart(id);
      default:  // Bytes of nobody.
        return receive(id, to_bytes(as_text(input_.bytes(input_.below(64)))));
    }
    settle(id);
  }

  fuzz::Input& input_;
  std::size_t tail_;
  Instant now_ = at(0ms);
  std::array<std::unique_ptr<TestNode>, 3> nodes_;
  std::deque<Bytes> mail_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  Three(input).run();
  return 0;
}
