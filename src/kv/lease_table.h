// Leases as the store holds them: what each promises, and which keys end with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "kv/types.h"
#include "kv/versions.h"
#include "machine/state_machine.h"

namespace raftd::kv {

using Keys = std::map<std::string, Versions, std::less<>>;

// A place among the keys of all spaces; they are in order.
struct KeyPlace {
  Space space = Space::kKeys;
  std::string_view key;
  bool operator<(const KeyPlace& other) const {
    return space != other.space ? space < other.space : key < other.key;
  }
};

struct KeyRef {
  Space space;
  Keys::iterator at;
  KeyPlace place() const { return {space, at->first}; }
};
struct InPlace {
  using is_transparent = void;
  bool operator()(const KeyRef& a, const KeyRef& b) const { return a.place() < b.place(); }
  bool operator()(const KeyRef& a, const KeyPlace& b) const { return a.place() < b; }
  bool operator()(const KeyPlace& a, const KeyRef& b) const { return a < b.place(); }
};

// The live keys of a lease, in order. Most leases have one: it needs no allocation.
class LeaseKeys {
 public:
  bool empty() const { return count_ == Count::kNone; }
  std::size_t size() const {
    return count_ == Count::kMany ? many_->size() : static_cast<std::size_t>(count_);
  }
  KeyRef smallest() const {  // Precondition: !empty().
    ASSERT(!empty());
    return count_ == Count::kMany ? *many_->begin() : one();
  }
  bool contains(const KeyRef& key) const {
    if (count_ == Count::kMany) return many_->contains(key);
    return count_ == Count::kOne && one().at == key.at;
  }

  // Precondition: it is not there.
  void insert(const KeyRef& key) {
    ASSERT(!contains(key));
    if (count_ == Count::kNone) {
      space_ = key.space;
      one_ = key.at;
      count_ = Count::kOne;
      return;
    }
    if (count_ == Count::kOne) {
      many_ = std::make_unique<Many>();
      many_->insert(one());
      count_ = Count::kMany;
    }
    many_->insert(key);
  }
  // Precondition: it is there.
  void erase(const KeyRef& key) {
    ASSERT(contains(key));
    if (count_ == Count::kMany) {
      many_->erase(key);
      if (!many_->empty()) return;
      many_.reset();
    }
    count_ = Count::kNone;
  }
  // Calls visit(key) for each from `from` on, in order, while it returns true.
  template <class Fn>
  void visit_from(const KeyPlace& from, Fn&& visit) const {
    if (count_ == Count::kOne) {
      if (!(one().place() < from)) visit(one());
      return;
    }
    if (count_ == Count::kNone) return;
    for (auto at = many_->lower_bound(from); at != many_->end(); ++at) {
      if (!visit(*at)) return;
    }
  }

 private:
  using Many = std::set<KeyRef, InPlace>;
  // A lease that had many and has one left keeps its set: keys come and go.
  enum class Count : std::uint8_t { kNone = 0, kOne = 1, kMany };
  KeyRef one() const { return {space_, one_}; }

  Keys::iterator one_{};
  std::unique_ptr<Many> many_;
  Space space_ = Space::kKeys;
  Count count_ = Count::kNone;
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
