#include "node/snapshot_sending.h"

#include <algorithm>

#include "base/limits.h"
#include "storage/format.h"

namespace raftd::node {

void SnapshotSending::send(raft::Message message) {
  constexpr std::size_t kReadingMax = limits::kReadPlansMax - limits::kLogReadsInFlightMax;
  if (reading_.size() == kReadingMax) return;  // The disk is slow: the core tries again later.
  const auto& chunk = std::get<raft::SnapshotChunk>(message.body);
  const raft::SnapshotId& id = chunk.meta.id;
  storage::DiskPlan plan;
  plan.id = {kOwner << 61U | ++plans_};
  plan.lane = storage::Lane::kRead;
  plan.ops.emplace_back(
      storage::ReadFile{storage::format::snapshot_name(id.last_index.value, id.last_term.value),
                        chunk.offset, chunk.bytes});
  reading_.emplace_back(plan.id, std::move(message));
  disk_.submit(std::move(plan));
}

raft::NodeId SnapshotSending::on_done(const storage::DiskResult& result, raft::Term term) {
  const auto found =
      std::ranges::find(reading_, result.id, &std::pair<storage::PlanId, raft::Message>::first);
  ASSERT(found != reading_.end());
  raft::Message message = std::move(found->second);
  reading_.erase(found);
  if (message.term != term) return {};  // Of a term that is over: nobody waits for it.
  auto& chunk = std::get<raft::SnapshotChunk>(message.body);
  ASSERT_CMP(result.reads.size(), ==, 1U);
  if (!result.reads[0] || result.reads[0]->size() != chunk.bytes) return message.to;
  chunk.data = share(*result.reads[0]);
  network_.send(std::move(message));
  return {};
}

}  // namespace raftd::node
