// Ranges that are asked for alone.
//
// The happy path is: one key is one look; of many the first piece is read as fresh as the client
// asked, and if that was all, it is the answer. A longer range is a stream of further pieces at the
// same revision, each bounded. What stands behind the keys (more, count) is known at the end: keys
// beyond the limit are only counted.
//
// Possible failure modes are: the revision leaves the history while the range is read, or the node
// stops (the body is cut off); the client goes away (the stream is destroyed and forgets its
// question); what is to be sorted by something else than keys is too much (code 8).
#include "etcd/range.h"

#include <algorithm>
#include <utility>

#include "api/pieces_stream.h"
#include "api/read_options.h"
#include "etcd/txn.h"
#include "etcd/writes.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

std::uint64_t limit_of(const RangeRequest& request) {
  return request.limit > 0 ? static_cast<std::uint64_t>(request.limit) : 0;
}

kv::Revision revision_of(std::int64_t revision) {
  return revision > 0 ? static_cast<kv::Revision>(revision) : 0;
}

node::Consistency consistency_of(const RangeRequest& request) {
  return request.serializable ? node::Consistency::kLocal : node::Consistency::kLinearizable;
}

// Of what is listed, not of what is counted.
template <class Listing>
void set_filter(Listing& listing, const RangeRequest& request) {
  listing.min_mod = revision_of(request.min_mod_revision);
  listing.max_mod = revision_of(request.max_mod_revision);
  listing.min_create = revision_of(request.min_create_revision);
  listing.max_create = revision_of(request.max_create_revision);
}

bool passes(const kv::List& filter, const kv::Item& item) {
  return item.mod >= filter.min_mod && (filter.max_mod == 0 || item.mod <= filter.max_mod) &&
         item.create >= filter.min_create &&
         (filter.max_create == 0 || item.create <= filter.max_create);
}

template <class Result>
std::optional<Error> error_of_read(Result result) {
  if (result == Result::kCompacted) return compacted();
  if (result == Result::kFuture) return future_revision();
  return std::nullopt;
}

// One key.
class GetCall final : public EtcdCall {
 public:
  explicit GetCall(const RangeRequest& request)
      : keys_only_(request.keys_only), count_only_(request.count_only) {
    set_filter(filter_, request);
  }

  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    using Result = kv::GetReply::Result;
    auto& reply = api::reply_as<kv::GetReply>(done);
    RangeResponse response;
    response.header = header(site, reply.revision);
    switch (reply.result) {
      case Result::kFuture:
        return etcd::refuse(future_revision());
      case Result::kCompacted:
        return etcd::refuse(compacted());
      case Result::kNotFound:
        return answer(site, response);
      case Result::kFound:
        break;
    }
    response.count = 1;
    if (!count_only_ && passes(filter_, reply.item)) {
      if (keys_only_) reply.item.value.clear();
      response.kvs.push_back(key_value(std::move(reply.item)));
    }
    return answer(site, response);
  }

 private:
  kv::List filter_;
  bool keys_only_;
  bool count_only_;
};

// Rows that are sorted by what is not the key are looked for by a transaction with one operation.
class SortedCall final : public EtcdCall {
 public:
  explicit SortedCall(RangeRequest request) : request_(std::move(request)) {}

  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = api::reply_as<kv::TransactionQueryReply>(done);
    if (auto error = error_of(reply.transaction)) return etcd::refuse(*error);
    ASSERT_CMP(reply.transaction.results.size(), ==, 1U);
    return answer(site, range_response(request_, reply.transaction.results.front(),
                                       header(site, reply.revision)));
  }

 private:
  RangeRequest request_;
};

// A range that is read piece by piece: what the next piece is, and what the pieces were.
class Pieces {
 public:
  explicit Pieces(RangeRequest request)
      : request_(std::move(request)), left_(limit_of(request_)), counts_(request_.count_only) {}

  kv::SpanQuery first() const {
    kv::SpanQuery query = rest();
    query.rev = revision_of(request_.revision);
    return query;
  }
  kv::SpanQuery next() const {
    kv::SpanQuery query = rest();
    query.start = next_;
    query.rev = rev_;
    return query;
  }

  // The rows that belong to the answer are left in the reply.
  void take(kv::SpanReply& reply) {
    rev_ = reply.rev;
    count_ += reply.count;
    next_ = std::move(reply.next);
    if (limit_of(request_) == 0 || counts_) return;
    if (left_ == 0) {
      more_ = !reply.rows.empty();
      reply.rows.clear();
    } else {
      left_ -= reply.rows.size();
      more_ = left_ == 0 && reply.page_full;
    }
    counts_ = more_;
  }
  bool counts() const { return counts_; }  // No row is wanted any more.
  // It has all rows of the limit.
  bool fills(const kv::SpanReply& reply) const {
    return limit_of(request_) != 0 && reply.rows.size() == left_;
  }
  bool more() const { return more_; }
  std::int64_t count() const { return static_cast<std::int64_t>(count_); }

 private:
  kv::SpanQuery rest() const {
    kv::SpanQuery query;
    query.from = request_.key;
    query.to = request_.range_end;
    query.reverse = request_.sort_order == SortOrder::kDescend;
    query.keys_only = request_.keys_only;
    query.count_only = counts_;
    // Behind the limit one more is looked for, to know whether there are more.
    if (limit_of(request_) != 0) query.limit = std::max<std::uint64_t>(left_, 1);
    query.bytes_max = limits::kHttpStreamBytes;
    set_filter(query, request_);
    return query;
  }

  RangeRequest request_;
  std::uint64_t left_;  // Of its limit.
  bool counts_;
  bool more_ = false;
  std::uint64_t count_ = 0;
  kv::Revision rev_ = 0;
  std::string next_;
};

// An answer that is too long to be put together before it is sent.
class RangeStream final : public api::PiecesStream {
 public:
  RangeStream(const Site& site, RequestId request, Pieces pieces)
      : PiecesStream(site, request), pieces_(std::move(pieces)) {}

 private:
  Next take(node::Done& done, std::string& out) override {
    auto& reply = api::reply_as<kv::SpanReply>(done);
    if (error_of_read(reply.result)) return Next::kBroken;
    const bool last = !reply.more;
    pieces_.take(reply);
    for (kv::Item& item : reply.rows) {
      out += std::exchange(any_, true) ? "," : ",\"kvs\":[";
      add_json(out, key_value(std::move(item)));
    }
    if (!last) return Next::kMore;
    if (any_) out += ']';
    if (pieces_.more()) out += ",\"more\":true";
    if (pieces_.count() != 0) {
      out.append(",\"count\":\"").append(std::to_string(pieces_.count())).append("\"");
    }
    out += '}';
    return Next::kEnd;
  }
  node::ClientOp ask_more() const override {
    return api::read_op(pieces_.next(), node::Consistency::kLocal);
  }

  Pieces pieces_;
  bool any_ = false;
};

class RangeCall final : public EtcdCall {
 public:
  explicit RangeCall(RangeRequest request) : pieces_(std::move(request)) {}
  kv::SpanQuery first() const { return pieces_.first(); }

  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    auto& reply = api::reply_as<kv::SpanReply>(done);
    if (auto error = error_of_read(reply.result)) return etcd::refuse(*error);
    if (streams(reply)) return stream(site, request, header(site, reply.revision), done);
    pieces_.take(reply);
    for (kv::Item& item : reply.rows)
      rows_.push_back(key_value(std::move(item)));
    if (reply.more) return api::read_op(pieces_.next(), node::Consistency::kLocal);
    RangeResponse response;
    response.header = header(site, reply.revision);
    response.kvs = std::move(rows_);
    response.more = pieces_.more();
    response.count = pieces_.count();
    return answer(site, response);
  }

 private:
  // There are rows behind these.
  bool streams(const kv::SpanReply& reply) const {
    return reply.more && rows_.empty() && !pieces_.counts() && !pieces_.fills(reply);
  }
  http::Response stream(const Site& site, RequestId request, const ResponseHeader& head,
                        node::Done& done) {
    std::string begin = "{\"header\":";
    add_json(begin, head);
    auto stream = std::make_unique<RangeStream>(site, request, std::move(pieces_));
    stream->begin(done, std::move(begin));
    return stream_answer(std::move(stream));
  }

  Pieces pieces_;
  std::vector<KeyValue> rows_;
};

// Without an order etcd takes the first rows by key, as many as the limit and one, and sorts those.
bool sorts_the_first(const RangeRequest& request) {
  const bool filtered = request.min_mod_revision != 0 || request.max_mod_revision != 0 ||
                        request.min_create_revision != 0 || request.max_create_revision != 0;
  return request.sort_target != SortTarget::kKey && request.sort_order == SortOrder::kNone &&
         limit_of(request) != 0 && !filtered && !request.count_only;
}

bool is_before(SortTarget target, const KeyValue& a, const KeyValue& b) {
  switch (target) {
    case SortTarget::kKey:
      return a.key < b.key;
    case SortTarget::kVersion:
      return a.version < b.version;
    case SortTarget::kCreate:
      return a.create_revision < b.create_revision;
    case SortTarget::kMod:
      return a.mod_revision < b.mod_revision;
    case SortTarget::kValue:
      return a.value < b.value;
  }
  PANIC("rows are sorted by nothing");
}

void sort_the_first(const RangeRequest& request, RangeResponse& response) {
  std::ranges::stable_sort(response.kvs, [&](const KeyValue& a, const KeyValue& b) {
    return is_before(request.sort_target, a, b);
  });
  response.more = response.kvs.size() > limit_of(request);
  if (response.more) response.kvs.pop_back();
  for (KeyValue& row : response.kvs) {
    if (request.keys_only) row.value.clear();
  }
}

}  // namespace

kv::List to_list(const RangeRequest& request) {
  kv::List list;
  list.span = {request.key, request.range_end};
  list.limit = limit_of(request);
  list.rev = revision_of(request.revision);
  list.keys_only = request.keys_only;
  list.count_only = request.count_only;
  list.count_all = !request.count_only;
  if (sorts_the_first(request)) {
    ++list.limit;
    list.keys_only = request.keys_only && request.sort_target != SortTarget::kValue;
    return list;
  }
  set_filter(list, request);
  switch (request.sort_target) {
    case SortTarget::kKey:
      list.sort.target = kv::Sort::Target::kKey;
      break;
    case SortTarget::kVersion:
      list.sort.target = kv::Sort::Target::kVersion;
      break;
    case SortTarget::kCreate:
      list.sort.target = kv::Sort::Target::kCreate;
      break;
    case SortTarget::kMod:
      list.sort.target = kv::Sort::Target::kMod;
      break;
    case SortTarget::kValue:
      list.sort.target = kv::Sort::Target::kValue;
      break;
  }
  list.sort.descending = request.sort_order == SortOrder::kDescend;
  return list;
}

RangeResponse range_response(const RangeRequest& request, kv::OpReply& reply,
                             const ResponseHeader& header) {
  RangeResponse response;
  response.header = header;
  response.count = static_cast<std::int64_t>(reply.count);
  if (request.count_only) return response;
  response.more = reply.more;
  response.kvs.reserve(reply.items.size());
  for (kv::Item& item : reply.items)
    response.kvs.push_back(key_value(std::move(item)));
  if (sorts_the_first(request)) sort_the_first(request, response);
  return response;
}

Handled range(const Site& site, RangeRequest request) {
  if (auto error = check(request)) return refuse(*error);
  if (!request.serializable) {
    if (auto error = check_leader(site)) return refuse(*error);
  }
  const node::Consistency consistency = consistency_of(request);
  if (request.range_end.empty()) {
    auto call = std::make_unique<GetCall>(request);
    kv::GetQuery query;
    query.key = std::move(request.key);
    query.rev = revision_of(request.revision);
    return api::Started{std::move(call), api::read_op(std::move(query), consistency)};
  }
  if (request.sort_target != SortTarget::kKey && !request.count_only) {
    kv::Transaction transaction;
    transaction.then.push_back({to_list(request)});
    kv::TransactionQuery query;
    query.transaction = kv::encode(transaction);
    return api::Started{std::make_unique<SortedCall>(std::move(request)),
                        api::read_op(std::move(query), consistency)};
  }
  auto call = std::make_unique<RangeCall>(std::move(request));
  kv::SpanQuery query = call->first();
  return api::Started{std::move(call), api::read_op(std::move(query), consistency)};
}

}  // namespace raftd::etcd
