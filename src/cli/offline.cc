#include "cli/offline.h"

#include <fstream>

#include "base/sha256.h"
#include "base/text.h"
#include "cli/cli.h"
#include "storage/data_dir.h"

namespace raftd::cli {

raft::Configuration first_configuration(const config::Config& config) {
  raft::Configuration first;
  for (const config::Member& member : config.cluster.members) {
    (member.learner ? first.learners : first.voters).push_back({member.id});
    first.addresses.push_back({{member.id}, member.peer});
  }
  if (first.addresses.empty()) {
    const raft::NodeId alone{config.id == 0 ? 1 : config.id};
    first.voters = {alone};
    first.addresses = {{alone, config.peer.advertise}};
  }
  return first;
}

std::string cluster_text(const storage::ClusterId& id) {
  return to_hex(std::as_bytes(std::span(id)).first(8));
}

Result<storage::Identity> own_identity(storage::DirectoryReader& directory,
                                       const config::Config& config) {
  const std::string& path = config.data_dir;
  const Result<std::optional<storage::Identity>> read = storage::read_identity(directory);
  if (!read) return Error{read.error().code, path + ": " + read.error().message};
  const std::optional<storage::Identity>& identity = *read;
  if (!identity) {
    return Error{Errc::kBadInput, "data directory " + path + " holds no data of a node"};
  }
  if (config.id != 0 && config.id != identity->node_id.value) {
    return Error{Errc::kConflict,
                 strf("data directory %s belongs to node %llu, not to node %llu", path.c_str(),
                      static_cast<unsigned long long>(identity->node_id.value),
                      static_cast<unsigned long long>(config.id))};
  }
  if (!storage::is_cluster_name(identity->cluster_id, config.cluster.name)) {
    return Error{Errc::kConflict, "data directory " + path +
                                      " belongs to a cluster of another name than \"" +
                                      percent_escape(config.cluster.name) + "\""};
  }
  return *identity;
}

int directory_status(const Error& error) {
  const bool corrupt = error.code == Errc::kCorrupt || error.code == Errc::kUnsupported;
  return corrupt ? kExitCorrupt : kExitCannotRead;
}

void StoreSink::commit(raft::Index index, std::uint64_t time_ms) {
  reader_->commit(index, {time_ms});
  reader_.reset();
}

ReadSnapshot read_snapshot_file(const std::string& path, kv::Store& store) {
  ReadSnapshot read;
  StoreSink sink(store);
  sink.begin();
  storage::SnapshotFileReader reader([&](ByteView body) { return sink.feed(body); });
  Sha256 sum;
  const auto failed = [&](Errc code, const std::string& why) {
    read.error = Error{code, percent_escape(path) + ": " + why};
  };
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    failed(Errc::kIo, "it cannot be opened");
    return read;
  }
  std::string piece(limits::kReadAheadBlockBytes, '\0');
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    const ByteView bytes =
        as_bytes(std::string_view(piece).substr(0, static_cast<std::size_t>(in.gcount())));
    read.bytes += bytes.size();
    sum.add(bytes);
    if (read.error) continue;  // The rest is only counted.
    const Status fed = reader.feed(bytes);
    if (!fed) failed(fed.error().code, fed.error().message);
    if (!read.cut && reader.cut()) read.cut = reader.cut();
  }
  if (in.bad()) {
    failed(Errc::kIo, "it cannot be read");
    return read;
  }
  read.sha256 = to_hex(sum.finish());
  if (read.error) return read;
  Status whole = reader.finish();
  if (whole && read.cut->machine_name != store.name()) {
    failed(Errc::kUnsupported,
           strf("its state is of the kind %s, expected %s",
                percent_escape(read.cut->machine_name).c_str(), std::string(store.name()).c_str()));
    return read;
  }
  if (whole) whole = sink.complete();
  if (!whole) {
    failed(whole.error().code, whole.error().message);
    return read;
  }
  read.meta = reader.meta();
  sink.commit(read.cut->last_index, read.cut->cluster_time_ms);
  return read;
}

storage::BodySlices slices_of(kv::Store& store, const raft::Configuration& first,
                              std::unique_ptr<machine::SnapshotWriter>& writer) {
  const std::vector<raft::NodeId> members = raft::members_of(first);
  store.forget_members(members.empty() ? 0 : members.back().value);
  writer = store.snapshot();
  return [&writer](Bytes& out) { return writer->write_slice(out, limits::kSnapshotSliceBytes); };
}

}  // namespace raftd::cli
