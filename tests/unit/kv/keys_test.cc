// Goal: keys are in order and stay where they are, and a key says of its versions what was written,
// whichever of their forms they have. Method: many random steps beside a plain model of the same.
#include "kv/keys.h"

#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/rng.h"

namespace raftd::kv {
namespace {

struct Written {
  Revision mod = 0;
  Revision create = 0;
  std::uint64_t version = 0;
  LeaseId lease = 0;
  std::string value;

  VersionFields fields() const { return {mod, create, version, lease, value}; }
};

bool is(const Version& version, const Written& written) {
  return version.mod() == written.mod && version.create() == written.create &&
         version.version() == written.version && version.lease() == written.lease &&
         version.value() == written.value && version.live() == written.fields().live();
}

struct Model {
  struct Known {
    Key* key = nullptr;
    std::vector<Written> versions;  // Oldest first.
  };

  Keys keys;
  std::map<std::string, Known, std::less<>> known;
  Revision revision = 1;
  Rng rng{7};

  std::string any_text() {
    // Some long, and so many that there are several leaves.
    std::string text = std::to_string(rng.below(3000));
    if (rng.one_in(8)) text.append(rng.below(700), 'x');
    return text;
  }

  void put(const std::string& text) {
    const auto at = keys.lower_bound(text);
    const bool there = at != keys.end() && at->text() == text;
    REQUIRE(there == known.contains(text));
    Known& of = known[text];
    if (!there) of.key = &keys.insert(at, Space::kLocks, text);
    Written next;
    next.mod = ++revision;
    const bool after_life = !of.versions.empty() && of.versions.back().create != 0;
    if (after_life && rng.one_in(4)) {
      if (rng.one_in(2)) next.lease = 3;
    } else {
      next.create = after_life ? of.versions.back().create : next.mod;
      next.version = after_life ? of.versions.back().version + 1 : 1;
      if (rng.one_in(3)) next.lease = rng.next() >> 1;
      next.value.assign(rng.below(rng.one_in(5) ? 900 : 40), static_cast<char>(rng.below(256)));
    }
    CHECK(is(keys.push(*of.key, next.fields()), next));
    of.versions.push_back(next);
  }

  void forget(Known& of) {
    if (!of.versions.empty()) return;
    Key& key = *of.key;
    REQUIRE(key.empty());
    known.erase(known.find(key.text()));
    keys.erase(key);
  }

  void pop(Known& of) {
    keys.pop(*of.key);
    of.versions.pop_back();
    forget(of);
  }

  void drop_before(Known& of, Revision rev) {
    std::vector<Revision> dropped;
    keys.drop_before(*of.key, rev,
                     [&](const Version& version) { dropped.push_back(version.mod()); });
    std::vector<Revision> expected;
    while (!of.versions.empty()) {
      const Written& oldest = of.versions.front();
      const bool last = of.versions.size() == 1;
      if (oldest.mod > rev || (oldest.create != 0 && (last || oldest.mod == rev))) break;
      expected.push_back(oldest.mod);
      of.versions.erase(of.versions.begin());
    }
    CHECK(dropped == expected);
    forget(of);
  }

  void check() const {
    keys.check_invariants();
    auto at = keys.begin();
    for (const auto& entry : known) {
      REQUIRE(at != keys.end());
      CHECK(&*at == entry.second.key);
      CHECK(at->text() == entry.first);
      CHECK(at->space() == Space::kLocks);
      check(*at, entry.second.versions);
      ++at;
    }
    CHECK(at == keys.end());
    for (auto entry = known.rbegin(); entry != known.rend(); ++entry)
      CHECK(&*--at == entry->second.key);
    CHECK(at == keys.begin());
  }

  static void check(const Key& key, const std::vector<Written>& versions) {
    REQUIRE(key.older_count() + 1 == versions.size());
    for (std::size_t i = 0; i + 1 < versions.size(); ++i)
      CHECK(is(key.older(i), versions[i]));
    CHECK(is(key.newest(), versions.back()));
    CHECK(key.latest_at(versions.front().mod - 1) == nullptr);
    for (const Written& written : versions) {
      const Version* found = key.latest_at(written.mod);
      REQUIRE(found != nullptr);
      CHECK(is(*found, written));
      CHECK(key.at(written.mod) == (written.create == 0 ? nullptr : found));
    }
  }
};

}  // namespace

TEST_CASE("keys and versions are what was written, through any additions, drops and erasures") {
  Model model;
  for (int step = 0; step < 40'000; ++step) {
    const auto some = model.known.lower_bound(model.any_text());
    // In turns there are more and more of them, and fewer and fewer.
    const bool grows = step / 8000 % 2 == 0;
    if (some == model.known.end() || model.rng.below(4) < (grows ? 3 : 1)) {
      model.put(model.any_text());
    } else if (model.rng.one_in(3)) {
      model.pop(some->second);
    } else {
      const std::vector<Written>& versions = some->second.versions;
      model.drop_before(some->second, versions[model.rng.below(versions.size())].mod);
    }
    if (step % 4000 == 0) model.check();
  }
  model.check();
}

TEST_CASE("a key is found between its neighbours, whichever leaf they are in") {
  Keys keys;
  for (int i = 1000; i < 3000; i += 2)
    keys.insert(keys.lower_bound(std::to_string(i)), Space::kKeys, std::to_string(i));
  for (int i = 1000; i < 2998; i += 2) {
    const std::string there = std::to_string(i);
    const std::string absent = std::to_string(i + 1);
    const std::string next = std::to_string(i + 2);
    CHECK(keys.find(there)->text() == there);
    CHECK(keys.find(absent) == keys.end());
    CHECK(keys.lower_bound(there)->text() == there);
    CHECK(keys.lower_bound(absent)->text() == next);
    CHECK(keys.upper_bound(there)->text() == next);
    CHECK(keys.upper_bound(absent)->text() == next);
  }
  CHECK(keys.lower_bound("") == keys.begin());
  CHECK(keys.upper_bound("2998") == keys.end());
  keys.erase_last();
  CHECK(keys.find("2998") == keys.end());
  CHECK(keys.upper_bound("2996") == keys.end());
}

TEST_CASE("numbers that do not fit in 32 bits are kept as they are") {
  Keys keys;
  Key& key = keys.insert(keys.end(), Space::kKeys, "a");
  const Revision far = 1ULL << 60;
  const std::vector<Written> versions = {
      {5, 5, 1, 0, "first"},
      {6, 5, 1, 9, "of the count of a first one"},
      {far, 6, 2, 0, "far from its creation"},
      {far + 1, far, (1ULL << 32) - 1, (1ULL << 63) - 1, ""},
      {far + 2, far, 1ULL << 32, 1, "often"},
      {far + 3, 0, 0, 4, ""},
  };
  for (const Written& written : versions)
    keys.push(key, written.fields());
  Model::check(key, versions);
}

TEST_CASE("keys that move to another owner are the same, and what was there goes") {
  Keys one;
  Key& key = one.insert(one.end(), Space::kKeys, "a");
  one.push(key, Written{2, 2, 1, 0, "x"}.fields());
  Keys other;
  other.insert(other.end(), Space::kKeys, "b");
  other = std::move(one);
  CHECK(&*other.find("a") == &key);
  CHECK(key.newest().value() == "x");
  CHECK(other.find("b") == other.end());
}

}  // namespace raftd::kv
