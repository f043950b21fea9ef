#include "sim/nemesis.h"

#include <vector>

namespace raftd::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

void Nemesis::start() {
  const Options& options = cluster_.options();
  often(options.crash_every, &Nemesis::crash);
  often(options.power_loss_every, &Nemesis::power_loss);
  often(options.partition_every, &Nemesis::partition);
  often(options.reset_every, &Nemesis::reset);
  often(options.pause_every, &Nemesis::pause);
  often(options.disk_full_every, &Nemesis::fill_disk);
  often(options.transfer_every, &Nemesis::transfer);
  often(options.stop_every, &Nemesis::stop_node);
}

void Nemesis::stop() {
  stopped_ = true;
}

void Nemesis::often(Duration every, void (Nemesis::*fault)()) {
  if (every == Duration{}) return;
  cluster_.schedule().after(between(rng_, every / 4, every * 2), [this, every, fault] {
    if (stopped_) return;
    (this->*fault)();
    often(every, fault);
  });
}

std::size_t Nemesis::victim() {
  if (chance(rng_, cluster_.options().aim_at_leader_percent)) {
    if (const auto leader = cluster_.leader()) return *leader;
  }
  return rng_.below(cluster_.size());
}

void Nemesis::start_later(std::size_t node) {
  cluster_.schedule().after(between(rng_, milliseconds(1), seconds(1)), [this, node] {
    if (!stopped_) cluster_.start(node);
  });
}

void Nemesis::crash() {
  const std::size_t node = victim();
  cluster_.kill(node, false);
  start_later(node);
}

void Nemesis::power_loss() {
  if (rng_.one_in(3)) {
    for (std::size_t node = 0; node < cluster_.size(); ++node) {
      cluster_.kill(node, true);
      start_later(node);
    }
    return;
  }
  lose_power(victim(), rng_.one_in(3) ? 0 : 200);
}

// Waits a while for the worst moment.
void Nemesis::lose_power(std::size_t node, int tries) {
  if (tries > 0 && cluster_.running(node) && !cluster_.disk(node).mid_frame()) {
    cluster_.schedule().after(std::chrono::microseconds(97), [this, node, tries] {
      if (!stopped_) lose_power(node, tries - 1);
    });
    return;
  }
  cluster_.kill(node, true);
  start_later(node);
}

void Nemesis::partition() {
  ++cluster_.coverage().partitions;
  const std::size_t center = victim();
  const std::uint64_t shape = rng_.below(5);
  std::vector<bool> half(cluster_.size());
  for (std::size_t i = 0; i < half.size(); ++i)
    half[i] = rng_.one_in(2);
  for (std::size_t a = 0; a < cluster_.size(); ++a) {
    for (std::size_t b = 0; b < cluster_.size(); ++b) {
      if (a == b) continue;
      bool cut = false;
      switch (shape) {
        case 0:  // One is alone.
          cut = a == center || b == center;
          break;
        case 1:  // Two halves.
          cut = half[a] != half[b];
          break;
        case 2:  // One is heard by nobody.
          cut = a == center;
          break;
        case 3:  // One hears nobody.
          cut = b == center;
          break;
        default:  // All see one, and each other not: it does not carry over.
          cut = a != center && b != center;
      }
      if (cut) cluster_.network().block(a, b);
    }
  }
  cluster_.schedule().after(between(rng_, milliseconds(20), seconds(3)),
                            [this] { cluster_.network().heal(); });
}

void Nemesis::reset() {
  const std::size_t a = rng_.below(cluster_.size());
  const std::size_t b = rng_.below(cluster_.size());
  if (a != b) cluster_.network().reset(a, b);
}

void Nemesis::pause() {
  cluster_.pause(victim(), between(rng_, milliseconds(10), seconds(3)));
}

void Nemesis::fill_disk() {
  ++cluster_.coverage().full_disks;
  const std::size_t node = victim();
  cluster_.disk(node).set_full(true);
  cluster_.schedule().after(between(rng_, milliseconds(100), seconds(5)),
                            [this, node] { cluster_.disk(node).set_full(false); });
}

void Nemesis::transfer() {
  ++cluster_.coverage().transfers;
  const raft::NodeId target{rng_.below(cluster_.size() + 1)};
  cluster_.submit(victim(), node::Write{node::Transfer{target}}, seconds(1), [](const auto&) {});
}

void Nemesis::stop_node() {
  const std::size_t node = victim();
  if (!cluster_.running(node)) return;
  cluster_.stop(node, seconds(3));
  cluster_.schedule().after(seconds(4), [this, node] {
    if (!stopped_) cluster_.start(node);
  });
}

}  // namespace raftd::sim
