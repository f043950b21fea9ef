#include "http/parser.h"

#include <llhttp.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "base/assert.h"
#include "base/limits.h"
#include "base/spares.h"
#include "base/text.h"
#include "http/head_bytes.h"
#include "http/ordinary_head.h"

namespace raftd::http {

namespace {

constexpr std::size_t kBodyReserveMax = 64 * limits::kKiB;  // Beyond it, memory follows the data.

bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char a, char b) { return lower(a) == b; });
}

bool starts_ignoring_case(std::string_view text, std::string_view lower_case) {
  return equals_ignoring_case(text.substr(0, lower_case.size()), lower_case);
}

Method method_of(std::string_view name) {
  if (name == "GET") return Method::kGet;
  if (name == "PUT") return Method::kPut;
  if (name == "HEAD") return Method::kHead;
  if (name == "POST") return Method::kPost;
  if (name == "DELETE") return Method::kDelete;
  if (name == "OPTIONS") return Method::kOptions;
  return Method::kOther;
}

// "http://host:1/a?b" is "/a?b"; nothing: not a form that HTTP knows.
std::optional<std::string> origin_form(std::string_view target, bool options) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!starts_ignoring_case(target, scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t authority_bytes = std::min(rest.find_first_of("/?"), rest.size());
    if (authority_bytes == 0) return std::nullopt;
    const std::string_view origin = rest.substr(authority_bytes);
    if (origin.empty()) return options ? "*" : "/";
    return origin.front() == '?' ? "/" + std::string(origin) : std::string(origin);
  }
  return std::nullopt;
}

}  // namespace

// The head is whole when llhttp sees it, so each span is one piece; they are appended nevertheless.
struct RequestParser::HeadParser {
  HeadParser() {
    llhttp_settings_init(&settings);
    settings.on_url = [](llhttp_t* from, const char* at, std::size_t bytes) noexcept {
      of(from).target.append(at, bytes);
      return 0;
    };
    settings.on_header_field = [](llhttp_t* from, const char* at, std::size_t bytes) noexcept {
      Request& target = of(from);
      auto& self = *static_cast<HeadParser*>(from->data);
      if (!self.in_name) target.headers.emplace_back();
      self.in_name = true;
      std::string& name = target.headers.back().name;
      const std::size_t before = name.size();
      name.append(at, bytes);
      std::transform(name.begin() + static_cast<std::ptrdiff_t>(before), name.end(),
                     name.begin() + static_cast<std::ptrdiff_t>(before), lower);
      return 0;
    };
    settings.on_header_value = [](llhttp_t* from, const char* at, std::size_t bytes) noexcept {
      static_cast<HeadParser*>(from->data)->in_name = false;
      of(from).headers.back().value.append(at, bytes);
      return 0;
    };
    // An empty value comes without on_header_value.
    settings.on_header_value_complete = [](llhttp_t* from) noexcept {
      static_cast<HeadParser*>(from->data)->in_name = false;
      return 0;
    };
    settings.on_headers_complete = [](llhttp_t* from) noexcept {
      auto& self = *static_cast<HeadParser*>(from->data);
      self.complete = true;
      self.request->http_1_0 = from->http_minor == 0;
      self.request->keep_alive =
          llhttp_should_keep_alive(from) != 0 && (from->flags & F_CONNECTION_CLOSE) == 0;
      return 0;
    };
  }

  static Request& of(llhttp_t* from) { return *static_cast<HeadParser*>(from->data)->request; }

  // True: this is one whole head and llhttp has nothing against it.
  bool parse(std::string_view head, Request& into) {
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = this;
    request = &into;
    in_name = false;
    complete = false;
    const llhttp_errno_t error = llhttp_execute(&parser, head.data(), head.size());
    request = nullptr;
    // Upgrades and tunnels are not for us: the request is answered as any other.
    return complete && (error == HPE_OK || error == HPE_PAUSED_UPGRADE);
  }

  llhttp_t parser{};
  llhttp_settings_t settings{};
  Request* request = nullptr;
  bool in_name = false;
  bool complete = false;
};

RequestParser::RequestParser()
    : scanner_(HeadScanner::Part::kHead), head_parser_(std::make_unique<HeadParser>()) {}
RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

RequestParser::Step RequestParser::feed(std::string_view bytes, const ParserLimits& bounds) {
  ASSERT(phase_ != Phase::kWhole);
  ASSERT(phase_ != Phase::kRefused);
  if (bytes.empty()) return {};
  return phase_ == Phase::kBody ? feed_body(bytes, bounds) : feed_head(bytes, bounds);
}

Request RequestParser::take() {
  ASSERT(phase_ == Phase::kWhole);
  Request taken = std::move(request_);
  next();
  return taken;
}

void RequestParser::next() {
  ASSERT(phase_ == Phase::kWhole);
  request_.clear();
  phase_ = Phase::kBetween;
  discard_ = false;
  scanner_.restart(HeadScanner::Part::kHead);
}

std::uint64_t RequestParser::body_left() const {
  if (phase_ != Phase::kBody) return 0;
  return chunked_ ? std::numeric_limits<std::uint64_t>::max() : content_left_;
}

bool RequestParser::is_head() const {
  return request_.method == Method::kHead || scanner_.method() == "HEAD";
}

RequestParser::Step RequestParser::feed_head(std::string_view bytes, const ParserLimits& bounds) {
  if (phase_ == Phase::kBetween) {
    const std::size_t whole = read_ordinary_head(bytes, bounds.header_bytes, request_);
    if (whole != 0) return end_head(check_fields(), whole, bytes, bounds);
    request_ = Request();
  }
  phase_ = Phase::kHead;
  std::size_t consumed = 0;
  switch (scanner_.scan(bytes, bounds.header_bytes, consumed)) {
    case HeadScanner::Outcome::kMore:
      head_.append(bytes);
      return {Event::kMore, consumed};
    case HeadScanner::Outcome::kRefused:
      refuse(scanner_.refusal());
      return {Event::kRefused, consumed};
    case HeadScanner::Outcome::kEnd:
      break;
  }
  std::string_view head = bytes.substr(0, consumed);
  if (!head_.empty()) {
    head_.append(head);
    head = head_;
  }
  const bool accepted = parse_head(head);
  clear_text(head_, 0);
  return end_head(accepted, consumed, bytes, bounds);
}

// consumed: of bytes, which may hold more than the head.
RequestParser::Step RequestParser::end_head(bool accepted, std::size_t consumed,
                                            std::string_view bytes, const ParserLimits& bounds) {
  if (!accepted) return {Event::kRefused, consumed};
  streamed_ = request_.method == Method::kPost &&
              std::ranges::any_of(bounds.streamed_paths, [this](std::string_view path) {
                const std::string_view target = request_.target;
                return target.starts_with(path) &&
                       (target.size() == path.size() || target[path.size()] == '?');
              });
  if (content_left_ != 0 && !streamed_) {
    if (content_left_ > bounds.body_bytes) {
      refuse_body(body_too_large(bounds.body_bytes));
      return {Event::kRefused, consumed};
    }
    request_.body.reserve(
        static_cast<std::size_t>(std::min<std::uint64_t>(content_left_, kBodyReserveMax)));
  }
  const bool has_body = chunked_ || content_left_ != 0;
  phase_ = has_body ? Phase::kBody : Phase::kWhole;
  if (streamed_) return {Event::kOpened, consumed};
  if (!has_body) return {Event::kRequest, consumed};
  if (chunked_ || bytes.size() - consumed < content_left_) return {Event::kHead, consumed};
  Step step = feed_body(bytes.substr(consumed), bounds);
  step.consumed += consumed;
  return step;
}

RequestParser::Step RequestParser::feed_body(std::string_view bytes, const ParserLimits& bounds) {
  std::string* body = discard_ ? nullptr : &request_.body;
  std::size_t consumed = 0;
  bool whole = false;
  if (chunked_) {
    constexpr std::size_t kAny = std::numeric_limits<std::size_t>::max();
    const std::size_t bytes_max = streamed_ ? kAny : bounds.body_bytes;
    const ChunkedDecoder::Outcome outcome = chunks_.feed(
        bytes, {.body_bytes = bytes_max, .trailer_bytes = bounds.header_bytes}, body, consumed);
    if (outcome == ChunkedDecoder::Outcome::kRefused) {
      refuse_body(chunks_.refusal());
      return {Event::kRefused, consumed};
    }
    whole = outcome == ChunkedDecoder::Outcome::kEnd;
  } else {
    consumed = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), content_left_));
    if (body != nullptr) body->append(bytes.substr(0, consumed));
    content_left_ -= consumed;
    whole = content_left_ == 0;
  }
  if (!whole) return {Event::kMore, consumed};
  phase_ = Phase::kWhole;
  return {Event::kRequest, consumed};
}

void RequestParser::refuse_body(Refusal refusal) {
  refusal.path = request_.path();
  refuse(std::move(refusal));
}

bool RequestParser::parse_head(std::string_view head) {
  request_.headers.reserve(8);
  request_.method_name = scanner_.method();
  request_.method = method_of(request_.method_name);
  if (!head_parser_->parse(head, request_)) return bad("the head is malformed");
  for (Header& header : request_.headers) {
    // Space before a value is cut by llhttp, space after it is ours to cut.
    if (header.name == "transfer-encoding") continue;  // It is compared as it stands.
    const std::size_t last = header.value.find_last_not_of(" \t");
    header.value.resize(last == std::string::npos ? 0 : last + 1);
  }
  return check_fields() && check_target();
}

bool RequestParser::check_fields() {
  std::size_t hosts = 0;
  std::size_t lengths = 0;
  std::size_t encodings = 0;
  const std::string* length = nullptr;
  const std::string* encoding = nullptr;
  const std::string* expectation = nullptr;
  for (const Header& header : request_.headers) {
    if (header.name == "host") {
      ++hosts;
    } else if (header.name == "content-length") {
      ++lengths;
      length = &header.value;
    } else if (header.name == "transfer-encoding") {
      ++encodings;
      encoding = &header.value;
    } else if (header.name == "expect") {
      if (expectation != nullptr) return bad("Expect is there twice");
      expectation = &header.value;
    }
  }
  if (hosts > 1) return bad("Host is there twice");
  if (hosts == 0 && !request_.http_1_0) return bad("Host is missing");
  if (lengths > 1) return bad("Content-Length is there twice");
  if (encodings > 1) return bad("Transfer-Encoding is there twice");
  if (encodings != 0 && lengths != 0) {
    return bad("Content-Length and Transfer-Encoding exclude each other");
  }
  if (encodings != 0 && request_.http_1_0) return bad("HTTP/1.0 has no Transfer-Encoding");
  if (encodings != 0 && *encoding != "chunked") {
    return bad("the only Transfer-Encoding is one chunked");
  }
  chunked_ = encodings != 0;
  content_left_ = 0;
  if (chunked_) chunks_.restart();
  if (lengths != 0) {
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!parse_u64(*length, content_left_)) return bad("Content-Length is not a number");
    if (content_left_ > kMost) return bad("Content-Length is out of range");
  }
  if (expectation != nullptr) {
    if (!equals_ignoring_case(*expectation, "100-continue")) {
      return refuse({.status = 417,
                     .error = "expectation_failed",
                     .message = "the only expectation that can be met is 100-continue",
                     .limit = {},
                     .max = 0});
    }
    request_.expects_continue = !request_.http_1_0;
  }
  return true;
}

bool RequestParser::check_target() {
  std::string& target = request_.target;
  if (request_.method_name == "CONNECT") {
    // What follows may be meant for the far end of a tunnel: never read it as a request.
    request_.keep_alive = false;
    return true;
  }
  const bool options = request_.method == Method::kOptions;
  if (target.front() == '/') return true;
  if (target == "*") return options || bad("the target * is for OPTIONS only");
  std::optional<std::string> origin = origin_form(target, options);
  if (!origin) return bad("the request target is neither a path nor an http URL");
  target = std::move(*origin);
  return true;
}

bool RequestParser::refuse(Refusal refusal) {
  phase_ = Phase::kRefused;
  refusal_ = std::move(refusal);
  clear_text(head_, 0);
  return false;
}

bool RequestParser::bad(const char* message) {
  return refuse({.status = 400, .error = "bad_request", .message = message, .limit = {}, .max = 0});
}

}  // namespace raftd::http
