// describe logs, describe metadata: the tables of a data directory.
#include "cli/describe.h"

#include <algorithm>

#include "base/endian.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "http/json.h"
#include "kv/command.h"
#include "kv/describe.h"
#include "storage/format.h"
#include "storage/posix_files.h"

namespace raftd::cli {
namespace {

using Ids = std::vector<raft::NodeId>;

const char* type_name(raft::EntryKind kind) {
  switch (kind) {
    case raft::EntryKind::kNoop:
      return "NoOp";
    case raft::EntryKind::kCommand:
      return "Normal";
    case raft::EntryKind::kConfiguration:
      return "ConfChange";
  }
  return "?";
}

std::string list_of(const Ids& ids, char open, char close) {
  std::string out(1, open);
  for (const raft::NodeId id : ids)
    out += (out.size() > 1 ? ", " : "") + std::to_string(id.value);
  return out + close;
}

std::string set_of(const Ids& ids) {
  return list_of(ids, '{', '}');
}

bool has(const Ids& ids, raft::NodeId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// The difference between two configurations, as single changes.
std::string changes_text(const raft::Configuration& before, const raft::Configuration& after) {
  std::string changes;
  std::string context;
  const auto add = [&](const char* type, raft::NodeId id) {
    changes += (changes.empty() ? "" : ", ") + std::string("ConfChangeSingle { change_type: ") +
               type + ", node_id: " + std::to_string(id.value) + " }";
    for (const raft::MemberAddress& address : after.addresses) {
      if (address.id == id) context += (context.empty() ? "" : ", ") + address.peer;
    }
  };
  for (const raft::NodeId id : after.voters)
    if (!has(before.voters, id)) add("AddNode", id);
  for (const raft::NodeId id : after.learners)
    if (!has(before.learners, id)) add("AddLearnerNode", id);
  for (const Ids* ids : {&before.voters, &before.learners}) {
    for (const raft::NodeId id : *ids)
      if (!has(after.voters, id) && !has(after.learners, id)) add("RemoveNode", id);
  }
  return "ConfChangeV2 { transition: " + std::string(after.joint() ? "1" : "0") + ", changes: [" +
         changes + "], context: [" + context + "] }";
}

std::string hex_text(ByteView bytes) {
  return "0x" + to_hex(bytes);
}

// Entries to lines: a configuration is shown as the change from the one before.
class EntryTexts {
 public:
  EntryTexts(const storage::Inspection& view, const DescribeOptions& options)
      : view_(view), options_(options) {}

  std::string data(const raft::Entry& entry) {
    time_ms_.reset();
    switch (entry.kind) {
      case raft::EntryKind::kNoop:
        return "";
      case raft::EntryKind::kConfiguration:
        return configuration(entry);
      case raft::EntryKind::kCommand:
        return command(entry.payload.bytes);
    }
    return hex_text(entry.payload.bytes);
  }
  // Cluster time of the entry that data() was asked for last; of commands only.
  const std::optional<std::uint64_t>& time_ms() const { return time_ms_; }

 private:
  std::string configuration(const raft::Entry& entry) const {
    const Result<raft::Configuration> decoded = raft::decode_configuration(entry.payload.bytes);
    if (!decoded) return hex_text(entry.payload.bytes);
    raft::Configuration before;
    for (const raft::ConfigurationAt& at : view_.configurations)
      if (at.index < entry.index) before = at.configuration;
    return changes_text(before, *decoded);
  }

  std::string command(ByteView payload) {
    constexpr std::size_t kStamp = sizeof(storage::format::CommandHeader);
    if (payload.size() < kStamp) return hex_text(payload);
    time_ms_ = load_le<std::uint64_t>(payload);
    const ByteView body = payload.subspan(kStamp);
    const Result<kv::Request> decoded = kv::decode(body);
    return decoded ? kv::describe(*decoded, options_.full, options_.hex) : hex_text(body);
  }

  const storage::Inspection& view_;
  const DescribeOptions& options_;
  std::optional<std::uint64_t> time_ms_;
};

std::string json_line(const raft::Entry& entry, const std::string& data,
                      const std::optional<std::uint64_t>& time_ms) {
  std::string out;
  http::JsonWriter writer(out);
  writer.begin_object().field("index", entry.index.value).field("term", entry.term.value);
  writer.field("type", type_name(entry.kind));
  if (time_ms) writer.field("time", *time_ms);
  writer.field("data", std::string_view(data)).end_object();
  return out + "\n";
}

std::string raw_line(const raft::Entry& entry, const std::string& data) {
  const char* type =
      entry.kind == raft::EntryKind::kConfiguration ? "EntryConfChangeV2" : "EntryNormal";
  return "Entry { context: [], data: [" + data + "], entry_type: " + type +
         ", index: " + std::to_string(entry.index.value) +
         ", sync_log: false, term: " + std::to_string(entry.term.value) + " }\n";
}

// The one in effect.
raft::Configuration newest_configuration(const storage::Inspection& view) {
  return view.configurations.empty() ? raft::Configuration{}
                                     : view.configurations.back().configuration;
}

// The newest that is whole; nullptr: there is none.
const storage::InspectedSnapshot* newest_snapshot(const storage::Inspection& view) {
  const storage::InspectedSnapshot* newest = nullptr;
  for (const storage::InspectedSnapshot& snapshot : view.snapshots) {
    if (snapshot.cut) newest = &snapshot;
  }
  return newest;
}

std::string snapshot_text(const storage::InspectedSnapshot& snapshot) {
  if (!snapshot.cut) return snapshot.problem;
  return snapshot.file + ": " + std::to_string(snapshot.bytes) + " bytes, " +
         snapshot.cut->machine_name;
}

// Of a snapshot, which may not be there.
storage::SnapshotCut cut_of(const storage::InspectedSnapshot* snapshot) {
  return snapshot == nullptr ? storage::SnapshotCut() : *snapshot->cut;
}

std::string segment_text(const storage::InspectedSegment& segment) {
  std::string out = segment.file + ": ";
  out += segment.first
             ? std::to_string(segment.first.value) + ".." + std::to_string(segment.last.value)
             : "no entries";
  return out + ", " + std::to_string(segment.bytes) + " bytes, " +
         storage::segment_state_name(segment.state);
}

// What a cluster is called in /status: 16 digits.
std::string cluster_text(const storage::Identity& identity) {
  constexpr std::size_t kShownBytes = 8;
  return to_hex(std::as_bytes(std::span(identity.cluster_id)).first(kShownBytes));
}

Table metadata_table(const storage::Inspection& view, const raft::Configuration& members) {
  Table table{{{""}, {"Field"}, {"Value"}}, {}};
  const auto add = [&](std::string group, std::string field, std::string value) {
    table.rows.push_back({std::move(group), std::move(field), std::move(value)});
  };
  add("HardState", "term", std::to_string(view.hard_state.term.value));
  add("", "vote", std::to_string(view.hard_state.voted_for.value));
  add("", "commit", "not stored");
  add("ConfState", "voters", set_of(members.voters));
  add("", "learners", set_of(members.learners));
  add("", "voters_outgoing", set_of(members.voters_outgoing));
  add("", "learners_next", "{}");
  add("", "auto_leave", members.joint() ? "true" : "false");
  if (view.snapshots.empty()) add("Snapshot", "data", "none");
  for (const storage::InspectedSnapshot& snapshot : view.snapshots)
    add(&snapshot == &view.snapshots.front() ? "Snapshot" : "", "data", snapshot_text(snapshot));
  const storage::SnapshotCut cut = cut_of(newest_snapshot(view));
  const raft::Configuration& then = cut.configuration.configuration;
  add("", "metadata.index", std::to_string(cut.last_index.value));
  add("", "metadata.term", std::to_string(cut.last_term.value));
  add("", "metadata.conf_state.voters", set_of(then.voters));
  add("", "metadata.conf_state.learners", set_of(then.learners));
  add("", "metadata.conf_state.voters_outgoing", set_of(then.voters_outgoing));
  add("", "metadata.conf_state.learners_next", "{}");
  add("", "metadata.conf_state.auto_leave", then.joint() ? "true" : "false");
  add("LastIndex", "last index", std::to_string(view.last_index.value));
  for (const storage::InspectedSegment& segment : view.segments)
    add(&segment == &view.segments.front() ? "Segments" : "", "segment", segment_text(segment));
  add("Format", "version", std::to_string(storage::format::kVersion));
  if (view.identity) {
    add("Identity", "cluster id", cluster_text(*view.identity));
    add("", "member id", std::to_string(view.identity->node_id.value));
  } else {
    add("Identity", "cluster id", "none");
  }
  return table;
}

std::string metadata_raw(const storage::Inspection& view, const raft::Configuration& members) {
  const auto state = [](const raft::Configuration& of) {
    const auto ids = [](const Ids& list) { return list_of(list, '[', ']'); };
    return "ConfState { voters: " + ids(of.voters) + ", learners: " + ids(of.learners) +
           ", voters_outgoing: " + ids(of.voters_outgoing) +
           ", learners_next: [], auto_leave: " + (of.joint() ? "true" : "false") + " }";
  };
  const storage::SnapshotCut cut = cut_of(newest_snapshot(view));
  return "HardState { term: " + std::to_string(view.hard_state.term.value) +
         ", vote: " + std::to_string(view.hard_state.voted_for.value) + ", commit: 0 }\n" +
         state(members) + "\n" +
         "\"Snapshot { data: [], metadata: Some(SnapshotMetadata { conf_state: Some(" +
         state(cut.configuration.configuration) +
         "), index: " + std::to_string(cut.last_index.value) +
         ", term: " + std::to_string(cut.last_term.value) + " }) }\"\n" +
         "Last index: " + std::to_string(view.last_index.value) + "\n";
}

void json_ids(http::JsonWriter& writer, std::string_view name, const Ids& ids) {
  writer.name(name).begin_array();
  for (const raft::NodeId id : ids)
    writer.value(id.value);
  writer.end_array();
}

std::string metadata_json(const storage::Inspection& view, const raft::Configuration& members) {
  std::string out;
  http::JsonWriter writer(out);
  writer.begin_object().name("hard_state").begin_object();
  writer.field("term", view.hard_state.term.value).field("vote", view.hard_state.voted_for.value);
  writer.end_object().name("conf_state").begin_object();
  json_ids(writer, "voters", members.voters);
  json_ids(writer, "learners", members.learners);
  json_ids(writer, "voters_outgoing", members.voters_outgoing);
  json_ids(writer, "learners_next", {});
  writer.field("auto_leave", members.joint()).end_object();
  writer.name("snapshot");
  if (const storage::InspectedSnapshot* newest = newest_snapshot(view)) {
    writer.begin_object().field("file", std::string_view(newest->file));
    writer.field("index", newest->cut->last_index.value);
    writer.field("term", newest->cut->last_term.value).field("bytes", newest->bytes).end_object();
  } else {
    writer.null();
  }
  writer.field("last_index", view.last_index.value);
  writer.name("segments").begin_array();
  for (const storage::InspectedSegment& segment : view.segments) {
    writer.begin_object().field("file", std::string_view(segment.file));
    writer.field("first_index", segment.first.value).field("last_index", segment.last.value);
    writer.field("bytes", segment.bytes);
    writer.field("state", storage::segment_state_name(segment.state));
    writer.end_object();
  }
  writer.end_array().field("format", std::uint64_t{storage::format::kVersion}).name("identity");
  if (view.identity) {
    writer.begin_object().field("cluster_id", std::string_view(cluster_text(*view.identity)));
    writer.field("id", view.identity->node_id.value).end_object();
  } else {
    writer.null();
  }
  writer.end_object();
  return out + "\n";
}

// What a start would refuse, and a last write that is not whole, unless it is being written.
int tell_damage(const storage::Inspection& view, const DescribeOptions& options,
                const Output& output) {
  std::vector<std::string> lines = view.findings;
  for (const storage::InspectedSegment& segment : view.segments) {
    if (segment.state == storage::SegmentState::kTorn && !options.running) {
      lines.push_back(segment.file + ": torn tail: " + segment.problem);
    }
  }
  for (const std::string& line : lines)
    output.error(percent_escape(line));
  return lines.empty() ? kExitDone : kExitCorrupt;
}

// The options, or a sentence about what is wrong with them.
Result<DescribeOptions> describe_options(const Arguments& arguments) {
  DescribeOptions options;
  for (const auto& [flag, index] : {std::pair{"--from", &options.from}, {"--to", &options.to}}) {
    if (arguments.has(flag) && !parse_u64(arguments.value(flag), *index)) {
      return Error{Errc::kBadInput, std::string(flag) + ": found " +
                                        percent_escape(arguments.value(flag)) +
                                        " (expected an index)"};
    }
  }
  options.raw = arguments.has("--raw");
  options.json = arguments.has("--json");
  options.full = arguments.has("--full");
  options.hex = arguments.has("--hex");
  if (options.raw && options.json) return Error{Errc::kBadInput, "only one of --raw and --json"};
  return options;
}

}  // namespace

int describe_logs(const storage::Inspection& view, const DescribeOptions& options,
                  const Output& output) {
  Table table{{{"index", Align::kCentre, Align::kCentre},
               {"type", Align::kCentre, Align::kCentre},
               {"data", Align::kLeft, Align::kCentre},
               {"term", Align::kCentre, Align::kCentre}},
              {}};
  EntryTexts texts(view, options);
  for (const raft::Entry& entry : view.entries) {
    const std::string data = texts.data(entry);
    if (options.json) {
      output.out(json_line(entry, data, texts.time_ms()));
    } else if (options.raw) {
      output.out(raw_line(entry, data));
    } else {
      table.rows.push_back({std::to_string(entry.index.value), type_name(entry.kind), data,
                            std::to_string(entry.term.value)});
    }
  }
  if (!options.json && !options.raw) output.out(boxed(table, output.charset) + "\n");
  return tell_damage(view, options, output);
}

int describe_metadata(const storage::Inspection& view, const DescribeOptions& options,
                      const Output& output) {
  const raft::Configuration members = newest_configuration(view);
  if (options.json) {
    output.out(metadata_json(view, members));
  } else if (options.raw) {
    output.out(metadata_raw(view, members));
  } else {
    output.out(boxed(metadata_table(view, members), output.charset));
  }
  return tell_damage(view, options, output);
}

int describe_command(const Arguments& arguments, const Output& output) {
  Result<DescribeOptions> options = describe_options(arguments);
  if (!options) {
    output.error(options.error().message);
    return kExitUsage;
  }
  const std::string& path = arguments.words[0];
  const auto failed = [&](const std::string& why, int status) {
    output.error(percent_escape(path + ": " + why));
    return status;
  };
  const auto directory = storage::PosixDirectoryReader::open(path);
  if (!directory) return failed(directory.error().message, kExitCannotRead);
  const bool logs = arguments.command->id == CommandId::kDescribeLogs;
  (*options).running = storage::directory_in_use(path);
  storage::InspectOptions inspect;
  inspect.from = {(*options).from};
  inspect.to = {(*options).to};
  inspect.payloads = logs;
  inspect.running = (*options).running;
  const Result<storage::Inspection> view = storage::inspect(**directory, inspect);
  if (!view) return failed(view.error().message, kExitCannotRead);
  return logs ? describe_logs(*view, *options, output) : describe_metadata(*view, *options, output);
}

}  // namespace raftd::cli
