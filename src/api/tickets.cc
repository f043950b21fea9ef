// Join tickets: POST, GET /cluster/tickets, DELETE /cluster/tickets/{id} (native API, section 14).
//
// The happy path is: a token is drawn here, its hash goes through the log, and the id that the log
// gives it comes back in the answer, the only place where the token ever is. Possible failure modes
// are: the answer is lost (the ticket expires; ask again); too many tickets are out (409).
#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/members.h"
#include "api/membership.h"
#include "api/native_kv.h"
#include "api/read_options.h"
#include "base/address.h"
#include "base/text.h"

namespace raftd::api {
namespace {

constexpr Duration kTtl = std::chrono::minutes(10);
constexpr Duration kTtlMin = std::chrono::minutes(1);
constexpr Duration kTtlMax = std::chrono::milliseconds(limits::kTicketTtlMsMax);
constexpr std::uint64_t kCountMax = 16;

struct TicketWish {
  std::string name;
  bool voter = true;
  std::uint64_t replaces = 0;
  std::uint64_t ttl_ms = 0;
  std::uint64_t count = 0;  // 0: one, which is not in an array.
};

void add_expiry(std::string& json, const Site& site, Instant now, machine::ClusterTime expires) {
  const machine::ClusterTime time = site.backend.status(now).cluster_time;
  add_member(json, "expires_in_ms", expires.value - std::min(expires, time).value);
}

class MakeTicketsCall final : public Call {
 public:
  MakeTicketsCall(TicketWish wish, Instant begun) : wish_(std::move(wish)), begun_(begun) {}

  Asked asked() const override { return Asked::kWrite; }

  node::ClientOp ask() {
    token_ = new_token();
    const std::optional<std::string> hash = token_hash(token_);
    ASSERT(hash);
    return node::Write{node::Propose{kv::encode(
        kv::ReserveMember{*hash, wish_.name, wish_.voter, wish_.replaces, wish_.ttl_ms})}};
  }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const auto& reply = reply_as<kv::MemberReply>(done);
    using Result = kv::MemberReply::Result;
    if (reply.result == Result::kNameTaken) {
      return to_response(refusal("name_taken", "a member or another ticket has this name"),
                         site.headers);
    }
    if (reply.result != Result::kDone) {
      return to_response(
          refusal("too_many_members", strf("at most %zu tickets may be out", limits::kTicketsMax)),
          site.headers);
    }
    add(site, reply);
    if (++made_ < wish_.count) return ask();
    const std::string json = wish_.count == 0 ? json_ : "[" + json_ + "]";
    http::Response response = json_answer(201, site.headers, json + "\n");
    add_forwarded(response.fields, site, done);
    return response;
  }

 private:
  void add(const Site& site, const kv::MemberReply& reply) {
    if (!json_.empty()) json_ += ',';
    json_ += '{';
    add_member(json_, "id", reply.id);
    if (!wish_.name.empty()) add_member(json_, "name", wish_.name);
    add_member(json_, "role", wish_.voter ? "voter" : "learner");
    if (wish_.replaces != 0) add_member(json_, "replaces", wish_.replaces);
    add_member(json_, "token", token_);
    add_expiry(json_, site, begun_, reply.expires);
    add_member(json_, "cluster_id", site.options.cluster_id);
    add_member(json_, "cluster_name", site.options.cluster_name);
    add_leader(json_, site);
    add_name(json_, "members");
    json_ += '[';
    bool first = true;
    for (const MemberView& member : members_of(site, site.backend.status(begun_), begun_)) {
      if (!std::exchange(first, false)) json_ += ',';
      add_member_json(json_, member, false);
    }
    json_ += "]}";
  }

  TicketWish wish_;
  Instant begun_;
  std::string token_;  // Of the one that is being made.
  std::string json_;
  std::uint64_t made_ = 0;
};

class DropTicketCall final : public Call {
 public:
  Asked asked() const override { return Asked::kWrite; }
  Step on_done(const Site& site, RequestId, node::Done& done) override {
    std::string json = "{";
    add_member(json, "deleted", reply_as<kv::MemberReply>(done).dropped);
    http::Response response = json_answer(200, site.headers, json + "}\n");
    add_forwarded(response.fields, site, done);
    return response;
  }
};

class ListTicketsCall final : public Call {
 public:
  explicit ListTicketsCall(Instant begun) : begun_(begun) {}
  Asked asked() const override { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done&) override {
    std::string json = "{";
    add_tickets(json, site, begun_);
    return json_answer(200, site.headers, json + "}\n");
  }

 private:
  Instant begun_;
};

bool read_wish(const Context& context, ParamReader& reader, TicketWish& wish) {
  const Parameters& parameters = context.parameters;
  wish.name = parameters.value(Param::kName);
  if (parameters.has(Param::kName) && !is_member_name(wish.name)) {
    reader.fail(Param::kName, "name is 1 to 64 bytes, not all digits, without control bytes");
  }
  if (parameters.has(Param::kRole) && !read_role(parameters.value(Param::kRole), wish.voter)) {
    reader.fail(Param::kRole, "role is voter or learner");
  }
  reader.exclude(Param::kRole, Param::kVoter);
  if (!reader.flag(Param::kVoter, true)) wish.voter = false;
  wish.replaces = reader.number(Param::kReplaces, 0, 1, limits::kNodeIdMax);
  wish.count = reader.number(Param::kCount, 0, 1, kCountMax);
  if (wish.count > 1 && !wish.name.empty()) {
    reader.fail(Param::kCount, "one name is for one ticket");
  }
  const Duration ttl = reader.duration(Param::kTtl, kTtl, kTtlMin, kTtlMax);
  wish.ttl_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(ttl).count());
  return !reader.failed();
}

Handled make_tickets(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  const ParamSet allowed = kCommonParams | ParamSet{Param::kTtl,      Param::kName,  Param::kRole,
                                                    Param::kReplaces, Param::kVoter, Param::kCount};
  if (auto error = context.parameters.only(allowed)) return refuse(site, *error);
  TicketWish wish;
  if (!read_wish(context, reader, wish)) return refuse(site, reader.take_error());
  if (!context.head_only) {
    if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  auto call = std::make_unique<MakeTicketsCall>(std::move(wish), context.now);
  node::ClientOp first = call->ask();
  return Started{std::move(call), std::move(first)};
}

}  // namespace

void add_tickets(std::string& json, const Site& site, Instant now) {
  add_name(json, "tickets");
  json += '[';
  bool first = true;
  for (const kv::Ticket& ticket : site.store.tickets()) {
    if (ticket.stage == kv::Ticket::Stage::kCatchingUp) continue;
    if (!std::exchange(first, false)) json += ',';
    json += '{';
    add_member(json, "id", ticket.id);
    if (!ticket.name.empty()) add_member(json, "name", ticket.name);
    add_member(json, "role", ticket.voter ? "voter" : "learner");
    if (ticket.replaces != 0) add_member(json, "replaces", ticket.replaces);
    if (ticket.stage == kv::Ticket::Stage::kOpen) {
      add_expiry(json, site, now, ticket.expires);
    } else {
      add_flag(json, "claimed", true);
    }
    json += '}';
  }
  json += ']';
}

Handled handle_tickets(const Site& site, const Context& context) {
  if (context.request.method == http::Method::kPost) return make_tickets(site, context);
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  std::uint64_t id = 0;
  const bool drops = context.routed.route == Route::kTicket;
  if (drops && (!parse_u64(context.routed.rest, id) || id == 0 || id > limits::kNodeIdMax)) {
    return refuse(site, bad_request("a ticket is named by its id, a number from 1 to 2^53-1"));
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  if (drops) {
    return Started{std::make_unique<DropTicketCall>(),
                   node::Write{node::Propose{kv::encode(kv::DropTickets{id})}}};
  }
  return Started{std::make_unique<ListTicketsCall>(context.now),
                 confirmation(node::Consistency::kLinearizable)};
}

}  // namespace raftd::api
