// What is asked of transactions in every protocol: how many operations there are, whether any of
// them writes, and whether a key would be written twice.
#include <algorithm>

#include "api/txn_body.h"
#include "base/overloaded.h"

namespace raftd::api {
namespace {

template <class Fn>
void each_branch(const kv::Transaction& transaction, Fn&& fn) {
  fn(transaction.then);
  fn(transaction.otherwise);
}

// What one way through a branch, or one of several ways, writes.
struct Written {
  std::string_view key;
  std::size_t by;  // Which operation of the branch: two of the same exclude each other.
  bool operator<(const Written& other) const {
    return key != other.key ? key < other.key : by < other.by;
  }
};
struct Covered {
  kv::Span span;
  std::size_t by;
};
struct Writes {
  std::vector<Written> keys;
  std::vector<Covered> spans;
};

std::optional<std::string> conflict(Writes& writes) {
  std::ranges::sort(writes.keys, std::less<>());
  for (std::size_t i = 1; i < writes.keys.size(); ++i) {
    const Written& before = writes.keys[i - 1];
    const Written& at = writes.keys[i];
    if (before.key == at.key && before.by != at.by) return std::string(at.key);
  }
  for (const Covered& covered : writes.spans) {
    auto at = std::ranges::lower_bound(writes.keys, covered.span.from, {}, &Written::key);
    for (; at != writes.keys.end() && covered.span.contains(at->key); ++at) {
      if (at->by != covered.by) return std::string(at->key);
    }
  }
  return std::nullopt;
}

// Adds what the transaction writes, as written by one operation of the branch that holds it.
std::optional<std::string> collect(const kv::Transaction& transaction, std::size_t by,
                                   Writes& out) {
  std::optional<std::string> twice;
  each_branch(transaction, [&](const std::vector<kv::TransactionOp>& branch) {
    Writes own;
    for (std::size_t i = 0; i < branch.size() && !twice; ++i) {
      std::visit(overloaded{
                     [](const kv::Get&) {},
                     [](const kv::List&) {},
                     [&](const kv::DeleteSpan& del) {
                       own.spans.push_back({del.span, i});
                     },
                     [&](const kv::Transaction& nested) { twice = collect(nested, i, own); },
                     [&](const auto& write) {
                       own.keys.push_back({write.key, i});
                     },
                 },
                 branch[i].op);
    }
    if (!twice) twice = conflict(own);
    for (const Written& written : own.keys)
      out.keys.push_back({written.key, by});
    for (const Covered& covered : own.spans)
      out.spans.push_back({covered.span, by});
  });
  return twice;
}

}  // namespace

bool has_writes(const kv::Transaction& transaction) {
  bool writes = false;
  each_branch(transaction, [&](const std::vector<kv::TransactionOp>& branch) {
    for (const kv::TransactionOp& op : branch) {
      writes = writes || std::visit(overloaded{
                                        [](const kv::Get&) { return false; },
                                        [](const kv::List&) { return false; },
                                        [](const kv::Transaction& t) { return has_writes(t); },
                                        [](const auto&) { return true; },
                                    },
                                    op.op);
    }
  });
  return writes;
}

std::size_t count_ops(const kv::Transaction& transaction) {
  std::size_t count = transaction.guards.size();
  each_branch(transaction, [&](const std::vector<kv::TransactionOp>& branch) {
    count += branch.size();
    for (const kv::TransactionOp& op : branch) {
      const auto* nested = std::get_if<kv::Transaction>(&op.op);
      if (nested != nullptr) count += count_ops(*nested);
    }
  });
  return count;
}

std::optional<std::string> duplicate_key(const kv::Transaction& transaction) {
  Writes all;
  return collect(transaction, 0, all);
}

}  // namespace raftd::api
