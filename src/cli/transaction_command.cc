// txn.
#include <fstream>

#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"

namespace raftd::cli {
namespace {

// More than any node takes is told by the node; this only bounds what is read.
constexpr std::size_t kFileBytesMax = 16 * limits::kMiB;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text;
  std::string buffer(64 * limits::kKiB, '\0');
  bool readable = in.is_open();
  while (readable && in && text.size() <= kFileBytesMax) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    text.append(buffer, 0, static_cast<std::size_t>(in.gcount()));
    readable = !in.bad();
  }
  if (!readable) return Error{Errc::kIo, percent_escape(path) + ": it cannot be read"};
  if (text.size() > kFileBytesMax) {
    return Error{Errc::kTooBig, percent_escape(path) + ": more than 16MiB is no transaction"};
  }
  return text;
}

}  // namespace

int transaction_command(const Arguments& arguments, const AskWays& ways, const Output& output) {
  const bool from_input = arguments.words.empty() || arguments.words[0] == "-";
  Result<std::string> text = from_input ? ways.input() : read_file(arguments.words[0]);
  if (!text) {
    output.error(text.error().message);
    return kExitNo;
  }
  const Result<Answer> answer =
      ways.client.write({.method = "POST", .target = "/txn", .body = *std::move(text)});
  if (!answer) return not_asked(answer.error(), output);
  if (answer->http.status != 200) return refused(answer->http, output);
  print_body(answer->http, output);
  const Result<http::JsonValue> body = http::parse_json(answer->http.body);
  const http::JsonValue* succeeded = body ? (*body).field("succeeded") : nullptr;
  if (succeeded == nullptr || succeeded->boolean() == nullptr) {
    output.error("the answer does not say whether it succeeded");
    return kExitCannotAsk;
  }
  return *succeeded->boolean() ? kExitDone : kExitNo;
}

}  // namespace raftd::cli
