// Lists and counts of keys (native API, section 6).
//
// The happy path is: the first piece is read as fresh as the client asked; its revision is the
// list's. Further pieces are read at that revision on this node, each bounded, so that no list
// holds up the loop. A page is put together and sent; a list without a limit is a stream of pieces.
//
// A list that waits for a change (after, wait) is confirmed to be as fresh as was asked, then
// sleeps until there is an event after that revision, and only then is it read.
//
// Possible failure modes are: the revision leaves the history while the list is read (410, or the
// error as the last line of a stream); the node stops (the same); the client goes away (the
// stream is destroyed and forgets its question).
#include <utility>

#include "api/answer.h"
#include "api/list_rows.h"
#include "api/native_kv.h"
#include "api/pieces_stream.h"
#include "base/text.h"
#include "http/base64.h"
#include "http/json.h"

namespace raftd::api {
namespace {

using Result = kv::RangeReply::Result;

std::optional<ApiError> error_of_range(const kv::RangeReply& reply) {
  switch (reply.result) {
    case Result::kDone:
      return std::nullopt;
    case Result::kCompacted:
      return compacted(reply.compact_revision, reply.revision);
    case Result::kFuture:
      return future_revision(reply.revision);
  }
  return internal_error("a reply of no kind");
}

http::Response list_answer(const Site& site, const ListQuery& query, kv::Revision revision,
                           raft::Index at) {
  http::Response response;
  add_header(response.fields, "Content-Type", content_type(query.format));
  add_read_headers(response.fields, query.read, revision, at);
  response.fields += site.headers.block();
  return response;
}

// A list with a limit: all of it is in the answer's body.
class PageCall final : public Call {
 public:
  PageCall(ListQuery query, std::size_t bytes_max)
      : query_(std::move(query)),
        rows_(query_.format, query_.keys_only),
        items_left_(query_.limit),
        bytes_left_(bytes_max) {}

  Asked asked() const override { return Asked::kRead; }

  kv::RangeQuery first() const { return bounded(query_.first()); }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = reply_as<kv::RangeReply>(done);
    if (auto error = error_of_range(reply)) return to_response(*error, site.headers);
    for (const kv::RangeReply::Row& row : reply.rows)
      add(row);
    const bool room = items_left_ > 0 && bytes_left_ > 0 && !reply.page_full;
    if (reply.more && room) {
      return read_op(bounded(query_.next(reply.revision, std::move(reply.next))),
                     node::Consistency::kLocal);
    }
    return answer(site, reply, done.index);
  }

 private:
  kv::RangeQuery bounded(kv::RangeQuery range) const {
    range.limit = items_left_;
    range.bytes_max = bytes_left_;
    return range;
  }

  void add(const kv::RangeReply::Row& row) {
    if (row.is_prefix && query_.format == ListFormat::kJson) {
      const bool text = is_utf8(row.item.key);
      std::string& list = text ? prefixes_ : prefixes64_;
      if (!list.empty()) list += ',';
      http::JsonWriter(list).value(text ? row.item.key : http::base64_encode(row.item.key));
    } else {
      rows_.add(row, text_);
    }
    const std::size_t bytes = row.item.key.size() + row.item.value.size();
    items_left_ -= std::min<std::uint64_t>(items_left_, 1);
    bytes_left_ -= std::min(bytes_left_, bytes);
  }

  http::Response answer(const Site& site, const kv::RangeReply& reply, raft::Index at) {
    http::Response response = list_answer(site, query_, reply.revision, at);
    std::string cursor;
    if (reply.more) cursor = encode_cursor({reply.revision, query_.digest, reply.next});
    if (query_.format == ListFormat::kJson) {
      response.body = json_page(reply.revision, cursor);
      return response;
    }
    if (!cursor.empty()) add_header(response.fields, "Raftd-Cursor", cursor);
    rows_.finish(reply.revision, text_);
    response.body = std::move(text_);
    return response;
  }

  std::string json_page(kv::Revision revision, const std::string& cursor) const {
    std::string json = "{";
    add_member(json, "revision", revision);
    json.append(",\"items\":[").append(text_).append("]");
    if (!query_.delimiter.empty()) {
      json.append(",\"prefixes\":[").append(prefixes_).append("]");
      if (!prefixes64_.empty()) json.append(",\"prefixes64\":[").append(prefixes64_).append("]");
    }
    add_flag(json, "more", !cursor.empty());
    if (!cursor.empty()) add_member(json, "cursor", cursor);
    json += "}\n";
    return json;
  }

  ListQuery query_;
  ListRows rows_;
  std::uint64_t items_left_;
  std::size_t bytes_left_;
  std::string text_;
  std::string prefixes_;
  std::string prefixes64_;
};

// A list without a limit, while it is sent.
class ListStream final : public PiecesStream {
 public:
  ListStream(const Site& site, RequestId request, ListQuery query)
      : PiecesStream(site, request),
        headers_(site.headers),
        query_(std::move(query)),
        rows_(query_.format, query_.keys_only) {}

  static kv::RangeQuery bounded(kv::RangeQuery range) {
    range.bytes_max = limits::kHttpStreamBytes;
    return range;
  }

 private:
  Next take(node::Done& done, std::string& out) override {
    auto& reply = reply_as<kv::RangeReply>(done);
    if (auto error = error_of_range(reply)) return fail(*error, out);
    for (const kv::RangeReply::Row& row : reply.rows)
      rows_.add(row, out);
    revision_ = reply.revision;
    start_ = std::move(reply.next);
    if (reply.more) return Next::kMore;
    rows_.finish(revision_, out);
    return Next::kEnd;
  }

  node::ClientOp ask_more() const override {
    return read_op(bounded(query_.next(revision_, start_)), node::Consistency::kLocal);
  }

  // Only ndjson has a place for an error.
  Next fail(const ApiError& error, std::string& out) override {
    if (query_.format != ListFormat::kNdjson) return Next::kBroken;
    out += to_json(error, headers_.leader_url());
    out += '\n';
    return Next::kEnd;
  }

  const NodeHeaders& headers_;
  ListQuery query_;
  ListRows rows_;
  std::string start_;
  kv::Revision revision_ = 0;
};

class StreamCall final : public Call {
 public:
  explicit StreamCall(ListQuery query) : query_(std::move(query)) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = reply_as<kv::RangeReply>(done);
    if (auto error = error_of_range(reply)) return to_response(*error, site.headers);
    http::Response response = list_answer(site, query_, reply.revision, done.index);
    auto stream = std::make_unique<ListStream>(site, request, std::move(query_));
    stream->begin(done);
    response.stream = std::move(stream);
    return response;
  }

 private:
  ListQuery query_;
};

class CountCall final : public Call {
 public:
  CountCall(ListQuery query, const CountShape& shape) : query_(std::move(query)), shape_(shape) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = reply_as<kv::RangeReply>(done);
    if (auto error = error_of_range(reply)) return to_response(*error, site.headers);
    count_ += reply.count;
    const bool enough = shape_.limit != 0 && count_ > shape_.limit;
    if (reply.more && !enough) {
      return read_op(query_.next(reply.revision, std::move(reply.next)), node::Consistency::kLocal);
    }
    http::Response response = list_answer(site, query_, reply.revision, done.index);
    response.body = "{";
    if (shape_.would_delete) {
      const std::uint64_t would = enough ? shape_.limit : count_;
      add_member(response.body, "deleted", std::uint64_t{0});
      add_member(response.body, "would_delete", would);
      add_member(response.body, "revision", reply.revision);
      add_flag(response.body, "more", enough);
    } else {
      add_member(response.body, "revision", reply.revision);
      add_member(response.body, "count", count_);
    }
    response.body += "}\n";
    return response;
  }

 private:
  ListQuery query_;
  CountShape shape_;
  std::uint64_t count_ = 0;
};

Started start_list(const Site& site, ListQuery query);

// Waits for the first event after a revision; then it is the list.
class PollCall final : public Call {
 public:
  explicit PollCall(ListQuery query) : query_(std::move(query)) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    if (list_ != nullptr) return list_->on_done(site, request, done);
    if (timed_out_at_) return not_changed(site, done.index);
    const auto& reply = reply_as<kv::GetReply>(done);
    const kv::Revision after = *query_.polling.after;
    if (after < reply.compact_revision) return list(site);
    return Park{{kv::KeySpan::Kind::kPrefix, query_.prefix, {}},
                after,
                site.watches.now + query_.polling.wait};
  }

  Step on_woken(const Site& site, const Woken& woken) override {
    if (woken.why != Woken::Why::kTimedOut) return list(site);
    timed_out_at_ = woken.position;
    return confirmation(node::Consistency::kLocal);
  }

 private:
  Step list(const Site& site) {
    query_.read.min_revision = 0;
    query_.read.consistency = node::Consistency::kLocal;
    Started started = start_list(site, std::move(query_));
    list_ = std::move(started.call);
    return std::move(started.op);
  }

  http::Response not_changed(const Site& site, raft::Index at) const {
    http::Response response;
    response.status = 304;
    add_read_headers(response.fields, query_.read, *timed_out_at_, at);
    response.fields += site.headers.block();
    return response;
  }

  ListQuery query_;
  std::optional<kv::Revision> timed_out_at_;
  std::unique_ptr<Call> list_;
};

Started count(ListQuery query, const CountShape& shape) {
  query.count = true;
  query.format = ListFormat::kJson;
  kv::RangeQuery range = query.first();
  const node::Consistency consistency = query.read.consistency;
  return {std::make_unique<CountCall>(std::move(query), shape),
          read_op(std::move(range), consistency)};
}

Started start_list(const Site& site, ListQuery query) {
  const node::Consistency consistency = query.read.consistency;
  if (query.count) return count(std::move(query), CountShape{});
  if (query.limit == 0) {
    kv::RangeQuery range = ListStream::bounded(query.first());
    return {std::make_unique<StreamCall>(std::move(query)), read_op(std::move(range), consistency)};
  }
  auto page = std::make_unique<PageCall>(std::move(query), site.limits.page_bytes);
  kv::RangeQuery range = page->first();
  return {std::move(page), read_op(std::move(range), consistency)};
}

}  // namespace

Started start_count(const ReadOptions& options, std::string prefix, const CountShape& shape) {
  ListQuery query;
  query.prefix = std::move(prefix);
  query.read = options;
  return count(std::move(query), shape);
}

Handled handle_list(const Site& site, const Context& context, std::string prefix) {
  ListQuery query;
  if (auto error = read_list_query(site, context, std::move(prefix), query)) {
    return refuse(site, *error);
  }
  if (auto response = refuse_read(site, context, query.read)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (!query.polling.wanted) return start_list(site, std::move(query));
  if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  node::ClientOp first = confirmation(query.read.consistency, query.read.min_revision);
  return Started{std::make_unique<PollCall>(std::move(query)), std::move(first)};
}

}  // namespace raftd::api
