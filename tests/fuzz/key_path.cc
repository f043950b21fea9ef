// libFuzzer: "METHOD TARGET", header lines, an empty line and a body, given to the whole API with a
// store behind it. Proves: each request has one answer, well-formed and without a header that the
// client made up; the key that a target means is the one that its canonical target means; what the
// store is asked is within the limits.
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "api/service.h"
#include "base/assert.h"
#include "base/text.h"
#include "http/json.h"
#include "http/parser.h"
#include "http/uri.h"
#include "kv/command.h"
#include "kv/query.h"

namespace {

using namespace raftd;

constexpr Instant kNow{std::chrono::seconds(1)};
constexpr std::size_t kKeyBytesMax = 64;

struct Asked {
  node::ClientToken token;
  node::ClientOp op;
};

struct Backend final : api::Backend {
  void on_client(Instant, node::ClientToken token, node::ClientOp&& op, Instant) override {
    asked.push_back({token, std::move(op)});
  }
  void on_client_gone(node::ClientToken token) override {
    std::erase_if(asked, [&](const Asked& each) { return each.token == token; });
  }
  api::Standing standing(Instant) const override { return {now.role, now.leader_contact}; }
  node::ReplicaStatus status(Instant) const override { return now; }
  api::ReplicaTimes times() const override { return {time, time, time}; }

  std::deque<Asked> asked;
  node::ReplicaStatus now;
  RecentHistogram time;
};

struct Responder final : api::Responder {
  void respond(api::RequestId, http::Response given) override {
    ASSERT(!response);
    response = std::move(given);
  }
  void wake(api::RequestId) override {}

  std::optional<http::Response> response;
};

api::ServiceOptions options() {
  api::ServiceOptions options;
  options.self = {1};
  options.name = "n1";
  options.cluster_id = "8f1c0a93d2be7745";
  options.client_url = "http://10.0.0.1:2379";
  options.version = "1.0.0";
  options.etcd_version = "3.6.0";
  options.election_timeout_min = std::chrono::milliseconds(500);
  options.started = {};
  options.listed_members = {{{1}, "n1", "http://10.0.0.1:2379"}, {{2}, "n2", ""}};
  options.limits_shown = [] { return std::vector<std::pair<std::string, std::string>>(); };
  return options;
}

constexpr api::ServiceLimits kLimits{.key_bytes = kKeyBytesMax,
                                     .value_bytes = 256,
                                     .request_bytes = 1024,
                                     .txn_ops = 16,
                                     .page_items = 4,
                                     .page_bytes = 256,
                                     .watchers = 4,
                                     .wait = std::chrono::minutes(1),
                                     .store_bytes = 4096,
                                     .request_timeout = std::chrono::seconds(5),
                                     .redirect = false};

class Server {
 public:
  explicit Server(raft::Role role) : service_(options(), kLimits, store_, vitals_, log_) {
    service_.bind(backend_, responder_);
    backend_.now.role = {role, {3}, {role == raft::Role::kLeader ? 1U : 2U}};
    backend_.now.leader_contact = kNow;
    backend_.now.recovered = true;
    for (const char* key : {"a", "a/b", "a/c", "b", "\xff", "key with spaces"})
      write({kv::encode(kv::Put{key, "v", {}, false})});
  }

  // The answer, with the body of a stream. The keys asked for are left in keys.
  http::Response ask(http::Request request) {
    keys.clear();
    if (!request.body.empty()) {
      http::Request head = request;
      head.body.clear();
      if (auto early = service_.on_head(kNow, head)) return *std::move(early);
    }
    service_.on_request(kNow, {++requests_}, request);
    while (!responder_.response) {
      if (!backend_.asked.empty()) {
        answer();
        continue;
      }
      later_ = later_ + kLimits.wait;  // It waits for a change, and there is none.
      service_.pump(later_);
      ASSERT(responder_.response || !backend_.asked.empty());
    }
    http::Response response = *std::move(responder_.response);
    responder_.response.reset();
    if (response.stream) read_to_end(response);
    ASSERT(backend_.asked.empty());
    return response;
  }

  http::Response refuse(const http::Refusal& refusal) { return service_.refusal(kNow, refusal); }

  std::vector<std::string> keys;

 private:
  void read_to_end(http::Response& response) {
    for (;;) {
      const auto next = response.stream->next(response.body);
      if (response.stream->lasting()) {
        if (next == http::BodySource::Next::kEnd || !service_.has_more()) break;
        service_.pump(later_);
        continue;
      }
      if (next == http::BodySource::Next::kEnd) break;
      ASSERT(next != http::BodySource::Next::kBroken);
      if (!backend_.asked.empty()) answer();
    }
    response.stream.reset();
  }

  std::unique_ptr<machine::Reply> write(const node::Propose& propose) {
    ++applied_;
    auto outcome = store_.apply({{applied_}, {3}, {0}, ByteView(propose.command).subspan(8)}, true);
    while (!outcome.finished)
      outcome = store_.apply_slice();
    return std::move(outcome.reply);
  }

  std::unique_ptr<machine::Reply> run(node::ClientOp& op) {
    if (auto* read = std::get_if<node::Read>(&op)) {
      if (const auto* get = dynamic_cast<const kv::GetQuery*>(read->query.get())) {
        ASSERT(!get->key.empty());
        note_key(get->key);
      }
      if (const auto* range = dynamic_cast<const kv::RangeQuery*>(read->query.get())) {
        ASSERT_CMP(range->prefix.size(), <=, kKeyBytesMax);
      }
      return store_.query(*read->query, {});
    }
    if (!std::holds_alternative<node::Write>(op)) return nullptr;  // Snapshots: not here.
    const auto* propose = std::get_if<node::Propose>(&std::get<node::Write>(op).op);
    if (propose == nullptr) return nullptr;
    const auto command = kv::decode(ByteView(propose->command).subspan(8));
    ASSERT(command);
    if (const auto* put = std::get_if<kv::Put>(&command->command)) note_key(put->key);
    if (const auto* removed = std::get_if<kv::Delete>(&command->command)) note_key(removed->key);
    return write(*propose);
  }

  void note_key(std::string_view key) {
    ASSERT(!key.empty());
    ASSERT_CMP(key.size(), <=, kKeyBytesMax);
    keys.emplace_back(key);
  }

  void answer() {
    Asked asked = std::move(backend_.asked.front());
    backend_.asked.pop_front();
    std::unique_ptr<machine::Reply> reply = run(asked.op);
    const bool transfer =
        std::holds_alternative<node::Write>(asked.op) &&
        std::holds_alternative<node::Transfer>(std::get<node::Write>(asked.op).op);
    if (!reply && !transfer) {  // A revision that does not come.
      service_.complete(asked.token, node::Refused{{Errc::kTimeout, ""}});
    } else {
      service_.complete(asked.token, node::Done{{applied_ + 1}, {3}, false, std::move(reply)});
    }
  }

  Log log_{LogLevel::kError, [](LogLevel, std::string_view) {}};
  kv::Store store_{kv::HistoryLimits{600'000, 64 << 20}};
  api::Vitals vitals_;
  Backend backend_;
  api::Service service_;
  Responder responder_;  // Streams end before what they are of.
  Instant later_ = kNow;
  std::uint64_t requests_ = 0;
  std::uint64_t applied_ = 0;
};

// Whole lines "Name: value", visible text only: nothing of the request can end one early.
void check_fields(std::string_view fields) {
  while (!fields.empty()) {
    const std::size_t end = fields.find("\r\n");
    ASSERT(end != std::string_view::npos);
    const std::string_view line = fields.substr(0, end);
    const std::size_t colon = line.find(": ");
    ASSERT(colon != std::string_view::npos && colon > 0);
    ASSERT(line.substr(0, colon).find(' ') == std::string_view::npos);
    for (const char c : line)
      ASSERT((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) || c == '\t');
    fields.remove_prefix(end + 2);
  }
}

void check_response(const http::Response& response) {
  ASSERT_CMP(response.status, >=, 200);
  ASSERT_CMP(response.status, <, 600);
  ASSERT(response.status != 500);
  check_fields(response.fields);
  if (response.status < 400 || response.body.empty()) return;
  const auto body = http::parse_json(response.body);
  ASSERT(body || response.fields.find("application/json") == std::string::npos);
}

// The request as its bytes on a connection mean it; nothing if they mean none.
std::optional<http::Request> request_of(std::string_view text, Server& server) {
  const std::size_t line = text.find('\n');
  std::string bytes = std::string(text.substr(0, line)) + " HTTP/1.1\r\nHost: h\r\n";
  text.remove_prefix(line == std::string_view::npos ? text.size() : line + 1);
  while (!text.empty() && text.front() != '\n') {
    const std::size_t end = text.find('\n');
    bytes += std::string(text.substr(0, end)) + "\r\n";
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  if (!text.empty()) text.remove_prefix(1);
  bytes += strf("Content-Length: %zu\r\n\r\n", text.size()) + std::string(text);
  const http::ParserLimits bounds{4096, 1024};
  http::RequestParser parser;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto step = parser.feed(std::string_view(bytes).substr(at), bounds);
    at += step.consumed;
    if (step.event == http::RequestParser::Event::kRequest) return parser.take();
    if (step.event != http::RequestParser::Event::kRefused) continue;
    check_response(server.refuse(parser.refusal()));
    break;
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const raft::Role role : {raft::Role::kLeader, raft::Role::kFollower}) {
    Server server(role);
    const auto request = request_of(text, server);
    if (!request) return 0;
    check_response(server.ask(*request));
    for (const std::string& key : std::vector<std::string>(server.keys)) {
      const auto canonical = request_of("GET /kv/" + http::percent_encode(key, true), server);
      ASSERT(canonical);
      check_response(server.ask(*canonical));
      ASSERT(server.keys == std::vector<std::string>{key});
    }
  }
  return 0;
}
