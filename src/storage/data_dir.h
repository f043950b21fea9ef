// Opens a data directory: makes it at the first start, locks it, finds out whose it is, recovers.
//
// The happy path is: lock, read IDENTITY, recover(), run the repairs. Possible failure modes are:
// the directory cannot be made, is locked, or is another node's or cluster's: nothing in it is
// changed; the log is damaged: likewise; a first start was cut short: what it left is removed and
// the start is begun again; the node was joining a cluster and is not a member yet: refused.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "raft/configuration.h"
#include "storage/posix_files.h"
#include "storage/recovery.h"

namespace raftd::storage {

struct OpenOptions {
  std::string path;
  raft::NodeId node_id;  // 0: whoever the directory belongs to.
  std::string cluster_name;
  // What the log of a new node begins with. nullopt: an empty directory is refused.
  std::optional<raft::Configuration> first_configuration;
  std::uint64_t instance = 0;     // Random; kept if the directory is new.
  raft::Incarnation incarnation;  // Random, of this start. Not 0.
  std::size_t tail_bytes_max = limits::kLogCacheIdleBytes;
  std::string machine_name;          // As in RecoverOptions,
  StateSink* sink = nullptr;         //   both.
  bool sync = true;                  // False: nothing is synced; only for tests.
  std::int64_t created_unix_ns = 0;  // For people, in the first segment's header.
  RecoveryProgressSink progress = {};
};

struct Opened {
  DirectoryLock lock;  // As long as it lives nobody else gets the directory.
  Identity identity;
  Recovered recovered;  // The repairs have been made.
  bool first_start = false;
};

// Blocking. kBadInput, kConflict: exit status 73 (cannot be made or used; locked, another node's,
// another cluster's). kCorrupt: 65. kIo: 74. A failed write or sync ends the process with 74.
Result<Opened> open_data_dir(const OpenOptions& options);

// Whether it may be locked: somebody's home directory is not even that. kConflict: a founding is
// not finished; kBadInput, kCorrupt: as clear_unfinished_start(); kIo.
Status check_before_lock(DirectoryReader& directory, const std::string& path);

// Its last eight bytes tell the cluster's name alone, so that a changed name is found; its first
// eight tell the name and the first members, so that two clusters of one name differ.
ClusterId make_cluster_id(std::string_view name, const raft::Configuration& first);
// The same for a cluster that begins with a state: origin tells which, and why.
ClusterId make_cluster_id(std::string_view name, ByteView origin);
bool is_cluster_name(const ClusterId& id, std::string_view name);
// That of a cluster of which somebody else said the first eight bytes.
ClusterId joined_cluster_id(std::string_view name, std::span<const std::uint8_t, 8> first_half);

Bytes encode(const Identity& identity);
Result<Identity> decode_identity(ByteView file);

// Reads IDENTITY. nullopt: there is none. kCorrupt, kIo.
Result<std::optional<Identity>> read_identity(DirectoryReader& directory);

// What an unfinished first start left, to be removed; TICKET stays. Precondition: there is no
// IDENTITY.
// kCorrupt: it is the log of a node. kBadInput: files of somebody else.
Result<std::vector<DiskOp>> clear_unfinished_start(DirectoryReader& directory);

// A new node's log: one segment that holds term 1 and the first configuration as entry 1, and is
// finished, so that it needs no zeros. A node that joins has no configuration: its log holds term 0
// and no entry. IDENTITY comes last: without it the start never happened.
struct FirstStart {
  Identity identity;
  raft::Incarnation incarnation;
  std::optional<raft::Configuration> configuration;
  std::int64_t created_unix_ns = 0;
};
std::vector<DiskOp> first_start_ops(const FirstStart& start);

// TICKET: what a node that joins a cluster was told, in words of whoever writes it. It is there
// before anything else is, and a start whose log names this node as a member removes it.
inline constexpr std::size_t kTicketBytesMax = 64 * limits::kKiB;
// Precondition: 1 to kTicketBytesMax bytes.
std::vector<DiskOp> ticket_ops(Bytes text);
// nullopt: there is none. kCorrupt: it is empty or too long; kIo.
Result<std::optional<Bytes>> read_ticket(DirectoryReader& directory);

}  // namespace raftd::storage
