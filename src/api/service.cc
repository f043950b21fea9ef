// The happy path is: a request is routed, its headers and parameters are checked, and its handler
// either answers at once or gives an operation for the replica and a Call that waits for it (see
// api/pending_calls.cc, which gives the answer then).
//
// Possible failure modes are: the request is refused, by the first check that fails; the replica or
// the client fails, which is told in api/pending_calls.cc.
#include "api/service.h"

#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/metrics.h"
#include "api/pending_calls.h"

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
    case Route::kLocks:
      return handle_locks(site, context);
    case Route::kLock:
    case Route::kKeepLock:
    case Route::kElection:
    case Route::kKeepElection:
      return handle_lock(site, context);
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
    case Route::kLeases:
      return handle_leases(site, context);
    case Route::kLease:
    case Route::kKeepLease:
      return handle_lease(site, context);
    case Route::kWatch:
      return handle_watch(site, context);
    case Route::kTxn:
      return handle_txn(site, context);
  }
  return refuse(site, internal_error("a route without a handler"));
}

// Of the node itself: the places of its clients in queues live on.
class KeepPlacesCall final : public Call {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site&, RequestId, node::Done&) override { return http::Response{}; }
};

}  // namespace

struct Service::State final : PendingCalls::Host {
  State(const ServiceOptions& service_options, const ServiceLimits& service_limits,
        kv::Store& kv_store, const Vitals& service_vitals, Log& service_log)
      : options(service_options),
        limits(service_limits),
        store(kv_store),
        remains(kv_store),
        vitals(service_vitals),
        log(service_log),
        headers(options, store),
        watches(kv_store, options.seed),
        names(options.seed),
        pending(*this, limits, watches) {}

  void note_time(Instant now) { watches.now = std::max(watches.now, now); }
  Handled handle(Context& context);
  Site known_site();  // With headers as they were last.
  void note_slow(const Asker& asker, Duration took, int status);

  Site site() override {
    headers.refresh(bound_backend->standing(watches.now).role);
    return known_site();
  }
  Backend& backend() override { return *bound_backend; }
  Metrics& metrics() override { return counts; }
  Leftovers& leftovers() override { return remains; }
  void answer(const Asker& asker, http::Response response) override;
  void wake_stream(RequestId id) override { responder->wake(id); }

  const ServiceOptions options;
  ServiceLimits limits;
  const kv::Store& store;
  Leftovers remains;
  const Vitals& vitals;
  Log& log;
  NodeHeaders headers;
  Metrics counts;
  Watches watches;
  Wishes wishes;
  QueueKeeper queue_keeper;
  Rng names;
  Backend* bound_backend = nullptr;  // Set by bind().
  Responder* responder = nullptr;    // Likewise.
  Instant slow_noted{};
  std::uint64_t slow_unnoted = 0;
  PendingCalls pending;  // Its calls end before what they watch and keep.
};

Site Service::State::known_site() {
  ASSERT(bound_backend != nullptr);
  return {options, limits,  store,  vitals,       *bound_backend, headers, counts,
          pending, watches, wishes, queue_keeper, remains,        names};
}

// In the order of section 3 of the native API: the first failing check answers.
Handled Service::State::handle(Context& context) {
  const Standing standing = bound_backend->standing(context.now);
  headers.refresh(standing.role);
  context.leader_contact = standing.leader_contact;
  const Site here = known_site();
  const Protocol* protocol = options.protocol;
  if (protocol != nullptr && protocol->owns(context.request.path())) {
    context.timeout = limits.request_timeout;
    return protocol->handle(here, context);
  }
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
  if (!context.is_read()) {
    const Route called = context.routed.route;
    if (auto error = context.terms.read(context.headers, called)) return refuse(here, *error);
  }
  if (auto error = read_common(limits, context)) return refuse(here, *error);
  if (!context.is_read()) {
    context.terms.identify(context.request, context.headers, !context.head_only);
  }
  return dispatch(here, context);
}

void Service::State::answer(const Asker& asker, http::Response response) {
  if (!asker.traceparent.empty()) add_header(response.fields, "traceparent", asker.traceparent);
  if (response.status == 500) log.error("a request failed: %s", response.body.c_str());
  const Duration took = std::max(Duration{}, watches.now - asker.begun);
  if (took >= kSlowRequest) note_slow(asker, took, response.status);
  counts.count_request(asker.root, response.status, took);
  responder->respond(asker.id, std::move(response));
}

// The root alone: keys do not belong into a log.
void Service::State::note_slow(const Asker& asker, Duration took, int status) {
  const Instant now = watches.now;
  if (slow_noted != Instant{} && now - slow_noted < kSlowInterval) {
    ++slow_unnoted;
    return;
  }
  log.warn(
      "slow request: %s took %lld ms, status %d, traceparent %s; %llu more were not named",
      root_name(asker.root),
      static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()),
      status, asker.traceparent.empty() ? "-" : asker.traceparent.c_str(),
      static_cast<unsigned long long>(std::exchange(slow_unnoted, 0)));
  slow_noted = now;
}

Service::Service(const ServiceOptions& options, const ServiceLimits& limits, kv::Store& store,
                 const Vitals& vitals, Log& log)
    : state_(std::make_unique<State>(options, limits, store, vitals, log)) {}

Service::~Service() = default;

void Service::bind(Backend& backend, Responder& responder) {
  ASSERT(state_->bound_backend == nullptr);
  state_->bound_backend = &backend;
  state_->responder = &responder;
}

void Service::set_limits(const ServiceLimits& limits) {
  state_->limits = limits;
}

void Service::on_turn(Instant now) {
  State& s = *state_;
  s.note_time(now);
  s.pending.on_turn();
  for (Bytes& command : s.queue_keeper.due(s.watches.now)) {
    s.pending.start_own(std::make_unique<KeepPlacesCall>(),
                        node::Write{node::Propose{std::move(command)}});
  }
}

void Service::pump(Instant now) {
  on_turn(now);
  Watches& watches = state_->watches;
  if (state_->vitals.stopping && !watches.stopping) {
    watches.stopping = true;
    watches.hub.ask_all_turns();
  }
  watches.bytes_left = limits::kWatchPumpBytes;
  watches.alarms.ring(watches.now, limits::kWatchAlarmsPerPumpMax);
  watches.hub.pump();
}

bool Service::has_more() const {
  return state_->watches.hub.has_more();
}

Instant Service::next_wakeup() const {
  return state_->watches.alarms.next();
}

const Wishes& Service::wishes() const {
  return state_->wishes;
}

std::span<const std::string_view> Service::streamed_paths() const {
  const Protocol* protocol = state_->options.protocol;
  return protocol == nullptr ? std::span<const std::string_view>() : protocol->streamed_paths();
}

std::optional<http::Response> Service::on_head(Instant now, const http::Request& head) {
  State& s = *state_;
  s.note_time(now);
  Context context{.now = now, .request = head, .head_only = true};
  Handled handled = s.handle(context);
  auto* response = std::get_if<http::Response>(&handled);
  if (response == nullptr) return std::nullopt;
  if (response->status < 300) return std::nullopt;  // It waits for its body like any other.
  s.counts.count_request(root_of(head.path()), response->status, Duration{});
  return std::move(*response);
}

void Service::on_request(Instant now, RequestId id, const http::Request& request) {
  State& s = *state_;
  s.note_time(now);
  Context context{.now = now, .request = request};
  Handled handled = s.handle(context);
  Asker asker{id, now, root_of(request.path()), {}};
  if (context.headers.traceparent != nullptr) asker.traceparent = *context.headers.traceparent;
  if (auto* started = std::get_if<Started>(&handled)) {
    return s.pending.start(std::move(asker), context.timeout, std::move(*started));
  }
  if (auto* beating = std::get_if<Beating>(&handled)) {
    return s.pending.beat(std::move(asker), context.timeout, std::move(*beating));
  }
  auto* response = std::get_if<http::Response>(&handled);
  ASSERT(response != nullptr);
  s.answer(asker, std::move(*response));
}

void Service::on_input_end(RequestId id) {
  state_->pending.on_input_end(id);
}

void Service::on_gone(RequestId id) {
  state_->pending.on_gone(id);
}

http::Response Service::refusal(Instant now, const http::Refusal& refusal) {
  State& s = *state_;
  s.note_time(now);
  const Site site = s.site();
  ApiError error = bad_request(refusal.message);
  error.status = refusal.status;
  const std::string code = refusal.error;
  error.code = code.c_str();
  if (!refusal.limit.empty()) add_member(error.extra, "limit", refusal.limit);
  if (refusal.max != 0) add_member(error.extra, "max", refusal.max);
  if (refusal.status == 503 || refusal.status == 429) error.retry_after_ms = 1000;
  error.close = true;
  s.counts.count_request(Root::kOther, refusal.status, Duration{});
  const Protocol* protocol = s.options.protocol;
  if (protocol != nullptr && protocol->owns(refusal.path)) return protocol->refuse(error);
  return to_response(error, site.headers);
}

void Service::take_back(http::Response response) {
  state_->remains.take_back(std::move(response));
}

void Service::complete(node::ClientToken token, node::ClientResult result) {
  state_->pending.complete(token, std::move(result));
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
