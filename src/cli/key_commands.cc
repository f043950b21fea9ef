// get, put, del, ls.
#include <array>
#include <optional>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "http/uri.h"

namespace raftd::cli {
namespace {

constexpr std::uint64_t kPageItems = 1000;
constexpr std::size_t kCellBytesMax = 64;  // Of a value in a table for people.

std::string key_target(const std::string& key) {
  return "/kv/" + http::percent_encode(key, true);
}

// "?a=1&b" from the flags that were given.
class Query {
 public:
  void add(std::string_view name) {
    text_ += text_.empty() ? "?" : "&";
    text_ += name;
  }
  void add(std::string_view name, std::string_view value) {
    add(name);
    text_ += "=" + http::percent_encode(value, false);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The flags that must be whole numbers; the first that is not.
std::optional<std::string> misread_number(const Arguments& arguments) {
  for (const std::string_view flag : {"--rev", "--min-revision", "--cas", "--limit"}) {
    std::uint64_t number = 0;
    if (!arguments.has(flag)) continue;
    if (!parse_u64(arguments.value(flag), number) || (flag == "--limit" && number == 0)) {
      return std::string(flag) + ": found " + percent_escape(arguments.value(flag)) +
             " (expected a whole number)";
    }
  }
  return std::nullopt;
}

void add_read_flags(const Arguments& arguments, Query& query) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kFlags = {
      {{"--rev", "rev"}, {"--consistency", "consistency"}, {"--min-revision", "min_revision"}}};
  for (const auto& [flag, parameter] : kFlags)
    if (arguments.has(flag)) query.add(parameter, arguments.value(flag));
}

void add_conditions(const Arguments& arguments, Query& query) {
  if (arguments.has("--cas")) query.add("cas", arguments.value("--cas"));
  if (arguments.has("--if-exists")) query.add("if", "exists");
  if (arguments.has("--if-absent")) query.add("if", "absent");
}

std::string misuse(const Arguments& arguments) {
  const int conditions = int{arguments.has("--cas")} + int{arguments.has("--if-exists")} +
                         int{arguments.has("--if-absent")};
  if (conditions > 1) return "only one of --cas, --if-exists and --if-absent";
  if (const auto number = misread_number(arguments)) return *number;
  if (arguments.command->id == CommandId::kList) return "";
  const bool prefix = arguments.has("--prefix");
  const bool empty = arguments.words[0].empty();
  if (empty && !prefix) return "a key is at least one byte long";
  if (prefix && conditions > 0) return "--prefix takes no condition";
  if (!prefix && (arguments.has("--all") || arguments.has("--limit"))) {
    return "--all and --limit go with --prefix";
  }
  if (prefix && empty && !arguments.has("--all")) {
    return "--prefix '' means every key; say so with --all";
  }
  if (prefix && !empty && arguments.has("--all")) return "--all goes with --prefix ''";
  return "";
}

bool wants_json(const Arguments& arguments) {
  return arguments.value("--output") == "json";
}

void print_body(const HttpAnswer& answer, const Output& output) {
  output.out(without_newline(answer.body));
  output.out("\n");
}

int get(const Arguments& arguments, Client& client, const Output& output) {
  Query query;
  if (wants_json(arguments)) query.add("meta");
  add_read_flags(arguments, query);
  const Result<Answer> answer = client.ask({.method = "GET",
                                            .target = key_target(arguments.words[0]) + query.text(),
                                            .body = {},
                                            .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = (*answer).http;
  if (http.status != 200) return refused(http, output);
  if (wants_json(arguments)) {
    print_body(http, output);
    return kExitDone;
  }
  output.out(http.body);
  if (output.terminal && !http.body.ends_with('\n')) output.out("\n");
  return kExitDone;
}

// A number of an answer's JSON, on a line.
int print_field(const Arguments& arguments, const HttpAnswer& answer, std::string_view field,
                const Output& output) {
  if (wants_json(arguments)) {
    print_body(answer, output);
    return kExitDone;
  }
  const Result<http::JsonValue> body = http::parse_json(answer.body);
  if (!body || (*body).field(field) == nullptr) {
    output.error("done, but the answer was not understood: " + percent_escape(answer.body));
    return kExitDone;
  }
  output.out(shown((*body).field(field)) + "\n");
  return kExitDone;
}

int put(const Arguments& arguments, Client& client, const Input& input, const Output& output) {
  std::string value = arguments.words[1];
  if (value == "-") {
    Result<std::string> read = input();
    if (!read) {
      output.error(read.error().message);
      return kExitNo;
    }
    value = std::move(*read);
  }
  Query query;
  add_conditions(arguments, query);
  const Result<Answer> answer = client.ask({.method = "PUT",
                                            .target = key_target(arguments.words[0]) + query.text(),
                                            .body = std::move(value),
                                            .changes = true,
                                            .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = (*answer).http;
  if (http.status != 200 && http.status != 201) return refused(http, output);
  return print_field(arguments, http, "revision", output);
}

int del(const Arguments& arguments, Client& client, const Output& output) {
  Query query;
  if (arguments.has("--prefix")) query.add("prefix");
  if (arguments.has("--all")) query.add("all");
  if (arguments.has("--limit")) query.add("limit", arguments.value("--limit"));
  add_conditions(arguments, query);
  const Result<Answer> answer = client.ask({.method = "DELETE",
                                            .target = key_target(arguments.words[0]) + query.text(),
                                            .body = {},
                                            .changes = true,
                                            .takes_timeout = true});
  if (!answer) return not_asked(answer.error(), output);
  if ((*answer).http.status != 200) return refused((*answer).http, output);
  return print_field(arguments, (*answer).http, "deleted", output);
}

// For a table on a terminal: long values are cut where a character begins.
std::string cell(const std::string& value) {
  if (value.size() <= kCellBytesMax) return value;
  std::size_t end = kCellBytesMax;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80)
    --end;
  return value.substr(0, end) + strf("... (%zu bytes)", value.size());
}

// Pages until there are no more, or the limit is reached.
class Lister {
 public:
  Lister(const Arguments& arguments, Client& client, const Output& output)
      : arguments_(arguments), client_(client), output_(output) {
    keys_only_ = arguments.has("--keys");
    rows_.columns.push_back({"KEY"});
    if (!keys_only_) rows_.columns.push_back({"VALUE"});
    std::uint64_t limit = 0;
    if (parse_u64(arguments.value("--limit"), limit)) left_ = limit;
  }

  int run() {
    std::string cursor;
    do {
      const Result<Answer> answer = client_.ask(
          {.method = "GET", .target = target(cursor), .body = {}, .takes_timeout = true});
      if (!answer) return not_asked(answer.error(), output_);
      const HttpAnswer& http = (*answer).http;
      if (http.status != 200) return refused(http, output_);
      const Result<http::JsonValue> body = http::parse_json(http.body);
      if (!body) {
        output_.error("the answer was not understood: " + body.error().message);
        return kExitCannotAsk;
      }
      if (!take(*body)) return kExitCannotAsk;
      if (wants_json(arguments_)) print_body(http, output_);
      const http::JsonValue* next = (*body).field("cursor");
      cursor = next != nullptr && next->text() != nullptr ? *next->text() : "";
    } while (!cursor.empty() && left_ > 0);
    if (output_.terminal && !wants_json(arguments_)) output_.table(rows_);
    return kExitDone;
  }

 private:
  std::string target(const std::string& cursor) const {
    Query query;
    query.add("list");
    if (keys_only_) query.add("keys");
    add_read_flags(arguments_, query);
    query.add("limit", std::to_string(std::min(left_, kPageItems)));
    if (!cursor.empty()) query.add("cursor", cursor);
    return key_target(arguments_.words.empty() ? "" : arguments_.words[0]) + query.text();
  }

  bool take(const http::JsonValue& body) {
    const http::JsonValue* items = body.field("items");
    if (items == nullptr || items->array() == nullptr) {
      output_.error("the answer was not understood: it has no items");
      return false;
    }
    for (const http::JsonValue& item : *items->array()) {
      std::string key;
      std::string value;
      const bool whole =
          bytes_field(item, "key", key) && (keys_only_ || bytes_field(item, "value", value));
      if (!whole) {
        output_.error("the answer was not understood: an item without key or value");
        return false;
      }
      left_ -= left_ > 0 ? 1 : 0;
      add(key, value);
    }
    return true;
  }

  void add(const std::string& key, const std::string& value) {
    if (wants_json(arguments_)) return;
    if (output_.terminal) {
      rows_.rows.push_back({key});
      if (!keys_only_) rows_.rows.back().push_back(cell(value));
      return;
    }
    output_.out(percent_escape(key) + (keys_only_ ? "" : "\t" + percent_escape(value)) + "\n");
  }

  const Arguments& arguments_;
  Client& client_;
  const Output& output_;
  bool keys_only_ = false;
  std::uint64_t left_ = std::numeric_limits<std::uint64_t>::max();
  Table rows_;
};

}  // namespace

int key_command(const Arguments& arguments, Client& client, const Input& input,
                const Output& output) {
  const std::string wrong = misuse(arguments);
  if (!wrong.empty()) {
    output.error(wrong);
    return kExitUsage;
  }
  switch (arguments.command->id) {
    case CommandId::kGet:
      return get(arguments, client, output);
    case CommandId::kPut:
      return put(arguments, client, input, output);
    case CommandId::kDelete:
      return del(arguments, client, output);
    case CommandId::kList:
      return Lister(arguments, client, output).run();
    case CommandId::kRun:
    case CommandId::kCheckConfig:
    case CommandId::kStatus:
    case CommandId::kMembers:
    case CommandId::kHealth:
    case CommandId::kTransfer:
    case CommandId::kMemberAdd:
    case CommandId::kMemberRemove:
    case CommandId::kMemberPromote:
    case CommandId::kLeave:
    case CommandId::kDescribeLogs:
    case CommandId::kDescribeMetadata:
    case CommandId::kDescribeNode:
    case CommandId::kSnapshotSave:
    case CommandId::kSnapshotInspect:
    case CommandId::kSnapshotRestore:
    case CommandId::kRecover:
    case CommandId::kRepair:
    case CommandId::kJoin:
    case CommandId::kExport:
    case CommandId::kImport:
    case CommandId::kVersion:
      break;
  }
  ASSERT(false);
  return kExitUsage;
}

}  // namespace raftd::cli
