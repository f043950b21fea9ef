// The happy path is: the directory is locked; the cluster gives a ticket, which is durable in
// TICKET before anything else; the cluster takes the member that the ticket names; a log without
// members and IDENTITY are made; the node is run, dials the members of the ticket, and hears from
// the leader that it is one of them. The start after that removes TICKET.
//
// Possible failure modes are: nobody answers (exit status 2); another change is under way (asked
// again until the time is up); a crash before IDENTITY: the same command uses the same ticket, or
// asks for another one if the cluster does not take it any more; a crash after it: the node is told
// again whom to dial, if somebody answers, and run; the directory has joined already, or it or its
// ticket is another cluster's: nothing in it is changed; the member votes already, though there is
// no IDENTITY: its data was lost, and nothing is run.
#include "cli/join.h"

#include <algorithm>
#include <fstream>

#include "base/rng.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/offline.h"
#include "cli/ticket.h"
#include "http/uri.h"
#include "storage/data_dir.h"
#include "storage/posix_files.h"
#include "storage/removal.h"

namespace raftd::cli {
namespace {

using Number = unsigned long long;

constexpr std::chrono::milliseconds kPendingPause{200};  // While another change is under way.
constexpr int kGlance = 10;  // One in so many parts of the time, for what can be done without.

// The exit status, if it ends here; why has been said.
using Stop = std::optional<int>;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(storage::kTicketBytesMax + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || in.gcount() == 0) {
    return Error{Errc::kBadInput, "--ticket: " + percent_escape(path) + " cannot be read"};
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

class Joiner {
 public:
  Joiner(const Arguments& arguments, const config::Config& config, const JoinWays& ways,
         const Output& output)
      : arguments_(arguments),
        config_(config),
        ways_(ways),
        output_(output),
        client_(ways.client, ways.transport),
        deadline_(ways.transport.now() + ways.client.timeout) {}

  Joined run();

 private:
  int say(int status, const std::string& sentence) const {
    output_.error(sentence);
    return status;
  }
  int of_directory(const Error& error) const {
    return say(directory_status(error), config_.data_dir + ": " + error.message);
  }
  Stop read_given();
  Stop begin();
  Stop go_on(const storage::Identity& identity);
  Stop already(const storage::Identity& identity);
  Stop ask_for_ticket();
  Stop check_ticket() const;
  Stop settle(bool old);
  Stop ask_members(const storage::Identity& identity);
  void make_node() const;
  Result<HttpAnswer> put_member();
  Stop check_taken(const HttpAnswer& answer) const;
  Result<bool> named(storage::DirectoryReader& directory, const storage::Identity& identity) const;
  void keep_ticket() const;
  void run_ops(std::vector<storage::DiskOp> ops) const;
  bool is_join() const { return arguments_.command->id == CommandId::kJoin; }

  const Arguments& arguments_;
  const config::Config& config_;
  const JoinWays& ways_;
  const Output& output_;
  Client client_;
  const Instant deadline_;
  std::unique_ptr<storage::PosixDirectoryReader> directory_;
  std::optional<Ticket> given_;  // With --ticket.
  Ticket ticket_;                // The one that counts; as TICKET has it.
  bool joined_ = false;          // Earlier: nothing is to be done.
};

void Joiner::run_ops(std::vector<storage::DiskOp> ops) const {
  storage::DiskPlan plan;
  plan.ops = std::move(ops);
  storage::PosixFiles(config_.data_dir, config_.log.sync == config::Sync::kBatch).run(plan);
}

void Joiner::keep_ticket() const {
  run_ops(storage::ticket_ops(to_bytes(ticket_text(ticket_))));
}

Stop Joiner::read_given() {
  if (!arguments_.has("--ticket")) return std::nullopt;
  const std::string path = arguments_.value("--ticket");
  const Result<std::string> text = path == "-" ? ways_.input() : read_file(path);
  if (!text) return say(kExitUsage, text.error().message);
  Result<Ticket> ticket = parse_ticket(*text);
  if (!ticket) return say(kExitUsage, "--ticket: " + ticket.error().message);
  given_ = *std::move(ticket);
  return std::nullopt;
}

// What does not fit is found before anything is written.
Stop Joiner::check_ticket() const {
  if (!ticket_.cluster_name.empty() && ticket_.cluster_name != config_.cluster.name) {
    return say(kExitConfig, strf("the cluster is named \"%s\", and [cluster] name is \"%s\"",
                                 percent_escape(ticket_.cluster_name).c_str(),
                                 percent_escape(config_.cluster.name).c_str()));
  }
  if (config_.id != 0 && config_.id != ticket_.id.value) {
    return say(kExitConfig, strf("the ticket is for node %llu, and id is %llu; leave it out, the "
                                 "data directory knows it",
                                 Number{ticket_.id.value}, Number{config_.id}));
  }
  return std::nullopt;
}

Stop Joiner::ask_for_ticket() {
  const std::string name = arguments_.value("--name", config_.name);
  std::string query;
  const auto add = [&](const std::string& parameter) {
    query += (query.empty() ? "?" : "&") + parameter;
  };
  if (!name.empty()) add("name=" + http::percent_encode(name, false));
  if (arguments_.has("--learner")) add("role=learner");
  if (arguments_.has("--replaces")) add("replaces=" + arguments_.value("--replaces"));
  const Result<Answer> answer = client_.ask({.method = "POST",
                                             .target = "/cluster/tickets" + query,
                                             .body = {},
                                             .changes = true,
                                             .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output_);
  if (answer->http.status / 100 != 2) return refused(answer->http, output_);
  Result<Ticket> ticket = parse_ticket(answer->http.body);
  if (!ticket) {
    return say(kExitCannotAsk, "the answer was not understood: " + ticket.error().message);
  }
  const std::uint64_t instance = ticket_.instance;
  ticket_ = *std::move(ticket);
  ticket_.instance = instance;
  return std::nullopt;
}

// The same content from the same directory is taken as often as it is sent: an answer that was lost
// does no harm.
Result<HttpAnswer> Joiner::put_member() {
  std::string body;
  http::JsonWriter writer(body);
  writer.begin_object();
  if (!ticket_.name.empty()) writer.field("name", std::string_view(ticket_.name));
  writer.field("peer", std::string_view(config_.peer.advertise));
  if (!config_.client.advertise.empty()) {
    writer.field("client", std::string_view(config_.client.advertise));
  }
  writer.field("role", std::string_view(ticket_.learner ? "learner" : "voter"));
  writer.field("ticket", std::string_view(ticket_.token));
  if (ticket_.replaces) writer.field("replaces", ticket_.replaces.value);
  writer.field("instance", std::string_view(instance_text(ticket_.instance))).end_object();
  const Question question{.method = "PUT",
                          .target = "/cluster/members/" + std::to_string(ticket_.id.value),
                          .body = std::move(body),
                          .takes_timeout = true,
                          .cluster = ticket_.cluster_id};
  std::optional<HttpAnswer> pending;
  for (;;) {
    Result<Answer> answer = client_.ask(question);
    if (!answer && pending) return *std::move(pending);
    if (!answer) return std::move(answer).error();
    const bool again = answer->http.status == 409 && error_code(answer->http) == "change_pending";
    if (!again) return std::move(answer->http);
    pending = std::move(answer->http);
    ways_.transport.pause(
        std::clamp<Duration>(deadline_ - ways_.transport.now(), Duration{}, kPendingPause));
  }
}

// The cluster does not take this ticket, and another one may do.
bool is_stale(const HttpAnswer& answer) {
  const std::string code = error_code(answer);
  return code == "bad_ticket" || code == "id_used";
}

// Nobody votes before its node has run. What a voter has promised is lost with its directory.
bool is_voter(const HttpAnswer& answer) {
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  const http::JsonValue* role = body ? body->field("role") : nullptr;
  return role != nullptr && role->text() != nullptr && *role->text() == "voter";
}

Stop Joiner::check_taken(const HttpAnswer& answer) const {
  if (answer.status / 100 == 2) return std::nullopt;
  if (error_code(answer) != "wrong_cluster") return refused(answer, output_);
  return say(kExitCannotRead,
             strf("data directory %s has a ticket of cluster %s, and %s is of another cluster",
                  config_.data_dir.c_str(), ticket_.cluster_id.c_str(),
                  client_.endpoints().front().url.c_str()));
}

// What was typed goes before what the ticket says, and that is remembered: the cluster compares.
Stop Joiner::settle(bool old) {
  const std::string name = arguments_.value("--name", old ? "" : config_.name);
  if (!name.empty()) ticket_.name = name;
  ticket_.learner = ticket_.learner || arguments_.has("--learner");
  if (arguments_.has("--replaces")) {
    ASSERT(parse_u64(arguments_.value("--replaces"), ticket_.replaces.value));
  }
  if (const Stop stop = check_ticket()) return stop;
  keep_ticket();
  return std::nullopt;
}

// There is no IDENTITY: perhaps there is TICKET, and what a crash has left.
Stop Joiner::begin() {
  const auto leftovers = storage::clear_unfinished_start(*directory_);
  if (!leftovers) return of_directory(leftovers.error());
  run_ops(*leftovers);
  const Result<std::optional<Ticket>> stored = stored_ticket(*directory_);
  if (!stored) return of_directory(stored.error());
  const bool old = *stored && !given_;
  const std::uint64_t instance = *stored ? (*stored)->instance : os_entropy() | 1;
  if (old) ticket_ = **stored;
  if (given_) ticket_ = *given_;
  ticket_.instance = instance;
  if (!old && !given_) {
    if (const Stop stop = ask_for_ticket()) return stop;
  }
  if (const Stop stop = settle(old)) return stop;
  Result<HttpAnswer> answer = put_member();
  if (answer && old && is_stale(*answer)) {
    if (const Stop stop = ask_for_ticket()) return stop;
    if (const Stop stop = settle(false)) return stop;
    answer = put_member();
  }
  if (!answer) return not_asked(answer.error(), output_);
  if (const Stop stop = check_taken(*answer)) return stop;
  if (is_voter(*answer)) {
    return say(kExitNotTaken,
               strf("node %llu votes already, and %s does not have its data; join with an empty "
                    "data directory and --replaces %llu",
                    Number{ticket_.id.value}, config_.data_dir.c_str(), Number{ticket_.id.value}));
  }
  make_node();
  return std::nullopt;
}

// Precondition: the cluster has taken the member.
void Joiner::make_node() const {
  const storage::Identity identity{cluster_of(ticket_, config_.cluster.name), ticket_.id,
                                   ticket_.instance};
  run_ops(storage::first_start_ops({identity, {os_entropy() | 1}, std::nullopt}));
}

// A later list is better than that of the ticket; another cluster is none.
Stop Joiner::ask_members(const storage::Identity& identity) {
  const Endpoint& endpoint = client_.endpoints().front();
  const Result<HttpAnswer> answer = client_.ask_one(
      endpoint, {.method = "GET", .target = "/cluster?consistency=stale", .body = {}}, kGlance);
  if (!answer || answer->status != 200) return std::nullopt;
  const Result<http::JsonValue> body = http::parse_json(answer->body);
  const http::JsonValue* id = body ? body->field("cluster_id") : nullptr;
  if (id == nullptr || id->text() == nullptr) return std::nullopt;
  const std::string own = cluster_text(identity.cluster_id);
  if (*id->text() != own) {
    return say(kExitCannotRead,
               strf("data directory %s belongs to cluster %s, and %s is of cluster %s",
                    config_.data_dir.c_str(), own.c_str(), endpoint.url.c_str(),
                    percent_escape(*id->text()).c_str()));
  }
  Result<std::vector<raft::MemberAddress>> members = parse_members(*body);
  if (!members || joined_) return std::nullopt;
  std::erase_if(*members, [&](const auto& member) { return member.id == identity.node_id; });
  if (members->empty() || *members == ticket_.members) return std::nullopt;
  ticket_.members = *std::move(members);
  keep_ticket();
  return std::nullopt;
}

Result<bool> Joiner::named(storage::DirectoryReader& directory,
                           const storage::Identity& identity) const {
  storage::RecoverOptions options;
  options.identity = identity;
  options.incarnation = raft::Incarnation{1};  // For a journal that is not opened.
  TRY(const storage::Recovered recovered, storage::recover(directory, options));
  return storage::names_member(recovered.durable, identity.node_id);
}

Stop Joiner::already(const storage::Identity& identity) {
  if (!is_join()) return std::nullopt;
  if (const Stop stop = ask_members(identity)) return stop;
  return say(kExitDone,
             strf("node %llu has joined cluster %s already; raftd --config FILE runs it",
                  Number{identity.node_id.value}, cluster_text(identity.cluster_id).c_str()));
}

// There is IDENTITY: the cluster has taken this member, and perhaps it has heard of that.
Stop Joiner::go_on(const storage::Identity& identity) {
  if (given_ &&
      (given_->id != identity.node_id || given_->cluster_id != cluster_text(identity.cluster_id))) {
    return say(kExitCannotRead,
               strf("data directory %s belongs to node %llu of cluster %s, and the ticket is for "
                    "node %llu of cluster %s",
                    config_.data_dir.c_str(), Number{identity.node_id.value},
                    cluster_text(identity.cluster_id).c_str(), Number{given_->id.value},
                    given_->cluster_id.c_str()));
  }
  const Result<std::optional<Ticket>> stored = stored_ticket(*directory_);
  if (!stored) return of_directory(stored.error());
  joined_ = !*stored;
  if (*stored) {
    ticket_ = **stored;
    const Result<bool> is_named = named(*directory_, identity);
    if (!is_named) return of_directory(is_named.error());
    joined_ = *is_named;
  }
  if (joined_) return already(identity);
  if (const Stop stop = ask_members(identity)) return stop;
  const Result<HttpAnswer> answer = put_member();
  if (!answer) {
    output_.error(answer.error().message + "; the node is run, and waits for its cluster");
    return std::nullopt;
  }
  return check_taken(*answer);
}

Joined Joiner::run() {
  const std::string& path = config_.data_dir;
  const auto failed = [&](const Error& error) {
    return Joined{.exit_status = say(directory_status(error), error.message)};
  };
  if (const Stop stop = read_given()) return {.exit_status = *stop};
  const Status made = storage::make_directory(path);
  if (!made) return failed(made.error());
  auto opened = storage::PosixDirectoryReader::open(path);
  if (!opened) return failed(opened.error());
  directory_ = *std::move(opened);
  const Status usable = storage::check_before_lock(*directory_, path);
  if (!usable) return failed(usable.error());
  const auto lock = storage::DirectoryLock::take(path);
  if (!lock) return failed(lock.error());
  const auto removal = storage::read_removal(path);
  if (!removal) return failed(removal.error());
  if (*removal) {
    return {.exit_status = say(kExitNotTaken, storage::removal_sentence(path, **removal))};
  }
  const auto identity = storage::read_identity(*directory_);
  if (!identity) return failed(identity.error());
  Stop stop;
  if (*identity) {
    const Result<storage::Identity> own = own_identity(*directory_, config_);
    if (!own) return failed(own.error());
    stop = go_on(*own);
  } else {
    stop = begin();
  }
  if (stop) return {.exit_status = *stop};
  if (joined_) return {.run = true};
  output_.error(
      strf("node %llu joins cluster %s", Number{ticket_.id.value}, ticket_.cluster_id.c_str()));
  return {.run = true, .name = ticket_.name};
}

}  // namespace

Joined join_directory(const Arguments& arguments, const config::Config& config,
                      const JoinWays& ways, const Output& output) {
  return Joiner(arguments, config, ways, output).run();
}

}  // namespace raftd::cli
