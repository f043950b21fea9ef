#include "cli/load_answers.h"

#include <strings.h>

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "cli/load_requests.h"
#include "cli/response_reader.h"

namespace raftd::cli {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::size_t kLineBytesMax = 8 * limits::kMiB;

Error not_understood(const char* what) {
  return {Errc::kBadInput, std::string("not understood: ") + what};
}

// name: in lower case, with the line's beginning in front of it and a colon behind. Nothing: it is
// not there.
std::optional<std::string_view> field_of(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;
       at = head.find("\r\n", at + 2)) {
    if (head.size() - at < name.size()) return std::nullopt;
    if (strncasecmp(head.data() + at, name.data(), name.size()) != 0) continue;
    const std::size_t begin = at + name.size();
    const std::size_t end = std::min(head.find("\r\n", begin), head.size());
    return trimmed(head.substr(begin, end - begin));
  }
  return std::nullopt;
}

}  // namespace

Status AnswerScanner::feed(std::string_view bytes) {
  if (status_ == 0) {
    std::string_view text = bytes;
    if (!head_.empty()) {
      head_ += bytes;
      text = head_;
    }
    const std::size_t end = text.find(kHeadEnd);
    if (end == std::string_view::npos) {
      if (text.size() > kAnswerHeadBytesMax) return not_understood("a head does not end");
      if (head_.empty()) head_ = bytes;
      return Done{};
    }
    TRY([[maybe_unused]] const Done taken, take_head(text.substr(0, end)));
    bytes.remove_prefix(bytes.size() - (text.size() - end - kHeadEnd.size()));
  }
  if (bytes.size() > left_) return not_understood("more than was asked for");
  left_ -= bytes.size();
  return Done{};
}

Status AnswerScanner::take_head(std::string_view head) {
  std::uint64_t status = 0;
  if (!head.starts_with("HTTP/1.1 ") || !parse_u64(head.substr(9, 3), status) || status < 200) {
    return not_understood("no status line");
  }
  if (status != 204 && status != 304) {
    const auto length = field_of(head, "\r\ncontent-length:");
    if (!length || !parse_u64(*length, left_)) return not_understood("an answer has no length");
  }
  // Who gets what he asked for is not told so: that need not be looked for.
  closes_ = status >= 400 && field_of(head, "\r\nconnection:") == "close";
  status_ = static_cast<int>(status);
  return Done{};
}

Status EventLines::take(std::string_view bytes, Instant now, Tally& tally) {
  constexpr std::string_view kPut = R"({"type":"put")";
  constexpr std::string_view kValue = R"("value":")";
  line_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = line_.find('\n'); end != std::string::npos;
       end = line_.find('\n', begin)) {
    const std::string_view line = std::string_view(line_).substr(begin, end - begin);
    begin = end + 1;
    const std::size_t value = line.find(kValue);
    std::uint64_t ns = 0;
    if (!line.starts_with(kPut) || value == std::string_view::npos ||
        !parse_u64(line.substr(value + kValue.size(), kLoadStampDigits), ns)) {
      continue;
    }
    const Instant due{Duration(ns)};
    if (due >= tally.begin && due <= now) tally.add(LoadKind::kEvent, due, now);
  }
  line_.erase(0, begin);
  if (line_.size() > kLineBytesMax) return not_understood("a line does not end");
  return Done{};
}

}  // namespace raftd::cli
