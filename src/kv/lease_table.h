// Leases as the store holds them: what each promises, and which keys end with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/assert.h"
#include "kv/keys.h"
#include "kv/types.h"
#include "machine/state_machine.h"

namespace raftd::kv {

// A place among the keys of all spaces; they are in order.
struct KeyPlace {
  Space space = Space::kKeys;
  std::string_view key;
  bool operator<(const KeyPlace& other) const {
    return space != other.space ? space < other.space : key < other.key;
  }
};

inline KeyPlace place_of(const Key& key) {
  return {key.space(), key.text()};
}
struct InPlace {
  using is_transparent = void;
  bool operator()(const Key* a, const Key* b) const { return place_of(*a) < place_of(*b); }
  bool operator()(const Key* a, const KeyPlace& b) const { return place_of(*a) < b; }
  bool operator()(const KeyPlace& a, const Key* b) const { return a < place_of(*b); }
};

// The live keys of a lease, in order. Most leases have one: it needs no allocation.
class LeaseKeys {
 public:
  bool empty() const { return one_ == nullptr && many_ == nullptr; }
  std::size_t size() const {
    return many_ != nullptr ? many_->size() : static_cast<std::size_t>(one_ != nullptr);
  }
  Key& smallest() const {  // Precondition: !empty().
    ASSERT(!empty());
    return many_ != nullptr ? **many_->begin() : *one_;
  }
  bool contains(Key& key) const { return many_ != nullptr ? many_->contains(&key) : one_ == &key; }

  // Precondition: it is not there.
  void insert(Key& key) {
    ASSERT(!contains(key));
    if (empty()) {
      one_ = &key;
      return;
    }
    if (many_ == nullptr) {
      many_ = std::make_unique<Many>();
      many_->insert(std::exchange(one_, nullptr));
    }
    many_->insert(&key);
  }
  // Precondition: it is there.
  void erase(Key& key) {
    ASSERT(contains(key));
    one_ = nullptr;
    if (many_ == nullptr) return;
    many_->erase(&key);
    if (many_->empty()) many_.reset();
  }
  // Calls visit(key) for each from `from` on, in order, while it returns true.
  template <class Fn>
  void visit_from(const KeyPlace& from, Fn&& visit) const {
    if (one_ != nullptr && !(place_of(*one_) < from)) visit(*one_);
    if (many_ == nullptr) return;
    for (auto at = many_->lower_bound(from); at != many_->end(); ++at) {
      if (!visit(**at)) return;
    }
  }

 private:
  using Many = std::set<Key*, InPlace>;

  Key* one_ = nullptr;  // Null: none, or many.
  // A lease that had many and has one left keeps its set: keys come and go.
  std::unique_ptr<Many> many_;
};

// What of a lease is in a snapshot and in the state's hash; its keys say themselves whose they are.
struct LeaseTimes {
  std::uint64_t ttl_ms = 0;
  machine::ClusterTime deadline;
  bool owned = false;  // It ends when no key uses it any more.
};
struct Lease : LeaseTimes {
  LeaseKeys keys;
};
using Leases = std::map<LeaseId, Lease>;

// The leases as they were when a snapshot was cut, while its writer goes through them by id: what
// changes before the writer comes to it is kept here, so that the cut copies nothing.
struct LeaseCut {
  LeaseId written = 0;  // All up to here are, or will never be.
  // Of those above, what is not now as it was then; nullopt: it was not there.
  std::map<LeaseId, std::optional<LeaseTimes>> before;
};

}  // namespace raftd::kv
