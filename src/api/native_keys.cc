// Reads and writes of keys under /kv (native API, section 5).
#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/read_options.h"
#include "base/text.h"
#include "kv/command.h"

namespace raftd::api {
namespace {

using http::Method;
using Kind = kv::Condition::Kind;

constexpr ParamSet kGetParams = kReadParams | ParamSet{Param::kKey64, Param::kMeta, Param::kList};
constexpr ParamSet kPutParams =
    kCommonParams | ParamSet{Param::kKey64, Param::kCas, Param::kIf, Param::kPrev};
constexpr ParamSet kDeleteParams = kPutParams | ParamSet{Param::kPrefix};

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
}

class GetCall final : public Call {
 public:
  GetCall(std::string key, const ReadOptions& options, bool meta,
          std::optional<std::uint64_t> known)
      : key_(std::move(key)), options_(options), meta_(meta), known_(known) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId, node::Done done) override {
    auto& reply = reply_as<kv::GetReply>(done);
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

 private:
  http::Response found(const Site& site, kv::GetReply& reply, raft::Index at) const {
    http::Response response;
    response.fields.reserve(512);
    if (known_ == reply.item.mod) {
      response.status = 304;
    } else if (meta_) {
      response.fields = "Content-Type: application/json\r\n";
      add_item(response.body, reply.item, true);
      response.body += '\n';
    } else {
      response.fields = "Content-Type: application/octet-stream\r\n";
      response.body = std::move(reply.item.value);
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
    if (known_ == std::uint64_t{0}) {
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
};

// Of PUT and DELETE of one key.
class WriteCall final : public Call {
 public:
  WriteCall(std::string key, kv::Condition condition, bool is_put, bool prev, bool minimal)
      : key_(std::move(key)),
        condition_(condition),
        is_put_(is_put),
        prev_(prev),
        minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done done) override {
    const auto& reply = reply_as<kv::WriteReply>(done);
    switch (reply.result) {
      case kv::WriteReply::Result::kDone:
        return written(site, reply, done);
      case kv::WriteReply::Result::kModDiffers:
      case kv::WriteReply::Result::kExists:
      case kv::WriteReply::Result::kAbsent:
        return refused(site, reply, done);
      case kv::WriteReply::Result::kBadCommand:
        break;
    }
    return to_response(internal_error(reply.message), site.headers);
  }

 private:
  http::Response written(const Site& site, const kv::WriteReply& reply,
                         const node::Done& done) const {
    http::Response response;
    response.status = minimal_ ? 204 : is_put_ && reply.created ? 201 : 200;
    std::string& fields = response.fields;
    fields.reserve(512);
    if (minimal_) {
      fields = "Preference-Applied: return=minimal\r\n";
    } else {
      fields = "Content-Type: application/json\r\n";
      add_body(response.body, reply);
    }
    if (is_put_) add_etag(fields, reply.revision);
    add_header(fields, "Raftd-Revision", reply.revision);
    add_write_headers(fields, site, done);
    return response;
  }

  void add_body(std::string& json, const kv::WriteReply& reply) const {
    json = "{";
    if (is_put_) {
      add_member(json, "revision", reply.revision);
      add_flag(json, "created", reply.created);
    } else {
      add_member(json, "deleted", reply.deleted);
      add_member(json, "revision", reply.revision);
    }
    if (prev_) add_item_or_null(json, "prev", reply.prev);
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
    if (!minimal_) add_item_or_null(error.extra, "item", reply.prev);
    add_etag(error.fields, current);
    http::Response response = to_response(error, site.headers);
    add_header(response.fields, "Raftd-Index", done.index.value);
    add_forwarded(response.fields, site, done);
    return response;
  }

  std::string key_;
  kv::Condition condition_;
  bool is_put_;
  bool prev_;
  bool minimal_;
};

class DeletePrefixCall final : public Call {
 public:
  explicit DeletePrefixCall(bool minimal) : minimal_(minimal) {}

  Asked asked() const override { return Asked::kWrite; }

  Step on_done(const Site& site, RequestId, node::Done done) override {
    const auto& reply = reply_as<kv::WriteReply>(done);
    if (reply.result != kv::WriteReply::Result::kDone) {
      return to_response(internal_error(reply.message), site.headers);
    }
    http::Response response;
    response.status = minimal_ ? 204 : 200;
    if (minimal_) {
      response.fields = "Preference-Applied: return=minimal\r\n";
    } else {
      response.fields = "Content-Type: application/json\r\n";
      response.body = "{";
      add_member(response.body, "deleted", reply.deleted);
      add_member(response.body, "revision", reply.revision);
      add_flag(response.body, "more", reply.more);
      response.body += "}\n";
    }
    add_header(response.fields, "Raftd-Revision", reply.revision);
    add_write_headers(response.fields, site, done);
    return response;
  }

 private:
  bool minimal_;
};

Handled handle_get(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  const bool meta = reader.flag(Param::kMeta);
  const auto known = read_known_revision(context.headers, reader);
  if (auto error = context.parameters.only(kGetParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key(site, key)) return refuse(site, *error);
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  kv::GetQuery query;
  query.key = key;
  query.rev = options.rev;
  query.min_revision = options.min_revision;
  return Started{std::make_unique<GetCall>(std::move(key), options, meta, known),
                 read_op(std::move(query), options.consistency)};
}

Handled handle_put(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Put put;
  put.condition = read_condition(context.headers, reader);
  put.want_prev = reader.flag(Param::kPrev);
  if (auto error = context.parameters.only(kPutParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key(site, key)) return refuse(site, *error);
  if (auto error = check_value(site, context)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  put.key = key;
  put.value = context.request.body;
  if (auto error = check_quota(site, put)) return refuse(site, *error);
  Bytes command = kv::encode(put);
  return Started{std::make_unique<WriteCall>(std::move(key), put.condition, true, put.want_prev,
                                             prefers_minimal(context.headers)),
                 node::Write{node::Propose{std::move(command)}}};
}

Handled handle_delete(const Site& site, const Context& context, std::string key) {
  ParamReader reader(context.parameters);
  kv::Delete command;
  command.condition = read_condition(context.headers, reader);
  command.want_prev = reader.flag(Param::kPrev);
  if (auto error = context.parameters.only(kDeleteParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto error = check_key(site, key)) return refuse(site, *error);
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  command.key = key;
  Bytes bytes = kv::encode(command);
  return Started{std::make_unique<WriteCall>(std::move(key), command.condition, false,
                                             command.want_prev, prefers_minimal(context.headers)),
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
                 node::Write{node::Propose{kv::encode(command)}}};
}

}  // namespace

Handled handle_kv(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  std::string key;
  if (auto error = read_key(context, key)) return refuse(site, *error);
  const bool list = context.is_read() && reader.flag(Param::kList);
  const bool prefix = context.request.method == Method::kDelete && reader.flag(Param::kPrefix);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (list) return handle_list(site, context, std::move(key));
  if (prefix) return handle_delete_prefix(site, context, std::move(key));
  if (context.is_read()) return handle_get(site, context, std::move(key));
  if (context.request.method == Method::kDelete) {
    return handle_delete(site, context, std::move(key));
  }
  return handle_put(site, context, std::move(key));
}

}  // namespace raftd::api
