// The bytes on disk, compared with files that were made by hand from disk-format's tables
// (tests/golden/make_golden.py), and what parsing does with bytes that are not right.
#include "storage/format.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

#include "base/crc32c.h"
#include "unit/storage/log_driver.h"

namespace raftd::storage {
namespace {

Bytes golden(const std::string& name) {
  std::ifstream file(std::string(RAFTD_SOURCE_DIR) + "/tests/golden/" + name, std::ios::binary);
  REQUIRE(file);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return to_bytes(text);
}

// The golden files: node 7, cluster 00 01 .. 0f.
Identity golden_identity() {
  Identity identity;
  for (std::uint8_t i = 0; i < identity.cluster_id.size(); ++i)
    identity.cluster_id[i] = i;
  identity.node_id = raft::NodeId{7};
  identity.instance = 0x1122334455667788;
  return identity;
}

raft::Configuration golden_configuration() {
  raft::Configuration configuration;
  configuration.voters = {raft::NodeId{7}, raft::NodeId{9}};
  configuration.learners = {raft::NodeId{12}};
  configuration.addresses = {
      {raft::NodeId{7}, "a:1"}, {raft::NodeId{9}, "bb:22"}, {raft::NodeId{12}, "ccc:333"}};
  return configuration;
}

TEST_CASE("IDENTITY is the golden file, byte for byte, and reads back") {
  const Bytes bytes = golden("v1-identity.bin");
  CHECK(encode(golden_identity()) == bytes);
  auto identity = decode_identity(bytes);
  REQUIRE(identity);
  CHECK(identity->cluster_id == golden_identity().cluster_id);
  CHECK(identity->node_id == raft::NodeId{7});
  CHECK(identity->instance == 0x1122334455667788);
}

TEST_CASE("a first start writes the golden segment, byte for byte") {
  const raft::Configuration configuration = golden_configuration();
  const auto ops = first_start_ops({golden_identity(), raft::Incarnation{0xabcdef0123456789},
                                    configuration, 1'700'000'000'000'000'000});
  const auto& write = std::get<WriteFile>(ops.at(1));
  CHECK(Bytes(write.data.bytes.begin(), write.data.bytes.end()) == golden("v1-first-segment.bin"));
}

TEST_CASE("the journal goes on with the golden second segment, byte for byte") {
  test::MemoryDisk disk;
  disk.set_contents("log-00000000000000000001", golden("v1-first-segment.bin"));
  RecoverOptions options;
  options.identity = golden_identity();
  options.incarnation = raft::Incarnation{0x42};
  options.tail_bytes_max = 1 << 20;
  auto recovered = recover(disk, options);
  REQUIRE(recovered);
  REQUIRE(recovered->durable.configurations.size() == 1);
  CHECK(recovered->durable.configurations[0].configuration == golden_configuration());
  disk.run(recovered->repairs);
  Journal journal({golden_identity(), 8 * kBlock, 0, 5}, recovered->position);
  journal.finish(disk.run(*journal.prepare_next_segment()));
  journal.finish(disk.run(journal.begin(LogDriver::batch(
      {entry(2, 3), entry(3, 3, "12345678put a b")}, raft::HardState{raft::Term{3}, {9}}))));
  journal.finish(disk.run(journal.mark_idle()));
  journal.finish(disk.run(journal.begin(LogDriver::batch({entry(3, 3, "other")}))));
  journal.finish(disk.run(journal.mark_clean()));
  CHECK(disk.contents("log-00000000000000000002") == golden("v1-second-segment.bin"));
}

TEST_CASE("any single wrong byte of IDENTITY is noticed, as is a wrong length") {
  const Bytes bytes = encode(golden_identity());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes wrong = bytes;
    wrong[i] ^= std::byte{0x10};
    const auto refused = decode_identity(wrong);
    REQUIRE(!refused);
    CHECK(refused.error().code == Errc::kCorrupt);
  }
  CHECK(!decode_identity({}));
  CHECK(!decode_identity(ByteView(bytes).first(47)));
  Bytes longer = bytes;
  longer.push_back(std::byte{0});
  CHECK(!decode_identity(longer));
}

TEST_CASE("names: twenty digits, nothing else") {
  CHECK(format::segment_name(7) == "log-00000000000000000007");
  CHECK(format::parse_segment_name("log-00000000000000000007") == 7);
  CHECK(format::parse_segment_name("log-18446744073709551615") == UINT64_MAX);
  for (const char* name :
       {"", "log-", "log-7", "log-000000000000000000007", "log-0000000000000000000x",
        "log-18446744073709551616", "LOG-00000000000000000007", "log-+0000000000000000007",
        "log-00000000000000000007 "}) {
    CHECK_FALSE(format::parse_segment_name(name));
  }
  CHECK(format::is_torn_name(format::torn_name(1, 4096)));
  CHECK_FALSE(format::is_torn_name("torn-00000000000000000001_00000000000000004096"));
  CHECK_FALSE(format::is_torn_name("torn-00000000000000000001-00000000000000004096.tmp"));
  CHECK_FALSE(format::is_torn_name("torn-"));
}

TEST_CASE("random and truncated bytes are no frame, and never read past their end") {
  Rng rng(7);
  Bytes frame;
  format::FrameWriter writer(frame, {1, 2, 3});
  format::RecordHeader record{};
  record.kind = 1;
  record.index = 5;
  writer.add(record, as_bytes("payload"));
  writer.add(record, {});
  writer.finish();
  const auto header = format::find_frame_header(frame, 2, 1);
  REQUIRE(header);
  CHECK_FALSE(format::find_frame_header(frame, 3, 1));
  CHECK_FALSE(format::find_frame_header(frame, 2, 9));
  CHECK_FALSE(format::find_frame_header(ByteView(frame).first(47), 2, 1));
  std::vector<format::Record> records;
  REQUIRE(format::parse_records(*header, frame, records));
  for (int i = 0; i < 20'000; ++i) {
    Bytes wrong = frame;
    const std::size_t at = sizeof(format::FrameHeader) + rng.below(header->payload_bytes);
    wrong[at] = static_cast<std::byte>(rng.next());
    // A byte of padding inside a record is not covered, and means nothing.
    const bool same = format::parse_records(*header, wrong, records) ? true : false;
    if (!same) continue;
    REQUIRE(records.size() == 2);
    CHECK(as_text(records[0].payload) == "payload");
  }
}

}  // namespace
}  // namespace raftd::storage
