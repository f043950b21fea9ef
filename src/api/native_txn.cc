// POST /txn (native API, section 8). A transaction that writes goes through the log, one that only
// reads is a read like any other.
#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/read_options.h"
#include "api/retries.h"
#include "api/txn_body.h"
#include "api/write_refusal.h"
#include "base/overloaded.h"

namespace raftd::api {
namespace {

constexpr ParamSet kTxnParams = kReadParams | ParamSet{Param::kStrict, Param::kCas, Param::kIf};

// What of a transaction its answer depends on, without its texts.
struct Shape {
  struct Op {
    enum class Kind : std::uint8_t { kPut, kDelete, kDeletePrefix, kGet, kList, kIncr, kTouch };
    Kind kind{};
    bool prev = false;
    bool with_value = true;
    std::unique_ptr<Shape> nested;  // Instead of kind.
  };
  std::vector<Op> then;
  std::vector<Op> otherwise;
};

Shape shape_of(const kv::Transaction& transaction);

Shape::Op shape_of(const kv::TransactionOp& op) {
  using Kind = Shape::Op::Kind;
  const auto plain = [](Kind kind, bool prev = false) {
    Shape::Op shape;
    shape.kind = kind;
    shape.prev = prev;
    return shape;
  };
  return std::visit(overloaded{
                        [&](const kv::Put& put) { return plain(Kind::kPut, put.want_prev); },
                        [&](const kv::Delete& del) { return plain(Kind::kDelete, del.want_prev); },
                        [&](const kv::DeleteSpan&) { return plain(Kind::kDeletePrefix); },
                        [&](const kv::Get&) { return plain(Kind::kGet); },
                        [&](const kv::List& list) {
                          Shape::Op shape = plain(Kind::kList);
                          shape.with_value = !list.keys_only;
                          return shape;
                        },
                        [&](const kv::Increment&) { return plain(Kind::kIncr); },
                        [&](const kv::Touch&) { return plain(Kind::kTouch); },
                        [&](const kv::Transaction& nested) {
                          Shape::Op shape;
                          shape.nested = std::make_unique<Shape>(shape_of(nested));
                          return shape;
                        },
                    },
                    op.op);
}

Shape shape_of(const kv::Transaction& transaction) {
  Shape shape;
  for (const auto& [from, to] : {std::pair(&transaction.then, &shape.then),
                                 std::pair(&transaction.otherwise, &shape.otherwise)}) {
    to->reserve(from->size());
    for (const kv::TransactionOp& op : *from)
      to->push_back(shape_of(op));
  }
  return shape;
}

void add_results(std::string& json, const Shape& shape, const kv::TransactionReply& reply,
                 kv::Revision revision);

void add_lease(std::string& json, const kv::WriteReply& write) {
  if (write.lease == 0) return;
  add_lease_id(json, "lease", write.lease);
  add_member(json, "ttl", seconds_of(write.ttl_ms));
}

void add_written(std::string& json, const Shape::Op& op, const kv::WriteReply& write,
                 kv::Revision revision) {
  using Kind = Shape::Op::Kind;
  if (op.kind == Kind::kPut || op.kind == Kind::kIncr) {
    add_member(json, "revision", revision);
    add_flag(json, "created", write.created);
  } else if (op.kind != Kind::kTouch) {
    add_member(json, "deleted", write.deleted);
    add_member(json, "revision", revision);
  }
  if (op.kind == Kind::kIncr) {
    add_name(json, "value");
    json += std::to_string(write.value);
  }
  add_lease(json, write);
  if (op.prev) add_item_or_null(json, "prev", write.prev);
}

void add_result(std::string& json, const Shape::Op& op, const kv::OpReply& result,
                kv::Revision revision) {
  using Kind = Shape::Op::Kind;
  json += '{';
  if (op.nested != nullptr) {
    ASSERT(result.transaction != nullptr);
    add_flag(json, "succeeded", result.transaction->succeeded);
    add_results(json, *op.nested, *result.transaction, revision);
  } else if (op.kind == Kind::kGet) {
    add_name(json, "item");
    if (result.items.empty()) {
      json += "null";
    } else {
      add_item(json, result.items.front(), true);
    }
  } else if (op.kind == Kind::kList) {
    add_name(json, "items");
    json += '[';
    for (const kv::Item& item : result.items) {
      if (&item != &result.items.front()) json += ',';
      add_item(json, item, op.with_value);
    }
    json += ']';
    add_flag(json, "more", result.more);
  } else {
    add_written(json, op, result.write, revision);
  }
  json += '}';
}

// ,"results":[...]; or that they were too long to be kept for one who asks again.
void add_results(std::string& json, const Shape& shape, const kv::TransactionReply& reply,
                 kv::Revision revision) {
  if (reply.truncated) {
    add_flag(json, "truncated", true);
    return;
  }
  const std::vector<Shape::Op>& branch = reply.succeeded ? shape.then : shape.otherwise;
  ASSERT_CMP(branch.size(), ==, reply.results.size());
  add_name(json, "results");
  json += '[';
  for (std::size_t i = 0; i < branch.size(); ++i) {
    if (i != 0) json += ',';
    add_result(json, branch[i], reply.results[i], revision);
  }
  json += ']';
}

// What the answers to transactions that write and to others have in common.
struct Answering {
  Shape shape;
  std::vector<std::size_t> guard_positions;
  bool strict = false;

  void add_body(std::string& json, const kv::TransactionReply& reply) const {
    json += '{';
    add_flag(json, "succeeded", reply.succeeded);
    add_member(json, "revision", reply.revision);
    add_results(json, shape, reply, reply.revision);
    json += "}\n";
  }
  bool fails(const kv::TransactionReply& reply) const { return strict && !reply.succeeded; }
  ApiError guard_failed(const kv::TransactionReply& reply) const {
    ASSERT_CMP(reply.failed_guard, <, guard_positions.size());
    const std::size_t position = guard_positions[reply.failed_guard];
    ApiError error = bad_request("guard " + std::to_string(position) + " is false");
    error.status = 412;
    error.code = "guard_failed";
    error.revision = reply.revision;
    add_member(error.extra, "failed_guard", std::uint64_t{position});
    add_results(error.extra, shape, reply, reply.revision);
    return error;
  }
};

class TxnCall final : public Call {
 public:
  TxnCall(Answering answering, bool minimal)
      : answering_(std::move(answering)), minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& plain = reply_as<kv::StoreReply>(done);
    const auto* reply = dynamic_cast<const kv::TransactionReply*>(&plain);
    if (reply == nullptr) return refused_write(site, done, plain, {});  // It did not decode.
    if (reply->result != kv::StoreReply::Result::kDone) {
      return refused_write(site, done, *reply, reply->failed_key);
    }
    if (answering_.fails(*reply)) {
      return refuse_write(site, answering_.guard_failed(*reply), done);
    }
    std::string json;
    if (!minimal_) answering_.add_body(json, *reply);
    return written(site, done, {200, minimal_, reply->revision}, std::move(json));
  }

 private:
  Answering answering_;
  bool minimal_;
};

class TxnReadCall final : public Call {
 public:
  TxnReadCall(Answering answering, const ReadOptions& options)
      : answering_(std::move(answering)), options_(options) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    using Result = kv::TransactionQueryReply::Result;
    const auto& reply = reply_as<kv::TransactionQueryReply>(done);
    const kv::TransactionReply& transaction = reply.transaction;
    if (reply.result == Result::kCompacted) {
      return to_response(compacted(reply.compact_revision, reply.revision), site.headers);
    }
    if (reply.result == Result::kFuture) {
      return to_response(future_revision(reply.revision), site.headers);
    }
    if (transaction.result != kv::StoreReply::Result::kDone) {
      return to_response(store_refusal(transaction, transaction.failed_key), site.headers);
    }
    if (answering_.fails(transaction)) {
      return to_response(answering_.guard_failed(transaction), site.headers);
    }
    std::string json;
    answering_.add_body(json, transaction);
    http::Response response = json_answer(200, site.headers, std::move(json));
    add_read_headers(response.fields, options_, reply.revision, done.index);
    return response;
  }

 private:
  Answering answering_;
  ReadOptions options_;
};

// What the writes of a transaction may add to the store, whichever branch is taken.
void add_growth(const kv::Transaction& transaction, std::vector<KeyWrite>& growth) {
  for (const auto* branch : {&transaction.then, &transaction.otherwise}) {
    for (const kv::TransactionOp& op : *branch) {
      if (const auto* put = std::get_if<kv::Put>(&op.op)) {
        growth.push_back({put->key, put->value.size()});
      } else if (const auto* increment = std::get_if<kv::Increment>(&op.op)) {
        growth.push_back({increment->key, kDecimalBytesMax});
      } else if (const auto* nested = std::get_if<kv::Transaction>(&op.op)) {
        add_growth(*nested, growth);
      }
    }
  }
}

std::optional<ApiError> refuse_read_parameters(const Parameters& parameters) {
  for (const Param param :
       {Param::kConsistency, Param::kMaxStale, Param::kMinRevision, Param::kRev}) {
    if (!parameters.has(param)) continue;
    const std::string_view name = param_name(param);
    return bad_parameter(name, std::string(name) + " goes with a transaction that only reads");
  }
  return std::nullopt;
}

}  // namespace

Handled handle_txn(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  const bool strict = reader.flag(Param::kStrict);
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kTxnParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (context.head_only) {
    // Whether it writes is not known yet; only a local read can do without a leader.
    if (options.local()) return AwaitBody{};
    if (auto response = refuse_by_leader(site, context)) return *std::move(response);
    return AwaitBody{};
  }
  TxnBody body;
  if (auto error = body.read(context.request.body, site.limits)) return refuse(site, *error);
  const kv::Transaction& transaction = body.transaction();
  Answering answering{shape_of(transaction), body.guard_positions(), strict};
  if (!has_writes(transaction)) {
    if (auto response = refuse_read(site, context, options)) return *std::move(response);
    kv::TransactionQuery query;
    query.transaction = kv::encode(transaction);
    query.rev = options.rev;
    query.min_revision = options.min_revision;
    return Started{std::make_unique<TxnReadCall>(std::move(answering), options),
                   read_op(std::move(query), options.consistency)};
  }
  if (auto error = refuse_read_parameters(context.parameters)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  std::vector<KeyWrite> growth;
  add_growth(transaction, growth);
  auto call = std::make_unique<TxnCall>(std::move(answering), prefers_minimal(context.headers));
  if (std::optional<ApiError> full = check_quota(site, growth)) {
    return refuse_if_new(site, context, kv::ReplyKind::kTransaction, *std::move(full),
                         std::move(call));
  }
  return Started{std::move(call),
                 node::Write{node::Propose{kv::encode(transaction, context.terms.view())}}};
}

}  // namespace raftd::api
