// The body of POST /txn as a transaction (native API, section 8).
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "api/errors.h"
#include "api/service.h"
#include "http/json.h"
#include "kv/command.h"

namespace raftd::api {

// Stays where it is: the transaction consists of views into it.
class TxnBody {
 public:
  TxnBody() = default;
  TxnBody(const TxnBody&) = delete;
  TxnBody& operator=(const TxnBody&) = delete;

  // Once. 400 bad_json, bad_request, duplicate_key; 413. An empty body means {}.
  std::optional<ApiError> read(std::string_view json, const ServiceLimits& limits);

  const kv::Transaction& transaction() const { return transaction_; }
  // Of each guard of the outermost transaction: its position in "if", which may stand for several.
  const std::vector<std::size_t>& guard_positions() const { return guard_positions_; }

 private:
  friend class TxnReader;
  http::JsonValue json_;
  std::deque<std::string> texts_;  // What is not in json_ as it is meant.
  kv::Transaction transaction_;
  std::vector<std::size_t> guard_positions_;
};

bool has_writes(const kv::Transaction& transaction);
// Guards and operations, those of all branches.
std::size_t count_ops(const kv::Transaction& transaction);
// A key that some way through the transaction would write twice. What is touched counts as written,
// and so does what a DeleteSpan covers, except by another one.
std::optional<std::string> duplicate_key(const kv::Transaction& transaction);

}  // namespace raftd::api
