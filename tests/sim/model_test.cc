// The store held against the model entry by entry, without a cluster: whatever is asked of it,
// every answer and all its content are what the model says, also of a store that comes from a
// snapshot.
#include <doctest/doctest.h>

#include "kv/store.h"
#include "sim/requests.h"
#include "sim/store_model.h"

namespace raftd::sim {
namespace {

constexpr std::uint64_t kSeeds = 20;
constexpr std::uint64_t kEntries = 1500;

class Played {
 public:
  explicit Played(std::uint64_t seed) : rng_(seed), store_(fresh()) {}

  void play(std::uint64_t entries) {
    std::deque<Request> before;
    for (std::uint64_t i = 1; i <= entries; ++i) {
      // At times nothing happens for long, and answers are forgotten.
      now_.value += rng_.one_in(400) ? 700'000 : rng_.below(rng_.one_in(10) ? 3000 : 50);
      while (const auto chore = store_->chore(now_))
        REQUIRE(apply(*chore).empty());
      const bool again = !before.empty() && rng_.one_in(6);
      Request request = again ? before[rng_.below(before.size())]
                              : requests_.make(rng_, "c", i, model_.state().revision());
      const bool misused = again && !request.idempotency_key.empty() && rng_.one_in(4);
      if (misused) request = Requests::misuse(request);
      REQUIRE(apply(request.command, &request).empty());
      if (!again) before.push_back(std::move(request));
      if (before.size() > 8) before.pop_front();
      const bool everything = rng_.one_in(50);
      REQUIRE(model_.check(model_.applied(), *store_, everything) == "");
      if (everything) store_->check_invariants();
      if (rng_.one_in(100)) pass_on();
      store_->tidy_slice();
    }
  }

  void command(const kv::Command& command, std::uint64_t ms_later = 0) {
    now_.value += ms_later;
    REQUIRE(apply(kv::encode(command)).empty());
    REQUIRE(model_.check(model_.applied(), *store_, true) == "");
    store_->check_invariants();
  }
  const kv::Store& store() const { return *store_; }

 private:
  static std::unique_ptr<kv::Store> fresh() {
    return std::make_unique<kv::Store>(kv::HistoryLimits{.age_ms = 5000, .bytes = 64 * 1024});
  }

  std::string apply(const Bytes& command, const Request* request = nullptr) {
    const raft::Index index = model_.applied().next();
    const machine::Applied entry{index, {1}, now_, ByteView(command).subspan(machine::kStampBytes)};
    model_.apply(entry);
    machine::Outcome outcome = store_->apply(entry, true);
    while (!outcome.finished)
      outcome = store_->apply_slice();
    const auto* reply = dynamic_cast<const kv::StoreReply*>(outcome.reply.get());
    REQUIRE(reply != nullptr);
    if (request == nullptr) return {};
    requests_.heard(*request, *reply);
    const std::string why = model_.check(index, *reply);
    CHECK(why == "");
    return why;
  }

  // From now on another store plays, which has read all that this one wrote.
  void pass_on() {
    Bytes bytes;
    for (const auto writer = store_->snapshot(); !writer->write_slice(bytes, 1000);) {
    }
    auto other = fresh();
    const auto reader = other->restore();
    REQUIRE(reader->feed(bytes));
    REQUIRE(reader->complete());
    reader->commit(model_.applied(), now_);
    REQUIRE(other->digest() == store_->digest());
    REQUIRE(other->state_hash() == store_->state_hash());
    store_ = std::move(other);
  }

  Rng rng_;
  machine::ClusterTime now_;
  StoreModel model_;
  Requests requests_;
  std::unique_ptr<kv::Store> store_;
};

}  // namespace

TEST_CASE("whatever is asked of a store, its answers and its content are those of the model") {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    CAPTURE(seed);
    Played(seed).play(kEntries);
  }
}

TEST_CASE(
    "a key with the lease of a place in a queue outlives the place, and ends with the lease") {
  const auto wait = [](std::string_view owner) {
    return kv::Acquire{kv::Space::kLocks, "job", 1000, owner, "", true};
  };
  const kv::LeaseChoice of_the_place{kv::LeaseChoice::Kind::kAttach, 2};
  for (const bool released : {false, true}) {
    CAPTURE(released);
    Played played(1);
    played.command(wait("holder"));
    played.command(wait("waiter"));
    played.command(kv::Put{"a", "1", {}, false, of_the_place});
    if (released) played.command(kv::Release{kv::Space::kLocks, "job", 2}, 20'000);
    played.command(kv::ExpireLeases{}, 20'000);
    CHECK(played.store().stats().keys == 0);
    CHECK(played.store().stats().leases == 0);
  }
}

TEST_CASE("of leases with very many keys one entry ends as many as the model says") {
  constexpr kv::LeaseId kLeases = 3;
  Played played(1);
  for (kv::LeaseId id = 1; id <= kLeases; ++id) {
    played.command(kv::GrantLease{id, 1000});
    for (int i = 0; i < 5; ++i) {
      kv::Transaction transaction;
      std::deque<std::string> names;
      for (int k = 0; k < 500; ++k) {
        names.push_back(std::to_string(id * 100'000 + static_cast<std::uint64_t>(i * 500 + k)));
        const kv::LeaseChoice choice{kv::LeaseChoice::Kind::kAttach, id};
        transaction.then.push_back({kv::Put{names.back(), "", {}, false, choice}});
      }
      played.command(transaction);
    }
  }
  played.command(kv::ExpireLeases{}, 1000);
  CHECK(played.store().stats().leases == 1);
  played.command(kv::ExpireLeases{});
  CHECK(played.store().stats().leases == 0);
}

}  // namespace raftd::sim
