// What is wrong with a transaction whatever the store holds (etcd-io/etcd: checkTxnRequest,
// checkIntervals). Both branches are checked, at every depth.
#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "etcd/txn.h"
#include "etcd/writes.h"

namespace raftd::etcd {
namespace {

using Ops = std::vector<RequestOp>;

// Spans that were deleted, those that overlap as one.
class Spans {
 public:
  void add(std::string_view from, std::string_view to) {
    if (to <= from && to != kv::Span::kEndless) return;
    auto next = ends_.upper_bound(from);
    if (next != ends_.begin()) {
      const auto before = std::prev(next);
      if (reaches(before->second, from)) {
        from = before->first;
        to = further(before->second, to);
        ends_.erase(before);
      }
    }
    while (next != ends_.end() && reaches(to, next->first)) {
      to = further(next->second, to);
      next = ends_.erase(next);
    }
    ends_[from] = to;
  }
  void add(const Spans& other) {
    for (const auto& [from, to] : other.ends_)
      add(from, to);
  }
  void add_key(std::string_view key) { keys_.insert(key); }
  void add_keys(const Spans& other) { keys_.insert(other.keys_.begin(), other.keys_.end()); }
  bool contains(std::string_view key) const {
    if (keys_.contains(key)) return true;
    const auto behind = ends_.upper_bound(key);
    if (behind == ends_.begin()) return false;
    const std::string_view to = std::prev(behind)->second;
    return to == kv::Span::kEndless || key < to;
  }

 private:
  static bool reaches(std::string_view to, std::string_view from) {
    return to == kv::Span::kEndless || to >= from;
  }
  static std::string_view further(std::string_view one, std::string_view other) {
    if (one == kv::Span::kEndless || other == kv::Span::kEndless) return kv::Span::kEndless;
    return std::max(one, other);
  }

  std::map<std::string_view, std::string_view> ends_;  // From its first key up to the end.
  std::set<std::string_view> keys_;
};

// What the operations of a branch write, those of all branches within it included.
struct Writes {
  std::set<std::string_view> puts;
  Spans deletes;
};

// False: a key is written twice on one path.
bool collect(const Ops& ops, Writes& writes) {
  for (const RequestOp& op : ops) {
    if (!op.request_delete_range) continue;
    const DeleteRangeRequest& del = *op.request_delete_range;
    if (del.range_end.empty()) {
      writes.deletes.add_key(del.key);
    } else {
      writes.deletes.add(del.key, del.range_end);
    }
  }
  for (const RequestOp& op : ops) {
    if (op.request_txn == nullptr) continue;
    Writes success;
    Writes failure;
    if (!collect(op.request_txn->success, success)) return false;
    if (!collect(op.request_txn->failure, failure)) return false;
    // etcd 3.4 does not see this, and then puts a key and deletes it at one revision.
    for (const std::string_view key : writes.puts) {
      if (success.deletes.contains(key) || failure.deletes.contains(key)) return false;
    }
    // One of the two is done: each may write what the other one writes.
    success.puts.merge(failure.puts);
    for (const std::string_view key : success.puts) {
      if (writes.deletes.contains(key) || !writes.puts.insert(key).second) return false;
    }
    for (const Writes* branch : {&success, &failure}) {
      writes.deletes.add(branch->deletes);
      writes.deletes.add_keys(branch->deletes);
    }
  }
  for (const RequestOp& op : ops) {
    if (!op.request_put) continue;
    const std::string_view key = op.request_put->key;
    if (writes.deletes.contains(key) || !writes.puts.insert(key).second) return false;
  }
  return true;
}

std::optional<Error> check(const Compare& compare) {
  if (auto error = check_span(compare.key, compare.range_end)) return error;
  const bool known =
      compare.target >= CompareTarget::kVersion && compare.target <= CompareTarget::kLease &&
      compare.result >= CompareResult::kEqual && compare.result <= CompareResult::kNotEqual;
  if (!known) return invalid("a compare has an unknown target or result");
  return std::nullopt;
}

std::size_t size_of(const TxnRequest& request) {
  std::size_t size = request.compare.size() + request.success.size() + request.failure.size();
  for (const Ops* branch : {&request.success, &request.failure}) {
    for (const RequestOp& op : *branch) {
      if (op.request_txn != nullptr) size += size_of(*op.request_txn);
    }
  }
  return size;
}

// ops_max: what the transactions around it leave.
std::optional<Error> check_parts(const api::Site& site, const TxnRequest& request,
                                 std::size_t ops_max);

std::optional<Error> check(const api::Site& site, const RequestOp& op, std::size_t ops_max) {
  if (op.request_range) return check(*op.request_range);
  if (op.request_put) return check(site, *op.request_put);
  if (op.request_delete_range) return check(*op.request_delete_range);
  if (op.request_txn != nullptr) return check_parts(site, *op.request_txn, ops_max);
  return invalid("key not found");
}

std::optional<Error> check_parts(const api::Site& site, const TxnRequest& request,
                                 std::size_t ops_max) {
  const std::size_t most =
      std::max({request.compare.size(), request.success.size(), request.failure.size()});
  if (most > ops_max) return invalid("too many operations in txn request");
  for (const Compare& compare : request.compare) {
    if (auto error = check(compare)) return error;
  }
  for (const Ops* branch : {&request.success, &request.failure}) {
    for (const RequestOp& op : *branch) {
      if (auto error = check(site, op, ops_max - most)) return error;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Error> check(const api::Site& site, const TxnRequest& request) {
  if (auto error = check_parts(site, request, site.limits.etcd_txn_ops)) return error;
  if (size_of(request) > site.limits.txn_ops) {
    return invalid("too many operations in txn request");
  }
  for (const Ops* branch : {&request.success, &request.failure}) {
    Writes writes;
    if (!collect(*branch, writes)) return invalid("duplicate key given in txn request");
  }
  return std::nullopt;
}

}  // namespace raftd::etcd
