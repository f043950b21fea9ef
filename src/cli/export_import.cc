// export and import: keys and values as newline-delimited JSON, one item of the native API a line.
#include <fstream>
#include <iostream>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "http/base64.h"
#include "http/json.h"
#include "http/uri.h"

namespace raftd::cli {
namespace {

constexpr std::uint64_t kPageItems = 1000;
// The longest key and value there can be, each byte as \u00XX.
constexpr std::size_t kLineBytesMax = 6 * (limits::kKeyBytesMax + limits::kRequestBytesMax) + 4096;

struct Pair {
  std::string key;
  std::string value;
};

// The bytes of "name" or "name64". kBadInput: neither, both, or something else.
Result<std::string> bytes_of(const http::JsonValue& item, const std::string& name) {
  const http::JsonValue* plain = item.field(name);
  const http::JsonValue* encoded = item.field(name + "64");
  const http::JsonValue* given = plain != nullptr ? plain : encoded;
  if (given == nullptr) return Error{Errc::kBadInput, "it has no " + name};
  if (plain != nullptr && encoded != nullptr) {
    return Error{Errc::kBadInput, "it has both " + name + " and " + name + "64"};
  }
  if (given->text() == nullptr) return Error{Errc::kBadInput, name + " is no text"};
  if (plain != nullptr) return *plain->text();
  const std::optional<std::string> decoded = http::base64_decode(*encoded->text());
  if (!decoded) return Error{Errc::kBadInput, name + "64 is no base64"};
  return *decoded;
}

Result<Pair> parse_item(const std::string& line) {
  if (line.size() > kLineBytesMax) {
    return Error{Errc::kTooBig, strf("%zu bytes are more than any item has", line.size())};
  }
  TRY(const http::JsonValue item, http::parse_json(line));
  if (item.object() == nullptr) return Error{Errc::kBadInput, "it is no JSON object"};
  for (const http::JsonField& field : *item.object()) {
    bool known = false;
    for (const char* name :
         {"key", "key64", "value", "value64", "mod", "create", "version", "lease", "ttl"})
      known = known || field.name == name;
    if (!known) return Error{Errc::kBadInput, "unknown field " + percent_escape(field.name)};
  }
  Pair pair;
  TRY(pair.key, bytes_of(item, "key"));
  TRY(pair.value, bytes_of(item, "value"));
  if (pair.key.empty()) return Error{Errc::kBadInput, "its key is empty"};
  if (pair.key.size() > limits::kKeyBytesMax || pair.value.size() > limits::kRequestBytesMax) {
    return Error{Errc::kTooBig, strf("a key of %zu bytes with a value of %zu is too large",
                                     pair.key.size(), pair.value.size())};
  }
  return pair;
}

// Lines, numbered from 1. Empty ones are passed by.
class Lines {
 public:
  explicit Lines(std::istream& in) : in_(in) {}

  bool next(std::string& line) {
    while (std::getline(in_, line)) {
      ++number_;
      if (line.ends_with('\r')) line.pop_back();
      if (!line.empty()) return true;
    }
    return false;
  }
  std::uint64_t number() const { return number_; }
  bool failed() const { return in_.bad(); }

 private:
  std::istream& in_;
  std::uint64_t number_ = 0;
};

std::string at_line(const std::string& file, std::uint64_t number, const std::string& why) {
  return strf("%s: line %llu: ", percent_escape(file).c_str(),
              static_cast<unsigned long long>(number)) +
         why;
}

class Importer {
 public:
  Importer(const Arguments& arguments, Client& client, const Output& output)
      : arguments_(arguments), client_(client), output_(output) {
    file_ = arguments.words.empty() || arguments.words[0] == "-" ? "standard input"
                                                                 : arguments.words[0];
    from_stdin_ = arguments.words.empty() || arguments.words[0] == "-";
  }

  int run() {
    if (from_stdin_) return read(std::cin, true);
    // A file is looked through first: one with a bad line changes nothing.
    for (const bool write : {false, true}) {
      std::ifstream in(file_, std::ios::binary);
      if (!in) {
        output_.error(percent_escape(file_) + ": it cannot be opened");
        return kExitNo;
      }
      const int status = read(in, write);
      if (status != kExitDone || write) return status;
    }
    return kExitDone;
  }

 private:
  int read(std::istream& in, bool write) {
    Lines lines(in);
    std::string line;
    while (lines.next(line)) {
      const Result<Pair> pair = parse_item(line);
      if (!pair) return stop(lines.number(), pair.error().message, kExitNo);
      if (!write) continue;
      const int status = put(*pair, lines.number());
      if (status != kExitDone) return status;
      ++written_;
    }
    if (lines.failed()) return stop(lines.number() + 1, "it cannot be read", kExitNo);
    if (!write) return kExitDone;
    if (arguments_.value("--output") == "json") {
      output_.out(strf("{\"imported\":%llu}\n", static_cast<unsigned long long>(written_)));
    } else {
      output_.out(strf("%llu\n", static_cast<unsigned long long>(written_)));
    }
    return kExitDone;
  }

  int put(const Pair& pair, std::uint64_t line) {
    client_.restart_clock();
    const Result<Answer> answer =
        client_.write({.method = "PUT",
                       .target = "/kv/" + http::percent_encode(pair.key, true),
                       .body = pair.value});
    if (!answer) return stop(line, answer.error().message, kExitCannotAsk);
    const HttpAnswer& http = (*answer).http;
    if (http.status == 200 || http.status == 201) return kExitDone;
    const bool no = (http.status >= 400 && http.status < 500) || http.status == 507;
    return stop(line, error_message(http), no ? kExitNo : kExitCannotAsk);
  }

  int stop(std::uint64_t line, const std::string& why, int status) {
    output_.error(at_line(file_, line, why) +
                  strf("; %llu were written before it", static_cast<unsigned long long>(written_)));
    return status;
  }

  const Arguments& arguments_;
  Client& client_;
  const Output& output_;
  std::string file_;
  bool from_stdin_ = false;
  std::uint64_t written_ = 0;
};

std::string line_of(const http::JsonValue& item, const Pair& pair) {
  std::string line;
  http::JsonWriter writer(line);
  writer.begin_object().bytes("key", pair.key).bytes("value", pair.value);
  for (const char* name : {"mod", "create", "version", "ttl"}) {
    const http::JsonValue* number = item.field(name);
    if (number != nullptr && number->whole() != nullptr) writer.field(name, *number->whole());
  }
  const http::JsonValue* lease = item.field("lease");
  if (lease != nullptr && lease->text() != nullptr) {
    writer.field("lease", std::string_view(*lease->text()));
  }
  writer.end_object();
  return line + "\n";
}

}  // namespace

// Page by page, all of one revision.
int export_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  Client& client = ways.client;
  const std::string prefix = arguments.words.empty() ? "" : arguments.words[0];
  std::string cursor;
  do {
    std::string target =
        "/kv/" + http::percent_encode(prefix, true) + "?list&limit=" + std::to_string(kPageItems);
    if (!cursor.empty()) target += "&cursor=" + http::percent_encode(cursor, false);
    client.restart_clock();
    const Result<Answer> answer =
        client.ask({.method = "GET", .target = target, .body = {}, .takes_timeout = true});
    if (!answer) return not_asked(answer.error(), output);
    if ((*answer).http.status != 200) return refused((*answer).http, output);
    const Result<http::JsonValue> body = http::parse_json((*answer).http.body);
    const http::JsonValue* items = body ? (*body).field("items") : nullptr;
    if (items == nullptr || items->array() == nullptr) {
      output.error("the answer was not understood: it has no items");
      return kExitCannotAsk;
    }
    for (const http::JsonValue& item : *items->array()) {
      Pair pair;
      if (!bytes_field(item, "key", pair.key) || !bytes_field(item, "value", pair.value)) {
        output.error("the answer was not understood: an item without key or value");
        return kExitCannotAsk;
      }
      output.out(line_of(item, pair));
    }
    const http::JsonValue* next = (*body).field("cursor");
    cursor = next != nullptr && next->text() != nullptr ? *next->text() : "";
  } while (!cursor.empty());
  return kExitDone;
}

int import_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  return Importer(arguments, ways.client, output).run();
}

}  // namespace raftd::cli
