// What handlers are given and what they give back. A handler is a function of the request; what
// waits for the replica is a Call, kept by the service until the result is there.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <variant>

#include "api/backend.h"
#include "api/errors.h"
#include "api/leftovers.h"
#include "api/node_headers.h"
#include "api/parameters.h"
#include "api/queue_keeper.h"
#include "api/request_headers.h"
#include "api/router.h"
#include "api/service.h"
#include "api/terms.h"
#include "api/watches.h"
#include "base/rng.h"

namespace raftd::api {

// A stream that is being sent and asks the replica for its next piece.
class Feed {
 public:
  virtual ~Feed() = default;
  virtual void on_result(node::ClientResult result) = 0;
};

class Feeder {
 public:
  virtual ~Feeder() = default;
  // feed.on_result() follows once, later, unless drop() comes first. Local reads only.
  virtual node::ClientToken ask(Feed& feed, node::ClientOp op) = 0;
  virtual void drop(node::ClientToken token) = 0;
  virtual void wake(RequestId request) = 0;
};

class Metrics;

// The node around a handler. References outlive every call.
struct Site {
  const ServiceOptions& options;
  const ServiceLimits& limits;
  const kv::Store& store;
  const Vitals& vitals;
  const Backend& backend;
  const NodeHeaders& headers;
  const Metrics& metrics;
  Feeder& feeder;
  Watches& watches;
  Wishes& wishes;
  QueueKeeper& queue_keeper;
  Leftovers& leftovers;
  Rng& names;  // Of what others are not to hit by chance.
};

// A request, taken apart. References and views are valid while the handler runs.
struct Context {
  Instant now;
  const http::Request& request;
  bool head_only = false;  // The body is not here yet: check what can be checked.
  Routed routed{};
  RequestHeaders headers{};
  Parameters parameters{};
  RequestTerms terms{};  // Of a write.
  Duration timeout{};
  bool redirect = false;
  std::optional<Instant> leader_contact{};

  bool is_read() const {
    return request.method == http::Method::kGet || request.method == http::Method::kHead;
  }
};

// The replica's result is there: the answer, the next operation, or a change is waited for.
using Step = std::variant<http::Response, node::ClientOp, Park>;

// The client has gone. What its call asked or waits for is forgotten; or goes on, and so does the
// call, until it gives a response, which nobody gets (not while it is parked); or is forgotten, and
// this is asked instead.
struct Forget {};
struct GoOn {};
using AfterGone = std::variant<Forget, GoOn, node::ClientOp>;

class Call {
 public:
  virtual ~Call() = default;
  virtual Asked asked() const = 0;
  virtual Step on_done(const Site& site, RequestId request, node::Done& done) = 0;
  // After a Park.
  virtual Step on_woken(const Site& site, const Woken& woken);
  // An answer in the form of this call's protocol.
  virtual http::Response refuse(const Site& site, const ApiError& error) const;
  // Why, in the words of this call; nullopt: in those of every call.
  virtual std::optional<ApiError> refusal_of(const Site&, const node::Refused&) const {
    return std::nullopt;
  }
  virtual AfterGone on_gone() { return Forget{}; }
  // The client sends nothing more, and is perhaps gone. What to ask instead of what is under way;
  // nullopt: that goes on.
  virtual std::optional<node::ClientOp> on_input_end() { return std::nullopt; }

  bool replayed = false;  // Some step had what was answered before: set by take_result().
};

struct Started {
  std::unique_ptr<Call> call;
  node::ClientOp op;
  Duration wait{};  // On top of the timeout.
};
// The lease is to be kept alive, together with others (api/beats.h). The call gets its own reply.
struct Beating {
  std::unique_ptr<Call> call;
  kv::LeaseId lease = 0;
};
struct AwaitBody {};  // Only if head_only.
using Handled = std::variant<http::Response, Started, Beating, AwaitBody>;

// Another API than the native one, on paths of its own: it gives its requests their meaning and its
// answers their form.
class Protocol {
 public:
  virtual ~Protocol() = default;
  virtual std::span<const std::string_view> streamed_paths() const = 0;  // See Front.
  virtual bool owns(std::string_view path) const = 0;
  // Of the context only now, request and head_only are set.
  virtual Handled handle(const Site& site, const Context& context) const = 0;
  // A request to one of its paths that was not whole.
  virtual http::Response refuse(const ApiError& error) const = 0;
};

inline Handled refuse(const Site& site, const ApiError& error) {
  return to_response(error, site.headers);
}

// A body is JSON; nothing at all means {}, and {} is all that there can be.
std::optional<ApiError> check_no_fields(std::string_view body);

// For what only the leader does, and reads that it confirms: 503 without a leader, 307 if the
// request wants that instead of being forwarded. Nothing: go on.
std::optional<http::Response> refuse_by_leader(const Site& site, const Context& context);

Handled handle_index(const Site& site, const Context& context);
Handled handle_kv(const Site& site, const Context& context);
Handled handle_lock(const Site& site, const Context& context);
Handled handle_locks(const Site& site, const Context& context);
Handled handle_list(const Site& site, const Context& context, std::string prefix);
Handled handle_status(const Site& site, const Context& context);
Handled handle_livez(const Site& site, const Context& context);
Handled handle_readyz(const Site& site, const Context& context);
Handled handle_health(const Site& site, const Context& context);
Handled handle_version(const Site& site, const Context& context);
Handled handle_metrics(const Site& site, const Context& context);
Handled handle_cluster(const Site& site, const Context& context);
Handled handle_transfer(const Site& site, const Context& context);
Handled handle_leave(const Site& site, const Context& context);
Handled handle_nudge(const Site& site, const Context& context);
Handled handle_membership(const Site& site, const Context& context);
Handled handle_join(const Site& site, const Context& context);
Handled handle_tickets(const Site& site, const Context& context);
Handled handle_debug(const Site& site, const Context& context);
Handled handle_snapshot(const Site& site, const Context& context);
Handled handle_leases(const Site& site, const Context& context);
Handled handle_lease(const Site& site, const Context& context);
Handled handle_watch(const Site& site, const Context& context);
Handled handle_txn(const Site& site, const Context& context);

// The reply of a read or write, which is of this type by what was asked.
template <class T>
T& reply_as(node::Done& done) {
  ASSERT(done.reply != nullptr);
  machine::Reply& reply = *done.reply;
  if constexpr (std::is_final_v<T>) {
    ASSERT(typeid(reply) == typeid(T));  // Much cheaper than to ask for a base of it.
    return static_cast<T&>(reply);
  } else {
    auto* as_base = dynamic_cast<T*>(&reply);
    ASSERT(as_base != nullptr);
    return *as_base;
  }
}

}  // namespace raftd::api
