// Keepalives of many clients, gathered into few log entries: while one command is under way, beats
// that come in wait for the next. So an idle node answers at once, a busy one writes one entry per
// round trip, and nobody waits for a timer.
//
// The happy path is: a beat comes when nothing is under way and goes out alone; those that come
// before its answer go out together then; each gets its own answer out of the common one.
//
// Possible failure modes are: the command is refused, or nobody knows what became of it (all that
// were in it hear that); a beat's own time is over while it waits or is under way (only this one
// hears it; seen when the clock is looked at, on each turn); a client goes away (its beat is sent,
// and its answer given to nobody).
#pragma once

#include <functional>
#include <vector>

#include "api/call.h"

namespace raftd::api {

class Beats final : public Feed {
 public:
  // Both may call back into this object.
  struct Outside {
    std::function<void(node::ClientOp op, Instant deadline)> ask;  // on_result() follows, later.
    std::function<void(node::ClientToken token, node::ClientResult result)> complete;
    std::function<bool(node::ClientToken token)> waits;  // Its client is still there.
  };
  explicit Beats(Outside outside) : outside_(std::move(outside)) {}

  void add(node::ClientToken token, kv::LeaseId lease, Instant deadline);
  void on_turn(Instant now);
  void on_result(node::ClientResult result) override;

 private:
  struct Beat {
    node::ClientToken token;
    kv::LeaseId lease = 0;
    Instant deadline;
    bool told = false;  // Its time was over.
  };
  void send();
  std::vector<Beat> take_expired(std::vector<Beat>& beats, Instant now);
  void tell(const Beat& beat, node::ClientResult result);

  Outside outside_;
  std::vector<Beat> gathered_;
  std::vector<Beat> sent_;  // In the command's order; empty: none is under way.
  Instant earliest_ = Instant::never();
};

}  // namespace raftd::api
