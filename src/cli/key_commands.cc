// get, put, del, incr, ls.
#include <array>
#include <charconv>
#include <optional>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/query.h"

namespace raftd::cli {
namespace {

constexpr std::uint64_t kPageItems = 1000;
constexpr std::size_t kCellBytesMax = 64;  // Of a value in a table for people.

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

void add_life(const Arguments& arguments, Query& query) {
  if (arguments.has("--ttl")) query.add("ttl", arguments.value("--ttl"));
  if (arguments.has("--lease")) query.add("lease", arguments.value("--lease"));
}

std::string misuse(const Arguments& arguments) {
  const int conditions = int{arguments.has("--cas")} + int{arguments.has("--if-exists")} +
                         int{arguments.has("--if-absent")};
  if (conditions > 1) return "only one of --cas, --if-exists and --if-absent";
  if (const auto number = misread_number(arguments)) return *number;
  if (arguments.has("--ttl") && arguments.has("--lease")) return "only one of --ttl and --lease";
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

int get(const Arguments& arguments, Client& client, const Output& output) {
  Query query;
  if (wants_json(arguments)) query.add("meta");
  add_read_flags(arguments, query);
  const Result<Answer> answer =
      client.ask({.method = "GET",
                  .target = key_target("/kv/", arguments.words[0]) + query.text(),
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
  add_life(arguments, query);
  add_conditions(arguments, query);
  const Result<Answer> answer =
      client.write({.method = "PUT",
                    .target = key_target("/kv/", arguments.words[0]) + query.text(),
                    .body = std::move(value)});
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
  const Result<Answer> answer =
      client.write({.method = "DELETE",
                    .target = key_target("/kv/", arguments.words[0]) + query.text(),
                    .body = {}});
  if (!answer) return not_asked(answer.error(), output);
  if ((*answer).http.status != 200) return refused((*answer).http, output);
  return print_field(arguments, (*answer).http, "deleted", output);
}

// A signed number of 64 bits; as one may be written, without a sign for plus.
bool is_step(const std::string& text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

int increment(const Arguments& arguments, Client& client, const Output& output) {
  const std::string step = arguments.words.size() > 1 ? arguments.words[1] : "1";
  if (!is_step(step)) {
    output.error("incr: found " + percent_escape(step) + " (expected a whole number)");
    return kExitUsage;
  }
  Query query;
  query.add("incr", step);
  add_life(arguments, query);
  add_conditions(arguments, query);
  const Result<Answer> answer =
      client.write({.method = "POST",
                    .target = key_target("/kv/", arguments.words[0]) + query.text(),
                    .body = {}});
  if (!answer) return not_asked(answer.error(), output);
  const HttpAnswer& http = (*answer).http;
  if (http.status != 200 && http.status != 201) return refused(http, output);
  return print_field(arguments, http, "value", output);
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
      if (!output_.flush()) return kExitIo;  // Nobody reads it: what is left is not asked for.
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
    return key_target("/kv/", arguments_.words.empty() ? "" : arguments_.words[0]) + query.text();
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

int key_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  const std::string wrong = misuse(arguments);
  if (!wrong.empty()) {
    output.error(wrong);
    return kExitUsage;
  }
  Client& client = ways.client;
  const CommandId id = arguments.command->id;
  if (id == CommandId::kGet) return get(arguments, client, output);
  if (id == CommandId::kPut) return put(arguments, client, ways.input, output);
  if (id == CommandId::kDelete) return del(arguments, client, output);
  if (id == CommandId::kIncrement) return increment(arguments, client, output);
  ASSERT(id == CommandId::kList);
  return Lister(arguments, client, output).run();
}

}  // namespace raftd::cli
