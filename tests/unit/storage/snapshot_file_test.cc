#include "storage/snapshot_file.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/rng.h"

namespace raftd::storage {
namespace {

SnapshotCut some_cut() {
  SnapshotCut cut;
  cut.cluster_id[3] = 9;
  cut.last_index = {1200};
  cut.last_term = {7};
  cut.configuration.index = {1};
  cut.configuration.configuration.voters = {{1}, {2}};
  cut.configuration.configuration.addresses = {{{1}, "a:1"}, {{2}, "b:2"}};
  cut.cluster_time_ms = 77;
  cut.machine_name = "kv/1";
  return cut;
}

Bytes random_bytes(Rng& rng, std::size_t count) {
  Bytes bytes(count);
  for (std::byte& each : bytes)
    each = static_cast<std::byte>(rng.below(256));
  return bytes;
}

// A whole file, its body added in pieces.
Bytes file_of(ByteView body, std::size_t chunk_bytes, Rng& rng,
              raft::SnapshotMeta* meta = nullptr) {
  SnapshotFileWriter writer(some_cut(), chunk_bytes);
  Bytes file(writer.head_bytes());
  while (!body.empty()) {
    const std::size_t piece = 1 + rng.below(body.size());
    writer.add(body.first(piece), file);
    body = body.subspan(piece);
  }
  writer.finish(file);
  const Bytes head = writer.head();
  std::copy(head.begin(), head.end(), file.begin());
  if (meta != nullptr) *meta = writer.meta();
  return file;
}

struct Reading {
  Bytes body;
  SnapshotFileReader reader{[this](ByteView chunk) -> Status {
    body.insert(body.end(), chunk.begin(), chunk.end());
    return Done{};
  }};
  Status all(ByteView file, std::size_t piece) {
    for (std::size_t at = 0; at < file.size(); at += piece) {
      const Status fed = reader.feed(file.subspan(at, std::min(piece, file.size() - at)));
      if (!fed) return fed;
    }
    return reader.finish();
  }
};

}  // namespace

TEST_CASE("a snapshot file gives back its body and what was known at the cut, however it is read") {
  Rng rng(1);
  for (const std::size_t size : {0U, 1U, 99U, 100U, 101U, 1000U, 5000U}) {
    CAPTURE(size);
    const Bytes body = random_bytes(rng, size);
    raft::SnapshotMeta meta;
    const Bytes file = file_of(body, 100, rng, &meta);
    CHECK(meta.id.file_bytes == file.size());
    for (const std::size_t piece : {1U, 7U, 104U, 100'000U}) {
      Reading reading;
      REQUIRE(reading.all(file, piece));
      CHECK(reading.body == body);
      CHECK(reading.reader.meta().id == meta.id);
      const SnapshotCut& cut = *reading.reader.cut();
      CHECK(cut.cluster_id == some_cut().cluster_id);
      CHECK(cut.last_index == raft::Index{1200});
      CHECK(cut.last_term == raft::Term{7});
      CHECK(cut.configuration.index == raft::Index{1});
      CHECK(cut.configuration.configuration == some_cut().configuration.configuration);
      CHECK(cut.cluster_time_ms == 77);
      CHECK(cut.machine_name == "kv/1");
    }
  }
}

TEST_CASE("every bit of a snapshot file counts: no flip and no cut goes unnoticed") {
  Rng rng(2);
  const Bytes body = random_bytes(rng, 250);
  const Bytes file = file_of(body, 100, rng);
  for (std::size_t at = 0; at < file.size(); ++at) {
    Bytes bad = file;
    bad[at] ^= static_cast<std::byte>(1U << rng.below(8));
    Reading reading;
    const Status status = reading.all(bad, 64);
    REQUIRE_FALSE(status);
    // Nothing that is wrong was handed on.
    CHECK(std::equal(reading.body.begin(), reading.body.end(), body.begin()));
  }
  for (std::size_t size = 0; size < file.size(); ++size) {
    Reading reading;
    const Status status = reading.all(ByteView(file).first(size), 64);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == Errc::kCorrupt);
  }
  Bytes longer = file;
  longer.push_back(std::byte{0});
  CHECK_FALSE(Reading().all(longer, 64));
}

TEST_CASE("a hostile header takes no memory, and an error says offset, found and expected") {
  Rng rng(3);
  Bytes file = file_of(random_bytes(rng, 250), 100, rng);
  const auto first_error = [&](std::size_t at, std::uint32_t value) {
    Bytes bad = file;
    std::memcpy(bad.data() + at, &value, sizeof value);
    const Status status = Reading().all(bad, 10'000);
    REQUIRE_FALSE(status);
    return status.error();
  };
  CHECK(first_error(8, 2).code == Errc::kUnsupported);
  CHECK(first_error(56, 0xffffffff).message ==
        "offset 0: a header with 4294967295 bytes of meta and chunks of 100 bytes");
  CHECK(first_error(60, 0xffffffff).code == Errc::kCorrupt);
  CHECK(first_error(60, 0).code == Errc::kCorrupt);
  const std::size_t head = SnapshotFileWriter(some_cut()).head_bytes();
  const std::string chunk = first_error(head + 104, 7).message;
  CHECK(chunk.starts_with("chunk at offset " + std::to_string(head + 104) + ": crc is "));
}

TEST_CASE("the largest chunks that any build has written are read, larger ones are refused") {
  Rng rng(3);
  const Bytes body = random_bytes(rng, limits::kSnapshotChunkBytesMax + 9);
  Bytes file = file_of(body, limits::kSnapshotChunkBytesMax, rng);
  Reading reading;
  CHECK(reading.all(file, 100'000));
  CHECK(reading.body == body);
  const auto more = static_cast<std::uint32_t>(limits::kSnapshotChunkBytesMax + 1);
  std::memcpy(file.data() + offsetof(format::SnapshotHeader, chunk_bytes), &more, sizeof more);
  Reading refused;
  const Status status = refused.all(file, 100'000);
  REQUIRE(!status);
  CHECK(status.error().message.ends_with("chunks of 1048577 bytes"));
}

TEST_CASE("a file whose header was never written is no snapshot") {
  Rng rng(4);
  SnapshotFileWriter writer(some_cut(), 100);
  Bytes file(writer.head_bytes());
  writer.add(random_bytes(rng, 300), file);
  writer.finish(file);
  CHECK_FALSE(Reading().all(file, 50));
}

TEST_CASE("names of snapshots are read back, and nothing else is taken for one") {
  const std::string name = format::snapshot_name(1200, 3);
  CHECK(name == "snapshot-00000000000000001200-00000000000000000003");
  CHECK(format::parse_snapshot_name(name) == std::pair<std::uint64_t, std::uint64_t>(1200, 3));
  CHECK(format::is_incoming_name(format::incoming_name(5, 6)));
  CHECK_FALSE(format::is_incoming_name(name));
  CHECK_FALSE(format::parse_snapshot_name("snapshot-1200-3"));
  CHECK_FALSE(format::parse_snapshot_name(name + ".tmp"));
  CHECK_FALSE(format::parse_snapshot_name("snapshot-99999999999999999999-00000000000000000003"));
}

}  // namespace raftd::storage
