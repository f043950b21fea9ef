// What the start of a node and the commands on the data of a stopped one have in common.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "kv/store.h"
#include "raft/configuration.h"
#include "storage/founding.h"

namespace raftd::cli {

// The members in the file; this node alone if it lists none.
raft::Configuration first_configuration(const config::Config& config);

// The first half of a cluster's id, as people see it.
std::string cluster_text(const storage::ClusterId& id);

// Whose data the configured directory holds. kBadInput: nobody's; kConflict: another node's or
// another cluster's; kCorrupt, kIo. The message names the directory.
Result<storage::Identity> own_identity(storage::DirectoryReader& directory,
                                       const config::Config& config);

// The exit status of a command that cannot use the data directory.
int directory_status(const Error& error);

// A store that takes its state from a snapshot.
class StoreSink final : public storage::StateSink {
 public:
  explicit StoreSink(kv::Store& store) : store_(store) {}
  void begin() override { reader_ = store_.restore(); }
  Status feed(ByteView body) override { return reader_->feed(body); }
  Status complete() override { return reader_->complete(); }
  // Once the whole file is known to be good.
  void commit(raft::Index index, std::uint64_t time_ms);

 private:
  kv::Store& store_;
  std::unique_ptr<machine::RestoreReader> reader_;
};

// A snapshot file, read from its first byte to its last.
struct ReadSnapshot {
  std::optional<storage::SnapshotCut> cut;  // Once header and meta were good.
  std::uint64_t bytes = 0;
  std::optional<raft::SnapshotMeta> meta;  // All of it was good, and the store has its state.
  std::string sha256;                      // Of the whole file, if it could be read.
  std::optional<Error> error;              // Else: kIo, kCorrupt, kUnsupported, with its name.
};
ReadSnapshot read_snapshot_file(const std::string& path, kv::Store& store);

// The state of the store as the beginning of a cluster. Precondition: nobody writes to it. The
// members that published themselves are those of another cluster: they are forgotten.
// first: the members that it begins with.
storage::BodySlices slices_of(kv::Store& store, const raft::Configuration& first,
                              std::unique_ptr<machine::SnapshotWriter>& writer);

}  // namespace raftd::cli
