#include "sim/quorums.h"

#include "base/crc32c.h"

namespace raftd::sim {

Quorums::Quorums(std::size_t nodes, std::size_t spares) : own_(nodes) {
  for (std::size_t i = 0; i < nodes - spares; ++i)
    committed_.configuration.voters.push_back({i + 1});
  std::ranges::fill(own_, committed_);
}

bool Quorums::in_effect(std::size_t node, const raft::ConfigurationAt& at) {
  const auto same = [&](const raft::ConfigurationAt& each) {
    return each.index == at.index && each.configuration == at.configuration;
  };
  if (same(own_[node])) return false;
  own_[node] = at;
  // Below what is committed it is that, or one that lost and counts for nobody.
  if (at.index <= known_to_ || std::ranges::any_of(later_, same)) return false;
  later_.push_back(at);
  return true;
}

void Quorums::committed(raft::Index index, std::uint32_t crc) {
  known_to_ = index;
  if (later_.empty()) return;
  for (const raft::ConfigurationAt& each : later_) {
    if (each.index == index && crc32c(raft::encode(each.configuration)) == crc) committed_ = each;
  }
  std::erase_if(later_, [&](const raft::ConfigurationAt& each) { return each.index <= index; });
}

}  // namespace raftd::sim
