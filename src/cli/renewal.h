// Keeps a lease, a lock or an election alive beside something else: one short try at a time, so
// that signals get their turn between two.
#pragma once

#include <string>

#include "cli/client.h"

namespace raftd::cli {

class Renewal {
 public:
  enum class State : unsigned char { kRenewed, kTryAgain, kLost };

  // target: of the POST that renews it for ttl. valid_until: what is known already.
  Renewal(Client& client, std::string target, Duration ttl, Instant valid_until);

  // How long until it is time for attempt(); zero: it is.
  Duration pause() const;
  // Blocking, for kTryTime at most. kLost: a node said so, or none renewed it in time; problem()
  // is the reason, and there is nothing to attempt any more.
  State attempt();

  const HttpAnswer& answer() const { return answer_; }  // Of kRenewed.
  const std::string& problem() const { return problem_; }
  bool was_refused() const { return was_refused_; }  // Of kLost: a node said so.

 private:
  Client& client_;
  const std::string target_;
  const Duration ttl_;
  Instant valid_until_;
  Instant due_;
  Instant begun_;           // The first try of the renewal that is under way;
  bool under_way_ = false;  //   the time counts from there, whichever of its tries was heard,
  std::string key_;         //   for they are one write.
  bool was_refused_ = false;
  HttpAnswer answer_;
  std::string problem_;
};

}  // namespace raftd::cli
