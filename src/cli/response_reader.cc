#include "cli/response_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/text.h"

namespace raftd::cli {
namespace {

Error not_http(const char* what) {
  return {Errc::kBadInput, std::string("the answer is not HTTP: ") + what};
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

}  // namespace

Status ResponseReader::feed(std::string_view bytes) {
  if (state_ == State::kComplete) return Done{};  // What follows belongs to no question of ours.
  input_ += bytes;
  for (bool progress = true; progress && state_ != State::kComplete;) {
    progress = false;
    if (Status status = step(progress); !status) return status;
  }
  return Done{};
}

Status ResponseReader::closed() {
  if (state_ == State::kUntilClose) state_ = State::kComplete;
  if (state_ != State::kComplete) return not_http("the connection closed in the middle of it");
  return Done{};
}

Status ResponseReader::step(bool& progress) {
  const std::size_t before = input_.size();
  const State state_before = state_;
  Status status = Done{};
  switch (state_) {
    case State::kHead:
      status = take_head();
      break;
    case State::kCounted:
    case State::kChunkData:
    case State::kUntilClose:
      status = take_counted();
      break;
    case State::kChunkSize:
      status = take_chunk_size();
      break;
    case State::kTrailer: {
      const std::size_t end = input_.find("\r\n");
      if (end == std::string::npos) break;
      if (end == 0) state_ = State::kComplete;
      if (end > 0) take_trailer(std::string_view(input_).substr(0, end));
      input_.erase(0, end + 2);
      break;
    }
    case State::kComplete:
      break;
  }
  if (!status) return status;
  if (answer_.body.size() > kAnswerBodyBytesMax) {
    return Error{Errc::kTooBig, "the answer is larger than this client takes"};
  }
  const bool head =
      state_ == State::kHead || state_ == State::kChunkSize || state_ == State::kTrailer;
  if (head && input_.size() > kAnswerHeadBytesMax) return not_http("its head does not end");
  progress = input_.size() != before || state_ != state_before;
  return Done{};
}

Status ResponseReader::take_head() {
  const std::size_t end = input_.find("\r\n\r\n");
  if (end == std::string::npos) {
    constexpr std::string_view kBegin = "HTTP/1.";
    if (kBegin.substr(0, input_.size()) != std::string_view(input_).substr(0, kBegin.size())) {
      return not_http("it does not begin with HTTP/1");
    }
    return Done{};
  }
  if (end > kAnswerHeadBytesMax) return not_http("its head is too long");
  const std::string head = input_.substr(0, end);
  input_.erase(0, end + 4);
  return parse_head(head);
}

Status ResponseReader::parse_head(std::string_view head) {
  answer_ = {};
  const std::string_view first = head.substr(0, head.find("\r\n"));
  const bool begins = first.starts_with("HTTP/1.1 ") || first.starts_with("HTTP/1.0 ");
  std::uint64_t status = 0;
  if (!begins || first.size() < 12 || !parse_u64(first.substr(9, 3), status) || status < 100) {
    return not_http("its first line is not a status line");
  }
  answer_.status = static_cast<int>(status);
  head.remove_prefix(std::min(first.size() + 2, head.size()));
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(line.size() + 2, head.size()));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return not_http("a header has no name");
    answer_.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  if (status < 200) return Done{};  // 100 Continue: the answer is still to come.
  if (status == 204 || status == 304) {
    state_ = State::kComplete;
    return Done{};
  }
  const auto encoding = answer_.headers.find("transfer-encoding");
  if (encoding != answer_.headers.end()) {
    if (lower(encoding->second) != "chunked") return not_http("its transfer encoding is unknown");
    state_ = State::kChunkSize;
    return Done{};
  }
  const auto length = answer_.headers.find("content-length");
  if (length == answer_.headers.end()) {
    state_ = State::kUntilClose;
    return Done{};
  }
  if (!parse_u64(length->second, left_)) return not_http("its content length is no number");
  if (left_ > kAnswerBodyBytesMax && !sinks()) {
    return Error{Errc::kTooBig, "the answer is larger than this client takes"};
  }
  state_ = left_ == 0 ? State::kComplete : State::kCounted;
  return Done{};
}

Status ResponseReader::take_chunk_size() {
  const std::size_t end = input_.find("\r\n");
  if (end == std::string::npos) return Done{};
  const std::string_view digits =
      trimmed(std::string_view(input_).substr(0, std::min(end, input_.find(';'))));
  std::uint64_t bytes = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), bytes, 16);
  if (digits.empty() || parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size() ||
      bytes > kAnswerBodyBytesMax) {
    return not_http("a chunk has no size");
  }
  input_.erase(0, end + 2);
  left_ = bytes + 2;  // With the line end behind the data, which is cut off again.
  state_ = bytes == 0 ? State::kTrailer : State::kChunkData;
  return Done{};
}

void ResponseReader::take_trailer(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return;
  answer_.trailers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
}

Status ResponseReader::take_counted() {
  const std::size_t take =
      state_ == State::kUntilClose
          ? input_.size()
          : static_cast<std::size_t>(std::min<std::uint64_t>(left_, input_.size()));
  answer_.body.append(input_, 0, take);
  input_.erase(0, take);
  const bool chunk = state_ == State::kChunkData;
  if (state_ != State::kUntilClose) left_ -= take;
  const bool ended = state_ != State::kUntilClose && left_ == 0;
  if (chunk && !ended) return Done{};  // The line end behind it is not its own.
  if (chunk) answer_.body.resize(answer_.body.size() - 2);
  if (ended) state_ = chunk ? State::kChunkSize : State::kComplete;
  if (!sinks()) return Done{};
  Status taken = sink_(answer_.body);
  answer_.body.clear();
  return taken;
}

}  // namespace raftd::cli
