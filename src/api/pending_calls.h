// Requests in progress: each is a Call that waits for the replica, for a change, or for others to
// go out with. Streams that ask for their next piece wait here as well.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/beats.h"
#include "api/call.h"

namespace raftd::api {

// Of a request, what its answer is given with.
struct Asker {
  RequestId id;   // 0: nobody gets an answer.
  Instant begun;  // And as much later as it waited for a change.
  Root root = Root::kOther;
  std::string traceparent;
};

class PendingCalls final : public Feeder, public LongPoll::Owner {
 public:
  // The front end that they are of.
  class Host {
   public:
    virtual ~Host() = default;
    virtual Site site() = 0;  // With headers that are up to date.
    virtual Backend& backend() = 0;
    virtual Metrics& metrics() = 0;
    virtual Leftovers& leftovers() = 0;
    virtual void answer(const Asker& asker, http::Response response) = 0;
    virtual void wake_stream(RequestId id) = 0;
  };

  // The references outlive it.
  PendingCalls(Host& host, const ServiceLimits& limits, Watches& watches);

  // timeout: of the client's patience with each step; a step that waits for a change may take
  // longer by that.
  void start(Asker asker, Duration timeout, Started started);
  void beat(Asker asker, Duration timeout, Beating beating);
  void start_own(std::unique_ptr<Call> call, node::ClientOp op);  // For no client.

  void complete(node::ClientToken token, node::ClientResult result);
  void on_gone(RequestId id);
  void on_input_end(RequestId id);
  void on_turn() { beats_.on_turn(now()); }

  node::ClientToken ask(Feed& feed, node::ClientOp op) override;
  void drop(node::ClientToken token) override;
  void wake(RequestId id) override { host_.wake_stream(id); }

 private:
  struct Pending {
    std::uint64_t token = 0;  // 0: this slot is free.
    Asker asker;
    Instant deadline;
    Duration timeout{};
    std::unique_ptr<Call> call;
    Feed* feed = nullptr;            // Instead of call.
    bool proposes = false;           // What was asked last is a write.
    bool beats = false;              // The replica has not been asked under this token.
    std::unique_ptr<LongPoll> poll;  // Waits for a change: then the replica knows nothing of it.
    Instant parked;
    bool input_ended = false;  // Its client does not wait any longer.
  };

  Instant now() const { return watches_.now; }
  Pending& make();
  Pending& make(Asker asker, Duration timeout, std::unique_ptr<Call> call);
  Pending* find(node::ClientToken token);
  Pending* find(RequestId id);  // Null: a stream, or answered.
  void free(Pending& pending);
  void remember(RequestId id, node::ClientToken token);
  void forget(RequestId id);
  node::ClientToken ask_until(Feed& feed, node::ClientOp op, Instant deadline);
  void ask_replica(Pending& pending, node::ClientOp op);
  void ask_again(Pending& pending, node::ClientOp op);  // Under another token.
  Step take(const Site& site, Pending& pending, node::ClientResult& result);
  void proceed(const Site& site, Pending& pending, Step step);
  void park(const Site& site, Pending& pending, Park wanted);
  std::unique_ptr<LongPoll> unpark(Pending& pending);
  void on_woken(std::uint64_t id, Woken woken) override;

  // A token is its slot's number below kSlotBits and a sequence number above: never used twice,
  // found without a search. The highest bit stays zero.
  static constexpr unsigned kSlotBits = 21;
  static constexpr std::uint64_t kSlotMask = (1ULL << kSlotBits) - 1;
  static_assert((1ULL << kSlotBits) > limits::kHttpConnectionsMax * limits::kHttpPipelineMax);

  Host& host_;
  const ServiceLimits& limits_;
  Watches& watches_;
  Beats beats_;
  std::vector<Pending> slots_;
  std::vector<std::uint64_t> free_slots_;
  using ByRequest = std::unordered_map<std::uint64_t, node::ClientToken>;
  ByRequest by_request_;
  std::vector<ByRequest::node_type> spare_;  // Of it: at most as many as there are slots.
  std::uint64_t sequence_ = 0;
};

}  // namespace raftd::api
