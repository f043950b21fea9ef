// The happy path is: the directory is locked and read as a start would read it, every entry of the
// log is applied, the other members are asked whether they are there; what that means is told, and
// after a yes the state becomes the beginning of a cluster of this node alone (storage/founding.h).
// Possible failure modes are: the directory is in use, damaged or another node's (nothing is
// changed); a majority of the members answers (refused); a crash on the way: the directory is as it
// was, or the same command finishes.
#include "cli/recover.h"

#include <algorithm>
#include <map>

#include "base/rng.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/offline.h"
#include "node/replay.h"
#include "node/survivors.h"
#include "storage/data_dir.h"
#include "storage/posix_files.h"
#include "storage/removal.h"

namespace raftd::cli {
namespace {

using Number = unsigned long long;

constexpr std::chrono::seconds kAskTimeout{2};  // For each member.

struct Old {
  storage::Identity identity;
  storage::Recovered recovered;
  node::Replayed replayed;
};

// Reads the directory and gives the store its state. Changes nothing.
Result<Old> read_old(const config::Config& config, kv::Store& store) {
  const std::string& path = config.data_dir;
  TRY(const auto reader, storage::PosixDirectoryReader::open(path));
  TRY(const storage::Identity identity, own_identity(*reader, config));
  StoreSink sink(store);
  storage::RecoverOptions options;
  options.identity = identity;
  options.incarnation = raft::Incarnation{1};  // For a journal that is not opened.
  options.tail_bytes_max = SIZE_MAX;
  options.machine_name = store.name();
  options.sink = &sink;
  auto recovered = storage::recover(*reader, options);
  if (!recovered) return Error{recovered.error().code, path + ": " + recovered.error().message};
  if (recovered->durable.snapshot) {
    sink.commit(recovered->durable.snapshot->id.last_index, recovered->snapshot_time_ms);
  }
  TRY(const node::Replayed replayed, node::replay(*recovered, store));
  return Old{identity, *std::move(recovered), replayed};
}

struct Asked : node::Survivor {
  bool voter = false;
  std::string said;  // Why not; or at which address it does.
};

std::vector<raft::NodeId> voters_of(const raft::Configuration& configuration) {
  std::vector<raft::NodeId> voters = configuration.voters;
  for (const raft::NodeId id : configuration.voters_outgoing)
    if (std::find(voters.begin(), voters.end(), id) == voters.end()) voters.push_back(id);
  return voters;
}

// Client addresses: what the members published, else what the file lists.
std::map<std::uint64_t, std::string> clients_of(const config::Config& config,
                                                const kv::Store& store) {
  std::map<std::uint64_t, std::string> clients;
  for (const config::Member& member : config.cluster.members)
    if (!member.client.empty()) clients[member.id] = member.client;
  for (const kv::PublishedMember& member : store.members())
    if (!member.client.empty()) clients[member.id] = member.client;
  return clients;
}

Asked ask_member(raft::NodeId id, const std::string& url, const storage::ClusterId& cluster,
                 Transport& transport) {
  Asked asked{{id}, false, url};
  Result<std::vector<Endpoint>> endpoints = parse_endpoints(url);
  if (!endpoints) {
    asked.said = "its client address is not known";
    return asked;
  }
  Client client({*std::move(endpoints), kAskTimeout, ""}, transport);
  const Result<HttpAnswer> answer =
      client.ask_one(client.endpoints()[0], {.method = "GET", .target = "/livez", .body = {}}, 1);
  if (!answer) {
    asked.said = url + ": " + answer.error().message;
    return asked;
  }
  const auto header = (*answer).headers.find("raftd-cluster");
  asked.answers = header != (*answer).headers.end() && header->second == cluster_text(cluster);
  if (!asked.answers) {
    asked.said = url + ": it is no member of this cluster";
    return asked;
  }
  // The members may be others by now than those that this node's log has.
  const Result<HttpAnswer> read = client.ask_one(
      client.endpoints()[0], {.method = "GET", .target = "/cluster?timeout=1s", .body = {}}, 1);
  asked.has_quorum = read && (*read).status == 200;
  return asked;
}

std::vector<Asked> ask_members(const config::Config& config, const Old& old, const kv::Store& store,
                               Transport& transport) {
  const std::map<std::uint64_t, std::string> clients = clients_of(config, store);
  const std::vector<raft::NodeId> voters = voters_of(old.replayed.configuration);
  std::vector<Asked> all;
  for (const raft::MemberAddress& member : old.replayed.configuration.addresses) {
    if (member.id == old.identity.node_id) continue;
    const auto url = clients.find(member.id.value);
    all.push_back(ask_member(member.id, url == clients.end() ? "" : url->second,
                             old.identity.cluster_id, transport));
    all.back().voter = std::find(voters.begin(), voters.end(), member.id) != voters.end();
  }
  return all;
}

void tell(const config::Config& config, const Old& old, const std::vector<Asked>& asked,
          const kv::Store& store, const Output& output) {
  const node::Replayed& state = old.replayed;
  const raft::Index cut = old.recovered.durable.snapshot
                              ? old.recovered.durable.snapshot->id.last_index
                              : raft::Index{};
  output.out(strf("node %llu of cluster %s, data directory %s\n",
                  Number{old.identity.node_id.value}, cluster_text(old.identity.cluster_id).c_str(),
                  config.data_dir.c_str()));
  output.out(
      strf("its log ends at index %llu of term %llu: a snapshot up to %llu and %llu entries\n",
           Number{state.index.value}, Number{state.term.value}, Number{cut.value},
           Number{state.entries}));
  const kv::StoreStats stats = store.stats();
  output.out(strf("its state has %llu keys at revision %llu\n", Number{stats.keys},
                  Number{stats.revision}));
  for (const Asked& one : asked) {
    output.out(strf("member %llu%s %s (%s)\n", Number{one.id.value},
                    one.voter ? "" : ", a learner,", one.answers ? "answers" : "does not answer",
                    percent_escape(one.said).c_str()));
  }
  output.out(
      strf("it becomes a cluster of this node alone, with a new id\n"
           "lost: whatever the others acknowledged after index %llu, and nobody can tell whether "
           "that is anything\n"
           "may appear: writes at the end of this log of which their clients never heard\n"
           "the others must never be started again with the data they have: empty their data "
           "directories and add them as new members\n"
           "the data as it is now is kept in a directory before-... in the data directory\n",
           Number{state.index.value}));
}

storage::Founding founding_of(const config::Config& config, const Old& old,
                              const kv::Store& store) {
  const raft::NodeId self = old.identity.node_id;
  std::string address = config.peer.advertise;
  for (const raft::MemberAddress& member : old.replayed.configuration.addresses)
    if (member.id == self && address.empty()) address = member.peer;
  const std::uint64_t drawn = os_entropy();
  const std::string origin =
      strf("recovered/%s/%llu/%llu/%llu", cluster_text(old.identity.cluster_id).c_str(),
           Number{old.replayed.index.value}, Number{old.replayed.term.value}, Number{drawn});
  storage::Founding founding;
  founding.identity = {storage::make_cluster_id(config.cluster.name, as_bytes(origin)), self,
                       os_entropy()};
  founding.cut.cluster_id = founding.identity.cluster_id;
  founding.cut.last_index = old.replayed.index;
  founding.cut.last_term = old.replayed.term;
  founding.cut.configuration.index = old.replayed.index;
  founding.cut.configuration.configuration.voters = {self};
  founding.cut.configuration.configuration.addresses = {{self, address}};
  founding.cut.cluster_time_ms = old.replayed.time.value;
  founding.cut.machine_name = store.name();
  founding.term = std::max(old.recovered.durable.hard_state.term, old.replayed.term);
  founding.incarnation = {os_entropy() | 1};
  return founding;
}

int finished(const std::string& path, const Output& output) {
  const Result<std::string> aside = storage::finish_founding(path);
  if (!aside) {
    output.error(path + ": " + aside.error().message);
    return directory_status(aside.error());
  }
  const auto reader = storage::PosixDirectoryReader::open(path);
  const auto identity = reader ? storage::read_identity(**reader)
                               : Result<std::optional<storage::Identity>>(reader.error());
  const bool known = identity && *identity;
  output.out(strf("done: cluster %s, node %llu alone; what was there before is in %s/%s\n",
                  known ? cluster_text((**identity).cluster_id).c_str() : "?",
                  known ? Number{(**identity).node_id.value} : Number{0}, path.c_str(),
                  (*aside).c_str()));
  return kExitDone;
}

// Whether to go on; else the exit status.
std::optional<int> consent(const Arguments& arguments, const RecoverWays& ways,
                           const Output& output) {
  if (arguments.has("--yes")) return std::nullopt;
  if (!ways.may_ask()) {
    output.error("nobody is there to be asked: say --yes if this is meant");
    return kExitUsage;
  }
  output.out("type yes to go on: ");
  if (ways.answers() == "yes") return std::nullopt;
  output.error("nothing was changed");
  return kExitNo;
}

// Precondition: nobody else has the directory.
int recover_old(const Arguments& arguments, const config::Config& config, const RecoverWays& ways,
                const Output& output) {
  const auto removal = storage::read_removal(config.data_dir);
  if (!removal) {
    output.error(removal.error().message);
    return directory_status(removal.error());
  }
  if (*removal && !arguments.has("--force")) {
    output.error(storage::removal_sentence(config.data_dir, **removal));
    return kExitNotTaken;
  }
  kv::Store store({});
  const Result<Old> old = read_old(config, store);
  if (!old) {
    output.error(old.error().message);
    return directory_status(old.error());
  }
  if (!old->replayed.index) {
    output.error("data directory " + config.data_dir + " holds no state yet");
    return kExitNo;
  }
  const std::vector<raft::NodeId> voters = voters_of(old->replayed.configuration);
  if (voters == std::vector<raft::NodeId>{old->identity.node_id}) {
    output.error("there is nothing to recover: this node is the only voter of its cluster");
    return kExitDone;
  }
  const std::vector<Asked> asked = ask_members(config, *old, store, ways.transport);
  tell(config, *old, asked, store, output);
  const std::vector<node::Survivor> survivors(asked.begin(), asked.end());
  if (node::lives(old->replayed.configuration, survivors) && !arguments.has("--force")) {
    output.error(
        "refused: a majority of the members answers, so nothing is lost; start this node, or, if "
        "it was removed, let it join with an empty data directory");
    return kExitNo;
  }
  if (arguments.has("--dry-run")) return kExitDone;
  if (const auto status = consent(arguments, ways, output)) return *status;
  const storage::Founding founding = founding_of(config, *old, store);
  storage::PosixFiles files(config.data_dir, true);
  std::unique_ptr<machine::SnapshotWriter> writer;
  const storage::BodySlices body =
      slices_of(store, founding.cut.configuration.configuration, writer);
  storage::write_founding(files, founding, body);
  return finished(config.data_dir, output);
}

}  // namespace

int recover_directory(const Arguments& arguments, const config::Config& config,
                      const RecoverWays& ways, const Output& output) {
  const std::string& path = config.data_dir;
  const auto failed = [&](const std::string& why) {
    output.error(why);
    return kExitCannotRead;
  };
  const auto reader = storage::PosixDirectoryReader::open(path);
  if (!reader) return failed("data directory " + reader.error().message);
  const auto names = (**reader).list();
  if (!names) return failed("data directory " + path + ": " + names.error().message);
  const bool begun = storage::founding_begun(*names);
  if (arguments.has("--dry-run")) {  // Not even the lock is taken.
    if (storage::directory_in_use(path)) return failed("data directory " + path + " is in use");
    if (!begun) return recover_old(arguments, config, ways, output);
    output.out("an earlier recover or restore was not finished: it would be finished\n");
    return kExitDone;
  }
  // A directory without data is not even locked.
  if (std::find(names->begin(), names->end(), "IDENTITY") == names->end() && !begun) {
    return failed("data directory " + path + " holds no data of a node");
  }
  const auto lock = storage::DirectoryLock::take(path);
  if (!lock) return failed(lock.error().message);
  return begun ? finished(path, output) : recover_old(arguments, config, ways, output);
}

}  // namespace raftd::cli
