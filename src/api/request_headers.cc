#include "api/request_headers.h"

#include <algorithm>

#include "api/answer.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::api {
namespace {

using http::Method;

struct Field {
  std::string_view name;
  const std::string* RequestHeaders::*slot;
  bool list = false;  // May be sent in several lines; the first counts.
};

constexpr Field kFields[] = {
    {"host", &RequestHeaders::host},
    {"accept", &RequestHeaders::accept, true},
    {"content-length", &RequestHeaders::content_length},
    {"if-match", &RequestHeaders::if_match},
    {"if-none-match", &RequestHeaders::if_none_match},
    {"prefer", &RequestHeaders::prefer, true},
    {"expect", &RequestHeaders::expect},
    {"origin", &RequestHeaders::origin},
    {"authorization", &RequestHeaders::authorization},
    {"traceparent", &RequestHeaders::traceparent},
    {"idempotency-key", &RequestHeaders::idempotency_key},
    {"raftd-fence", &RequestHeaders::fence},
    {"raftd-cluster", &RequestHeaders::cluster},
    {"raftd-api", &RequestHeaders::api},
    {"raftd-forwarded", &RequestHeaders::forwarded},
    {"last-event-id", &RequestHeaders::last_event_id},
};

// Most headers of most requests are none of these: their lengths tell.
constexpr std::uint64_t lengths_of_fields() {
  std::uint64_t bits = 0;
  for (const Field& field : kFields)
    bits |= 1ULL << field.name.size();
  return bits;
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

// A page in somebody's browser must not write to a node on loopback: its Origin must be the very
// host and port that the request was sent to.
bool is_same_origin(std::string_view origin, std::string_view host) {
  std::string_view default_port;
  if (origin.starts_with("http://")) {
    origin.remove_prefix(7);
    default_port = ":80";
  } else if (origin.starts_with("https://")) {
    origin.remove_prefix(8);
    default_port = ":443";
  } else {
    return false;
  }
  if (origin.ends_with(default_port)) origin.remove_suffix(default_port.size());
  if (host.ends_with(default_port)) host.remove_suffix(default_port.size());
  return !host.empty() && equal_ignoring_case(origin, host);
}

ApiError forbidden_origin() {
  ApiError error = bad_request("a page of another origin may not change anything here");
  error.status = 403;
  error.code = "forbidden";
  return error;
}

std::optional<ApiError> check_idempotency_key(std::string_view key) {
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (printable && !key.empty() && key.size() <= limits::kIdempotencyKeyBytesMax) {
    return std::nullopt;
  }
  return bad_parameter("Idempotency-Key",
                       "Idempotency-Key must be 1 to 128 characters of printable ASCII");
}

// "N" or N. W/"N" only where weak is allowed.
std::optional<std::uint64_t> parse_tag(std::string_view tag, bool weak) {
  if (weak && tag.starts_with("W/\"")) tag.remove_prefix(2);
  if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') {
    tag = tag.substr(1, tag.size() - 2);
  }
  std::uint64_t value = 0;
  if (!parse_u64(tag, value)) return std::nullopt;
  return value;
}

kv::Condition mod_is(std::uint64_t mod) {
  if (mod == 0) return {kv::Condition::Kind::kAbsent, 0};
  return {kv::Condition::Kind::kModIs, mod};
}

}  // namespace

RequestHeaders find_headers(const http::Request& request) {
  static constexpr std::uint64_t kLengths = lengths_of_fields();
  RequestHeaders found;
  for (const http::Header& header : request.headers) {
    const std::size_t length = header.name.size();
    if (length >= 64 || (kLengths >> length & 1) == 0) continue;
    for (const Field& field : kFields) {
      if (field.name != header.name) continue;
      const std::string*& slot = found.*field.slot;
      if (slot == nullptr) {
        slot = &header.value;
      } else if (!field.list) {
        found.repeated = &header.name;
      }
      break;
    }
  }
  return found;
}

std::optional<ApiError> check_headers(const http::Request& request, const RequestHeaders& headers,
                                      std::string_view cluster_id) {
  const bool write = request.method == Method::kPut || request.method == Method::kPost ||
                     request.method == Method::kDelete;
  if (headers.expect != nullptr && !equal_ignoring_case(*headers.expect, "100-continue")) {
    ApiError error = bad_request("only Expect: 100-continue is known");
    error.status = 417;
    error.code = "expectation_failed";
    error.close = true;
    return error;
  }
  if (headers.repeated != nullptr) {
    return bad_parameter(*headers.repeated, "header " + *headers.repeated + " is given twice");
  }
  const std::string_view host = headers.host != nullptr ? *headers.host : std::string_view();
  if (write && headers.origin != nullptr && !is_same_origin(*headers.origin, host)) {
    return forbidden_origin();
  }
  if (headers.authorization != nullptr && headers.authorization->size() > 7 &&
      equal_ignoring_case(std::string_view(*headers.authorization).substr(0, 7), "bearer ")) {
    return bad_parameter("Authorization", "tokens are not in this release");
  }
  if (headers.cluster != nullptr && *headers.cluster != cluster_id) {
    ApiError error = bad_request("this node is of cluster " + std::string(cluster_id));
    error.status = 421;
    error.code = "wrong_cluster";
    return error;
  }
  if (headers.api != nullptr && *headers.api != "1") {
    return bad_parameter("Raftd-Api", "this node speaks version 1 of the API");
  }
  if (write && headers.idempotency_key != nullptr) {
    if (auto error = check_idempotency_key(*headers.idempotency_key)) return error;
  }
  return std::nullopt;
}

std::vector<std::string_view> accepted_types(std::string_view accept) {
  std::vector<std::string_view> types;
  while (!accept.empty()) {
    const std::size_t end = accept.find(',');
    const std::string_view range = accept.substr(0, end);
    const std::string_view type = trimmed(range.substr(0, range.find(';')));
    if (!type.empty()) types.push_back(type);
    accept = end == std::string_view::npos ? std::string_view() : accept.substr(end + 1);
  }
  return types;
}

bool prefers_minimal(const RequestHeaders& headers) {
  if (headers.prefer == nullptr) return false;
  std::string_view rest = *headers.prefer;
  while (!rest.empty()) {
    const std::size_t end = rest.find(',');
    if (equal_ignoring_case(trimmed(rest.substr(0, end)), "return=minimal")) return true;
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  }
  return false;
}

kv::Condition read_condition(const RequestHeaders& headers, ParamReader& reader) {
  using Kind = kv::Condition::Kind;
  kv::Condition condition;
  int given = 0;
  if (headers.if_match != nullptr) {
    ++given;
    const auto mod = parse_tag(*headers.if_match, false);
    if (*headers.if_match == "*") {
      condition = {Kind::kExists, 0};
    } else if (mod) {
      condition = mod_is(*mod);
    } else {
      reader.fail(bad_parameter("If-Match", "If-Match must be one revision in quotes, or *"));
    }
  }
  if (headers.if_none_match != nullptr) {
    ++given;
    condition = {Kind::kAbsent, 0};
    if (*headers.if_none_match != "*") {
      reader.fail(bad_parameter("If-None-Match", "If-None-Match of a write can only be *"));
    }
  }
  if (reader.has(Param::kCas)) {
    ++given;
    condition = mod_is(reader.number(Param::kCas, 0, 0, UINT64_MAX));
  }
  if (reader.has(Param::kIf)) {
    ++given;
    const std::string_view wanted = reader.text(Param::kIf);
    condition = {wanted == "exists" ? Kind::kExists : Kind::kAbsent, 0};
    if (wanted != "exists" && wanted != "absent") {
      reader.fail(Param::kIf, "if must be exists or absent");
    }
  }
  if (given > 1) reader.fail(bad_request("more than one condition is given"));
  return condition;
}

void refuse_condition(const RequestHeaders& headers, ParamReader& reader) {
  const char* message = "a condition goes with a write of one key";
  if (headers.if_match != nullptr) reader.fail(bad_parameter("If-Match", message));
  if (headers.if_none_match != nullptr) reader.fail(bad_parameter("If-None-Match", message));
  if (reader.has(Param::kCas)) reader.fail(Param::kCas, message);
  if (reader.has(Param::kIf)) reader.fail(Param::kIf, message);
}

std::optional<std::uint64_t> read_known_revision(const RequestHeaders& headers,
                                                 ParamReader& reader) {
  if (headers.if_none_match == nullptr) return std::nullopt;
  const auto known = parse_tag(*headers.if_none_match, true);
  if (!known) {
    reader.fail(bad_parameter("If-None-Match", "If-None-Match must be one revision in quotes"));
  }
  return known;
}

}  // namespace raftd::api
