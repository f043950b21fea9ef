// Leases: keys that end by cluster time, in the order of their deadlines, and not before.
#include "base/limits.h"
#include "base/rng.h"
#include "kv/store.h"
#include "unit/kv/fixture.h"

namespace raftd::kv {
namespace {

using Choice = LeaseChoice::Kind;

template <class Reply>
Reply take(Fed& fed, machine::Outcome outcome, std::size_t* slices = nullptr) {
  while (!outcome.finished) {
    if (slices != nullptr) ++*slices;
    outcome = fed.store.apply_slice();
  }
  auto* reply = dynamic_cast<Reply*>(outcome.reply.get());
  REQUIRE(reply != nullptr);
  return std::move(*reply);
}

LeaseReply grant(Fed& fed, LeaseId id, std::uint64_t ttl_ms) {
  return take<LeaseReply>(fed, fed.start(GrantLease{id, ttl_ms}));
}
LeaseReply revoke(Fed& fed, LeaseId id, std::size_t* slices = nullptr) {
  return take<LeaseReply>(fed, fed.start(RevokeLease{id}), slices);
}
KeepLeasesReply keep(Fed& fed, std::vector<LeaseId> ids) {
  return take<KeepLeasesReply>(fed, fed.start(KeepLeases{std::move(ids)}));
}
WriteReply put(Fed& fed, std::string_view key, LeaseChoice lease, std::string_view value = "v") {
  Put put;
  put.key = key;
  put.value = value;
  put.lease = lease;
  return fed.apply(put);
}
LeaseQueryReply look(const Fed& fed, LeaseId id, bool with_keys = false, std::string start = "",
                     std::size_t bytes_max = 0) {
  LeaseQuery query;
  query.id = id;
  query.with_keys = with_keys;
  query.start = std::move(start);
  query.bytes_max = bytes_max;
  const auto reply = fed.store.query(query, {fed.time});
  return dynamic_cast<const LeaseQueryReply&>(*reply);
}
bool there(const Fed& fed, std::string_view key) {
  return fed.get(key).result == GetReply::Result::kFound;
}
// What a leader does whose clock is at the time: proposes what is due, until nothing is.
void run_to(Fed& fed, std::uint64_t time) {
  fed.time = time;
  while (const auto command = fed.store.chore({time})) {
    auto outcome = fed.start(ByteView(*command).subspan(machine::kStampBytes));
    while (!outcome.finished)
      outcome = fed.store.apply_slice();
  }
}

}  // namespace

TEST_CASE("a key with a time to live is there until the time is over, and gone then") {
  Fed fed;
  const WriteReply reply = put(fed, "a", {Choice::kPrivate, 5000});
  CHECK(reply.created);
  CHECK(reply.lease == 1);
  CHECK(reply.ttl_ms == 5000);
  CHECK(fed.store.next_chore() == machine::ClusterTime{5000});
  fed.time = 4999;
  CHECK_FALSE(fed.store.chore({4999}).has_value());
  CHECK(fed.get("a").item.lease == 1);
  CHECK(fed.get("a").item.ttl_ms == 1);
  run_to(fed, 5000);
  CHECK_FALSE(there(fed, "a"));
  CHECK(fed.revision() == 3);
  CHECK(fed.store.stats().leases == 0);
  CHECK(fed.store.stats().keys == 0);
  CHECK(fed.store.stats().bytes == 0);
  fed.store.check_invariants();
}

TEST_CASE("an expiry that comes too early, as a wrong leader might propose it, ends nothing") {
  Fed fed;
  put(fed, "a", {Choice::kPrivate, 5000});
  fed.time = 4999;
  const auto reply = take<LeaseReply>(fed, fed.start(ExpireLeases{}));
  CHECK(reply.deleted == 0);
  CHECK(there(fed, "a"));
  CHECK(fed.revision() == 2);
}

TEST_CASE("leases end in the order of their deadlines, then of their ids, a revision each") {
  Fed fed;
  grant(fed, 30, 2000);
  grant(fed, 20, 3000);
  grant(fed, 40, 2000);
  grant(fed, 50, 1000);  // Without a key: ends without a revision.
  for (const LeaseId id : {20U, 30U, 40U}) {
    put(fed, "x" + std::to_string(id), {Choice::kAttach, id});
    put(fed, "y" + std::to_string(id), {Choice::kAttach, id});
  }
  const Revision before = fed.revision();
  run_to(fed, 3000);
  CHECK(fed.revision() == before + 3);
  CHECK(fed.store.stats().leases == 0);
  const auto seen = [&](const char* key, Revision rev) {
    return fed.get(key, rev).result == GetReply::Result::kFound;
  };
  const char* kOrder[] = {"x30", "x40", "x20"};
  for (Revision i = 0; i < 3; ++i) {
    CHECK(seen(kOrder[i], before + i));
    CHECK_FALSE(seen(kOrder[i], before + i + 1));
  }
  CHECK_FALSE(seen("y30", before + 1));  // Together with the other one.
  fed.store.check_invariants();
}

TEST_CASE("a keepalive gives the whole time again, and says which leases there are none") {
  Fed fed;
  grant(fed, 7, 2000);
  put(fed, "a", {Choice::kAttach, 7});
  const Revision revision = fed.revision();
  fed.time = 1900;
  CHECK(keep(fed, {7, 8, 7}).ttls_ms == std::vector<std::uint64_t>{2000, 0, 2000});
  CHECK(fed.revision() == revision);
  run_to(fed, 3899);
  CHECK(there(fed, "a"));
  fed.time = 3900;  // Its time is over, but the log has not ended it: nobody was told.
  CHECK(keep(fed, {7}).ttls_ms[0] == 2000);
  run_to(fed, 5900);
  CHECK_FALSE(there(fed, "a"));
  CHECK(keep(fed, {7}).ttls_ms[0] == 0);
  fed.store.check_invariants();
}

TEST_CASE("ids are chosen that nobody has; one that is taken is refused") {
  Fed fed;
  CHECK(grant(fed, 1, 1000).id == 1);
  CHECK(grant(fed, 3, 1000).id == 3);
  CHECK(grant(fed, 0, 1000).id == 2);
  CHECK(grant(fed, 0, 1000).id == 4);
  const LeaseReply taken = grant(fed, 3, 9000);
  CHECK(taken.result == StoreReply::Result::kLeaseExists);
  CHECK(taken.number == 3);
  CHECK(look(fed, 3).lease.ttl_ms == 1000);
  CHECK(grant(fed, limits::kLeaseIdMax, 1000).result == StoreReply::Result::kDone);
  fed.store.check_invariants();
}

TEST_CASE("a revoked lease takes its keys with it; one that is not there takes nothing") {
  Fed fed;
  grant(fed, 5, 60'000);
  put(fed, "a", {Choice::kAttach, 5});
  put(fed, "b", {Choice::kAttach, 5});
  put(fed, "c", {});
  const LeaseReply reply = revoke(fed, 5);
  CHECK(reply.result == StoreReply::Result::kDone);
  CHECK(reply.deleted == 2);
  CHECK(reply.revision == 5);
  CHECK_FALSE(there(fed, "a"));
  CHECK(there(fed, "c"));
  const LeaseReply again = revoke(fed, 5);
  CHECK(again.result == StoreReply::Result::kLeaseNotFound);
  CHECK(again.deleted == 0);
  CHECK(again.revision == 5);
  fed.store.check_invariants();
}

TEST_CASE("what a write does with the lease: none, as it was, another, one of its own") {
  Fed fed;
  grant(fed, 5, 60'000);
  put(fed, "a", {Choice::kAttach, 5});
  CHECK(put(fed, "a", {Choice::kKeep, 0}).lease == 5);
  CHECK(look(fed, 5).lease.keys == 1);
  CHECK(put(fed, "new", {Choice::kKeep, 0}).lease == 0);
  const WriteReply unknown = put(fed, "a", {Choice::kAttach, 6});
  CHECK(unknown.result == StoreReply::Result::kLeaseNotFound);
  CHECK(unknown.number == 6);
  const WriteReply own = put(fed, "a", {Choice::kPrivate, 1000});
  CHECK(own.lease == 1);
  CHECK(look(fed, 5).lease.keys == 0);
  CHECK(look(fed, 5).found);  // Whoever made it may use it again.
  CHECK(put(fed, "a", {}).lease == 0);
  CHECK_FALSE(look(fed, 1).found);  // Nobody can use it any more.
  run_to(fed, 10'000);
  CHECK(there(fed, "a"));
  fed.store.check_invariants();
}

TEST_CASE("a lease of a key's own ends with the key, however that ends, and is made anew") {
  Fed fed;
  const LeaseId first = put(fed, "a", {Choice::kPrivate, 1000}).lease;
  const LeaseId second = put(fed, "a", {Choice::kPrivate, 1000}).lease;
  CHECK(second != first);
  CHECK(keep(fed, {first}).ttls_ms[0] == 0);  // The former owner must hear of it.
  CHECK(put(fed, "a", {Choice::kKeep, 0}).lease == second);
  fed.del("a");
  CHECK(fed.store.stats().leases == 0);
  put(fed, "p/a", {Choice::kPrivate, 1000});
  put(fed, "p/b", {Choice::kPrivate, 1000});
  CHECK(fed.store.stats().leases == 2);
  fed.apply(DeletePrefix{"p/", 0});
  CHECK(fed.store.stats().leases == 0);
  fed.store.check_invariants();
}

TEST_CASE("touch renews the lease of a key, changes its length only if it is nobody else's") {
  Fed fed;
  CHECK(fed.apply(Touch{"a"}).result == StoreReply::Result::kNotFound);
  put(fed, "a", {});
  CHECK(fed.apply(Touch{"a"}).result == StoreReply::Result::kNoLease);
  grant(fed, 5, 2000);
  put(fed, "a", {Choice::kAttach, 5});
  put(fed, "b", {Choice::kAttach, 5});
  const Revision revision = fed.revision();
  fed.time = 1500;
  CHECK(fed.apply(Touch{"a", 9000}).result == StoreReply::Result::kSharedLease);
  const WriteReply touched = fed.apply(Touch{"a"});
  CHECK(touched.lease == 5);
  CHECK(touched.ttl_ms == 2000);
  CHECK(look(fed, 5).lease.remaining_ms == 2000);
  fed.del("b");
  CHECK(fed.apply(Touch{"a", 9000}).ttl_ms == 9000);
  CHECK(look(fed, 5).lease.remaining_ms == 9000);
  CHECK(fed.revision() == revision + 1);  // Of the delete.
  fed.store.check_invariants();
}

TEST_CASE(
    "a lease with very many keys ends in parts, smallest keys first, and nobody sees half of it") {
  Fed fed;
  grant(fed, 5, 1000);
  const std::size_t keys = 2 * limits::kApplyKeysPerSliceMax + 100;
  const auto key = [](std::size_t i) { return "k" + std::to_string(100'000 + i); };
  for (std::size_t i = keys; i-- > 0;)
    put(fed, key(i), {Choice::kAttach, 5});
  const Revision before = fed.revision();
  SUBCASE("when its time is over") {
    fed.time = 1000;
    CHECK(fed.store.chore({1000}) == encode(ExpireLeases{}));
    machine::Outcome outcome = fed.start(ExpireLeases{});
    REQUIRE_FALSE(outcome.finished);
    CHECK(fed.revision() == before);
    CHECK(there(fed, key(0)));
    CHECK(fed.store.stats().keys == keys);
    CHECK(take<LeaseReply>(fed, std::move(outcome)).deleted == keys);
  }
  SUBCASE("when it is revoked") {
    std::size_t slices = 0;
    CHECK(revoke(fed, 5, &slices).deleted == keys);
    CHECK(slices == 2);
  }
  const std::size_t part = limits::kLeaseKeysPerRevokeMax;
  CHECK(fed.revision() == before + (keys + part - 1) / part);
  CHECK(fed.get(key(part - 1), before + 1).result == GetReply::Result::kNotFound);
  CHECK(fed.get(key(part), before + 1).result == GetReply::Result::kFound);
  CHECK(fed.store.stats().keys == 0);
  CHECK(fed.store.stats().leases == 0);
  fed.store.check_invariants();
}

TEST_CASE("of very many that are due at once each entry ends a bounded number") {
  Fed fed;
  for (LeaseId id = 1; id <= 2 * limits::kLeasesPerExpiryMax + 1; ++id)
    grant(fed, id, 1000);
  fed.time = 1000;
  const std::uint64_t entries = fed.index;
  run_to(fed, 1000);
  CHECK(fed.index - entries == 3);
  CHECK(fed.store.stats().leases == 0);
  // Of such with many keys, no more than fill a slice.
  for (LeaseId id = 1; id <= 3; ++id) {
    grant(fed, id, 1000);
    for (std::size_t i = 0; i < limits::kApplyKeysPerSliceMax; ++i)
      put(fed, std::to_string(id) + "/" + std::to_string(i), {Choice::kAttach, id});
  }
  fed.time = 2000;
  CHECK(take<LeaseReply>(fed, fed.start(ExpireLeases{})).deleted == limits::kApplyKeysPerSliceMax);
  CHECK(fed.store.stats().leases == 2);
  fed.store.check_invariants();
}

TEST_CASE("the keys of a lease are shown in bounded pieces, locks among them are not") {
  Fed fed;
  grant(fed, 5, 1000);
  for (int i = 0; i < 10; ++i)
    put(fed, "k" + std::to_string(i), {Choice::kAttach, 5});
  CHECK(look(fed, 5).lease.keys == 10);
  CHECK(look(fed, 5).keys.empty());
  CHECK(look(fed, 5, true).keys.size() == 10);
  std::vector<std::string> all;
  LeaseQueryReply piece = look(fed, 5, true, "", 6);
  while (true) {
    CHECK(piece.keys.size() <= 3);
    all.insert(all.end(), piece.keys.begin(), piece.keys.end());
    if (!piece.more) break;
    piece = look(fed, 5, true, piece.next, 6);
  }
  CHECK(all == look(fed, 5, true).keys);
  CHECK_FALSE(look(fed, 6, true).found);
}

TEST_CASE("all leases are shown in bounded pieces, by id") {
  Fed fed;
  const std::size_t count = limits::kLeasesPerSliceMax + 7;
  for (std::size_t i = 0; i < count; ++i)
    grant(fed, 0, 1000);
  LeasesQuery query;
  std::size_t seen = 0;
  std::size_t pieces = 0;
  LeaseId last = 0;
  do {
    const auto reply = fed.store.query(query, {400});
    const auto& piece = dynamic_cast<const LeasesReply&>(*reply);
    CHECK(piece.rows.size() <= limits::kLeasesPerSliceMax);
    for (const LeaseRow& row : piece.rows) {
      REQUIRE(row.id > last);
      last = row.id;
      CHECK(row.remaining_ms == 600);
      ++seen;
    }
    ++pieces;
    query.start = piece.next;
  } while (query.start != 0);
  CHECK(seen == count);
  CHECK(pieces == 2);
}

TEST_CASE("deleting keys by prefix in slices ends the leases of their own") {
  Fed fed;
  for (std::size_t i = 0; i < limits::kApplyKeysPerSliceMax + 10; ++i)
    put(fed, "k" + std::to_string(i), {Choice::kPrivate, 1000});
  machine::Outcome outcome = fed.start(DeletePrefix{"k", 0});
  REQUIRE_FALSE(outcome.finished);
  while (!outcome.finished)
    outcome = fed.store.apply_slice();
  CHECK(fed.store.stats().leases == 0);
  fed.store.check_invariants();
}

}  // namespace raftd::kv
