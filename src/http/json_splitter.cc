#include "http/json_splitter.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/spares.h"

namespace raftd::http {

namespace {

constexpr std::size_t kPartBytesKept = 4 * limits::kKiB;  // It may be a while to the next object.

}  // namespace

JsonSplitter::Step JsonSplitter::feed(std::string_view bytes) {
  ASSERT(!refused_);
  object_ = {};
  std::size_t begin = 0;
  if (depth_ == 0) {
    clear_text(part_, kPartBytesKept);
    begin = std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size());
    if (begin == bytes.size()) return {Event::kMore, begin};
    if (bytes[begin] != '{') return refuse(Event::kNoObject, begin);
  }
  ASSERT_CMP(part_.size(), <=, bytes_max_);
  // Nothing beyond the first byte too many is looked at.
  const std::string_view seen = bytes.substr(begin, bytes_max_ - part_.size() + 1);
  const std::size_t end = find_end(seen);
  const bool whole = end != std::string_view::npos;
  const std::size_t taken = whole ? end : seen.size();
  if (part_.size() + taken > bytes_max_) return refuse(Event::kTooLarge, begin + taken);
  if (whole && part_.empty()) {
    object_ = seen.substr(0, taken);
  } else {
    part_.append(seen, 0, taken);
    if (whole) object_ = part_;
  }
  return {whole ? Event::kObject : Event::kMore, begin + taken};
}

std::size_t JsonSplitter::find_end(std::string_view bytes) {
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    const char byte = bytes[at];
    switch (state_) {
      case State::kPlain:
        if (byte == '"') state_ = State::kString;
        if (byte == '{') ++depth_;
        if (byte == '}' && --depth_ == 0) return at + 1;
        break;
      case State::kString:
        if (byte == '"') state_ = State::kPlain;
        if (byte == '\\') state_ = State::kEscape;
        break;
      case State::kEscape:
        state_ = State::kString;
        break;
    }
  }
  return std::string_view::npos;
}

JsonSplitter::Step JsonSplitter::refuse(Event why, std::size_t consumed) {
  refused_ = true;
  part_ = std::string();
  return {why, consumed};
}

}  // namespace raftd::http
