// snapshot save, inspect, restore.
#include <filesystem>

#include "base/rng.h"
#include "base/sha256.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/offline.h"
#include "http/json.h"
#include "storage/data_dir.h"
#include "storage/posix_files.h"

namespace raftd::cli {
namespace {

constexpr const char* kSumTrailer = "raftd-snapshot-sha256";

std::string members_text(const raft::Configuration& configuration) {
  std::string out;
  const auto add = [&](const std::vector<raft::NodeId>& ids, const char* what) {
    for (const raft::NodeId id : ids)
      out += (out.empty() ? "" : ", ") + std::to_string(id.value) + what;
  };
  add(configuration.voters, "");
  add(configuration.voters_outgoing, " (leaving)");
  add(configuration.learners, " (learner)");
  return out;
}

// Name and value of each line that is shown; numbers stay numbers in JSON.
struct Shown {
  const char* name;
  std::string text;
  bool number = false;
};

void print(const std::vector<Shown>& lines, bool json, const Output& output) {
  if (json) {
    std::string text;
    http::JsonWriter writer(text);
    writer.begin_object();
    for (const Shown& line : lines) {
      writer.name(line.name);
      if (line.number) {
        writer.raw(line.text);
      } else {
        writer.value(std::string_view(line.text));
      }
    }
    writer.end_object();
    output.out(text + "\n");
    return;
  }
  Table table{{{"FIELD"}, {"VALUE"}}, {}};
  for (const Shown& line : lines)
    table.rows.push_back({line.name, line.text});
  output.table(table);
}

Shown number(const char* name, std::uint64_t value) {
  return {name, std::to_string(value), true};
}

// What can be said of a file, damaged or not.
std::vector<Shown> describe(const std::string& path, const ReadSnapshot& read,
                            const kv::Store& store) {
  std::vector<Shown> lines{{"file", path}};
  lines.push_back(number("bytes", read.bytes));
  if (!read.sha256.empty()) lines.push_back({"sha256", read.sha256});
  if (read.cut) {
    lines.push_back({"cluster", cluster_text(read.cut->cluster_id)});
    lines.push_back(number("index", read.cut->last_index.value));
    lines.push_back(number("term", read.cut->last_term.value));
    lines.push_back(number("cluster_time_ms", read.cut->cluster_time_ms));
    lines.push_back({"members", members_text(read.cut->configuration.configuration)});
    lines.push_back(number("config_index", read.cut->configuration.index.value));
    lines.push_back({"state", read.cut->machine_name});
  }
  if (read.meta) {
    const kv::StoreStats stats = store.stats();
    lines.push_back(number("revision", stats.revision));
    lines.push_back(number("compact_revision", stats.compact_revision));
    lines.push_back(number("keys", stats.keys));
    lines.push_back(number("state_bytes", stats.bytes));
  }
  lines.push_back({"verdict", read.meta ? "good" : "damaged"});
  return lines;
}

int exit_status_of(const Error& error) {
  return error.code == Errc::kIo ? kExitCannotRead : kExitCorrupt;
}

int cannot(const Error& error, int status, const Output& output) {
  output.error(error.message);
  return status;
}

int inspect(const Arguments& arguments, const Output& output) {
  const std::string& path = arguments.words[0];
  kv::Store store({});
  const ReadSnapshot read = read_snapshot_file(path, store);
  const bool readable = !read.error || read.error->code != Errc::kIo;
  if (readable) print(describe(path, read, store), arguments.has("--json"), output);
  if (!read.error) return kExitDone;
  return cannot(*read.error, exit_status_of(*read.error), output);
}

// Which cluster a file becomes for these members: the same on each of them, and another one than
// that which it was saved from.
storage::ClusterId restored_id(const std::string& name, const storage::ClusterId& from,
                               const raft::SnapshotId& snapshot,
                               const raft::Configuration& members) {
  Bytes origin = to_bytes("restored");
  const ByteView old = std::as_bytes(std::span(from));
  origin.insert(origin.end(), old.begin(), old.end());
  const std::string of =
      strf("/%llu/%llu/%llu/%u/", static_cast<unsigned long long>(snapshot.last_index.value),
           static_cast<unsigned long long>(snapshot.last_term.value),
           static_cast<unsigned long long>(snapshot.file_bytes), snapshot.digest);
  for (const Bytes& part : {to_bytes(of), raft::encode(members)})
    origin.insert(origin.end(), part.begin(), part.end());
  return storage::make_cluster_id(name, origin);
}

// What is founded where.
struct Target {
  std::string path;
  storage::Founding founding;
};

Status prepare(const Target& target, storage::PosixFiles& files) {
  TRY(const auto reader, storage::PosixDirectoryReader::open(target.path));
  TRY(std::vector<storage::DiskOp> leftovers, storage::clear_for_founding(*reader, target.path));
  storage::DiskPlan plan;
  plan.ops = std::move(leftovers);
  files.run(plan);
  return Done{};
}

// Goes on where a restore of the same file was cut short.
Status finish_same(const Target& target) {
  TRY(const auto reader, storage::PosixDirectoryReader::open(target.path));
  TRY(const storage::Identity begun, storage::founding_identity(*reader));
  const storage::Identity& wanted = target.founding.identity;
  if (begun.cluster_id != wanted.cluster_id || begun.node_id != wanted.node_id) {
    return Error{Errc::kConflict,
                 "data directory " + target.path +
                     ": a restore of another file, or a recover, was not finished there"};
  }
  TRY([[maybe_unused]] const std::string aside, storage::finish_founding(target.path));
  return Done{};
}

Status found(const Target& target, kv::Store& store) {
  TRY([[maybe_unused]] const Done made, storage::make_directory(target.path));
  TRY(const auto reader, storage::PosixDirectoryReader::open(target.path));
  TRY(const std::vector<storage::FileName> names, reader->list());
  const bool begun = storage::founding_begun(names);
  // Somebody's home directory is not even locked.
  if (!begun) {
    TRY([[maybe_unused]] const auto ops, storage::clear_for_founding(*reader, target.path));
  }
  TRY([[maybe_unused]] const storage::DirectoryLock lock,
      storage::DirectoryLock::take(target.path));
  if (begun) return finish_same(target);
  storage::PosixFiles files(target.path, true);
  TRY([[maybe_unused]] const Done prepared, prepare(target, files));
  std::unique_ptr<machine::SnapshotWriter> writer;
  const storage::BodySlices body =
      slices_of(store, target.founding.cut.configuration.configuration, writer);
  storage::write_founding(files, target.founding, body);
  TRY([[maybe_unused]] const std::string aside, storage::finish_founding(target.path));
  return Done{};
}

Target target_of(const config::Config& config, const ReadSnapshot& read) {
  const raft::Configuration members = first_configuration(config);
  const raft::NodeId self = config.id == 0 ? members.addresses.front().id : raft::NodeId{config.id};
  Target target;
  target.path = config.data_dir;
  storage::Founding& founding = target.founding;
  founding.identity = {
      restored_id(config.cluster.name, read.cut->cluster_id, read.meta->id, members), self,
      os_entropy()};
  founding.cut = *read.cut;
  founding.cut.cluster_id = founding.identity.cluster_id;
  founding.cut.configuration = {read.cut->last_index, members};
  founding.term = read.cut->last_term;
  founding.incarnation = {os_entropy() | 1};
  return target;
}

int restore(const Arguments& arguments, const config::Config& config, const Output& output) {
  kv::Store store({});
  const ReadSnapshot read = read_snapshot_file(arguments.words[0], store);
  if (read.error) return cannot(*read.error, exit_status_of(*read.error), output);
  const Target target = target_of(config, read);
  const kv::StoreStats stats = store.stats();
  const Status done = found(target, store);
  if (!done) {
    const bool corrupt = done.error().code == Errc::kCorrupt;
    return cannot(done.error(), corrupt ? kExitCorrupt : kExitCannotRead, output);
  }
  std::vector<Shown> lines{{"data_dir", target.path}};
  lines.push_back(number("node", target.founding.identity.node_id.value));
  lines.push_back({"cluster", cluster_text(target.founding.identity.cluster_id)});
  lines.push_back({"members", members_text(target.founding.cut.configuration.configuration)});
  lines.push_back(number("index", target.founding.cut.last_index.value));
  lines.push_back(number("revision", stats.revision));
  lines.push_back(number("keys", stats.keys));
  print(lines, arguments.has("--json"), output);
  return kExitDone;
}

// A snapshot on its way to a file: verified while it comes.
class Download {
 public:
  explicit Download(storage::NewFile& file) : file_(file) {}

  Status begin() {
    reader_.emplace([](ByteView) { return Status(Done{}); });
    sum_ = Sha256();
    bytes_ = 0;
    return file_.start_over();
  }
  Status take(std::string_view piece) {
    const ByteView bytes = as_bytes(piece);
    sum_.add(bytes);
    bytes_ += bytes.size();
    TRY([[maybe_unused]] const Done fed, reader_->feed(bytes));
    return file_.add(bytes);
  }
  // All has come: is it a snapshot, and the one that was sent?
  Status finish(const HttpAnswer& answer) {
    TRY([[maybe_unused]] const Done whole, reader_->finish());
    sha256_ = to_hex(sum_.finish());
    const auto sent = answer.trailers.find(kSumTrailer);
    if (sent == answer.trailers.end()) {
      return Error{Errc::kCorrupt, "the checksum behind the snapshot is missing"};
    }
    if (sent->second != sha256_) {
      return Error{Errc::kCorrupt, "the snapshot's sha256 is " + sha256_ + ", expected " +
                                       percent_escape(sent->second)};
    }
    return file_.publish();
  }

  const storage::SnapshotCut& cut() const { return *reader_->cut(); }
  std::uint64_t bytes() const { return bytes_; }
  const std::string& sha256() const { return sha256_; }

 private:
  storage::NewFile& file_;
  std::optional<storage::SnapshotFileReader> reader_;
  Sha256 sum_;
  std::uint64_t bytes_ = 0;
  std::string sha256_;
};

int exit_status_of_save(const Error& error) {
  if (error.code == Errc::kIo || error.code == Errc::kDiskFull) return kExitIo;
  return error.code == Errc::kCorrupt || error.code == Errc::kUnsupported ? kExitCorrupt
                                                                          : kExitCannotAsk;
}

}  // namespace

int save_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  const std::string& path = arguments.words[0];
  std::error_code ignored;
  if (path.empty() || path.back() == '/' || std::filesystem::is_directory(path, ignored)) {
    output.error("snapshot save: " + percent_escape(path) + " is no name of a file");
    return kExitUsage;
  }
  Result<storage::NewFile> file = storage::NewFile::create(path);
  if (!file) return cannot(file.error(), kExitIo, output);
  Download download(*file);
  const Result<Answer> answer = ways.client.download(
      {.method = "GET", .target = "/admin/snapshot", .body = {}}, [&] { return download.begin(); },
      [&](std::string_view piece) { return download.take(piece); });
  if (!answer) return cannot(answer.error(), exit_status_of_save(answer.error()), output);
  if ((*answer).http.status != 200) return refused((*answer).http, output);
  const Status finished = download.finish((*answer).http);
  if (!finished) return cannot(finished.error(), exit_status_of_save(finished.error()), output);
  std::vector<Shown> lines{{"file", path}};
  lines.push_back(number("bytes", download.bytes()));
  lines.push_back({"sha256", download.sha256()});
  lines.push_back({"cluster", cluster_text(download.cut().cluster_id)});
  lines.push_back(number("index", download.cut().last_index.value));
  lines.push_back(number("term", download.cut().last_term.value));
  print(lines, arguments.value("--output") == "json", output);
  return kExitDone;
}

int snapshot_command(const Arguments& arguments, const config::Sources& sources,
                     const Output& output) {
  if (arguments.command->id == CommandId::kSnapshotInspect) return inspect(arguments, output);
  const Result<config::Loaded> loaded = config::load(sources);
  if (!loaded) return cannot(loaded.error(), kExitConfig, output);
  return restore(arguments, (*loaded).config, output);
}

}  // namespace raftd::cli
