// export and import: keys and values as newline-delimited JSON, one item of the native API a line.
// The happy path of import is: lines are gathered into transactions, each of which is written once,
// whatever becomes of its answer. Possible failure modes are: a line is no item (what stands before
// it is written, unless a file has been looked through first); a node refuses a transaction,
// because its limits are lower than most or because of one line: that changed nothing, so that half
// of it is tried, down to the one line that is named then; nobody answers.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <set>
#include <vector>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/json_text.h"
#include "cli/query.h"
#include "http/base64.h"
#include "http/json.h"
#include "http/uri.h"

namespace raftd::cli {
namespace {

constexpr std::uint64_t kPageItems = 1000;
// Of a transaction, in JSON: within the limits.request_bytes of most nodes, with room for others.
constexpr std::size_t kTransactionBytesMax = 1 * limits::kMiB;
// The longest key and value there can be, each byte as \u00XX.
constexpr std::size_t kLineBytesMax = 6 * (limits::kKeyBytesMax + limits::kRequestBytesMax) + 4096;

struct Pair {
  std::string key;
  std::string value;
  bool has_lease = false;
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
  pair.has_lease = item.field("lease") != nullptr;
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

// A line that is to be written.
struct Waiting {
  std::uint64_t line = 0;
  Pair pair;
  std::string put;  // As an operation of a transaction.
};

class Importer {
 public:
  Importer(const Arguments& arguments, Client& client, const Output& output)
      : client_(client), output_(output), wants_json_(wants_json(arguments)) {
    from_stdin_ = arguments.words.empty() || arguments.words[0] == "-";
    file_ = from_stdin_ ? "standard input" : arguments.words[0];
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
      Result<Pair> pair = parse_item(line);
      int status = kExitDone;
      if (pair && write) {
        status = add({lines.number(), *std::move(pair), ""});
      } else if (!pair) {
        status = write_all();
        if (status == kExitDone) status = stop_at(lines.number(), pair.error().message);
      }
      if (status != kExitDone) return status;
    }
    if (const int status = write_all(); status != kExitDone) return status;
    if (lines.failed()) return stop_at(lines.number() + 1, "it cannot be read");
    return write ? tell() : kExitDone;
  }

  int add(Waiting one) {
    http::JsonWriter writer(one.put);
    writer.begin_object().bytes("put", one.pair.key).bytes("value", one.pair.value).end_object();
    // A transaction writes a key once; of several lines the last one counts.
    const bool fits = waiting_.size() < limits::kTransactionOpsMax &&
                      bytes_ + one.put.size() <= kTransactionBytesMax &&
                      !keys_.contains(one.pair.key);
    if (!fits) {
      const int status = write_all();
      if (status != kExitDone) return status;
    }
    bytes_ += one.put.size();
    keys_.insert(one.pair.key);
    waiting_.push_back(std::move(one));
    return kExitDone;
  }

  int write_all() {
    while (!waiting_.empty()) {
      const std::size_t count = std::min(waiting_.size(), lines_max_);
      const Result<Answer> answer = send(count);
      if (!answer) return stop(count, answer.error().message, kExitCannotAsk);
      const HttpAnswer& http = answer->http;
      if (http.status / 100 == 2) {
        take(count);
        continue;
      }
      const bool is_refused = (http.status >= 400 && http.status < 500) || http.status == 507;
      if (!is_refused) return stop(count, error_message(http), kExitCannotAsk);
      if (count == 1) return stop(count, error_message(http), kExitNo);
      lines_max_ = count / 2;
    }
    bytes_ = 0;
    keys_.clear();
    return kExitDone;
  }

  // The first of those that wait. One goes by itself: in JSON it may be larger than any
  // transaction.
  Result<Answer> send(std::size_t count) {
    client_.restart_clock();
    const Pair& first = waiting_[0].pair;
    if (count == 1) {
      return client_.write(
          {.method = "PUT", .target = key_target("/kv/", first.key), .body = first.value});
    }
    std::string body = "{\"then\":[";
    for (std::size_t i = 0; i < count; ++i)
      body += (i == 0 ? "" : ",") + waiting_[i].put;
    return client_.write({.method = "POST", .target = "/txn", .body = body + "]}"});
  }

  void take(std::size_t count) {
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
    with_lease_ += static_cast<std::uint64_t>(std::count_if(
        waiting_.begin(), end, [](const Waiting& one) { return one.pair.has_lease; }));
    written_ += count;
    waiting_.erase(waiting_.begin(), end);
  }

  int tell() const {
    const std::string count = std::to_string(written_);
    output_.out(wants_json_ ? "{\"imported\":" + count + "}\n" : count + "\n");
    if (with_lease_ > 0) {
      output_.error(std::to_string(with_lease_) + " of " + count +
                    " had a lease and have none now: they stay until they are deleted");
    }
    return kExitDone;
  }

  // Each: why the first count of those that wait, or a line, cannot be written.
  int stop(std::size_t count, const std::string& why, int status) {
    if (count == 1) return stop_at(waiting_[0].line, why, status);
    return say("lines " + std::to_string(waiting_[0].line) + " to " +
                   std::to_string(waiting_[count - 1].line),
               why, status);
  }
  int stop_at(std::uint64_t line, const std::string& why, int status = kExitNo) {
    return say("line " + std::to_string(line), why, status);
  }
  int say(const std::string& where, const std::string& why, int status) {
    output_.error(percent_escape(file_) + ": " + where + ": " + why + "; " +
                  std::to_string(written_) + " were written before");
    return status;
  }

  Client& client_;
  const Output& output_;
  bool wants_json_;
  std::string file_;
  bool from_stdin_ = false;
  std::vector<Waiting> waiting_;                        // For one transaction:
  std::size_t bytes_ = 0;                               //   of their operations,
  std::set<std::string> keys_;                          //   which are of different keys.
  std::size_t lines_max_ = limits::kTransactionOpsMax;  // As many as nodes have taken.
  std::uint64_t written_ = 0;
  std::uint64_t with_lease_ = 0;  // Of these.
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
    if (!output.flush()) return kExitIo;  // Nobody reads it: what is left is not asked for.
    const http::JsonValue* next = (*body).field("cursor");
    cursor = next != nullptr && next->text() != nullptr ? *next->text() : "";
  } while (!cursor.empty());
  return kExitDone;
}

int import_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  return Importer(arguments, ways.client, output).run();
}

}  // namespace raftd::cli
