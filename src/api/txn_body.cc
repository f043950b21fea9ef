#include "api/txn_body.h"

#include <algorithm>
#include <span>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/parameters.h"
#include "api/terms.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::api {
namespace {

using http::JsonValue;
using Names = std::span<const std::string_view>;
using Relation = kv::Guard::Relation;
using Target = kv::Guard::Target;

constexpr std::size_t kNestedMax = 3;  // Levels inside the outermost.
constexpr std::uint64_t kListLimit = 1000;

enum class Op : std::uint8_t { kPut, kDelete, kDeletePrefix, kGet, kList, kIncr, kTouch, kTxn };
constexpr std::string_view kPutFields[] = {"put", "put64", "value",      "value64",
                                           "ttl", "lease", "keep_lease", "prev"};
constexpr std::string_view kDeleteFields[] = {"delete", "delete64", "prev"};
constexpr std::string_view kDeletePrefixFields[] = {"delete_prefix", "delete_prefix64"};
constexpr std::string_view kGetFields[] = {"get", "get64"};
constexpr std::string_view kListFields[] = {"list", "list64", "limit", "keys"};
constexpr std::string_view kIncrFields[] = {"incr", "incr64", "by"};
constexpr std::string_view kTouchFields[] = {"touch", "touch64", "ttl"};
constexpr std::string_view kTxnFields[] = {"txn"};
// First the operation's own field, then the same in base64.
constexpr Names kOps[] = {kPutFields,  kDeleteFields, kDeletePrefixFields, kGetFields,
                          kListFields, kIncrFields,   kTouchFields,        kTxnFields};

constexpr std::string_view kTransactionFields[] = {"if", "then", "else"};
constexpr std::string_view kKeyGuardFields[] = {"key",   "key64",   "mod",   "create", "version",
                                                "value", "value64", "lease", "exists"};
constexpr std::string_view kPrefixGuardFields[] = {"prefix", "prefix64", "exists"};
constexpr std::string_view kFenceGuardFields[] = {"fence", "fence64", "token"};

ApiError bad_json(std::string message) {
  ApiError error = bad_request(std::move(message));
  error.code = "bad_json";
  return error;
}

bool among(Names names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// "64" after it means that it is written in base64.
std::string sixty_four(std::string_view name) {
  return std::string(name) + "64";
}

std::optional<Relation> relation_of(std::string_view name) {
  static constexpr std::pair<std::string_view, Relation> kRelations[] = {
      {"=", Relation::kEqual},   {"!=", Relation::kNotEqual},  {"<", Relation::kLess},
      {">", Relation::kGreater}, {"<=", Relation::kLessEqual}, {">=", Relation::kGreaterEqual}};
  for (const auto& [text, relation] : kRelations) {
    if (text == name) return relation;
  }
  return std::nullopt;
}

}  // namespace

// Fills a body. Each function but the first is false when something is wrong; error_ says what.
class TxnReader {
 public:
  TxnReader(TxnBody& body, const ServiceLimits& limits) : body_(body), limits_(limits) {}

  std::optional<ApiError> read() {
    if (!read_transaction(body_.json_, body_.transaction_)) return std::move(error_);
    return std::nullopt;
  }

 private:
  bool fail(ApiError error) {
    error_ = std::move(error);
    if (!place_.empty()) error_->message = place() + error_->message;
    return false;
  }
  bool bad_field(std::string_view name, std::string_view expected) {
    ApiError error =
        bad_json("field " + percent_escape(name) + ": expected " + std::string(expected));
    add_member(error.extra, "field", name);
    return fail(std::move(error));
  }
  bool unknown_field(std::string_view name) {
    constexpr std::size_t kShownMax = 64;
    const std::string shown = percent_escape(name.substr(0, kShownMax));
    ApiError error = bad_json("unknown field " + shown);
    add_member(error.extra, "field", shown);
    return fail(std::move(error));
  }
  // then[2].txn.if[0]:
  std::string place() const {
    std::string text;
    for (const auto& [list, at] : place_) {
      if (!text.empty()) text += ".txn.";
      text += std::string(list) + "[" + std::to_string(at) + "]";
    }
    return text + ": ";
  }

  // The object's fields are all among these.
  bool only(const http::JsonObject& object, Names names) {
    for (const http::JsonField& field : object) {
      if (!among(names, field.name)) return unknown_field(field.name);
    }
    return true;
  }

  // Nothing if the field is not there in either form; given says if it is.
  bool bytes(const JsonValue& object, std::string_view name, std::string_view& out, bool& given) {
    const std::string name64 = sixty_four(name);
    const JsonValue* plain = object.field(name);
    const JsonValue* encoded = object.field(name64);
    given = plain != nullptr || encoded != nullptr;
    if (plain != nullptr && encoded != nullptr) {
      return bad_field(name64, "not both this and " + std::string(name));
    }
    if (plain != nullptr) return text(name, *plain, out);
    return encoded == nullptr || base64(name64, *encoded, out);
  }
  bool text(std::string_view name, const JsonValue& value, std::string_view& out) {
    if (value.text() == nullptr) return bad_field(name, "a string");
    out = *value.text();
    return true;
  }
  bool base64(std::string_view name, const JsonValue& value, std::string_view& out) {
    std::optional<std::string> decoded;
    if (value.text() != nullptr) decoded = decode_any_base64(*value.text());
    if (!decoded) return bad_field(name, "a string of base64");
    out = body_.texts_.emplace_back(*std::move(decoded));
    return true;
  }
  bool key(const JsonValue& object, std::string_view name, std::string_view& out) {
    bool given = false;
    if (!bytes(object, name, out, given)) return false;
    if (out.empty()) {
      ApiError error = bad_request("the key is empty");
      add_member(error.extra, "field", name);
      return fail(std::move(error));
    }
    return key_size(out);
  }
  bool key_size(std::string_view key) {
    if (key.size() <= limits_.key_bytes) return true;
    return fail(too_large("limits.key_bytes", limits_.key_bytes, key.size()));
  }
  bool value_size(std::string_view value) {
    if (value.size() <= limits_.value_bytes) return true;
    return fail(too_large("limits.value_bytes", limits_.value_bytes, value.size()));
  }
  bool prefix(const JsonValue& object, std::string_view name, kv::Span& out) {
    bool given = false;
    if (!bytes(object, name, out.from, given) || !key_size(out.from)) return false;
    out.to = body_.texts_.emplace_back(kv::prefix_end(out.from));
    return true;
  }
  bool flag(const JsonValue& object, std::string_view name, bool& out) {
    const JsonValue* value = object.field(name);
    if (value == nullptr) return true;
    if (value->boolean() == nullptr) return bad_field(name, "true or false");
    out = *value->boolean();
    return true;
  }
  bool whole(std::string_view name, const JsonValue& value, std::uint64_t min, std::uint64_t max,
             std::uint64_t& out) {
    const std::uint64_t* number = value.whole();
    if (number == nullptr || *number < min || *number > max) {
      return bad_field(name, "a whole number of at least " + std::to_string(min) +
                                 (max == UINT64_MAX ? "" : " and at most " + std::to_string(max)));
    }
    out = *number;
    return true;
  }
  bool ttl(const JsonValue& value, std::uint64_t& ms) {
    std::optional<Duration> duration;
    if (const std::string* text = value.text()) {
      duration = parse_duration(*text);
    } else if (const std::uint64_t* seconds = value.whole()) {
      duration = parse_duration(std::to_string(*seconds));
    } else if (const double* real = value.real()) {
      constexpr double kMax = 9e9;
      if (*real >= 0 && *real <= kMax) {
        duration = Duration(static_cast<std::int64_t>(*real * 1e9 + 0.5));
      }
    }
    const std::int64_t read =
        duration ? std::chrono::duration_cast<std::chrono::milliseconds>(*duration).count() : 0;
    ms = static_cast<std::uint64_t>(read);
    if (read >= 1000 && ms <= limits::kLeaseTtlMsMax) return true;
    return bad_field("ttl", "a duration such as \"30s\" or a number of seconds, 1 to 9000000000");
  }
  bool lease_id(const JsonValue& value, std::uint64_t min, std::uint64_t& id) {
    const std::string* digits = value.text();
    if (digits != nullptr && parse_u64(*digits, id) && id >= min && id <= limits::kLeaseIdMax) {
      return true;
    }
    return bad_field("lease", "the number of a lease as a string");
  }

  bool read_transaction(const JsonValue& value, kv::Transaction& out) {
    const http::JsonObject* object = value.object();
    if (object == nullptr) return fail(bad_json("a transaction is an object"));
    return only(*object, kTransactionFields) && read_guards(value, out) &&
           read_ops(value, "then", out.then) && read_ops(value, "else", out.otherwise);
  }

  // Nothing there: an empty list.
  bool list(const JsonValue& object, std::string_view name, const http::JsonArray*& out) {
    static const http::JsonArray kNone;
    const JsonValue* value = object.field(name);
    out = value == nullptr ? &kNone : value->array();
    return out != nullptr || bad_field(name, "a list");
  }

  bool read_guards(const JsonValue& value, kv::Transaction& out) {
    const http::JsonArray* guards = nullptr;
    if (!list(value, "if", guards)) return false;
    const bool outermost = place_.empty();
    place_.push_back({"if", 0});
    for (std::size_t& at = place_.back().second; at < guards->size(); ++at) {
      if (!read_guard((*guards)[at], out.guards)) return false;
      if (outermost) body_.guard_positions_.resize(out.guards.size(), at);
    }
    place_.pop_back();
    return true;
  }

  bool read_ops(const JsonValue& value, std::string_view name,
                std::vector<kv::TransactionOp>& out) {
    const http::JsonArray* ops = nullptr;
    if (!list(value, name, ops)) return false;
    place_.push_back({name, 0});
    out.reserve(ops->size());
    for (std::size_t at = 0; at < ops->size(); ++at) {
      place_.back().second = at;
      if (!read_op((*ops)[at], out)) return false;
    }
    place_.pop_back();
    return true;
  }

  bool read_guard(const JsonValue& value, std::vector<kv::Guard>& out) {
    const http::JsonObject* object = value.object();
    if (object == nullptr) return fail(bad_json("a guard is an object"));
    if (value.field("fence") != nullptr || value.field("fence64") != nullptr) {
      return read_fence(value, *object, out);
    }
    kv::Guard guard;
    if (value.field("prefix") != nullptr || value.field("prefix64") != nullptr) {
      return only(*object, kPrefixGuardFields) && prefix(value, "prefix", guard.span) &&
             read_exists(value, true, guard, out);
    }
    if (!only(*object, kKeyGuardFields)) return false;
    if (value.field("key") == nullptr && value.field("key64") == nullptr) {
      return fail(bad_json("a guard has a key, a prefix or a fence"));
    }
    if (!key(value, "key", guard.span.from)) return false;
    const std::size_t before = out.size();
    static constexpr std::pair<std::string_view, Target> kTargets[] = {
        {"mod", Target::kMod},     {"create", Target::kCreate}, {"version", Target::kVersion},
        {"value", Target::kValue}, {"value64", Target::kValue}, {"lease", Target::kLease}};
    if (value.field("value") != nullptr && value.field("value64") != nullptr) {
      return bad_field("value64", "not both this and value");
    }
    for (const auto& [name, target] : kTargets) {
      const JsonValue* wanted = value.field(name);
      guard.target = target;
      if (wanted != nullptr && !read_comparisons(name, *wanted, guard, out)) return false;
    }
    if (!read_exists(value, false, guard, out)) return false;
    if (out.size() > before) return true;
    return fail(bad_json("a guard says what its key must have"));
  }

  bool read_exists(const JsonValue& value, bool needed, kv::Guard guard,
                   std::vector<kv::Guard>& out) {
    const JsonValue* wanted = value.field("exists");
    if (wanted == nullptr && !needed) return true;
    if (wanted == nullptr || wanted->boolean() == nullptr) {
      return bad_field("exists", "true or false");
    }
    guard.target = Target::kExists;
    guard.relation = Relation::kEqual;
    guard.number = *wanted->boolean() ? 1 : 0;
    guard.value = {};
    out.push_back(guard);
    return true;
  }

  bool read_fence(const JsonValue& value, const http::JsonObject& object,
                  std::vector<kv::Guard>& out) {
    kv::Guard guard;
    guard.target = Target::kFence;
    std::string_view& name = guard.span.from;
    bool given = false;
    if (!only(object, kFenceGuardFields) || !bytes(value, "fence", name, given)) return false;
    if (name.starts_with(kElectionFence)) {
      guard.target = Target::kElectionFence;
      name.remove_prefix(kElectionFence.size());
    }
    if (name.empty() || name.size() > limits::kLockNameBytesMax) {
      return bad_field("fence", "the name of a lock or an election");
    }
    const JsonValue* token = value.field("token");
    if (token == nullptr) return bad_field("token", "a number");
    if (!whole("token", *token, 1, UINT64_MAX, guard.number)) return false;
    out.push_back(guard);
    return true;
  }

  // A literal means equal; an object has one or more relations.
  bool read_comparisons(std::string_view name, const JsonValue& value, kv::Guard guard,
                        std::vector<kv::Guard>& out) {
    const http::JsonObject* object = value.object();
    if (object == nullptr) {
      guard.relation = Relation::kEqual;
      if (!read_operand(name, value, guard)) return false;
      out.push_back(guard);
      return true;
    }
    if (object->empty()) return bad_field(name, "one or more of = != < > <= >=");
    for (const http::JsonField& field : *object) {
      const std::optional<Relation> relation = relation_of(field.name);
      if (!relation) return unknown_field(field.name);
      guard.relation = *relation;
      if (!read_operand(name, field.value, guard)) return false;
      out.push_back(guard);
    }
    return true;
  }

  bool read_operand(std::string_view name, const JsonValue& value, kv::Guard& guard) {
    if (guard.target == Target::kLease) return lease_id(value, 0, guard.number);
    if (guard.target != Target::kValue) return whole(name, value, 0, UINT64_MAX, guard.number);
    const bool read =
        name == "value" ? text(name, value, guard.value) : base64(name, value, guard.value);
    return read && value_size(guard.value);
  }

  bool read_op(const JsonValue& value, std::vector<kv::TransactionOp>& out) {
    const http::JsonObject* object = value.object();
    if (object == nullptr) return fail(bad_json("an operation is an object"));
    std::optional<Op> found;
    for (std::size_t i = 0; i < std::size(kOps) && !found; ++i) {
      const bool encoded = kOps[i].size() > 1 && value.field(kOps[i][1]) != nullptr;
      if (encoded || value.field(kOps[i][0]) != nullptr) found = static_cast<Op>(i);
    }
    if (!found) {
      if (!object->empty()) return unknown_field(object->front().name);
      return fail(
          bad_json("an operation is put, delete, delete_prefix, get, list, incr, touch or txn"));
    }
    if (!only(*object, kOps[static_cast<std::size_t>(*found)])) return false;
    return read_op(*found, value, out);
  }

  bool read_op(Op op, const JsonValue& value, std::vector<kv::TransactionOp>& out) {
    switch (op) {
      case Op::kPut:
        return read_put(value, out.emplace_back().op.emplace<kv::Put>());
      case Op::kDelete: {
        kv::Delete& del = out.emplace_back().op.emplace<kv::Delete>();
        return key(value, "delete", del.key) && flag(value, "prev", del.want_prev);
      }
      case Op::kDeletePrefix:
        return prefix(value, "delete_prefix", out.emplace_back().op.emplace<kv::DeleteSpan>().span);
      case Op::kGet:
        return key(value, "get", out.emplace_back().op.emplace<kv::Get>().key);
      case Op::kList:
        return read_list(value, out.emplace_back().op.emplace<kv::List>());
      case Op::kIncr:
        return read_increment(value, out.emplace_back().op.emplace<kv::Increment>());
      case Op::kTouch: {
        kv::Touch& touch = out.emplace_back().op.emplace<kv::Touch>();
        if (!key(value, "touch", touch.key)) return false;
        const JsonValue* wanted = value.field("ttl");
        return wanted == nullptr || ttl(*wanted, touch.ttl_ms);
      }
      case Op::kTxn:
        if (place_.size() > kNestedMax) {
          return bad_field("txn", "at most 3 levels inside the outermost");
        }
        return read_transaction(*value.field("txn"),
                                out.emplace_back().op.emplace<kv::Transaction>());
    }
    return false;
  }

  bool read_put(const JsonValue& value, kv::Put& put) {
    using Kind = kv::LeaseChoice::Kind;
    bool given = false;
    bool keep = false;
    if (!key(value, "put", put.key) || !bytes(value, "value", put.value, given)) return false;
    if (!given) return bad_field("value", "a string, or value64 in its place");
    if (!value_size(put.value) || !flag(value, "prev", put.want_prev)) return false;
    if (!flag(value, "keep_lease", keep)) return false;
    const JsonValue* seconds = value.field("ttl");
    const JsonValue* id = value.field("lease");
    if ((keep ? 1 : 0) + (seconds != nullptr ? 1 : 0) + (id != nullptr ? 1 : 0) > 1) {
      return bad_field(id != nullptr ? "lease" : "ttl", "only one of ttl, lease and keep_lease");
    }
    if (keep) put.lease.kind = Kind::kKeep;
    if (seconds != nullptr) put.lease.kind = Kind::kPrivate;
    if (id != nullptr) put.lease.kind = Kind::kAttach;
    return (seconds == nullptr || ttl(*seconds, put.lease.number)) &&
           (id == nullptr || lease_id(*id, 1, put.lease.number));
  }

  bool read_list(const JsonValue& value, kv::List& list) {
    list.limit = std::min(kListLimit, limits_.page_items);
    const JsonValue* limit = value.field("limit");
    return prefix(value, "list", list.span) && flag(value, "keys", list.keys_only) &&
           (limit == nullptr || whole("limit", *limit, 1, limits_.page_items, list.limit));
  }

  bool read_increment(const JsonValue& value, kv::Increment& increment) {
    if (!key(value, "incr", increment.key)) return false;
    const JsonValue* by = value.field("by");
    if (by == nullptr) return true;
    if (const std::int64_t* negative = by->negative()) {
      increment.by = *negative;
      return true;
    }
    if (by->whole() == nullptr || *by->whole() > INT64_MAX) {
      return bad_field("by", "a whole number of 64 bits");
    }
    increment.by = static_cast<std::int64_t>(*by->whole());
    return true;
  }

  TxnBody& body_;
  const ServiceLimits& limits_;
  std::optional<ApiError> error_;
  std::vector<std::pair<std::string_view, std::size_t>> place_;  // Lists, the outermost first.
};

std::optional<ApiError> TxnBody::read(std::string_view json, const ServiceLimits& limits) {
  if (json.empty()) return std::nullopt;
  Result<http::JsonValue> parsed = http::parse_json(json);
  if (!parsed) return bad_json(parsed.error().message);
  json_ = *std::move(parsed);
  if (auto error = TxnReader(*this, limits).read()) return error;
  const std::size_t ops = count_ops(transaction_);
  if (ops > limits.txn_ops) return too_large("limits.txn_ops", limits.txn_ops, ops);
  const std::optional<std::string> twice = duplicate_key(transaction_);
  if (!twice) return std::nullopt;
  ApiError error = bad_request("key " + percent_escape(*twice) + " would be written twice");
  error.code = "duplicate_key";
  add_bytes(error.extra, "key", *twice);
  return error;
}

}  // namespace raftd::api
