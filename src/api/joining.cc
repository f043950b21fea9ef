// New members, and members that change their address or role: PUT /cluster/members/{id}, and
// several at once, POST /cluster/members (native API, sections 13.2 and 14).
//
// The happy path is: a linearizable read confirms that this node knows the members and tickets;
// each new one claims its id, through the log, so that it belongs to one data directory for good;
// then one change of members takes all of them in, as learners. Possible failure modes are: a
// ticket is not good, an id or a name is taken (refused by the claim, whoever asked); a change is
// under way or comes between (409 change_pending: the claim holds, the same request goes on); the
// answer is lost (the same request from the same data directory finds that all is done).
#include <algorithm>
#include <utility>

#include "api/answer.h"
#include "api/members.h"
#include "api/membership.h"
#include "api/native_kv.h"
#include "api/read_options.h"
#include "base/text.h"
#include "http/json.h"
#include "http/uri.h"

namespace raftd::api {
namespace {

ApiError refusal_for(kv::MemberReply::Result result, raft::NodeId id) {
  using Result = kv::MemberReply::Result;
  const std::string member = "member " + std::to_string(id.value);
  switch (result) {
    case Result::kBadTicket: {
      ApiError error = bad_request("the ticket of " + member +
                                   " is not known, was used by another node, or has expired");
      error.status = 403;
      error.code = "bad_ticket";
      return error;
    }
    case Result::kIdUsed: {
      ApiError error = refusal("id_used", "the id of " + member + " was used before");
      add_member(error.extra, "id", id.value);
      return error;
    }
    case Result::kNameTaken:
      return refusal("name_taken", "another member has the name of " + member);
    case Result::kTooMany:
      return refusal("too_many_members", "no further member can be taken in");
    case Result::kDone:
      break;
  }
  return internal_error("a claim that is done is no refusal");
}

bool has(const std::vector<raft::NodeId>& sorted, raft::NodeId id) {
  return std::ranges::binary_search(sorted, id);
}

void insert(std::vector<raft::NodeId>& sorted, raft::NodeId id) {
  if (!has(sorted, id)) sorted.insert(std::ranges::lower_bound(sorted, id), id);
}

raft::MemberAddress* address_in(raft::Configuration& configuration, raft::NodeId id) {
  const auto at = std::ranges::find(configuration.addresses, id, &raft::MemberAddress::id);
  return at == configuration.addresses.end() ? nullptr : &*at;
}

class JoinCall final : public Call {
 public:
  JoinCall(std::vector<WantedMember> wanted, bool several, Instant begun)
      : wanted_(std::move(wanted)), several_(several), begun_(begun) {}

  Asked asked() const override {
    if (stage_ == Stage::kConfirm) return Asked::kRead;
    return stage_ == Stage::kChange ? Asked::kMembers : Asked::kWrite;
  }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    switch (stage_) {
      case Stage::kConfirm:
        return begin(site);
      case Stage::kClaim: {
        const auto& reply = reply_as<kv::MemberReply>(done);
        if (reply.result != kv::MemberReply::Result::kDone) {
          return to_response(refusal_for(reply.result, wanted_[at_].id), site.headers);
        }
        ++at_;
        return next(site);
      }
      case Stage::kPublish:
        ++at_;
        return next(site);
      case Stage::kChange:
        break;
    }
    http::Response response = answer(site, done.index);
    add_forwarded(response.fields, site, done);
    return response;
  }

  std::optional<ApiError> refusal_of(const Site& site, const node::Refused& why) const override {
    if (stage_ != Stage::kChange) return std::nullopt;
    if (why.error.code == Errc::kConflict) {
      return change_pending(site, begun_, "the members are being changed, or just were");
    }
    if (why.error.code == Errc::kBusy) return not_caught_up();
    return std::nullopt;
  }

 private:
  enum class Stage : std::uint8_t { kConfirm, kClaim, kPublish, kChange };

  Step begin(const Site& site) {
    const raft::ConfigurationAt present = site.backend.status(begun_).configuration;
    if (present.configuration.joint()) {
      return to_response(change_pending(site, begun_, "a change of members is under way"),
                         site.headers);
    }
    const std::vector<raft::NodeId> members = raft::members_of(present.configuration);
    for (WantedMember& member : wanted_) {
      const bool known = has(members, member.id);
      any_new_ = any_new_ || !known;
      if (!known && member.peer.empty()) {
        return to_response(bad_request("field peer: a new member needs it"), site.headers);
      }
      auto error = known ? check_known(site, member) : check_address(site, present, member);
      if (error) return to_response(*error, site.headers);
    }
    return next(site);
  }

  // Of two members at one address one is never reached again, and a machine that was wiped is meant
  // to replace what it was. Those that are members already may exchange addresses, one by one.
  std::optional<ApiError> check_address(const Site& site, const raft::ConfigurationAt& present,
                                        const WantedMember& member) const {
    const kv::Ticket* ticket = find_ticket(site, member.id);
    const std::uint64_t replaced =
        member.replaces != 0 || ticket == nullptr ? member.replaces : ticket->replaces;
    const auto refuse = [&](raft::NodeId other, const std::string& advice) {
      ApiError error = refusal("name_taken", "the peer address " + member.peer + " is that of " +
                                                 "member " + std::to_string(other.value) + advice);
      add_member(error.extra, "id", other.value);
      return error;
    };
    for (const raft::MemberAddress& other : present.configuration.addresses) {
      if (other.peer != member.peer || other.id.value == replaced) continue;
      const std::string id = std::to_string(other.id.value);
      return refuse(other.id, ": to take its place, say that the new member replaces " + id +
                                  " (raftd join --replaces " + id + ")");
    }
    for (const WantedMember& other : wanted_) {
      if (other.peer == member.peer && other.id != member.id) return refuse(other.id, ", too");
    }
    return std::nullopt;
  }

  // A member already: is it the one that asks?
  static std::optional<ApiError> check_known(const Site& site, const WantedMember& member) {
    const kv::PublishedMember* published = find_published(site, member.id);
    const std::uint64_t instance = published == nullptr ? 0 : published->instance;
    const bool same = member.instance == instance;
    if (!member.token_hash.empty() && !same) {
      return refusal_for(kv::MemberReply::Result::kBadTicket, member.id);
    }
    if (member.instance != 0 && instance != 0 && !same) {
      return refusal_for(kv::MemberReply::Result::kIdUsed, member.id);
    }
    const auto has_the_name = [&](const kv::PublishedMember& other) {
      return other.id != member.id.value && other.name == member.name;
    };
    // The one that it replaces may have its name, for as long as it is there.
    const bool renamed =
        !member.name.empty() && (published == nullptr || published->name != member.name);
    if (renamed && std::ranges::any_of(site.store.members(), has_the_name)) {
      return refusal_for(kv::MemberReply::Result::kNameTaken, member.id);
    }
    return std::nullopt;
  }

  static const kv::PublishedMember* find_published(const Site& site, raft::NodeId id) {
    const auto& all = site.store.members();
    const auto at = std::ranges::find(all, id.value, &kv::PublishedMember::id);
    return at == all.end() ? nullptr : &*at;
  }

  static const kv::Ticket* find_ticket(const Site& site, raft::NodeId id) {
    const auto& all = site.store.tickets();
    const auto at = std::ranges::find(all, id.value, &kv::Ticket::id);
    return at == all.end() ? nullptr : &*at;
  }

  // One claim or publication after the other, then the change.
  Step next(const Site& site) {
    const raft::ConfigurationAt present = site.backend.status(begun_).configuration;
    const std::vector<raft::NodeId> members = raft::members_of(present.configuration);
    for (; at_ < wanted_.size(); ++at_) {
      const WantedMember& member = wanted_[at_];
      if (!has(members, member.id)) {
        stage_ = Stage::kClaim;
        return propose(kv::ClaimMember{member.id.value, member.token_hash, member.instance,
                                       member.name, member.client, member.voter.value_or(true),
                                       member.replaces});
      }
      if (const auto published = published_anew(site, member)) {
        stage_ = Stage::kPublish;
        return propose(kv::PublishMember{published->id, published->instance, published->name,
                                         published->client, published->version});
      }
    }
    return change(site, present);
  }

  static Step propose(const kv::Command& command) {
    return node::Write{node::Propose{kv::encode(command)}};
  }

  // What it has published, with the name and client address that are wanted, if these are others.
  static std::optional<kv::PublishedMember> published_anew(const Site& site,
                                                           const WantedMember& member) {
    const kv::PublishedMember* published = find_published(site, member.id);
    if (published == nullptr) return std::nullopt;
    kv::PublishedMember next = *published;
    if (!member.name.empty()) next.name = member.name;
    if (!member.client.empty()) next.client = member.client;
    if (next.name == published->name && next.client == published->client) return std::nullopt;
    return next;
  }

  Step change(const Site& site, const raft::ConfigurationAt& present) {
    if (present.configuration.joint()) {
      return to_response(change_pending(site, begun_, "a change of members is under way"),
                         site.headers);
    }
    raft::Configuration target = present.configuration;
    for (const WantedMember& member : wanted_) {
      raft::MemberAddress* address = address_in(target, member.id);
      if (address == nullptr) {
        const auto at =
            std::ranges::lower_bound(target.addresses, member.id, {}, &raft::MemberAddress::id);
        target.addresses.insert(at, {member.id, member.peer});
        insert(target.learners, member.id);
        continue;
      }
      if (!member.peer.empty()) address->peer = member.peer;
      change_role(site, member, target);
    }
    if (target == present.configuration) return answer(site, present.index);
    if (const Status fits = raft::check(target); !fits) {
      const char* code = target.voters.empty() ? "last_voter" : "too_many_members";
      return to_response(refusal(code, fits.error().message), site.headers);
    }
    stage_ = Stage::kChange;
    return node::Write{node::ChangeMembers{std::move(target), present.index, false}};
  }

  // One that catches up is made a voter by the leader.
  static void change_role(const Site& site, const WantedMember& member,
                          raft::Configuration& target) {
    if (!member.voter || find_ticket(site, member.id) != nullptr) return;
    std::erase(*member.voter ? target.learners : target.voters, member.id);
    insert(*member.voter ? target.voters : target.learners, member.id);
  }

  static ApiError not_caught_up() {
    return refusal("not_caught_up", "the member does not answer, or lacks too much of the log");
  }

  http::Response answer(const Site& site, raft::Index index) const {
    const raft::ConfigurationAt now = site.backend.status(begun_).configuration;
    std::string json = several_ ? "{\"members\":[" : "";
    bool first = true;
    for (const WantedMember& member : wanted_) {
      if (!std::exchange(first, false)) json += ',';
      json += '{';
      add_member(json, "id", member.id.value);
      add_member(json, "role", has(now.configuration.voters, member.id) ? "voter" : "learner");
      add_flag(json, "auto_promote", find_ticket(site, member.id) != nullptr);
      if (!several_) add_member(json, "config_index", index.value);
      json += '}';
    }
    if (several_) {
      json += ']';
      add_member(json, "config_index", index.value);
      json += '}';
    }
    return json_answer(any_new_ ? 201 : 200, site.headers, json + "\n");
  }

  std::vector<WantedMember> wanted_;
  bool several_;
  Instant begun_;
  Stage stage_ = Stage::kConfirm;
  std::size_t at_ = 0;  // Of wanted_: claimed or published up to here.
  bool any_new_ = false;
};

std::optional<ApiError> read_several(const http::JsonValue& body,
                                     std::vector<WantedMember>& members) {
  const http::JsonValue* list = body.field("members");
  const http::JsonArray* array = list == nullptr ? nullptr : list->array();
  const bool alone = body.object() != nullptr && body.object()->size() == 1;
  if (array == nullptr || array->empty() || array->size() > limits::kMembersMax || !alone) {
    ApiError error = bad_request(
        strf("the body is {\"members\":[...]} with 1 to %zu of them", limits::kMembersMax));
    error.code = "bad_json";
    return error;
  }
  for (const http::JsonValue& each : *array) {
    WantedMember member;
    if (auto error = read_member(each, {}, member)) return error;
    if (std::ranges::find(members, member.id, &WantedMember::id) != members.end()) {
      return bad_request(
          strf("member %llu is there twice", static_cast<unsigned long long>(member.id.value)));
    }
    members.push_back(std::move(member));
  }
  return std::nullopt;
}

std::optional<ApiError> read_body(const Context& context, std::vector<WantedMember>& members) {
  const bool several = context.routed.route == Route::kMembers;
  const Result<http::JsonValue> body = http::parse_json(context.request.body);
  if (!body) {
    ApiError error = bad_request(body.error().message);
    error.code = "bad_json";
    return error;
  }
  if (several) return read_several(*body, members);
  std::uint64_t id = 0;
  if (!parse_u64(context.routed.rest, id) || id == 0 || id > limits::kNodeIdMax) {
    return bad_request("a member is put under its id, a number from 1 to 2^53-1");
  }
  WantedMember member;
  if (auto error = read_member(*body, {id}, member)) return error;
  members.push_back(std::move(member));
  return std::nullopt;
}

}  // namespace

Handled handle_join(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  const ParamSet allowed = kCommonParams | ParamSet{Param::kVoter};
  if (auto error = context.parameters.only(allowed)) return refuse(site, *error);
  const bool voter = reader.flag(Param::kVoter, true);
  if (reader.failed()) return refuse(site, reader.take_error());
  std::vector<WantedMember> members;
  if (!context.head_only) {
    if (auto error = read_body(context, members)) return refuse(site, *error);
  }
  if (auto response = refuse_by_leader(site, context)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  for (WantedMember& member : members) {
    if (!voter) member.voter = false;
  }
  return Started{std::make_unique<JoinCall>(std::move(members),
                                            context.routed.route == Route::kMembers, context.now),
                 confirmation(node::Consistency::kLinearizable)};
}

}  // namespace raftd::api
