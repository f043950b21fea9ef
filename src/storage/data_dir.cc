#include "storage/data_dir.h"

#include <algorithm>

#include "base/assert.h"
#include "base/digest.h"
#include "base/endian.h"
#include "base/text.h"
#include "storage/format.h"
#include "storage/founding.h"
#include "storage/read_ahead.h"
#include "storage/segment_reader.h"

namespace raftd::storage {
namespace {

using Number = unsigned long long;

constexpr std::uint64_t kFirstSegment = 1;

std::uint64_t digest_of_name(std::string_view name) {
  return digest128(as_bytes(name)).low;
}

// The one segment that may be there without IDENTITY: nothing but the first frame and its end.
Status check_first_segment(DirectoryReader& directory) {
  const FileName name = format::segment_name(kFirstSegment);
  TRY(const std::uint64_t bytes, directory.size(name));
  const Error refused{Errc::kCorrupt,
                      strf("IDENTITY: it is missing, and %s holds more than a first start writes: "
                           "it is the log of a node",
                           name.c_str())};
  if (bytes > limits::kFrameBytesMax + 2 * limits::kBlockBytes) return refused;
  SegmentReader reader(directory, kFirstSegment, bytes);
  TRY(const std::optional<format::SegmentHeader> header, reader.header());
  std::vector<format::Record> records;
  std::uint64_t frames = 0;
  bool sealed = false;
  while (header && !sealed) {
    TRY(const std::optional<GoodFrame> frame, reader.next(frames + 1, records));
    if (!frame) break;
    frames += 1;
    sealed = frame->seals;
  }
  TRY(const SegmentRest rest, reader.rest(2));
  if (rest.later_frame_offset || frames > 2 || (frames == 2 && !sealed)) return refused;
  return Done{};
}

Status check_identity(const OpenOptions& options, const Identity& identity) {
  if (options.node_id && options.node_id != identity.node_id) {
    return Error{Errc::kConflict, strf("data directory %s belongs to node %llu, not to node %llu",
                                       options.path.c_str(), Number{identity.node_id.value},
                                       Number{options.node_id.value})};
  }
  if (!is_cluster_name(identity.cluster_id, options.cluster_name)) {
    return Error{Errc::kConflict,
                 strf("data directory %s belongs to a cluster of another name than \"%s\"",
                      options.path.c_str(), percent_escape(options.cluster_name).c_str())};
  }
  return Done{};
}

DiskPlan plan_of(std::vector<DiskOp> ops, bool may_lack_space) {
  DiskPlan plan;
  plan.ops = std::move(ops);
  plan.may_lack_space = may_lack_space;
  return plan;
}

Result<Identity> start_first(const OpenOptions& options, DirectoryReader& reader,
                             PosixFiles& files) {
  TRY(std::vector<DiskOp> leftovers, clear_unfinished_start(reader));
  TRY(const std::optional<Bytes> ticket, read_ticket(reader));
  if (ticket) {
    return Error{Errc::kConflict,
                 "TICKET: this node was joining a cluster and is not a member yet; run raftd join "
                 "again to finish, or empty the directory"};
  }
  raft::NodeId node_id = options.node_id;
  if (!node_id && options.first_configuration &&
      options.first_configuration->addresses.size() == 1) {
    node_id = options.first_configuration->addresses.front().id;  // Nobody else it could be.
  }
  if (!options.first_configuration || !node_id) {
    return Error{Errc::kBadInput,
                 strf("data directory %s is empty, and no %s is configured for a first start",
                      options.path.c_str(), node_id ? "[cluster] members" : "id")};
  }
  const raft::Configuration& first = *options.first_configuration;
  const Identity identity{make_cluster_id(options.cluster_name, first), node_id, options.instance};
  files.run(plan_of(std::move(leftovers), false));
  files.run(plan_of(
      first_start_ops({identity, options.incarnation, first, options.created_unix_ns}), false));
  return identity;
}

Error in_directory(const std::string& path, const Error& error) {
  return {error.code, strf("start: recover %s: %s", path.c_str(), error.message.c_str())};
}

}  // namespace

ClusterId make_cluster_id(std::string_view name, const raft::Configuration& first) {
  return make_cluster_id(name, raft::encode(first));
}

ClusterId make_cluster_id(std::string_view name, ByteView origin) {
  Bytes text = to_bytes(name);
  text.push_back(std::byte{0});
  text.insert(text.end(), origin.begin(), origin.end());
  ClusterId id{};
  const auto bytes = std::as_writable_bytes(std::span(id));
  store_le(bytes, 0, digest128(text).high);
  store_le(bytes, 8, digest_of_name(name));
  return id;
}

bool is_cluster_name(const ClusterId& id, std::string_view name) {
  return load_le<std::uint64_t>(std::as_bytes(std::span(id)), 8) == digest_of_name(name);
}

ClusterId joined_cluster_id(std::string_view name, std::span<const std::uint8_t, 8> first_half) {
  ClusterId id{};
  std::copy(first_half.begin(), first_half.end(), id.begin());
  store_le(std::as_writable_bytes(std::span(id)), 8, digest_of_name(name));
  return id;
}

Bytes encode(const Identity& identity) {
  format::IdentityFile file{};
  std::copy(identity.cluster_id.begin(), identity.cluster_id.end(), file.cluster_id);
  file.node_id = identity.node_id.value;
  file.instance = identity.instance;
  return format::encode_identity(file);
}

Result<Identity> decode_identity(ByteView bytes) {
  TRY(const format::IdentityFile file, format::parse_identity(bytes));
  Identity identity;
  std::copy(std::begin(file.cluster_id), std::end(file.cluster_id), identity.cluster_id.begin());
  identity.node_id = raft::NodeId{file.node_id};
  identity.instance = file.instance;
  return identity;
}

Result<std::optional<Identity>> read_identity(DirectoryReader& directory) {
  const FileName name(format::kIdentityName);
  TRY(const std::vector<FileName> names, directory.list());
  if (std::find(names.begin(), names.end(), name) == names.end()) return std::optional<Identity>{};
  TRY(const Bytes bytes, directory.read(name, 0, sizeof(format::IdentityFile) + 1));
  auto identity = decode_identity(bytes);
  if (!identity) return Error{identity.error().code, "IDENTITY: " + identity.error().message};
  return std::optional(*identity);
}

Result<std::vector<DiskOp>> clear_unfinished_start(DirectoryReader& directory) {
  TRY(const std::vector<FileName> names, directory.list());
  std::vector<DiskOp> ops;
  for (const FileName& name : names) {
    if (name == format::kLockName || name == format::kTicketName || name == "lost+found") continue;
    if (name.starts_with(format::kFoundingName)) {
      return Error{Errc::kBadInput,
                   strf("%s: raftd snapshot restore was not finished; run it again, or empty the "
                        "directory",
                        percent_escape(name).c_str())};
    }
    const auto seq = format::parse_segment_name(name);
    if (seq == kFirstSegment) {
      TRY([[maybe_unused]] const Done checked, check_first_segment(directory));
    } else if (seq || format::is_torn_name(name) || name.starts_with("snapshot-") ||
               name == format::kRepairName || name == format::kRemovedName ||
               format::is_damaged_name(name)) {
      return Error{Errc::kCorrupt,
                   strf("IDENTITY: it is missing, but %s is there: this is the log of a node",
                        percent_escape(name).c_str())};
    } else if (!format::is_unfinished_name(name) || name.front() == '.') {
      return Error{Errc::kBadInput, strf("%s: it is not raftd's, expected an empty directory",
                                         percent_escape(name).c_str())};
    }
    ops.emplace_back(RemoveFile{name});
  }
  if (!ops.empty()) ops.emplace_back(SyncDirectory{});
  return ops;
}

std::vector<DiskOp> first_start_ops(const FirstStart& start) {
  const raft::Incarnation incarnation = start.incarnation;
  Bytes bytes;
  format::SegmentHeader header{};
  const ClusterId& cluster = start.identity.cluster_id;
  std::copy(cluster.begin(), cluster.end(), header.cluster_id);
  header.node_id = start.identity.node_id.value;
  header.segment_seq = kFirstSegment;
  header.incarnation = incarnation.value;
  header.frame_seq_first = 1;
  header.created_unix_ns = static_cast<std::uint64_t>(start.created_unix_ns);
  format::append_segment_header(bytes, header);

  format::RecordHeader record{};
  record.term = start.configuration ? 1 : 0;
  record.kind = static_cast<std::uint8_t>(format::RecordKind::kHardState);
  format::FrameWriter first(bytes, {incarnation.value, kFirstSegment, 1});
  first.add(record, {});
  if (start.configuration) {
    record.index = 1;
    record.kind = static_cast<std::uint8_t>(format::RecordKind::kEntry);
    record.entry_kind = static_cast<std::uint8_t>(raft::EntryKind::kConfiguration);
    first.add(record, raft::encode(*start.configuration));
  }
  first.finish();

  record.kind = static_cast<std::uint8_t>(format::RecordKind::kClean);
  record.entry_kind = 0;
  format::FrameWriter end(bytes, {incarnation.value, kFirstSegment, 2});
  end.add(record, {});
  end.finish();

  const FileName segment = format::segment_name(kFirstSegment);
  const FileName identity(format::kIdentityName);
  const FileName unfinished = identity + std::string(format::kUnfinishedSuffix);
  return {
      CreateFile{segment, 0},    WriteFile{segment, 0, share(std::move(bytes))},
      SyncFile{segment},         SyncDirectory{},
      CreateFile{unfinished, 0}, WriteFile{unfinished, 0, share(encode(start.identity))},
      SyncFile{unfinished},      RenameFile{unfinished, identity},
      SyncDirectory{},
  };
}

std::vector<DiskOp> ticket_ops(Bytes text) {
  ASSERT(!text.empty());
  ASSERT_CMP(text.size(), <=, kTicketBytesMax);
  const FileName ticket(format::kTicketName);
  const FileName unfinished = ticket + std::string(format::kUnfinishedSuffix);
  return {
      RemoveFile{unfinished},
      CreateFile{unfinished, 0},
      WriteFile{unfinished, 0, share(std::move(text))},
      SyncFile{unfinished},
      RenameFile{unfinished, ticket},
      SyncDirectory{},
  };
}

Result<std::optional<Bytes>> read_ticket(DirectoryReader& directory) {
  const FileName name(format::kTicketName);
  TRY(const std::vector<FileName> names, directory.list());
  if (std::find(names.begin(), names.end(), name) == names.end()) return std::optional<Bytes>{};
  TRY(Bytes bytes, directory.read(name, 0, kTicketBytesMax + 1));
  if (bytes.empty() || bytes.size() > kTicketBytesMax) {
    return Error{Errc::kCorrupt, strf("TICKET: it has %zu bytes or more, expected 1 to %zu",
                                      bytes.size(), kTicketBytesMax)};
  }
  return std::optional(std::move(bytes));
}

Status check_before_lock(DirectoryReader& directory, const std::string& path) {
  TRY(const std::vector<FileName> names, directory.list());
  if (founding_begun(names)) {
    return Error{Errc::kConflict,
                 strf("data directory %s is being made the beginning of a new cluster by raftd "
                      "recover or raftd snapshot restore; run the same command again to finish",
                      path.c_str())};
  }
  const auto contains = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (contains(format::kLockName) || contains(format::kIdentityName)) return Done{};
  const auto ours = clear_unfinished_start(directory);
  if (!ours) return in_directory(path, ours.error());
  return Done{};
}

Result<Opened> open_data_dir(const OpenOptions& options) {
  TRY([[maybe_unused]] const Done made, make_directory(options.path));
  TRY(const auto reader, PosixDirectoryReader::open(options.path));
  TRY([[maybe_unused]] const Done usable, check_before_lock(*reader, options.path));
  TRY(DirectoryLock lock, DirectoryLock::take(options.path));
  PosixFiles files(options.path, options.sync);
  auto found = read_identity(*reader);
  if (!found) return in_directory(options.path, found.error());
  const bool first_start = !*found;
  Identity identity;
  if (first_start) {
    auto started = start_first(options, *reader, files);
    if (!started) return in_directory(options.path, started.error());
    identity = *started;
  } else {
    identity = **found;
    TRY([[maybe_unused]] const Done ours, check_identity(options, identity));
  }
  RecoverOptions recover_options;
  recover_options.identity = identity;
  recover_options.incarnation = options.incarnation;
  recover_options.tail_bytes_max = options.tail_bytes_max;
  recover_options.machine_name = options.machine_name;
  recover_options.sink = options.sink;
  recover_options.progress = options.progress;
  // A new reader: the other one may still have a file open that the first start has removed.
  TRY(const auto log_reader, PosixDirectoryReader::open(options.path));
  ReadAhead ahead(*log_reader);
  auto recovered = recover(ahead, recover_options);
  if (!recovered) return in_directory(options.path, recovered.error());
  files.run(plan_of(std::move(recovered->set_aside), true));
  files.run(plan_of(std::move(recovered->repairs), false));
  recovered->set_aside.clear();
  recovered->repairs.clear();
  return Opened{std::move(lock), identity, *std::move(recovered), first_start};
}

}  // namespace raftd::storage
