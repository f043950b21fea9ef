// The happy path is: a request is routed, its headers and parameters are checked, and its handler
// either answers at once or gives an operation for the replica and a Call that waits for it. The
// result comes in a pump, the Call makes the answer of it, or asks for the next piece.
//
// Possible failure modes are: the replica refuses, or cannot say what became of a write (503, 504
// and others, with an outcome that is "none" only if it certainly did not happen); the client goes
// away (the operation is forgotten; a write may still happen).
#include "api/service.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "api/answer.h"
#include "api/call.h"
#include "api/metrics.h"

namespace raftd::api {
namespace {

constexpr Duration kTimeoutMin = std::chrono::milliseconds(1);
constexpr Duration kTimeoutMax = std::chrono::seconds(60);

// A request that took this long is worth a line, but no more than one in kSlowInterval.
constexpr Duration kSlowRequest = std::chrono::seconds(1);
constexpr Duration kSlowInterval = std::chrono::seconds(1);

// Reads what every call has. Nothing: go on.
std::optional<ApiError> read_common(const ServiceLimits& limits, Context& context) {
  if (auto error = context.parameters.parse(context.request.query())) return error;
  ParamReader reader(context.parameters);
  context.timeout =
      reader.duration(Param::kTimeout, limits.request_timeout, kTimeoutMin, kTimeoutMax);
  context.redirect = reader.flag(Param::kRedirect, limits.redirect);
  if (reader.failed()) return reader.take_error();
  return std::nullopt;
}

Handled dispatch(const Site& site, const Context& context) {
  switch (context.routed.route) {
    case Route::kKv:
      return handle_kv(site, context);
    case Route::kIndex:
      return handle_index(site, context);
    case Route::kStatus:
      return handle_status(site, context);
    case Route::kLivez:
      return handle_livez(site, context);
    case Route::kReadyz:
      return handle_readyz(site, context);
    case Route::kHealth:
      return handle_health(site, context);
    case Route::kVersion:
      return handle_version(site, context);
    case Route::kMetrics:
      return handle_metrics(site, context);
    case Route::kCluster:
      return handle_cluster(site, context);
    case Route::kMembers:
      return context.is_read() ? handle_cluster(site, context) : handle_join(site, context);
    case Route::kMember:
      if (context.is_read()) return handle_cluster(site, context);
      return context.request.method == http::Method::kPut ? handle_join(site, context)
                                                          : handle_membership(site, context);
    case Route::kPromote:
      return handle_membership(site, context);
    case Route::kTickets:
    case Route::kTicket:
      return handle_tickets(site, context);
    case Route::kTransfer:
    case Route::kStepdown:
      return handle_transfer(site, context);
    case Route::kLeave:
      return handle_leave(site, context);
    case Route::kCampaign:
    case Route::kLeaveJoint:
      return handle_nudge(site, context);
    case Route::kDebug:
      return handle_debug(site, context);
    case Route::kSnapshot:
      return handle_snapshot(site, context);
  }
  return refuse(site, internal_error("a route without a handler"));
}

}  // namespace

struct Service::State final : Feeder {
  // A request, or a stream's question, that waits for the replica.
  struct Waiting {
    std::uint64_t token = 0;  // 0: this slot is free.
    RequestId request;
    Instant begun;
    Instant deadline;
    Root root = Root::kOther;
    std::unique_ptr<Call> call;
    Feed* feed = nullptr;  // Instead of call.
    std::string traceparent;
  };

  State(const ServiceOptions& service_options, const ServiceLimits& service_limits,
        const kv::Store& kv_store, const Vitals& service_vitals, Log& service_log)
      : options(service_options),
        limits(service_limits),
        store(kv_store),
        vitals(service_vitals),
        log(service_log),
        headers(options, store) {}

  Site site() {
    ASSERT(backend != nullptr);
    return {options, limits, store, vitals, *backend, headers, metrics, *this, wishes};
  }

  Handled handle(Context& context);
  void start(Instant now, RequestId id, const Context& context, Started started);
  Step step(Waiting& done, node::ClientResult result);
  void answer(RequestId id, Root root, Instant begun, const std::string* traceparent,
              http::Response response);
  void note_slow(Root root, Duration took, int status, const std::string* traceparent);
  Waiting& make_waiting();
  void renew(Waiting& waiting);  // The same request asks again, under another token.
  Waiting* find(node::ClientToken token);
  void free(Waiting& waiting);
  void refresh() { headers.refresh(backend->standing(time).role); }

  node::ClientToken ask(Feed& feed, node::ClientOp op) override;
  void drop(node::ClientToken token) override;
  void wake(RequestId request) override { responder->wake(request); }

  const ServiceOptions options;
  ServiceLimits limits;
  const kv::Store& store;
  const Vitals& vitals;
  Log& log;
  NodeHeaders headers;
  Metrics metrics;
  Wishes wishes;
  Backend* backend = nullptr;      // Set by bind().
  Responder* responder = nullptr;  // Likewise.
  Instant time;                    // As last told.
  Instant slow_noted{};
  std::uint64_t slow_unnoted = 0;

  // A token is its slot's number below kSlotBits and a sequence number above: never used twice,
  // found without a search. The highest bit stays zero.
  static constexpr unsigned kSlotBits = 21;
  static_assert((1ULL << kSlotBits) > limits::kHttpConnectionsMax * limits::kHttpPipelineMax);
  std::vector<Waiting> waiting;
  std::vector<std::uint64_t> free_slots;
  std::unordered_map<std::uint64_t, node::ClientToken> by_request;
  std::uint64_t sequence = 0;
};

// In the order of section 3 of the native API: the first failing check answers.
Handled Service::State::handle(Context& context) {
  const Standing standing = backend->standing(context.now);
  headers.refresh(standing.role);
  context.leader_contact = standing.leader_contact;
  const Site here = site();
  Routing routing = route(context.request);
  if (const auto* error = std::get_if<ApiError>(&routing)) return refuse(here, *error);
  if (auto* options_answer = std::get_if<OptionsAnswer>(&routing)) {
    http::Response response;
    response.status = 204;
    response.fields = std::move(options_answer->fields) + headers.block();
    return response;
  }
  context.routed = std::get<Routed>(routing);
  context.headers = find_headers(context.request);
  if (auto error = check_headers(context.request, context.headers, options.cluster_id)) {
    return refuse(here, *error);
  }
  if (auto error = read_common(limits, context)) return refuse(here, *error);
  return dispatch(here, context);
}

Service::State::Waiting& Service::State::make_waiting() {
  if (free_slots.empty()) {
    ASSERT_CMP(waiting.size(), <, 1ULL << kSlotBits);
    free_slots.push_back(waiting.size());
    waiting.emplace_back();
  }
  const std::uint64_t slot = free_slots.back();
  free_slots.pop_back();
  Waiting& made = waiting[slot];
  ASSERT_CMP(made.token, ==, 0U);
  made.token = (++sequence << kSlotBits) | slot;
  return made;
}

Service::State::Waiting* Service::State::find(node::ClientToken token) {
  const std::uint64_t slot = token.value & ((1ULL << kSlotBits) - 1);
  if (slot >= waiting.size() || waiting[slot].token != token.value) return nullptr;
  return &waiting[slot];
}

void Service::State::renew(Waiting& again) {
  const std::uint64_t slot = again.token & ((1ULL << kSlotBits) - 1);
  again.token = (++sequence << kSlotBits) | slot;
  by_request[again.request.value] = node::ClientToken{again.token};
}

void Service::State::free(Waiting& done) {
  const std::uint64_t slot = done.token & ((1ULL << kSlotBits) - 1);
  ASSERT(&done == &waiting[slot]);
  done = Waiting();
  free_slots.push_back(slot);
}

void Service::State::start(Instant now, RequestId id, const Context& context, Started started) {
  Waiting& made = make_waiting();
  made.request = id;
  made.begun = now;
  made.deadline = now + context.timeout;
  made.root = root_of(context.request.path());
  made.call = std::move(started.call);
  if (context.headers.traceparent != nullptr) made.traceparent = *context.headers.traceparent;
  const node::ClientToken token{made.token};
  by_request.emplace(id.value, token);
  backend->on_client(now, token, std::move(started.op), made.deadline);
}

void Service::State::answer(RequestId id, Root root, Instant begun, const std::string* traceparent,
                            http::Response response) {
  if (traceparent != nullptr && !traceparent->empty()) {
    add_header(response.fields, "traceparent", *traceparent);
  }
  if (response.status == 500) log.error("a request failed: %s", response.body.c_str());
  const Duration took = std::max(Duration{}, time - begun);
  if (took >= kSlowRequest) note_slow(root, took, response.status, traceparent);
  metrics.count_request(root, response.status, took);
  responder->respond(id, std::move(response));
}

// The root alone: keys do not belong into a log.
void Service::State::note_slow(Root root, Duration took, int status,
                               const std::string* traceparent) {
  if (slow_noted != Instant{} && time - slow_noted < kSlowInterval) {
    ++slow_unnoted;
    return;
  }
  const bool traced = traceparent != nullptr && !traceparent->empty();
  log.warn(
      "slow request: %s took %lld ms, status %d, traceparent %s; %llu more were not named",
      root_name(root),
      static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()),
      status, traced ? traceparent->c_str() : "-",
      static_cast<unsigned long long>(std::exchange(slow_unnoted, 0)));
  slow_noted = time;
}

Step Service::State::step(Waiting& done, node::ClientResult result) {
  const Asked asked = done.call->asked();
  const bool write = asked == Asked::kWrite;
  if (auto* success = std::get_if<node::Done>(&result)) {
    if (write) metrics.count_proposed();
    return done.call->on_done(site(), done.request, std::move(*success));
  }
  if (const auto* refused = std::get_if<node::Refused>(&result)) {
    if (write) metrics.count_refused();
    if (auto error = done.call->refusal_of(site(), *refused)) return to_response(*error, headers);
    return to_response(error_of(*refused, asked, options.election_timeout_min), headers);
  }
  if (write) metrics.count_unknown();
  return to_response(error_of(std::get<node::Unknown>(result), asked), headers);
}

node::ClientToken Service::State::ask(Feed& feed, node::ClientOp op) {
  Waiting& made = make_waiting();
  made.feed = &feed;
  const node::ClientToken token{made.token};
  backend->on_client(time, token, std::move(op), time + limits.request_timeout);
  return token;
}

void Service::State::drop(node::ClientToken token) {
  Waiting* dropped = find(token);
  ASSERT(dropped != nullptr);
  free(*dropped);
  backend->on_client_gone(token);
}

Service::Service(const ServiceOptions& options, const ServiceLimits& limits, const kv::Store& store,
                 const Vitals& vitals, Log& log)
    : state_(std::make_unique<State>(options, limits, store, vitals, log)) {}

Service::~Service() = default;

void Service::bind(Backend& backend, Responder& responder) {
  ASSERT(state_->backend == nullptr);
  state_->backend = &backend;
  state_->responder = &responder;
}

void Service::set_limits(const ServiceLimits& limits) {
  state_->limits = limits;
}

void Service::on_turn(Instant now) {
  state_->time = std::max(state_->time, now);
}

const Wishes& Service::wishes() const {
  return state_->wishes;
}

std::optional<http::Response> Service::on_head(Instant now, const http::Request& head) {
  State& s = *state_;
  on_turn(now);
  Context context{.now = now, .request = head, .head_only = true};
  Handled handled = s.handle(context);
  auto* response = std::get_if<http::Response>(&handled);
  if (response == nullptr) return std::nullopt;
  if (response->status < 300) return std::nullopt;  // It waits for its body like any other.
  s.metrics.count_request(root_of(head.path()), response->status, Duration{});
  return std::move(*response);
}

void Service::on_request(Instant now, RequestId id, http::Request request) {
  State& s = *state_;
  on_turn(now);
  Context context{.now = now, .request = request};
  Handled handled = s.handle(context);
  if (auto* started = std::get_if<Started>(&handled)) {
    s.start(now, id, context, std::move(*started));
    return;
  }
  auto* response = std::get_if<http::Response>(&handled);
  ASSERT(response != nullptr);
  s.answer(id, root_of(request.path()), now, context.headers.traceparent, std::move(*response));
}

void Service::on_gone(RequestId id) {
  State& s = *state_;
  const auto found = s.by_request.find(id.value);
  if (found == s.by_request.end()) return;  // A stream: its source has dropped its question.
  const node::ClientToken token = found->second;
  s.by_request.erase(found);
  State::Waiting* gone = s.find(token);
  ASSERT(gone != nullptr);
  s.free(*gone);
  s.backend->on_client_gone(token);
}

http::Response Service::refusal(Instant now, const http::Refusal& refusal) {
  State& s = *state_;
  on_turn(now);
  s.refresh();
  ApiError error = bad_request(refusal.message);
  error.status = refusal.status;
  const std::string code = refusal.error;
  error.code = code.c_str();
  if (!refusal.limit.empty()) add_member(error.extra, "limit", refusal.limit);
  if (refusal.max != 0) add_member(error.extra, "max", refusal.max);
  if (refusal.status == 503 || refusal.status == 429) error.retry_after_ms = 1000;
  error.close = true;
  s.metrics.count_request(Root::kOther, refusal.status, Duration{});
  return to_response(error, s.headers);
}

void Service::complete(node::ClientToken token, node::ClientResult result) {
  State& s = *state_;
  State::Waiting* found = s.find(token);
  ASSERT(found != nullptr);
  if (found->feed != nullptr) {
    Feed* feed = found->feed;
    s.free(*found);
    feed->on_result(std::move(result));
    return;
  }
  s.refresh();
  Step step = s.step(*found, std::move(result));
  if (auto* op = std::get_if<node::ClientOp>(&step)) {
    s.renew(*found);
    s.backend->on_client(s.time, {found->token}, std::move(*op), found->deadline);
    return;
  }
  auto& response = std::get<http::Response>(step);
  const State::Waiting done = std::move(*found);
  s.by_request.erase(done.request.value);
  s.free(*found);
  s.answer(done.request, done.root, done.begun, &done.traceparent, std::move(response));
}

std::optional<http::Response> refuse_by_leader(const Site& site, const Context& context) {
  const NodeHeaders& headers = site.headers;
  if (headers.is_leader()) return std::nullopt;
  const raft::NodeId leader = headers.role().leader;
  if (!leader) return to_response(no_leader(site.options.election_timeout_min), headers);
  if (context.redirect && !headers.leader_url().empty()) {
    ApiError error;
    error.status = 307;
    error.code = "redirect";
    error.message = "the leader is node " + std::to_string(leader.value);
    add_header(error.fields, "Location",
               std::string(headers.leader_url()) + context.request.target);
    return to_response(error, headers);
  }
  if (context.headers.forwarded != nullptr && !context.is_read()) {
    ApiError error = no_leader(site.options.election_timeout_min);
    error.message = "this node is not the leader, and the request was forwarded already";
    return to_response(error, headers);
  }
  return std::nullopt;
}

}  // namespace raftd::api
