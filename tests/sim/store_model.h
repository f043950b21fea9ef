// The key-value store once more, as simply as it can be said: what every answer is held against.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kv/query.h"
#include "machine/state_machine.h"

namespace raftd::sim {

class StoreModel {
 public:
  // The next entry of the log.
  void apply(const machine::Applied& entry);

  raft::Index applied() const { return {after_.size()}; }
  // After this entry. Precondition: it is applied.
  std::uint64_t revision_at(raft::Index index) const;

  // Why an answer that was read at this index is wrong; empty: it is right.
  std::string check(raft::Index at, const kv::GetQuery& query, const kv::GetReply& reply) const;
  std::string check(raft::Index at, const kv::RangeQuery& query, const kv::RangeReply& reply) const;
  // Of the write at this index.
  std::string check(raft::Index at, const kv::WriteReply& reply) const;

 private:
  struct Version {
    std::uint64_t mod = 0;
    std::uint64_t create = 0;
    std::uint64_t version = 0;  // 0: deleted.
    std::uint64_t value = 0;    // Its fingerprint: values may be large.
  };
  using Versions = std::vector<Version>;
  using Keys = std::map<std::string, Versions, std::less<>>;
  struct After {  // One entry.
    std::uint64_t revision = 1;
    std::uint64_t compacted = 0;
    bool refused = false;  // Its condition did not hold.
  };

  After after(raft::Index index) const { return index ? after_[index.value - 1] : After(); }
  static const Version* at(const Versions& versions, std::uint64_t revision);
  static std::string compare(const kv::Item& item, const Version& version, bool with_value);
  static std::string check_rows(const kv::RangeQuery& query, const kv::RangeReply& reply,
                                const std::vector<Keys::const_iterator>& keys,
                                std::uint64_t revision);

  Keys keys_;
  std::vector<After> after_;  // Index 1 first.
};

}  // namespace raftd::sim
