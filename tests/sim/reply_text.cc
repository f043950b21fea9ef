#include "sim/reply_text.h"

#include "base/assert.h"
#include "base/text.h"
#include "sim/model_state.h"

namespace raftd::sim {
namespace {

using Result = kv::StoreReply::Result;

unsigned long long number(std::uint64_t value) {
  return value;
}

std::string item_text(const kv::Item& item) {
  return strf("{%s=%s mod %llu create %llu version %llu lease %llu ttl %llu}", item.key.c_str(),
              shortened(item.value).c_str(), number(item.mod), number(item.create),
              number(item.version), number(item.lease), number(item.ttl_ms));
}

std::string write_text(const kv::WriteReply& reply, bool truncated) {
  std::string text =
      strf(" created %d deleted %llu more %d value %lld lease %llu ttl %llu", reply.created,
           number(reply.deleted), reply.more, static_cast<long long>(reply.value),
           number(reply.lease), number(reply.ttl_ms));
  if (reply.result != Result::kDone) text.clear();
  const bool condition = reply.result == Result::kModDiffers || reply.result == Result::kExists ||
                         reply.result == Result::kAbsent;
  if (reply.prev && !truncated && (condition || reply.result == Result::kDone))
    text += " prev " + item_text(*reply.prev);
  return text;
}

// All of it, however deep: text is written in place of what is still to be looked at.
std::string transaction_text(const kv::TransactionReply& outermost, bool truncated) {
  std::string text;
  if (outermost.result != Result::kDone) {
    return outermost.failed_key.empty() ? text : " failed at " + outermost.failed_key;
  }
  if (!outermost.succeeded) text += strf(" failed guard %zu", outermost.failed_guard);
  std::vector<std::pair<const kv::TransactionReply*, std::size_t>> open = {{&outermost, 0}};
  while (!open.empty()) {
    auto& [reply, next] = open.back();
    if (next == 0) text += reply->succeeded ? " then [" : " else [";
    if (truncated || next == reply->results.size()) {
      text += "]";
      open.pop_back();
      continue;
    }
    const kv::OpReply& op = reply->results[next++];
    text += " (";
    if (op.transaction == nullptr) text += write_text(op.write, false);
    for (const kv::Item& item : op.items)
      text += item_text(item);
    if (op.count != 0) text += strf(" of %llu", number(op.count));
    text += op.more ? " more)" : ")";
    if (op.transaction) open.push_back({op.transaction.get(), 0});
  }
  return text;
}

std::string lock_text(const kv::LockReply& reply) {
  if (reply.result == Result::kLockLost) return {};
  std::string text = strf(" token %llu lease %llu owner %s value %s left %llu waiters %llu",
                          number(reply.token), number(reply.lease), reply.owner.c_str(),
                          reply.value.c_str(), number(reply.remaining_ms), number(reply.waiters));
  if (reply.result == Result::kWaiting) text += strf(" place %llu", number(reply.place));
  return text;
}

}  // namespace

std::string text_of(const kv::StoreReply& reply, bool truncated) {
  std::string text =
      strf("result %d revision %llu", static_cast<int>(reply.result), number(reply.revision));
  if (reply.result == Result::kFenced || reply.result == Result::kLeaseNotFound) {
    return text + strf(" %s %llu", reply.message.c_str(), number(reply.number));
  }
  if (reply.result == Result::kMismatch || reply.result == Result::kBadCommand) return text;
  if (const auto* write = dynamic_cast<const kv::WriteReply*>(&reply)) {
    return text + write_text(*write, truncated);
  }
  if (const auto* transaction = dynamic_cast<const kv::TransactionReply*>(&reply)) {
    return text + transaction_text(*transaction, truncated);
  }
  if (reply.result == Result::kLeaseExists) return text;
  if (const auto* lease = dynamic_cast<const kv::LeaseReply*>(&reply)) {
    return text + strf(" lease %llu ttl %llu deleted %llu", number(lease->id),
                       number(lease->ttl_ms), number(lease->deleted));
  }
  if (const auto* lock = dynamic_cast<const kv::LockReply*>(&reply)) return text + lock_text(*lock);
  if (const auto* kept = dynamic_cast<const kv::KeepLeasesReply*>(&reply)) {
    for (const std::uint64_t ttl_ms : kept->ttls_ms)
      text += strf(" %llu", number(ttl_ms));
    return text;
  }
  return text + " of an unknown kind";
}

}  // namespace raftd::sim
