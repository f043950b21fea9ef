// Logs that begin behind a snapshot, and snapshots on their way from a leader to a follower.
#include "raft_support/solo.h"

namespace raftd::raft::testing {
namespace {

constexpr std::uint32_t kPiece = limits::kSnapshotWireBytes;

SnapshotMeta snapshot_at(std::uint64_t index, std::uint64_t term,
                         std::uint64_t bytes = 3 * kPiece + 7) {
  return {{{index}, {term}, bytes, 99}, {{1}, three()}};
}

// Entries up to last of these terms (from index 2 on), of which those before first are dropped.
TestDisk compacted_disk(std::uint64_t term, const std::vector<std::uint64_t>& terms,
                        const SnapshotMeta& snapshot, std::uint64_t first) {
  TestDisk disk = with_log(three(), term, terms);
  disk.snapshot = snapshot;
  disk.drop_to(first);
  return disk;
}

SnapshotChunk piece_of(const SnapshotMeta& meta, std::uint64_t offset) {
  const auto bytes =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(kPiece, meta.id.file_bytes - offset));
  return {meta, offset, bytes, share(Bytes(bytes))};
}

void store(Solo& solo) {
  for (const SnapshotChunk& chunk : std::exchange(solo.node.chunks, {})) {
    solo.core().chunk_stored(solo.now, chunk.meta.id, chunk.offset + chunk.bytes);
  }
  solo.node.pump(solo.now);
}

// A follower of node 2 whose log ends at 3, of term 1.
Solo short_follower() {
  Solo solo(with_log(three(), 1, {1, 1}));
  solo.append(2, 1, 3, 1);
  solo.node.take_sent();
  return solo;
}

// A leader of term 4 whose log begins behind 6 and ends at 8, in contact with node 2, which knows
// nothing, and with node 3, which has everything.
struct Compacted {
  Compacted() : solo(compacted_disk(3, {1, 1, 1, 2, 2, 3, 3}, snapshot_at(6, 2), 7)) {
    solo.win_election();
    solo.accept(3, solo.core().last_index().value, 1);
    solo.node.take_sent();
    solo.reject(2, {solo.core().last_index().prev(), {1}, {}, {}});
  }
  std::vector<SnapshotChunk> sent() { return solo.sent<SnapshotChunk>(2); }
  void answer(std::uint64_t next, bool rejected = false) {
    solo.receive(2, solo.term(), SnapshotReply{snapshot_at(6, 2).id, next, rejected});
  }
  PeerProgress follower() { return solo.core().progress()[0]; }
  Solo solo;
};

}  // namespace

TEST_CASE("a node whose log begins behind a snapshot knows what is committed and goes on from it") {
  Solo solo(compacted_disk(3, {1, 1, 1, 2, 2, 3, 3}, snapshot_at(6, 2), 7));
  CHECK(solo.core().first_index() == Index{7});
  CHECK(solo.core().commit_index() == Index{6});
  CHECK(solo.core().configuration().index == Index{1});
  CHECK(solo.core().configuration().configuration == three());
  solo.lead();
  REQUIRE(solo.node.applied.size() == 3);  // 7, 8 and the no-op.
  CHECK(solo.node.applied.front().index == Index{7});
  CHECK(solo.core().configuration_at({8}).index == Index{1});
}

TEST_CASE("a log may begin before its snapshot: what is older is neither applied again nor lost") {
  Solo solo(compacted_disk(3, {1, 1, 1, 2, 2, 3, 3}, snapshot_at(6, 2), 4));
  solo.lead();
  CHECK(solo.node.applied.front().index == Index{7});
  CHECK(solo.core().first_index() == Index{4});
}

TEST_CASE(
    "a log that ends before its snapshot, or has another entry in its place, is reset to it") {
  for (const bool shorter : {true, false}) {
    CAPTURE(shorter);
    // Else its index 9 is of term 1, and the snapshot's of term 2.
    TestDisk disk = with_log(three(), 3, std::vector<std::uint64_t>(shorter ? 3 : 9, 1));
    disk.snapshot = snapshot_at(9, 2);
    Solo solo(disk);
    CHECK(solo.core().last_index() == Index{9});
    CHECK(solo.core().commit_index() == Index{9});
    solo.node.pump(solo.now);
    CHECK(solo.node.disk.before == 9);
    CHECK(solo.node.disk.entries.empty());
    solo.append(2, 3, 9, 2, {command(10, 3)}, 10);
    CHECK(solo.accepted_up_to(10));
    CHECK(solo.node.applied.front().index == Index{10});
  }
}

TEST_CASE("a snapshot of a term that the log has not heard of raises the term, without a vote") {
  TestDisk disk = with_log(three(), 1, {1});
  disk.hard_state.voted_for = {1};
  disk.snapshot = snapshot_at(9, 5);
  Solo solo(disk);
  CHECK(solo.core().hard_state() == HardState{{5}, {}});
  solo.node.pump(solo.now);
  CHECK(solo.node.disk.hard_state == HardState{{5}, {}});
}

TEST_CASE("what is dropped of the log is not missed, by elections neither") {
  Solo solo(with_log(three(), 3, {1, 1, 2, 2, 3}));
  solo.lead();
  const Index end = solo.core().last_index();
  solo.core().compacted({{end, {solo.term()}, 100, 1}, {{1}, three()}});
  solo.core().dropped(end.next());
  solo.core().check_invariants();
  CHECK(solo.core().first_index() == end.next());
  CHECK(solo.core().last_index() == end);
  REQUIRE(solo.propose("x"));
  const auto appends = solo.sent<AppendRequest>(2);
  REQUIRE_FALSE(appends.empty());
  CHECK(appends.back().prev_index == end);
  CHECK(appends.back().prev_term.value == solo.term());
  solo.wait(1s);  // It hears nobody, follows, and asks for votes with the last term that it knows.
  const auto votes = solo.sent<VoteRequest>(2);
  REQUIRE_FALSE(votes.empty());
  CHECK(votes.back().last_index == end.next());
}

TEST_CASE("the configuration at the beginning of the log outlives the entry that made it") {
  TestDisk disk = with_log(three(), 1, {1, 1});
  const Configuration four = make_configuration({1, 2, 3}, {}, {4});
  disk.entries.push_back(members(4, 1, four));
  disk.entries.push_back(command(5, 1));
  Solo solo(disk);
  solo.append(2, 1, 5, 1, {}, 5);
  CHECK(solo.core().configuration_at({3}).configuration == three());
  CHECK(solo.core().configuration_at({5}).configuration == four);
  solo.core().compacted({{{5}, {1}, 100, 1}, {{4}, four}});
  solo.core().dropped({6});
  CHECK(solo.core().configuration().configuration == four);
  CHECK(solo.core().configuration_at({5}).index == Index{4});
}

TEST_CASE("pieces are handed out in order, answered when stored, and a lost one is asked for") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1);
  solo.receive(2, 1, piece_of(meta, kPiece));  // Not the first one.
  CHECK(solo.node.chunks.empty());
  auto replies = solo.sent<SnapshotReply>();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].next_offset == 0);
  solo.receive(2, 1, piece_of(meta, 0));
  REQUIRE(solo.node.chunks.size() == 1);
  CHECK(solo.node.chunks[0].data.bytes.size() == kPiece);
  CHECK(solo.sent<SnapshotReply>().empty());
  store(solo);
  replies = solo.sent<SnapshotReply>();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].next_offset == kPiece);
  solo.receive(2, 1, piece_of(meta, 0));           // Twice.
  solo.receive(2, 1, piece_of(meta, 2 * kPiece));  // One is missing.
  CHECK(solo.node.chunks.empty());
  replies = solo.sent<SnapshotReply>();
  REQUIRE(replies.size() == 2);
  CHECK(replies[0].next_offset == kPiece);
  CHECK(replies[1].next_offset == kPiece);
}

TEST_CASE(
    "the same file goes on where it was, also from another leader; another file begins anew") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1);
  solo.receive(2, 1, piece_of(meta, 0));
  store(solo);
  solo.sent<SnapshotReply>();
  solo.receive(3, 2, piece_of(meta, 0));
  auto replies = solo.sent<SnapshotReply>(3);
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].next_offset == kPiece);
  SnapshotMeta other = snapshot_at(9, 1);
  other.id.digest = 5;
  solo.receive(3, 2, piece_of(other, 0));
  REQUIRE(solo.node.chunks.size() == 1);
  CHECK(solo.node.chunks[0].meta.id == other.id);
  // What is said of the file before is about nothing any more.
  solo.core().chunk_stored(solo.now, meta.id, 2 * kPiece);
  CHECK(solo.sent<SnapshotReply>().empty());
}

TEST_CASE("what is not stored is bounded") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1, 100 * kPiece);
  for (std::uint64_t i = 0; i < 100; ++i)
    solo.receive(2, 1, piece_of(meta, i * kPiece));
  CHECK(solo.node.chunks.size() * kPiece == limits::kSnapshotReceiveBytesMax);
}

TEST_CASE("an installed snapshot resets the log, and its ack waits for nothing but the term") {
  Solo solo = short_follower();
  solo.node.auto_persist = false;
  const SnapshotMeta meta = snapshot_at(9, 1);
  solo.core().installed(solo.now, meta);
  CHECK(solo.core().commit_index() == Index{9});
  CHECK(solo.core().last_index() == Index{9});
  solo.node.pump(solo.now);
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->reset == meta.id);
  CHECK(solo.accepted_up_to(9));
  solo.append(2, 1, 9, 1, {command(10, 1)}, 10);
  CHECK(solo.sent<AppendReply>().empty());  // That one waits for the disk.
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  REQUIRE(solo.node.writing);
  CHECK_FALSE(solo.node.writing->reset);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(10));
  REQUIRE(solo.node.applied.size() >= 1);
  CHECK(solo.node.applied.back().index == Index{10});
}

TEST_CASE("entries that are being written when the log is reset prove nothing afterwards") {
  Solo solo = short_follower();
  solo.node.auto_persist = false;
  solo.append(2, 1, 3, 1, {command(4, 1), command(5, 1)});
  REQUIRE(solo.node.writing);
  solo.core().installed(solo.now, snapshot_at(9, 1));
  solo.append(2, 1, 9, 1, {command(10, 1)});
  solo.node.take_sent();
  solo.node.persist(solo.now);  // Of 4 and 5.
  solo.node.pump(solo.now);
  CHECK(solo.sent<AppendReply>().empty());
  REQUIRE(solo.node.writing);
  CHECK(solo.node.writing->reset);
  CHECK(solo.node.writing->entries.size() == 1);
  solo.node.persist(solo.now);
  solo.node.pump(solo.now);
  CHECK(solo.accepted_up_to(10));
}

TEST_CASE("[F53] a log that goes beyond an installed snapshot is kept; one that conflicts is not") {
  Solo kept(with_log(three(), 1, {1, 1, 1, 1}));
  kept.append(2, 1, 5, 1);
  kept.core().installed(kept.now, snapshot_at(4, 1));
  kept.node.pump(kept.now);
  CHECK(kept.core().last_index() == Index{5});
  CHECK(kept.core().commit_index() == Index{4});
  CHECK(kept.node.disk.before == 0);
  Solo other(with_log(three(), 1, {1, 1, 1, 1}));
  other.append(2, 2, 1, 1);
  other.core().installed(other.now, snapshot_at(4, 2));
  other.node.pump(other.now);
  CHECK(other.core().last_index() == Index{4});
  CHECK(other.node.disk.before == 4);
}

TEST_CASE("[F54] pieces of a snapshot that brings nothing new are answered with what is there") {
  Solo solo = short_follower();
  solo.append(2, 1, 3, 1, {}, 3);
  solo.node.take_sent();
  solo.receive(2, 1, piece_of(snapshot_at(3, 1), 0));
  CHECK(solo.node.chunks.empty());
  CHECK(solo.accepted_up_to(3));
}

TEST_CASE("a file that does not verify is begun anew, and its leader hears so") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1);
  solo.receive(2, 1, piece_of(meta, 0));
  store(solo);
  solo.sent<SnapshotReply>();
  solo.core().install_failed(solo.now, meta.id, true);
  solo.node.pump(solo.now);
  const auto replies = solo.sent<SnapshotReply>();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].rejected);
  solo.receive(2, 1, piece_of(meta, 0));
  CHECK(solo.node.chunks.size() == 1);
}

TEST_CASE("pieces that wait to be handed out go with a transfer that failed") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1);
  solo.receive(2, 1, piece_of(meta, 0));
  store(solo);
  solo.core().step(solo.now, {{2}, {1}, {1}, piece_of(meta, kPiece)});
  solo.core().install_failed(solo.now, meta.id, true);
  solo.node.pump(solo.now);
  CHECK(solo.node.chunks.empty());
}

TEST_CASE("a leader sends one piece, then a window, and replicates behind an installed snapshot") {
  Compacted c;
  auto pieces = c.sent();
  REQUIRE(pieces.size() == 1);
  CHECK(pieces[0].meta.id == snapshot_at(6, 2).id);
  CHECK(pieces[0].offset == 0);
  CHECK(pieces[0].data.bytes.empty());
  CHECK(c.follower().state == PeerProgress::State::kSnapshot);
  CHECK(c.solo.core().sending_from() == Index{6});
  c.answer(kPiece);
  pieces = c.sent();
  REQUIRE(pieces.size() == 3);
  CHECK(pieces[2].offset == 3 * kPiece);
  CHECK(pieces[2].bytes == 7);
  c.answer(3 * kPiece + 7);
  CHECK(c.sent().empty());
  c.solo.accept(2, 6);
  CHECK(c.follower().match == Index{6});
  CHECK_FALSE(c.solo.core().sending_from());
  CHECK(c.solo.core().counters().snapshots_sent == 1);
  const auto appends = c.solo.sent<AppendRequest>(2);
  REQUIRE_FALSE(appends.empty());
  CHECK(appends.back().prev_index == Index{6});
  CHECK(appends.back().prev_term == Term{2});
}

TEST_CASE("what a follower has of the file already is not sent again") {
  Compacted c;
  c.sent();
  c.answer(2 * kPiece);
  const auto pieces = c.sent();
  REQUIRE(pieces.size() == 2);
  CHECK(pieces[0].offset == 2 * kPiece);
}

TEST_CASE("a lost piece is sent again once, however many answers say that it is missing") {
  Compacted c;
  c.sent();
  c.answer(kPiece);
  CHECK(c.sent().size() == 3);
  c.answer(kPiece);
  CHECK(c.sent().size() == 3);
  c.answer(kPiece);
  CHECK(c.sent().empty());
  c.answer(2 * kPiece);
  CHECK(c.sent().empty());  // The others are on their way.
}

TEST_CASE("a transfer that nothing is heard of is tried again, and after ten timeouts given up") {
  Compacted c;
  c.sent();
  std::size_t pieces = 0;
  for (int i = 0; i < 30 && c.solo.core().sending_from(); ++i) {
    c.solo.wait(50ms);
    c.solo.accept(3, c.solo.core().last_index().value, 1);  // Else it leads no longer.
    pieces += c.sent().size();
  }
  CHECK_FALSE(c.solo.core().sending_from());
  CHECK(pieces >= 8);
  CHECK(pieces <= 11);
  // Until something is heard of the follower again.
  c.solo.wait(50ms);
  CHECK(c.sent().empty());
  c.solo.accept(2, 0, 1);
  CHECK(c.sent().size() == 1);
}

TEST_CASE("reads are confirmed by a follower that is being sent a snapshot") {
  Compacted c;
  REQUIRE(c.solo.core().read(c.solo.now, 7));
  c.solo.node.pump(c.solo.now);
  const auto asked = c.solo.sent<AppendRequest>(2);
  REQUIRE_FALSE(asked.empty());
  CHECK(asked.back().prev_index == Index{});
  c.solo.accept(2, 0, asked.back().read_seq.value);
  REQUIRE(c.solo.node.reads.size() == 1);
  CHECK(c.solo.node.reads[0].at == c.solo.core().commit_index());
  CHECK(c.follower().state == PeerProgress::State::kSnapshot);
}

TEST_CASE("a piece that no correct leader sends changes nothing") {
  Solo solo = short_follower();
  const SnapshotMeta meta = snapshot_at(9, 1);
  const auto bad = [&](auto change) {
    SnapshotChunk chunk = piece_of(meta, 0);
    change(chunk);
    const std::uint64_t before = solo.core().counters().bad_messages;
    solo.receive(2, 1, chunk);
    return solo.core().counters().bad_messages == before + 1 && solo.node.chunks.empty();
  };
  CHECK(bad([](SnapshotChunk& c) { c.meta.id.last_term = {2}; }));
  CHECK(bad([](SnapshotChunk& c) { c.meta.id.last_index = {0}; }));
  CHECK(bad([](SnapshotChunk& c) { c.meta.id.file_bytes = 5; }));
  CHECK(bad([](SnapshotChunk& c) { c.meta.configuration.index = {10}; }));
  CHECK(bad([](SnapshotChunk& c) { c.offset = ~0ULL; }));
  CHECK(bad([](SnapshotChunk& c) { c.bytes = 0; }));
  CHECK(bad([](SnapshotChunk& c) { c.bytes -= 1; }));
  CHECK(bad([](SnapshotChunk& c) { c.data = {}; }));
}

TEST_CASE("a follower whose state is wrong is sent a snapshot beside the entries") {
  Solo solo(with_log(three(), 3, {1, 1, 2, 2, 3}));
  solo.lead();
  const Index end = solo.core().last_index();
  solo.accept(2, end.value, 1);
  solo.node.take_sent();
  solo.core().send_snapshot({2}, {4});
  solo.node.pump(solo.now);
  CHECK(solo.sent<SnapshotChunk>(2).empty());  // There is none.
  const SnapshotMeta early = snapshot_at(3, 1);
  solo.core().compacted(early);
  solo.node.pump(solo.now);
  CHECK(solo.sent<SnapshotChunk>(2).empty());  // It is before what that node has applied.
  const SnapshotMeta meta = snapshot_at(4, 2, kPiece + 7);
  solo.core().compacted(meta);
  solo.node.pump(solo.now);
  REQUIRE(solo.sent<SnapshotChunk>(2).size() == 1);
  CHECK(solo.core().progress()[0].state == PeerProgress::State::kReplicate);
  CHECK(solo.core().sending_from() == Index{4});
  // Entries go on, and what it acks commits; that it has them ends nothing.
  REQUIRE(solo.propose("x"));
  CHECK_FALSE(solo.sent<AppendRequest>(2).empty());
  solo.accept(2, end.value + 1, 1);
  CHECK(solo.core().commit_index() == end.next());
  CHECK(solo.core().progress()[0].snapshot == meta.id);
  solo.receive(2, solo.term(), SnapshotReply{meta.id, kPiece, false});
  REQUIRE(solo.sent<SnapshotChunk>(2).size() == 1);
  solo.receive(2, solo.term(), SnapshotReply{meta.id, kPiece + 7, false});
  CHECK_FALSE(solo.core().sending_from());
  CHECK(solo.core().counters().snapshots_sent == 1);
  solo.core().check_invariants();
  CHECK(solo.sent<SnapshotChunk>(2).empty());  // Until it is asked for again.
  solo.core().send_snapshot({2}, {4});
  solo.node.pump(solo.now);
  CHECK(solo.sent<SnapshotChunk>(2).size() == 1);
}

TEST_CASE("a snapshot beside the entries that is refused, or does not move, is given up") {
  for (const bool refused : {true, false}) {
    CAPTURE(refused);
    Solo solo(with_log(three(), 3, {1, 1, 2, 2, 3}));
    solo.lead();
    solo.core().compacted(snapshot_at(4, 2));
    solo.core().send_snapshot({2}, {4});
    solo.accept(2, solo.core().last_index().value, 1);
    REQUIRE(solo.core().sending_from());
    if (refused) {
      solo.receive(2, solo.term(), SnapshotReply{snapshot_at(4, 2).id, 0, true});
    } else {
      for (int i = 0; i < 100 && solo.core().sending_from(); ++i) {
        solo.wait(100ms);
        solo.accept(2, solo.core().last_index().value, 1);
        solo.accept(3, solo.core().last_index().value, 1);
      }
    }
    CHECK_FALSE(solo.core().sending_from());
    solo.core().check_invariants();
  }
}

TEST_CASE("a node whose state is wrong takes a snapshot that its log does not need, once") {
  Solo solo(with_log(three(), 1, {1, 1, 1, 1}));
  solo.append(2, 1, 5, 1, {}, 5);
  solo.core().applied({5});
  const SnapshotMeta meta = snapshot_at(5, 1, 10);
  const SnapshotChunk whole{meta, 0, 10, share(Bytes(10))};
  solo.receive(2, 1, whole);
  CHECK(solo.node.chunks.empty());  // It has that.
  solo.core().want_snapshot(true);
  solo.receive(2, 1, SnapshotChunk{snapshot_at(4, 1, 10), 0, 10, share(Bytes(10))});
  CHECK(solo.node.chunks.empty());  // That one would take it back.
  solo.receive(2, 1, whole);
  REQUIRE(solo.node.chunks.size() == 1);
  store(solo);
  solo.core().installed(solo.now, meta);
  solo.node.pump(solo.now);
  solo.core().check_invariants();
  CHECK(solo.core().last_index() == Index{5});
  CHECK(solo.core().counters().snapshots_installed == 1);
  solo.receive(2, 1, whole);
  CHECK(solo.node.chunks.empty());
}

}  // namespace raftd::raft::testing
