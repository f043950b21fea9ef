// Reads and writes of keys under /kv (native API, section 5).
#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/native_lease.h"
#include "api/read_options.h"
#include "api/retries.h"
#include "api/write_refusal.h"
#include "base/limits.h"
#include "base/text.h"
#include "kv/command.h"

namespace raftd::api {
namespace {

using http::Method;
using Kind = kv::Condition::Kind;

constexpr ParamSet kGetParams =
    kReadParams | ParamSet{Param::kKey64, Param::kMeta, Param::kList, Param::kAfter, Param::kWait};
constexpr ParamSet kWriteParams =
    kCommonParams | ParamSet{Param::kKey64, Param::kCas, Param::kIf, Param::kPrev};
constexpr ParamSet kPutParams =
    kWriteParams | ParamSet{Param::kTtl, Param::kLease, Param::kKeepLease};
constexpr ParamSet kDeleteParams = kWriteParams | ParamSet{Param::kPrefix};

std::string shown_key(const std::string& key) {
  return "key " + percent_escape(key);
}

// What a value answer and a 304 have in common.
void add_item_headers(std::string& fields, const kv::Item& item) {
  fields += "X-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n";
  add_etag(fields, item.mod);
  add_header(fields, "Raftd-Mod-Revision", item.mod);
  add_header(fields, "Raftd-Create-Revision", item.create);
  add_header(fields, "Raftd-Version", item.version);
  if (item.lease == 0) return;
  add_header(fields, "Raftd-Lease", item.lease);
  add_header(fields, "Raftd-Ttl", seconds_of(item.ttl_ms));
}

node::ClientOp get_op(const Site& site, std::string_view key, const ReadOptions& options) {
  std::unique_ptr<kv::GetQuery> query = site.leftovers.get();
  query->key = key;
  query->rev = options.rev;
  query->min_revision = options.min_revision;
  return node::Read{std::move(query), options.consistency};
}

// One that waits for a change looks first, and if there is none sleeps at the revision that it saw;
// it looks again, here, when an event of the key wakes it or its time is over.
class GetCall final : public Call {
 public:
  GetCall(std::string key, const ReadOptions& options, bool meta,
          std::optional<std::uint64_t> known, const Polling& polling)
      : key_(std::move(key)), options_(options), meta_(meta), known_(known), polling_(polling) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    auto& reply = reply_as<kv::GetReply>(done);
    if (polling_.wanted && !changed(reply) && !timed_out_) {
      if (!until_) until_ = site.watches.now + polling_.wait;
      seen_ = std::max(seen_.value_or(polling_.after.value_or(0)), reply.revision);
      return Park{{kv::KeySpan::Kind::kKey, key_, {}}, *seen_, *until_};
    }
    switch (reply.result) {
      case kv::GetReply::Result::kFound:
        return found(site, reply, done.index);
      case kv::GetReply::Result::kNotFound:
        return not_found(site, reply, done.index);
      case kv::GetReply::Result::kCompacted:
        return to_response(compacted(reply.compact_revision, reply.revision), site.headers);
      case kv::GetReply::Result::kFuture:
        return to_response(future_revision(reply.revision), site.headers);
    }
    return to_response(internal_error("a reply of no kind"), site.headers);
  }

  Step on_woken(const Site& site, const Woken& woken) override {
    timed_out_ = woken.why == Woken::Why::kTimedOut;
    woken_by_event_ = !timed_out_;
    ReadOptions here;
    here.consistency = node::Consistency::kLocal;
    return get_op(site, key_, here);
  }

 private:
  // Against what the client has; later, when it has waited, against what was seen first.
  bool changed(const kv::GetReply& reply) const {
    if (!polling_.after) return reply.item.mod != known_;
    if (seen_) return woken_by_event_ || reply.changed > *seen_;
    return reply.changed > *polling_.after || *polling_.after < reply.compact_revision;
  }
  // 304: as the client knows it.
  bool unchanged(const kv::GetReply& reply) const {
    return polling_.after ? !changed(reply) : known_ == reply.item.mod;
  }

  http::Response found(const Site& site, kv::GetReply& reply, raft::Index at) const {
    http::Response response = site.leftovers.response();
    if (unchanged(reply)) {
      response.status = 304;
    } else if (meta_) {
      response.fields = "Content-Type: application/json\r\n";
      add_item(response.body, reply.item, true);
      response.body += '\n';
    } else {
      response.fields = "Content-Type: application/octet-stream\r\n";
      std::swap(response.body, reply.item.value);  // Its memory goes the other way.
    }
    add_item_headers(response.fields, reply.item);
    add_read_headers(response.fields, options_, reply.revision, at);
    response.fields += site.headers.block();
    return response;
  }

  http::Response not_found(const Site& site, const kv::GetReply& reply, raft::Index at) const {
    std::string common;
    add_etag(common, 0);
    add_header(common, "Raftd-Index", at.value);
    add_header(common, "Raftd-Consistency", options_.level);
    if (unchanged(reply)) {
      http::Response response;
      response.status = 304;
      response.fields = std::move(common);
      add_header(response.fields, "Raftd-Revision", reply.revision);
      response.fields += site.headers.block();
      return response;
    }
    ApiError error;
    error.status = 404;
    error.code = "not_found";
    error.message = shown_key(key_) + " does not exist";
    error.revision = reply.revision;
    error.fields = std::move(common);
    add_bytes(error.extra, "key", key_);
    return to_response(error, site.headers);
  }

  std::string key_;
  ReadOptions options_;
  bool meta_;
  std::optional<std::uint64_t> known_;
  Polling polling_;
  std::optional<Instant> until_;      // Since it waits,
  std::optional<kv::Revision> seen_;  //   for what comes after this.
  bool timed_out_ = false;
  bool woken_by_event_ = false;
};

enum class Writing : std::uint8_t { kPut, kDelete, kIncrement };

// Of one key, on a condition.
class WriteCall final : public Call {
 public:
  WriteCall(std::string key, kv::Condition condition, Writing what, bool prev, bool minimal)
      : key_(std::move(key)), condition_(condition), what_(what), prev_(prev), minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::WriteReply>(done);
    using Result = kv::WriteReply::Result;
    if (reply.result == Result::kDone) return answer(site, reply, done);
    const bool by_condition = reply.result == Result::kModDiffers ||
                              reply.result == Result::kExists || reply.result == Result::kAbsent;
    if (by_condition) return refused(site, reply, done);
    return refused_write(site, done, reply, key_);
  }

 private:
  http::Response answer(const Site& site, const kv::WriteReply& reply,
                        const node::Done& done) const {
    http::Response response =
        written(site, done, {reply.created ? 201 : 200, minimal_, reply.revision});
    if (!minimal_) add_body(response.body, reply);
    if (what_ != Writing::kDelete) add_etag(response.fields, reply.revision);
    return response;
  }

  void add_body(std::string& json, const kv::WriteReply& reply) const {
    json.reserve(64);
    json = "{";
    if (what_ != Writing::kDelete) {
      add_member(json, "revision", reply.revision);
      add_flag(json, "created", reply.created);
      if (what_ == Writing::kIncrement) {
        add_name(json, "value");
        json += std::to_string(reply.value);
      }
      if (reply.lease != 0) {
        add_lease_id(json, "lease", reply.lease);
        add_member(json, "ttl", seconds_of(reply.ttl_ms));
      }
    } else {
      add_member(json, "deleted", reply.deleted);
      add_member(json, "revision", reply.revision);
    }
    if (prev_ && !reply.truncated) add_item_or_null(json, "prev", reply.prev);
    if (reply.truncated) add_flag(json, "truncated", true);
    json += "}\n";
  }

  http::Response refused(const Site& site, const kv::WriteReply& reply,
                         const node::Done& done) const {
    const std::uint64_t current = reply.prev ? reply.prev->mod : 0;
    ApiError error;
    error.status = 412;
    error.message = shown_key(key_);
    if (reply.result == kv::WriteReply::Result::kExists) {
      error.code = "exists";
      error.message += " exists";
    } else if (reply.result == kv::WriteReply::Result::kAbsent) {
      error.code = "absent";
      error.message += " does not exist";
    } else {
      error.code = "cas_failed";
      error.message += current == 0 ? " does not exist, it is"
                                    : " is at revision " + std::to_string(current) + ",";
      error.message += " not " + std::string(current == 0 ? "at revision " : "") +
                       std::to_string(condition_.mod);
    }
    error.revision = reply.revision;
    add_bytes(error.extra, "key", key_);
    add_member(error.extra, "current", current);
    if (!minimal_ && !reply.truncated) add_item_or_null(error.extra, "item", reply.prev);
    if (!minimal_ && reply.truncated) add_flag(error.extra, "truncated", true);
    add_etag(error.fields, current);
    return refuse_write(site, error, done);
  }

  std::string key_;
  kv::Condition condition_;
  Writing what_;
  bool prev_;
  bool minimal_;
};

class TouchCall final : public Call {
 public:
  TouchCall(std::string key, bool minimal) : key_(std::move(key)), minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::WriteReply>(done);
    if (reply.result != kv::WriteReply::Result::kDone) {
      return refused_write(site, done, reply, key_);
    }
    std::string json = "{";
    add_member(json, "revision", reply.revision);
    add_lease_id(json, "lease", reply.lease);
    add_member(json, "ttl", seconds_of(reply.ttl_ms));
    return written(site, done, {200, minimal_, reply.revision}, json + "}\n");
  }

 private:
  std::string key_;
  bool minimal_;
};

class DeletePrefixCall final : public Call {
 public:
  explicit DeletePrefixCall(bool minimal) : minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    if (auto error = error_of(reply_as<kv::StoreReply>(done))) {
      return refuse_write(site, *error, done);
    }
    const auto& reply = reply_as<kv::WriteReply>(done);
    std::string json = "{";
    add_member(json, "deleted", reply.deleted);
    add_member(json, "revision", reply.revision);
    add_flag(json, "more", reply.more);
    return written(site, done, {200, minimal_, reply.revision}, json + "}\n");
  }

 private:
  bool minimal_;
};

Handled handle_get(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  const bool meta = reader.flag(Param::kMeta);
  const auto known = read_known_revision(context.headers, reader);
  const Polling polling = read_polling(reader, site, context, known.has_value());
  if (auto error = context.parameters.only(kGetParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key(site, key)) return refuse(site, *error);
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (polling.wanted) {
    if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  }
  node::ClientOp op = get_op(site, key, options);
  return Started{std::make_unique<GetCall>(std::move(key), options, meta, known, polling),
                 std::move(op)};
}

// What is checked of every write of one key before it is proposed. Nothing: it can be.
std::optional<Handled> refuse_key_write(const Site& site, const Context& context,
                                        ParamReader& reader, ParamSet params,
                                        const std::string& key) {
  if (auto error = context.parameters.only(params)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key(site, key)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  return std::nullopt;
}

Handled handle_put(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Put put;
  put.condition = read_condition(context.headers, reader);
  put.want_prev = reader.flag(Param::kPrev);
  put.lease = read_lease_choice(reader);
  if (auto error = check_value(site, context)) reader.fail(*std::move(error));
  if (auto handled = refuse_key_write(site, context, reader, kPutParams, key)) {
    return *std::move(handled);
  }
  put.key = key;
  put.value = context.request.body;
  const KeyWrite growth[] = {{key, put.value.size()}};
  std::optional<ApiError> full = check_quota(site, growth);
  Bytes command = site.leftovers.command();
  kv::encode(put, context.terms.view(), command);
  auto call = std::make_unique<WriteCall>(std::move(key), put.condition, Writing::kPut,
                                          put.want_prev, prefers_minimal(context.headers));
  if (full) {
    return refuse_if_new(site, context, kv::ReplyKind::kWrite, *std::move(full), std::move(call));
  }
  return Started{std::move(call), node::Write{node::Propose{std::move(command)}}};
}

Handled handle_delete(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Delete command;
  command.condition = read_condition(context.headers, reader);
  command.want_prev = reader.flag(Param::kPrev);
  if (auto handled = refuse_key_write(site, context, reader, kDeleteParams, key)) {
    return *std::move(handled);
  }
  command.key = key;
  Bytes bytes = kv::encode(command, context.terms.view());
  return Started{std::make_unique<WriteCall>(std::move(key), command.condition, Writing::kDelete,
                                             command.want_prev, prefers_minimal(context.headers)),
                 node::Write{node::Propose{std::move(bytes)}}};
}

void refuse_body(const Context& context, ParamReader& reader) {
  if (!context.request.body.empty()) reader.fail(bad_request("incr and touch take no body"));
}

constexpr ParamSet kIncrementParams =
    kCommonParams | ParamSet{Param::kKey64,     Param::kIncr, Param::kTtl, Param::kLease,
                             Param::kKeepLease, Param::kCas,  Param::kIf};

Handled handle_increment(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Increment command;
  command.by = reader.signed_number(Param::kIncr, 1);
  command.condition = read_condition(context.headers, reader);
  const kv::LeaseChoice lease = read_lease_choice(reader);
  if (lease.kind != kv::LeaseChoice::Kind::kNone) command.lease = lease;
  refuse_body(context, reader);
  if (auto handled = refuse_key_write(site, context, reader, kIncrementParams, key)) {
    return *std::move(handled);
  }
  command.key = key;
  const KeyWrite growth[] = {{key, kDecimalBytesMax}};
  std::optional<ApiError> full = check_quota(site, growth);
  Bytes bytes = kv::encode(command, context.terms.view());
  auto call = std::make_unique<WriteCall>(std::move(key), command.condition, Writing::kIncrement,
                                          false, prefers_minimal(context.headers));
  if (full) {
    return refuse_if_new(site, context, kv::ReplyKind::kWrite, *std::move(full), std::move(call));
  }
  return Started{std::move(call), node::Write{node::Propose{std::move(bytes)}}};
}

constexpr ParamSet kTouchParams =
    kCommonParams | ParamSet{Param::kKey64, Param::kTouch, Param::kTtl};

Handled handle_touch(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Touch command;
  command.ttl_ms = read_ttl_ms(reader);
  if (read_condition(context.headers, reader).kind != Kind::kNone) {
    reader.fail(bad_request("touch takes no condition"));
  }
  refuse_body(context, reader);
  if (auto handled = refuse_key_write(site, context, reader, kTouchParams, key)) {
    return *std::move(handled);
  }
  command.key = key;
  Bytes bytes = kv::encode(command, context.terms.view());
  return Started{std::make_unique<TouchCall>(std::move(key), prefers_minimal(context.headers)),
                 node::Write{node::Propose{std::move(bytes)}}};
}

constexpr ParamSet kDeletePrefixParams =
    kCommonParams | ParamSet{Param::kKey64, Param::kPrefix, Param::kLimit, Param::kDryRun,
                             Param::kAll,   Param::kCas,    Param::kIf};

Handled handle_delete_prefix(const Site& site, const Context& context, std::string prefix) {
  ParamReader reader(context.parameters);
  const std::uint64_t limit = reader.number(Param::kLimit, 0, 1, UINT64_MAX);
  const bool dry_run = reader.flag(Param::kDryRun);
  const bool all = reader.flag(Param::kAll);
  refuse_condition(context.headers, reader);
  if (all != prefix.empty()) {
    reader.fail(Param::kAll, all ? "all goes with the empty prefix only"
                                 : "to delete every key, all must be given as well");
  }
  if (auto error = context.parameters.only(kDeletePrefixParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key_size(site, prefix)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (dry_run) return start_count(ReadOptions{}, std::move(prefix), CountShape{true, limit});
  kv::DeletePrefix command;
  command.prefix = prefix;
  command.limit = limit;
  return Started{std::make_unique<DeletePrefixCall>(prefers_minimal(context.headers)),
                 node::Write{node::Propose{kv::encode(command, context.terms.view())}}};
}

}  // namespace

Handled handle_kv(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  std::string key;
  if (auto error = read_key(context, key)) return refuse(site, *error);
  const bool list = context.is_read() && reader.flag(Param::kList);
  const bool prefix = context.request.method == Method::kDelete && reader.flag(Param::kPrefix);
  const bool post = context.request.method == Method::kPost;
  const bool touch = post && reader.flag(Param::kTouch);
  if (post) reader.exclude(Param::kIncr, Param::kTouch);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (touch) return handle_touch(site, context, std::move(key));
  if (post && reader.has(Param::kIncr)) return handle_increment(site, context, std::move(key));
  if (list) return handle_list(site, context, std::move(key));
  if (prefix) return handle_delete_prefix(site, context, std::move(key));
  if (context.is_read()) return handle_get(site, context, std::move(key));
  if (context.request.method == Method::kDelete) {
    return handle_delete(site, context, std::move(key));
  }
  return handle_put(site, context, std::move(key));
}

}  // namespace raftd::api
