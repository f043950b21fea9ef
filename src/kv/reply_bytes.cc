// How much the answers hold that are made of replies: who makes many of them at once has a bound.
#include "kv/query.h"

namespace raftd::kv {
namespace {

std::size_t bytes_of(const Item& item) {
  return item.key.size() + item.value.size();
}

// Those who wait are few and short.
std::size_t bytes_of(const LockView& lock) {
  return lock.name.size() + lock.value.size();
}

}  // namespace

std::size_t WriteReply::bytes() const {
  return prev ? bytes_of(*prev) : 0;
}

std::size_t TransactionReply::bytes() const {
  return result_bytes;
}

std::size_t TransactionQueryReply::bytes() const {
  return transaction.bytes();
}

std::size_t GetReply::bytes() const {
  return bytes_of(item);
}

std::size_t RangeReply::bytes() const {
  std::size_t sum = 0;
  for (const Row& row : rows)
    sum += bytes_of(row.item);
  return sum;
}

std::size_t SpanReply::bytes() const {
  std::size_t sum = 0;
  for (const Item& row : rows)
    sum += bytes_of(row);
  return sum;
}

std::size_t LeaseQueryReply::bytes() const {
  std::size_t sum = 0;
  for (const std::string& key : keys)
    sum += key.size();
  return sum;
}

std::size_t LockQueryReply::bytes() const {
  return bytes_of(lock);
}

std::size_t LocksReply::bytes() const {
  std::size_t sum = 0;
  for (const LockView& lock : locks)
    sum += bytes_of(lock);
  return sum;
}

}  // namespace raftd::kv
