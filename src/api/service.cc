// The happy path is: a request is routed, its headers and parameters are checked, and its handler
// either answers at once or gives an operation for the replica and a Call that waits for it. The
// result comes in a pump, the Call makes the answer of it, asks for the next piece, or waits for a
// change and then goes on.
//
// Possible failure modes are: the replica refuses, or cannot say what became of a write (503, 504
// and others, with an outcome that is "none" only if it certainly did not happen); the client goes
// away (the operation is forgotten; a write may still happen; a call that must undo what it did, as
// that of a lock, goes on without a client).
#include "api/service.h"

#include <unordered_map>
#include <utility>
#include <vector>

#include "api/answer.h"
#include "api/beats.h"
#include "api/call.h"
#include "api/metrics.h"
#include "api/retries.h"

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
  Step on_done(const Site&, RequestId, node::Done) override { return http::Response{}; }
};

}  // namespace

Step Call::on_woken(const Site& site, const Woken&) {
  return to_response(internal_error("a call that does not wait was woken"), site.headers);
}

struct Service::State final : Feeder, LongPoll::Owner {
  // A request, or a stream's question, that waits for the replica.
  struct Waiting {
    std::uint64_t token = 0;  // 0: this slot is free.
    RequestId request;        // 0: nobody gets an answer.
    Instant begun;            // And as much later as it waited for a change.
    Instant deadline;
    Duration timeout{};
    Root root = Root::kOther;
    std::unique_ptr<Call> call;
    Feed* feed = nullptr;            // Instead of call.
    bool beats = false;              // The replica has not been asked under this token.
    std::unique_ptr<LongPoll> poll;  // Waits for a change: then the replica knows nothing of it.
    Instant parked;
    bool input_ended = false;  // Its client does not wait any longer.
    std::string traceparent;
  };

  State(const ServiceOptions& service_options, const ServiceLimits& service_limits,
        kv::Store& kv_store, const Vitals& service_vitals, Log& service_log)
      : options(service_options),
        limits(service_limits),
        store(kv_store),
        vitals(service_vitals),
        log(service_log),
        headers(options, store),
        watches(kv_store, options.seed),
        beats({[this](node::ClientOp op, Instant deadline) {
                 ask_until(beats, std::move(op), deadline);
               },
               [this](node::ClientToken token, node::ClientResult result) {
                 finish(token, std::move(result));
               },
               [this](node::ClientToken token) { return find(token) != nullptr; }}) {}

  Site site() {
    ASSERT(backend != nullptr);
    return {options, limits, store,   vitals, *backend,    headers,
            metrics, *this,  watches, wishes, queue_keeper};
  }

  Handled handle(Context& context);
  void start(Instant now, RequestId id, const Context& context, Started started);
  void beat(Instant now, RequestId id, const Context& context, Beating beating);
  Waiting& wait_for(Instant now, RequestId id, const Context& context, std::unique_ptr<Call> call);
  void finish(node::ClientToken token, node::ClientResult result);
  Step step(Waiting& done, node::ClientResult result);
  void proceed(Waiting& one, Step step);
  void park(Waiting& one, Park wanted);
  std::unique_ptr<LongPoll> unpark(Waiting& one);
  void on_woken(std::uint64_t id, Woken woken) override;
  void answer(RequestId id, Root root, Instant begun, const std::string* traceparent,
              http::Response response);
  void note_slow(Root root, Duration took, int status, const std::string* traceparent);
  Waiting& make_waiting();
  void start_own(std::unique_ptr<Call> call, node::ClientOp op);  // For no client.
  void ask_again(Waiting& waiting, node::ClientOp op);            // Under another token.
  Waiting* find(node::ClientToken token);
  void free(Waiting& waiting);
  void refresh() { headers.refresh(backend->standing(time).role); }

  node::ClientToken ask(Feed& feed, node::ClientOp op) override;
  node::ClientToken ask_until(Feed& feed, node::ClientOp op, Instant deadline);
  void drop(node::ClientToken token) override;
  void wake(RequestId request) override { responder->wake(request); }

  const ServiceOptions options;
  ServiceLimits limits;
  const kv::Store& store;
  const Vitals& vitals;
  Log& log;
  NodeHeaders headers;
  Metrics metrics;
  Watches watches;
  Wishes wishes;
  Beats beats;
  QueueKeeper queue_keeper;
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
  if (!context.is_read()) {
    const bool fenced = takes_terms(context.routed.route);
    if (auto error = context.terms.read(context.headers, fenced)) return refuse(here, *error);
  }
  if (auto error = read_common(limits, context)) return refuse(here, *error);
  if (!context.is_read()) {
    context.terms.identify(context.request, context.headers, !context.head_only);
  }
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

void Service::State::ask_again(Waiting& again, node::ClientOp op) {
  const std::uint64_t slot = again.token & ((1ULL << kSlotBits) - 1);
  again.token = (++sequence << kSlotBits) | slot;
  const node::ClientToken token{again.token};
  if (again.request) by_request[again.request.value] = token;
  backend->on_client(time, token, std::move(op), again.deadline);
}

void Service::State::free(Waiting& done) {
  const std::uint64_t slot = done.token & ((1ULL << kSlotBits) - 1);
  ASSERT(&done == &waiting[slot]);
  done = Waiting();
  free_slots.push_back(slot);
}

Service::State::Waiting& Service::State::wait_for(Instant now, RequestId id, const Context& context,
                                                  std::unique_ptr<Call> call) {
  Waiting& made = make_waiting();
  made.request = id;
  made.begun = now;
  made.timeout = context.timeout;
  made.deadline = now + context.timeout;
  made.root = root_of(context.request.path());
  made.call = std::move(call);
  if (context.headers.traceparent != nullptr) made.traceparent = *context.headers.traceparent;
  by_request.emplace(id.value, node::ClientToken{made.token});
  return made;
}

void Service::State::start(Instant now, RequestId id, const Context& context, Started started) {
  Waiting& made = wait_for(now, id, context, std::move(started.call));
  made.deadline = made.deadline + started.wait;
  backend->on_client(now, {made.token}, std::move(started.op), made.deadline);
}

void Service::State::start_own(std::unique_ptr<Call> call, node::ClientOp op) {
  Waiting& made = make_waiting();
  made.begun = time;
  made.deadline = time + limits.request_timeout;
  made.call = std::move(call);
  backend->on_client(time, {made.token}, std::move(op), made.deadline);
}

void Service::State::beat(Instant now, RequestId id, const Context& context, Beating beating) {
  Waiting& made = wait_for(now, id, context, std::move(beating.call));
  made.beats = true;
  beats.add({made.token}, beating.lease, made.deadline);
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
    return take_result(site(), *done.call, done.request, std::move(*success));
  }
  if (const auto* refused = std::get_if<node::Refused>(&result)) {
    if (write) metrics.count_refused();
    if (auto error = done.call->refusal_of(site(), *refused)) return to_response(*error, headers);
    return to_response(error_of(*refused, asked, options.election_timeout_min), headers);
  }
  if (write) metrics.count_unknown();
  return to_response(error_of(std::get<node::Unknown>(result), asked), headers);
}

void Service::State::proceed(Waiting& one, Step step) {
  if (auto* op = std::get_if<node::ClientOp>(&step)) {
    return ask_again(one, std::move(*op));
  }
  if (auto* change = std::get_if<Park>(&step)) return park(one, std::move(*change));
  if (!one.request) return free(one);
  auto& response = std::get<http::Response>(step);
  const Waiting done = std::move(one);
  by_request.erase(done.request.value);
  free(one);
  answer(done.request, done.root, done.begun, &done.traceparent, std::move(response));
}

void Service::State::park(Waiting& one, Park wanted) {
  // Who has a place in a queue was let in before.
  if (one.call->asked() == Asked::kRead) {
    if (auto error = check_watchers(watches, limits)) {
      return proceed(one, to_response(*error, headers));
    }
  }
  ASSERT(one.poll == nullptr && one.request);
  one.parked = time;
  if (one.input_ended) wanted.until = time;
  one.poll = std::make_unique<LongPoll>(watches, *this, one.request.value, std::move(wanted));
}

std::unique_ptr<LongPoll> Service::State::unpark(Waiting& one) {
  one.begun = one.begun + (time - one.parked);
  one.deadline = time + one.timeout;
  return std::move(one.poll);
}

void Service::State::on_woken(std::uint64_t id, Woken woken) {
  Waiting* found = find(by_request.at(id));
  ASSERT(found != nullptr);
  const std::unique_ptr<LongPoll> ended = unpark(*found);
  refresh();
  if (woken.why == Woken::Why::kStopping) {
    node::Refused stopping{{Errc::kShuttingDown, "this node is stopping"}};
    return proceed(*found, step(*found, std::move(stopping)));
  }
  proceed(*found, found->call->on_woken(site(), woken));
}

node::ClientToken Service::State::ask(Feed& feed, node::ClientOp op) {
  return ask_until(feed, std::move(op), time + limits.request_timeout);
}

node::ClientToken Service::State::ask_until(Feed& feed, node::ClientOp op, Instant deadline) {
  Waiting& made = make_waiting();
  made.feed = &feed;
  const node::ClientToken token{made.token};
  backend->on_client(time, token, std::move(op), deadline);
  return token;
}

void Service::State::drop(node::ClientToken token) {
  Waiting* dropped = find(token);
  ASSERT(dropped != nullptr);
  free(*dropped);
  backend->on_client_gone(token);
}

Service::Service(const ServiceOptions& options, const ServiceLimits& limits, kv::Store& store,
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
  State& s = *state_;
  s.time = std::max(s.time, now);
  s.beats.on_turn(s.time);
  s.watches.now = s.time;
  for (Bytes& command : s.queue_keeper.due(s.time)) {
    s.start_own(std::make_unique<KeepPlacesCall>(), node::Write{node::Propose{std::move(command)}});
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
  watches.alarms.ring(state_->time, limits::kWatchAlarmsPerPumpMax);
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
  if (auto* beating = std::get_if<Beating>(&handled)) {
    s.beat(now, id, context, std::move(*beating));
    return;
  }
  auto* response = std::get_if<http::Response>(&handled);
  ASSERT(response != nullptr);
  s.answer(id, root_of(request.path()), now, context.headers.traceparent, std::move(*response));
}

void Service::on_input_end(RequestId id) {
  State& s = *state_;
  const auto found = s.by_request.find(id.value);
  if (found == s.by_request.end()) return;
  const node::ClientToken token = found->second;
  State::Waiting* ended = s.find(token);
  ASSERT(ended != nullptr);
  ended->input_ended = true;
  if (ended->beats) return;
  std::optional<node::ClientOp> op = ended->call->on_input_end();
  if (!op && ended->poll != nullptr) return ended->poll->give_up();
  if (!op) return;
  if (ended->poll == nullptr) s.backend->on_client_gone(token);
  if (ended->poll != nullptr) s.unpark(*ended);
  ended->deadline = std::min(ended->deadline, s.time + s.limits.request_timeout);
  s.ask_again(*ended, *std::move(op));
}

void Service::on_gone(RequestId id) {
  State& s = *state_;
  const auto found = s.by_request.find(id.value);
  if (found == s.by_request.end()) return;  // A stream: its source has dropped its question.
  const node::ClientToken token = found->second;
  s.by_request.erase(found);
  State::Waiting* gone = s.find(token);
  ASSERT(gone != nullptr);
  const bool asked = !gone->beats && gone->poll == nullptr;
  AfterGone after = gone->beats ? AfterGone(Forget{}) : gone->call->on_gone();
  gone->request = {};
  if (std::holds_alternative<GoOn>(after)) {
    ASSERT(asked);
    return;
  }
  gone->poll.reset();
  if (asked) s.backend->on_client_gone(token);
  if (auto* op = std::get_if<node::ClientOp>(&after)) {
    gone->deadline = s.time + s.limits.request_timeout;
    s.ask_again(*gone, std::move(*op));
    return;
  }
  s.free(*gone);
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
  state_->finish(token, std::move(result));
}

void Service::State::finish(node::ClientToken token, node::ClientResult result) {
  Waiting* found = find(token);
  ASSERT(found != nullptr);
  if (found->feed != nullptr) {
    Feed* feed = found->feed;
    free(*found);
    feed->on_result(std::move(result));
    return;
  }
  refresh();
  proceed(*found, step(*found, std::move(result)));
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
