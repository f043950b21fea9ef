#include "sim/model_state.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/text.h"

namespace raftd::sim {
namespace {

constexpr std::size_t kShort = 64;

}  // namespace

std::string shortened(std::string_view value) {
  if (value.size() <= kShort) return std::string(value);
  return strf("%s... (%zu bytes, crc %08x)", std::string(value.substr(0, 16)).c_str(), value.size(),
              crc32c(as_bytes(value)));
}

const ModelKey* ModelState::find(kv::Space space, std::string_view key) const {
  const auto found = live(space).find(key);
  return found == live(space).end() ? nullptr : &found->second;
}

std::vector<std::string> ModelState::keys_in(const kv::Span& span) const {
  std::vector<std::string> keys;
  const Live& all = live(kv::Space::kKeys);
  for (auto key = all.lower_bound(span.from); key != all.end(); ++key) {
    if (!span.contains(key->first)) break;
    keys.push_back(key->first);
  }
  return keys;
}

const std::vector<std::string>& ModelState::written(std::uint64_t revision) const {
  ASSERT_CMP(revision, >=, 2U);
  ASSERT_CMP(revision, <=, revision_);
  return written_[revision - 2];
}

void ModelState::set(const Name& name, std::optional<ModelKey> key) {
  Live& all = live_[static_cast<std::size_t>(name.first)];
  const auto found = all.find(name.second);
  std::optional<ModelKey> before;
  if (found != all.end()) before = found->second;
  const auto weight = [&](const std::optional<ModelKey>& of) {
    if (!of || name.first != kv::Space::kKeys) return std::uint64_t{0};
    return std::uint64_t{name.second.size() + of->value.size()};
  };
  bytes_ += weight(key) - weight(before);
  if (before && before->lease != 0) {
    keys_of_[before->lease].erase(name);
    detached_ = true;
  }
  if (key && key->lease != 0) keys_of_[key->lease].insert(name);
  if (key) {
    all[name.second] = *std::move(key);
  } else {
    all.erase(name.second);
  }
  if (undo_) {
    undo_->push_back([this, name, before = std::move(before)] { set(name, before); });
  }
}

void ModelState::put(kv::Space space, const std::string& key, std::string_view value,
                     kv::LeaseId lease, std::shared_ptr<const kv::LockRecord> record) {
  const ModelKey* before = find(space, key);
  ModelKey after;
  after.value = value;
  after.mod = revision_ + 1;
  after.create = before == nullptr ? after.mod : before->create;
  after.version = before == nullptr ? 1 : before->version + 1;
  after.lease = lease;
  after.record = std::move(record);
  set({space, key}, std::move(after));
  changed_.push_back({{space, key}, false});
}

void ModelState::erase(kv::Space space, const std::string& key, bool expired) {
  ASSERT(find(space, key) != nullptr);
  set({space, key}, std::nullopt);
  changed_.push_back({{space, key}, expired});
}

void ModelState::end_revision() {
  if (changed_.empty()) return;
  ++revision_;
  std::vector<std::string>& written = written_.emplace_back();
  for (const auto& [name, expired] : changed_) {
    if (name.first != kv::Space::kKeys) continue;
    written.push_back(name.second);
    const ModelKey* key = find(name.first, name.second);
    ModelVersion version{.mod = revision_, .expired = expired, .value = {}};
    if (key != nullptr) {
      version.create = key->create;
      version.version = key->version;
      version.lease = key->lease;
      version.value = shortened(key->value);
    }
    history_[name.second].push_back(std::move(version));
  }
  changed_.clear();
}

const ModelLease* ModelState::lease(kv::LeaseId id) const {
  const auto found = leases_.find(id);
  return found == leases_.end() ? nullptr : &found->second;
}

const std::set<ModelState::Name>& ModelState::keys_of(kv::LeaseId id) const {
  static const std::set<Name> none;
  const auto found = keys_of_.find(id);
  return found == keys_of_.end() ? none : found->second;
}

void ModelState::set_lease(kv::LeaseId id, std::optional<ModelLease> lease) {
  if (undo_) {
    const ModelLease* before = this->lease(id);
    undo_->push_back([this, id, was = before == nullptr ? std::nullopt : std::optional(*before)] {
      set_lease(id, was);
    });
  }
  if (lease) {
    leases_[id] = *lease;
  } else {
    leases_.erase(id);
  }
}

kv::LeaseId ModelState::new_lease(const ModelLease& lease) {
  if (undo_) undo_->push_back([this, last = last_lease_] { last_lease_ = last; });
  do {
    ++last_lease_;
  } while (leases_.contains(last_lease_));
  set_lease(last_lease_, lease);
  return last_lease_;
}

void ModelState::end_unused_leases() {
  if (!std::exchange(detached_, false)) return;
  std::erase_if(leases_,
                [&](const auto& each) { return each.second.owned && keys_of(each.first).empty(); });
  std::erase_if(keys_of_, [](const auto& each) { return each.second.empty(); });
}

void ModelState::begin() {
  ASSERT(!undo_ && changed_.empty());
  undo_.emplace();
}

void ModelState::undo() {
  ASSERT(undo_.has_value());
  const auto steps = std::exchange(undo_, std::nullopt);
  for (auto step = steps->rbegin(); step != steps->rend(); ++step)
    (*step)();
  changed_.clear();
}

void ModelState::keep() {
  ASSERT(undo_.has_value());
  undo_.reset();
}

}  // namespace raftd::sim
