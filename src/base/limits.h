// Every bound in raftd, in one file. Everything has a limit; if it is not here it is a bug.
// What happens at the bound stands beside it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace raftd::limits {

inline constexpr std::size_t kKiB = 1024;
inline constexpr std::size_t kMiB = 1024 * kKiB;

// Members. A joint configuration may hold two whole sets of voters.
inline constexpr std::size_t kVotersMax = 9;
inline constexpr std::size_t kLearnersMax = 8;
inline constexpr std::size_t kMembersMax = 2 * kVotersMax + kLearnersMax;
inline constexpr std::uint64_t kPromotionLagMax = 1024;       // Entries that a new voter may lack.
inline constexpr std::chrono::seconds kPromotionPatience{5};  // How long it has to keep up before.
inline constexpr std::size_t kAddressBytesMax = 256;
inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kConfigurationBytesMax =
    8 + (2 * kVotersMax + kLearnersMax) * 8 + kMembersMax * (10 + kAddressBytesMax);
inline constexpr std::uint64_t kNodeIdMax = (1ULL << 53) - 1;  // Exact in JSON numbers.

// Key-value store.
inline constexpr std::size_t kKeyBytesMax = 2 * kKiB;           // 413.
inline constexpr std::size_t kRequestBytesMax = 3 * kMiB / 2;   // One command, encoded: 413.
inline constexpr std::size_t kRangeKeysPerSliceMax = 4096;      // Visited by one query.
inline constexpr std::size_t kHashBytesPerSliceMax = 4 * kMiB;  // Hashed by one query.
inline constexpr std::size_t kApplyKeysPerSliceMax = 4096;      // Of one large command.
inline constexpr std::size_t kTidyVersionsPerSliceMax = 512;    // Freed at once: 1 us each.
inline constexpr std::size_t kCommandFieldsMax = 16384;         // Else it is no command.
inline constexpr std::size_t kTransactionOpsMax = 512;          // Guards too, nested ones too: 413.
inline constexpr std::size_t kTransactionDepthMax = 32;         // As deep as JSON may be.
inline constexpr std::size_t kTransactionResultBytesMax = 4 * kMiB;    // Read in one: 413.
inline constexpr std::size_t kTransactionKeysReadMax = 65536;          // Visited by a query: 413.
inline constexpr std::size_t kLeasesMax = 2'000'000;                   // 507.
inline constexpr std::uint64_t kLeaseIdMax = (1ULL << 63) - 1;         // 400.
inline constexpr std::uint64_t kLeaseTtlMsMax = 9'000'000'000'000ULL;  // 400.
inline constexpr std::size_t kLeaseKeysPerRevokeMax = 1024;  // Of one revision; others: the next.
inline constexpr std::size_t kLeasesPerExpiryMax = 1024;     // Of one entry; others: the next.
inline constexpr std::size_t kLeasesKeptMax = 4096;          // By one entry; others: the next.
inline constexpr std::size_t kLeasesPerSliceMax = 1024;      // Visited by one query.
inline constexpr std::size_t kLockNameBytesMax = 512;        // 413.
inline constexpr std::size_t kLockOwnerBytesMax = 256;       // 400.
inline constexpr std::size_t kLockWaitersShownMax = 1024;    // Of one lock; others are counted.
inline constexpr std::size_t kLocksPerSliceMax = 1024;       // Visited by one query, and waiters.
inline constexpr std::size_t kIdempotencyKeyBytesMax = 128;  // 400.
inline constexpr std::size_t kFencesMax = 16;                // Of one request: 400.
inline constexpr std::size_t kRepliesKeptMax = 65536;        // For retries: the oldest goes.
inline constexpr std::size_t kReplyKeptBytesMax = 1 * kKiB;  // More: without prev and results.
inline constexpr std::size_t kTicketsMax = 64;               // Also of members on their way in.
inline constexpr std::uint64_t kTicketTtlMsMax = 24ULL * 3600 * 1000;
inline constexpr std::size_t kPublishedMembersMax = 256;       // More: the command is refused.
inline constexpr std::size_t kSnapshotKeysPerSliceMax = 4096;  // Visited by a writer.

// Log.
inline constexpr std::size_t kEntryBytesMax = kRequestBytesMax + 4 * kKiB;
inline constexpr std::size_t kBlockBytes = 4 * kKiB;     // Unit of alignment in a segment.
inline constexpr std::size_t kFrameBytesMax = 4 * kMiB;  // One fsync writes at most this.
inline constexpr std::size_t kSegmentBytesMin = 8 * kMiB;
inline constexpr std::size_t kSegmentBytesMax = 1024 * kMiB;
inline constexpr std::size_t kBatchBytesMax = 3 * kMiB;         // Entries in one PersistBatch.
inline constexpr std::size_t kBatchEntriesMax = 16384;          // The same.
inline constexpr std::size_t kUnpersistedBytesMax = 16 * kMiB;  // Then propose() says kBusy.
inline constexpr std::size_t kLogCacheBytesMin = 32 * kMiB;     // Lower bound of the ceiling.
inline constexpr std::size_t kLogCacheIdleBytes = 1 * kMiB;     // Kept when nobody needs more.
inline constexpr std::size_t kLogReadBytesMax = 1 * kMiB;       // One read of old entries.
inline constexpr std::size_t kLogReadsInFlightMax = 4;
inline constexpr std::size_t kTornFilesMax = 4;  // Kept aside; older ones go.
// Of a snapshot file, one checksum; a restore takes no less at once. Files of others may have more.
inline constexpr std::size_t kSnapshotChunkBytes = 64 * kKiB;
inline constexpr std::size_t kSnapshotChunkBytesMax = 1 * kMiB;
inline constexpr std::size_t kReadAheadBlockBytes = 1 * kMiB;  // Of a whole file; one read,
inline constexpr std::size_t kReadAheadBytes = 4 * kMiB;       //   and all that wait to be taken.
inline constexpr std::size_t kMachineNameBytesMax = 64;
// A frame's sync waits for whatever else is on its way to the disk: a slice of a snapshot is small,
// and after it the disk is left alone for longer than it took.
inline constexpr std::size_t kSnapshotSliceBytes = 128 * kKiB;         // Written and synced,
inline constexpr std::chrono::milliseconds kSnapshotSliceInterval{2};  //   one each so often,
inline constexpr int kSnapshotRestFactor = 3;                          //   a rest as so many,
inline constexpr std::chrono::milliseconds kSnapshotRestMax{20};       //   but not longer.
// While a snapshot is made, all that its state had stays in memory. Where the next one is wanted
// already, much is overwritten: then it has no rests, and larger slices.
inline constexpr std::size_t kSnapshotHurriedSliceBytes = 512 * kKiB;
inline constexpr std::size_t kSnapshotSmallBytes = 64 * kMiB;  // Up to here as much log first.
inline constexpr std::size_t kBackupsMax = 4;                  // Streams at once: 429.
inline constexpr std::size_t kSnapshotClientsMax = 64;         // Wait for one to be made: 429.
// Versions that are kept for a backup alone, because its client reads slowly: it is broken off.
inline constexpr std::size_t kBackupHistoryBytesMax = 1024 * kMiB;
inline constexpr std::size_t kRestoreSliceBytes = 128 * kKiB;  // Restored per loop iteration.
inline constexpr std::size_t kSnapshotSyncBytes = 256 * kKiB;  // Received: then a sync.
inline constexpr std::size_t kLogKeepBytes = 64 * kMiB;  // Beyond [snapshot] bytes, for followers.
// A heartbeat waits for at most one message of a transfer: at 10 Mbit/s this is 50 ms.
inline constexpr std::size_t kSnapshotWireBytes = 64 * kKiB;  // In one message,
inline constexpr std::size_t kSnapshotWireInFlightMax = 16;   //   and messages not answered,
inline constexpr std::size_t kSnapshotSendsMax = 2;           //   of receivers at once.
// Of all of them together: above it pieces wait, and what else the node does has the rest.
inline constexpr std::uint64_t kSnapshotSendBytesPerSecond = 256 * kMiB;
inline constexpr std::chrono::milliseconds kSnapshotSendBurst{2};  // Made up for after a pause.
inline constexpr std::size_t kSnapshotReceiveBytesMax = 2 * kMiB;  // Not stored yet: dropped.
inline constexpr std::size_t kBackgroundPlansMax =
    4;                                        // Journal, snapshots made, received, removed.
inline constexpr std::size_t kReadPlansMax =  // Then a piece to send is forgotten.
    kLogReadsInFlightMax + kSnapshotSendsMax * kSnapshotWireInFlightMax;

// Peers.
inline constexpr std::size_t kAppendBytesMax = 1 * kMiB;           // Entries in one AppendRequest,
inline constexpr std::size_t kAppendEntriesMax = 8192;             //   and their number.
inline constexpr std::size_t kAppendGatherBytes = 64 * kKiB;       // Or after kAppendGatherDelay.
inline constexpr std::size_t kAppendsInFlightMax = 256;            // Per peer, and in bytes:
inline constexpr std::size_t kAppendsInFlightBytesMax = 8 * kMiB;  // max_inflight_bytes.
// Less on a link that does not carry so much in time (raft/progress.h): a window begins so, and is
// no smaller than this.
inline constexpr std::size_t kAppendWindowBytesStart = 256 * kKiB;
inline constexpr std::size_t kAppendWindowBytesMin = 64 * kKiB;
inline constexpr std::chrono::milliseconds kAppendGatherDelay{1};    // With others unanswered.
inline constexpr std::chrono::microseconds kReturnPatienceMax{500};  // For clients just answered.
inline constexpr std::chrono::milliseconds kCommitAnnounceDelay{2};  // To peers nobody waits at.
inline constexpr std::chrono::milliseconds kReadRoundPatience{1};  // With a quorum; then with all.
inline constexpr std::size_t kWireMessageBytesMax = 4 * kMiB;      // Connection closed.
inline constexpr std::size_t kHelloBytesMax = 1 * kKiB;            // Connection closed.
inline constexpr std::size_t kPeerQueueBytesMax = 16 * kMiB;       // Then messages are dropped.
// Pieces of snapshots have a queue of their own and go after everything else; beyond it they are
// dropped. They wait while as much is between this kernel and the peer's, where nothing overtakes.
inline constexpr std::size_t kPeerPiecesMax = 2 * kSnapshotWireInFlightMax;
inline constexpr std::size_t kPeerPieceUnackedBytesMax = 256 * kKiB;
// Election timeouts for which the link to a member that was removed stays: a leader that goes hears
// in them that its removal is committed, and hands over.
inline constexpr int kFarewellTimeouts = 20;
inline constexpr std::size_t kPeerStrangersMax = 64;  // Connections before their hello.

// State hashes. Small, so that also a cluster that writes little compares its states soon; all of
// the marks are many entries, so that a node which is behind the question still knows the answer.
inline constexpr std::uint64_t kStateHashEntries = 64;  // A mark at each multiple of this index;
inline constexpr std::size_t kStateHashMarks = 256;     //   this many are remembered.

// Clients.
inline constexpr std::size_t kProposalsPendingMax = 65536;      // 429.
inline constexpr std::size_t kForwardsPendingMax = 65536;       // 429.
inline constexpr std::size_t kReadsPendingMax = 65536;          // 429.
inline constexpr std::size_t kApplyBytesPerPumpMax = 2 * kMiB;  // Holds any entry;
inline constexpr std::size_t kApplyEntriesPerPumpMax = 2048;    // of small ones, a few ms.
inline constexpr std::size_t kReplyBytesPerPumpMax = 4 * kMiB;  // Of reads, and as much of
                                                                // writes; the rest: the next one.
inline constexpr std::size_t kHttpConnectionsMax = 65536;       // 503 too_many_clients.
inline constexpr std::size_t kHttpRequestLineBytesMax = 8 * kKiB;  // 414.
inline constexpr std::size_t kHttpHeaderBytesMax = 16 * kKiB;      // 431.
inline constexpr std::size_t kHttpHeaderFieldsMax = 64;            // 431.
inline constexpr std::size_t kHttpMethodBytesMax = 32;             // 400.
inline constexpr std::size_t kHttpTrailerFieldsMax = 8;            // 400.
inline constexpr std::size_t kHttpChunkExtensionBytesMax = 256;    // Of a whole body: 400.
inline constexpr std::size_t kHttpWaitingBytesMax = 4 * kMiB;      // Bodies of one connection that
                                                                   // wait their turn: read no more.
inline constexpr std::size_t kHttpTurnedAwayMax = 256;             // Hear their 503; others: close.
inline constexpr std::size_t kHttpPipelineMax = 16;                // Then no more is read.
inline constexpr std::size_t kHttpOutputBytesMax = 4 * kMiB;       // Then no more is read.
inline constexpr std::size_t kHttpHeldBytesMax = 256 * kMiB;       // Of all: the largest close.
inline constexpr std::size_t kHttpStreamBytes = 64 * kKiB;         // A stream waits above this.
inline constexpr std::size_t kHttpDrainBytesMax = 64 * kKiB;       // Of a refused body, to keep the
                                                                   // connection; else it ends.
inline constexpr std::size_t kHttpLingerBytesMax = 16 * kMiB;      // Thrown away after the end, for
                                                                   // a client that is yet to read.
inline constexpr std::size_t kJsonDepthMax = 32;

// Watches and long-polls. In one iteration of the loop; what is left has its turn in the next one.
inline constexpr std::size_t kWatchEventsPerPumpMax = 4096;  // New events that are looked at.
inline constexpr std::size_t kWatchTurnsPerPumpMax = 128;    // Watchers that may read,
inline constexpr std::size_t kWatchVisitsPerTurnMax = 512;   //   so many events each,
inline constexpr std::size_t kWatchTurnBytes = 16 * kKiB;    //   and write about so much,
inline constexpr std::size_t kWatchPumpBytes = 1 * kMiB;     //   all of them together so much.
inline constexpr std::size_t kWatchAlarmsPerPumpMax = 512;   // Heartbeats and ends of long-polls.
inline constexpr std::chrono::seconds kWatchHeartbeat{15};   // Without other output.
inline constexpr std::chrono::seconds kWatchProgress{60};
// Of etcd's API: events of one revision in one message; answers that a client does not read.
inline constexpr std::size_t kEtcdWatchMessageBytes = 1 * kMiB;
inline constexpr std::size_t kEtcdWatchAnswersMax = 1024;
inline constexpr std::uint64_t kWatchersMax = 100'000;  // Of [limits] watchers: 429.

// Configuration file.
inline constexpr std::size_t kConfigFileBytesMax = 1 * kMiB;
inline constexpr std::size_t kConfigDepthMax = 64;

static_assert(kSegmentBytesMin % kBlockBytes == 0);
static_assert(kFrameBytesMax % kBlockBytes == 0);
static_assert(kFrameBytesMax + 2 * kBlockBytes <= kSegmentBytesMin,
              "header block, largest frame, and a block for the seal fit in a segment");
static_assert(kTransactionOpsMax * 16 < kCommandFieldsMax, "a transaction of so many is a command");
static_assert(kEntryBytesMax + kBlockBytes <= kFrameBytesMax, "any entry fits in a frame");
static_assert(kEntryBytesMax <= kBatchBytesMax, "any entry fits in a batch");
static_assert(kBatchBytesMax + kBatchEntriesMax * 40 + kBlockBytes <= kFrameBytesMax,
              "a batch with its record headers and padding fits in a frame");
static_assert(kConfigurationBytesMax <= kEntryBytesMax, "a configuration is an entry");
static_assert(kAppendBytesMax + kEntryBytesMax + kAppendEntriesMax * 64 <= kWireMessageBytesMax,
              "an append fits the wire");
static_assert(kAppendBytesMax + kEntryBytesMax <= kAppendsInFlightBytesMax);
static_assert(kAppendWindowBytesMin <= kAppendWindowBytesStart);
static_assert(kAppendWindowBytesStart <= kAppendsInFlightBytesMax);
static_assert(kAppendWindowBytesMin <= kAppendBytesMax);
static_assert(kAppendsInFlightBytesMax <= kUnpersistedBytesMax,
              "a follower takes what a leader may send");
static_assert(kEntryBytesMax <= kApplyBytesPerPumpMax);
static_assert(kLogReadBytesMax <= kAppendBytesMax, "a read of old entries fits an append");
static_assert(kRequestBytesMax <= kHttpWaitingBytesMax, "any request can wait its turn");
static_assert(kSnapshotWireBytes + kConfigurationBytesMax + 1024 <= kWireMessageBytesMax);
static_assert(kSnapshotWireBytes * kSnapshotWireInFlightMax <= kSnapshotReceiveBytesMax,
              "a follower takes what a leader may send");
static_assert(kWireMessageBytesMax <= kPeerQueueBytesMax);
static_assert(kSnapshotWireInFlightMax <= kPeerPiecesMax, "a whole window can wait at a link");
static_assert(kSnapshotWireBytes <= kPeerPieceUnackedBytesMax, "a piece can go on an idle link");
static_assert(kUnpersistedBytesMax + kFrameBytesMax <= kLogCacheBytesMin,
              "what may not be evicted fits in the smallest cache");

}  // namespace raftd::limits
