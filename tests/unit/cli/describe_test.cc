// Goal: a data directory is shown as it is, damage included, and nothing in it changes. Method:
// directories made by the code that a first start runs, with segments written and doctored here.
#include "cli/describe.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/endian.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "kv/command.h"
#include "storage/data_dir.h"
#include "storage/format.h"

namespace raftd::cli {
namespace {

namespace format = storage::format;

raft::Configuration members(std::initializer_list<std::uint64_t> ids) {
  raft::Configuration configuration;
  for (const std::uint64_t id : ids) {
    configuration.voters.push_back({id});
    configuration.addresses.push_back({{id}, "h:" + std::to_string(id)});
  }
  return configuration;
}

Bytes stamped(const kv::Command& command) {
  return kv::encode(command);  // With room for the stamp: cluster time 0.
}

struct Written {
  format::RecordKind kind = format::RecordKind::kEntry;
  raft::EntryKind entry_kind = raft::EntryKind::kNoop;
  std::uint64_t term = 0;
  std::uint64_t index = 0;
  Bytes payload;
};

// A directory after its first start: segment 1 holds the members (1, 2, 3) as entry 1.
class Data {
 public:
  Data() {
    std::string pattern = (std::filesystem::temp_directory_path() / "raftd-data-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
    const raft::Configuration first = members({1, 2, 3});
    identity_ = {storage::make_cluster_id("c", first), raft::NodeId{2}, 7};
    storage::DiskPlan plan;
    plan.ops = storage::first_start_ops({identity_, raft::Incarnation{5}, first, 0});
    storage::PosixFiles(path_, false).run(plan);
  }
  ~Data() { std::filesystem::remove_all(path_); }
  Data(const Data&) = delete;
  Data& operator=(const Data&) = delete;

  const std::string& path() const { return path_; }
  std::string segment(std::uint64_t seq) const { return path_ + "/" + format::segment_name(seq); }

  // Segment 2, a frame for each list; frames of segment 1 are counted on.
  void write_second(const std::vector<std::vector<Written>>& frames) {
    format::SegmentHeader header{};
    std::copy(identity_.cluster_id.begin(), identity_.cluster_id.end(), header.cluster_id);
    header.node_id = 2;
    header.segment_seq = 2;
    header.incarnation = 6;
    header.frame_seq_first = kFirstFrame;
    header.prev_index = 1;
    header.prev_term = 1;
    header.hard_term = 1;
    header.prev_seal_crc32c = seal_of_first();
    Bytes bytes;
    format::append_segment_header(bytes, header);
    std::uint64_t frame_seq = kFirstFrame;
    for (const std::vector<Written>& records : frames) {
      offsets.push_back(bytes.size());
      format::FrameWriter writer(bytes, {6, 2, frame_seq++});
      for (const Written& one : records) {
        format::RecordHeader record{};
        record.kind = static_cast<std::uint8_t>(one.kind);
        if (one.kind == format::RecordKind::kEntry) {
          record.entry_kind = static_cast<std::uint8_t>(one.entry_kind);
        }
        record.term = one.term;
        record.index = one.index;
        writer.add(record, one.payload);
      }
      writer.finish();
    }
    bytes.resize(bytes.size() + 8 * limits::kBlockBytes);
    std::ofstream out(segment(2), std::ios::binary);
    out << as_text(bytes);
  }

  void overwrite(std::uint64_t offset, const std::string& text) {
    std::fstream file(segment(2), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file << text;
  }

  std::vector<std::size_t> offsets;  // Of the frames of segment 2.

 private:
  // The checksum of the record that segment 1 ends with: alone in its last block.
  std::uint32_t seal_of_first() const {
    std::ifstream in(segment(1), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    const std::size_t at = bytes.size() - limits::kBlockBytes + sizeof(format::FrameHeader);
    return load_le<format::RecordHeader>(as_bytes(bytes), at).crc32c;
  }

  static constexpr std::uint64_t kFirstFrame = 3;  // After the first entry and the seal.
  std::string path_;
  storage::Identity identity_;
};

std::vector<std::vector<Written>> usual() {
  using raft::EntryKind;
  return {
      {{format::RecordKind::kHardState, {}, 2, 2, {}},
       {format::RecordKind::kEntry, EntryKind::kNoop, 2, 2, {}}},
      {{format::RecordKind::kEntry, EntryKind::kCommand, 2, 3,
        stamped(kv::Put{.key = "a", .value = "overridden", .condition = {}})}},
      {{format::RecordKind::kHardState, {}, 4, 0, {}},
       {format::RecordKind::kEntry, EntryKind::kCommand, 4, 3,
        stamped(kv::Put{.key = "a", .value = "1", .condition = {}})},
       {format::RecordKind::kEntry, EntryKind::kConfiguration, 4, 4,
        raft::encode(members({1, 3, 4}))}},
  };
}

struct Ran {
  int status = 0;
  std::string out;
  std::string error;
};

Ran run(const std::vector<std::string>& typed) {
  const Result<Arguments> arguments = parse_arguments(typed);
  REQUIRE_MESSAGE(static_cast<bool>(arguments), arguments.error().message);
  Ran ran;
  Output output;
  output.terminal = true;
  output.out = [&](std::string_view text) { ran.out += text; };
  output.error = [&](std::string_view text) { ran.error += std::string(text) + "\n"; };
  ran.status = describe_command(*arguments, output);
  return ran;
}

}  // namespace

TEST_CASE("[RF-19] describe logs shows each entry once, decoded, with overridden ones left out") {
  Data data;
  data.write_second(usual());
  const Ran ran = run({"describe", "logs", data.path(), "--from", "2"});
  CHECK(ran.error.empty());
  CHECK(ran.status == kExitDone);
  const std::string change =
      "ConfChangeV2 { transition: 0, changes: [ConfChangeSingle { change_type: AddNode, node_id: 4 "
      "}, ConfChangeSingle { change_type: RemoveNode, node_id: 2 }], context: [h:4] }";
  const std::string put = "Put { key: \"a\", value: \"1\" }";
  const auto pad = [&](const std::string& text) {
    return text + std::string(change.size() - text.size(), ' ');
  };
  const auto has = [&](const std::string& line) { return ran.out.find(line) != std::string::npos; };
  CHECK(has("│   2   ┆    NoOp    ┆ " + pad("") + " ┆   2  │\n"));
  CHECK(has("│   3   ┆   Normal   ┆ " + pad(put) + " ┆   4  │\n"));
  CHECK(has("│   4   ┆ ConfChange ┆ " + change + " ┆   4  │\n"));
  CHECK_FALSE(has("overridden"));
  CHECK_FALSE(has("│   1   ┆"));
  CHECK(ran.out.ends_with("┘\n\n"));
}

TEST_CASE("describe logs as JSON lines, as debug forms, and from one index to another") {
  Data data;
  data.write_second(usual());
  CHECK(run({"describe", "logs", data.path(), "--from=3", "--to=3", "--json"}).out ==
        "{\"index\":3,\"term\":4,\"type\":\"Normal\",\"time\":0,\"data\":\"Put { key: \\\"a\\\", "
        "value: \\\"1\\\" }\"}\n");
  CHECK(run({"describe", "logs", data.path(), "--from=2", "--to=2", "--raw"}).out ==
        "Entry { context: [], data: [], entry_type: EntryNormal, index: 2, sync_log: false, term: "
        "2 }\n");
  CHECK(run({"describe", "logs", data.path(), "--from=3", "--to=3", "--raw", "--hex"})
            .out.find("0x61") != std::string::npos);
  CHECK(run({"describe", "logs", data.path(), "--from", "x"}).status == kExitUsage);
  CHECK(run({"describe", "logs", data.path(), "--raw", "--json"}).status == kExitUsage);
}

TEST_CASE("describe metadata shows hard state, members, segments and identity") {
  Data data;
  data.write_second(usual());
  const Ran ran = run({"describe", "metadata", data.path()});
  CHECK(ran.status == kExitDone);
  const auto row = [&](const std::string& group, const std::string& field,
                       const std::string& value) {
    return ran.out.find("│ " + group + std::string(9 - group.size(), ' ') + " ┆ " + field +
                        std::string(35 - field.size(), ' ') + " ┆ " + value + " ") !=
           std::string::npos;
  };
  CHECK(row("HardState", "term", "4"));
  CHECK(row("", "vote", "0"));
  CHECK(row("ConfState", "voters", "{1, 3, 4}"));
  CHECK(row("", "auto_leave", "false"));
  CHECK(row("Snapshot", "data", "none"));
  CHECK(row("", "metadata.conf_state.voters_outgoing", "{}"));
  CHECK(row("LastIndex", "last index", "4"));
  CHECK(row("Segments", "segment", "log-00000000000000000001: 1..1,"));
  CHECK(row("", "segment", "log-00000000000000000002: 2..4,"));
  CHECK(row("Format", "version", "1"));
  CHECK(row("", "member id", "2"));
  const Ran raw = run({"describe", "metadata", data.path(), "--raw"});
  CHECK(raw.out.starts_with(
      "HardState { term: 4, vote: 0, commit: 0 }\nConfState { voters: [1, 3, 4]"));
  CHECK(raw.out.ends_with("\nLast index: 4\n"));
  CHECK(run({"describe", "metadata", data.path(), "--json"})
            .out.starts_with("{\"hard_state\":{\"term\":4,\"vote\":0},\"conf_state\":{\"voters\":"
                             "[1,3,4],"));
}

TEST_CASE("damage is one line with file and offset, the rest is shown, and the status is 65") {
  Data torn;
  torn.write_second(usual());
  torn.overwrite(torn.offsets[2] + 60, "damage");
  const Ran tail = run({"describe", "logs", torn.path()});
  CHECK(tail.status == kExitCorrupt);
  CHECK(tail.error.starts_with("log-00000000000000000002: torn tail: frame 5 at offset " +
                               std::to_string(torn.offsets[2]) + ": "));
  CHECK(tail.out.find("overridden") != std::string::npos);  // No longer: its successor is lost.

  Data inside;
  inside.write_second(usual());
  inside.overwrite(inside.offsets[1] + 60, "damage");
  const Ran ran = run({"describe", "logs", inside.path()});
  CHECK(ran.status == kExitCorrupt);
  CHECK(ran.error.starts_with("log-00000000000000000002: frame 4 at offset " +
                              std::to_string(inside.offsets[1]) + ": "));
  CHECK(ran.error.find("frame 5 follows at offset") != std::string::npos);
  CHECK(ran.out.find("│   2   ┆") != std::string::npos);
}

TEST_CASE("beside a running node the unfinished write at the end is not a torn tail") {
  Data data;
  data.write_second(usual());
  data.overwrite(data.offsets[2] + 60, "damage");
  Result<storage::DirectoryLock> lock = storage::DirectoryLock::take(data.path());
  REQUIRE(static_cast<bool>(lock));
  const Ran ran = run({"describe", "logs", data.path()});
  CHECK(ran.status == kExitDone);
  CHECK(ran.error.empty());
}

TEST_CASE("[RF-19] a missing or foreign directory is an error, never an empty table") {
  Data data;
  const Ran missing = run({"describe", "logs", data.path() + "/nothing"});
  CHECK(missing.status == kExitCannotRead);
  CHECK(missing.out.empty());
  CHECK(missing.error.find("nothing") != std::string::npos);
  std::filesystem::create_directory(data.path() + "/other");
  const Ran foreign = run({"describe", "metadata", data.path() + "/other"});
  CHECK(foreign.status == kExitCannotRead);
  CHECK(foreign.out.empty());
  CHECK(foreign.error.find("no data of raftd") != std::string::npos);
}

TEST_CASE("[RF-19] describing changes nothing, not even a file's time") {
  Data data;
  data.write_second(usual());
  const auto state = [&] {
    std::vector<std::pair<std::string, std::filesystem::file_time_type>> out;
    for (const auto& entry : std::filesystem::directory_iterator(data.path()))
      out.emplace_back(entry.path().string(), entry.last_write_time());
    std::sort(out.begin(), out.end());
    return out;
  };
  const auto before = state();
  CHECK(run({"describe", "logs", data.path()}).status == kExitDone);
  CHECK(run({"describe", "metadata", data.path()}).status == kExitDone);
  CHECK(state() == before);
}

}  // namespace raftd::cli
