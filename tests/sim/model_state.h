// What a store holds, as maps of maps: keys in their spaces with all they ever were, and leases.
// Every change goes through a few words here, each of which can be taken back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kv/query.h"
#include "machine/state_machine.h"

namespace raftd::sim {

// Values may be large: what is only compared is kept as its length and checksum.
std::string shortened(std::string_view value);

struct ModelKey {
  std::string value;
  std::uint64_t mod = 0;
  std::uint64_t create = 0;
  std::uint64_t version = 0;
  kv::LeaseId lease = 0;
  std::shared_ptr<const kv::LockRecord> record;  // Of locks, elections and waiters; no value then.
};
struct ModelVersion {
  std::uint64_t mod = 0;
  std::uint64_t create = 0;
  std::uint64_t version = 0;  // 0: it ended,
  bool expired = false;       //   with its lease.
  kv::LeaseId lease = 0;
  std::string value;  // shortened().
};
struct ModelLease {
  std::uint64_t ttl_ms = 0;
  machine::ClusterTime deadline;
  bool owned = false;
};

class ModelState {
 public:
  using Name = std::pair<kv::Space, std::string>;
  using Live = std::map<std::string, ModelKey, std::less<>>;
  using History = std::map<std::string, std::vector<ModelVersion>, std::less<>>;

  std::uint64_t revision() const { return revision_; }
  const Live& live(kv::Space space) const { return live_[static_cast<std::size_t>(space)]; }
  const ModelKey* find(kv::Space space, std::string_view key) const;
  std::vector<std::string> keys_in(const kv::Span& span) const;
  const History& history() const { return history_; }
  std::uint64_t bytes() const { return bytes_; }
  // The keys that a revision wrote, in their order.
  const std::vector<std::string>& written(std::uint64_t revision) const;

  // Both belong to the next revision, which end_revision() makes, if anything was written.
  void put(kv::Space space, const std::string& key, std::string_view value, kv::LeaseId lease,
           std::shared_ptr<const kv::LockRecord> record = {});
  void erase(kv::Space space, const std::string& key, bool expired);
  void end_revision();

  const std::map<kv::LeaseId, ModelLease>& leases() const { return leases_; }
  const ModelLease* lease(kv::LeaseId id) const;
  const std::set<Name>& keys_of(kv::LeaseId id) const;
  void set_lease(kv::LeaseId id, std::optional<ModelLease> lease);
  kv::LeaseId new_lease(const ModelLease& lease);  // Its number is the one after the last one's.
  void end_unused_leases();                        // Owned ones, which no key has any more.

  // From begin() on, everything can be taken back.
  void begin();
  void undo();
  void keep();

 private:
  void set(const Name& name, std::optional<ModelKey> key);

  std::uint64_t revision_ = 1;
  Live live_[kv::kSpaces];
  History history_;  // Of Space::kKeys.
  std::map<kv::LeaseId, ModelLease> leases_;
  std::map<kv::LeaseId, std::set<Name>> keys_of_;
  kv::LeaseId last_lease_ = 0;
  std::uint64_t bytes_ = 0;
  bool detached_ = false;
  std::vector<std::pair<Name, bool>> changed_;     // In the next revision; true: it expired.
  std::vector<std::vector<std::string>> written_;  // By revision, from 2 on.
  std::optional<std::vector<std::function<void()>>> undo_;
};

}  // namespace raftd::sim
