#include "http/ordinary_head.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/byte_words.h"
#include "base/limits.h"
#include "http/head_bytes.h"

namespace raftd::http {

namespace {

struct Ordinary {
  std::string_view name;
  Method method;
};
constexpr Ordinary kMethods[] = {{"GET", Method::kGet},
                                 {"PUT", Method::kPut},
                                 {"POST", Method::kPost},
                                 {"DELETE", Method::kDelete},
                                 {"HEAD", Method::kHead}};
constexpr std::string_view kLineEnd = " HTTP/1.1\r\n";
constexpr std::size_t kLengthDigitsMax = 18;  // Fit in 64 bits.

// Takes what is wanted from the front of what is left.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes)
      : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  bool skip(std::string_view text) {
    const bool there = std::string_view(at_, left()).starts_with(text);
    if (there) at_ += text.size();
    return there;
  }
  // ends: which bytes of eight are perhaps not of the class.
  template <class Ends>
  std::string_view run(ByteClass what, Ends ends) {
    const char* const first = at_;
    while (left() >= byte_words::kBytes) {
      const std::uint64_t mask = ends(byte_words::load(at_));
      at_ += mask == 0 ? byte_words::kBytes : byte_words::bytes_before(mask);
      if (mask != 0) break;
    }
    while (at_ != end_ && is_of(*at_, what))
      ++at_;
    return {first, static_cast<std::size_t>(at_ - first)};
  }
  std::size_t taken() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  const char* begin_;
  const char* at_;
  const char* end_;
};

std::uint64_t ends_of_target(std::uint64_t word) {
  using namespace byte_words;
  return above_ascii(word) | below(word, '!') | at_least(word, 0x7f) | equal(word, '#');
}
// Of a name as nearly all are.
std::uint64_t ends_of_name(std::uint64_t word) {
  using namespace byte_words;
  const std::uint64_t small = word | all(0x20);
  const std::uint64_t letters = at_least(small, 'a') & ~at_least(small, 'z' + 1);
  return above_ascii(word) | (~(letters | equal(word, '-')) & kHigh);
}
// A tab is looked at again.
std::uint64_t ends_of_value(std::uint64_t word) {
  using namespace byte_words;
  return (below(word, ' ') | at_least(word, 0x7f)) & ~above_ascii(word);
}

void make_lower(std::string& text) {
  using namespace byte_words;
  char* at = text.data();
  char* const end = at + text.size();
  for (; end - at >= static_cast<std::ptrdiff_t>(kBytes); at += kBytes) {
    const std::uint64_t word = load(at);
    const std::uint64_t capitals =
        at_least(word, 'A') & ~at_least(word, 'Z' + 1) & ~above_ascii(word);
    const std::uint64_t lowered = word | capitals >> 2;  // 'a' - 'A', of the highest bit.
    std::memcpy(at, &lowered, kBytes);
  }
  for (; at != end; ++at)
    *at = lower(*at);
}

bool read_request_line(Cursor& cursor, Request& into) {
  const auto* const method =
      std::find_if(std::begin(kMethods), std::end(kMethods),
                   [&](const Ordinary& each) { return cursor.skip(each.name); });
  if (method == std::end(kMethods) || !cursor.skip(" ")) return false;
  const std::string_view target = cursor.run(kTargetByte, ends_of_target);
  if (!target.starts_with('/') || !cursor.skip(kLineEnd)) return false;
  if (cursor.taken() > limits::kHttpRequestLineBytesMax) return false;
  into.method = method->method;
  into.method_name = method->name;
  into.target = target;
  return true;
}

bool is_space(char c) {
  return c == ' ' || c == '\t';
}

std::string_view without_space_before(std::string_view value) {
  while (!value.empty() && is_space(value.front()))
    value.remove_prefix(1);
  return value;
}

std::string_view without_space_after(std::string_view value) {
  while (!value.empty() && is_space(value.back()))
    value.remove_suffix(1);
  return value;
}

// Of the fields that say where the request ends and what becomes of the connection only these are
// ordinary. length_known: there is a length already.
bool is_ordinary(std::string_view name, std::string_view value, bool& length_known) {
  if (name == "content-length") {
    const bool digits =
        std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    const bool usual = digits && !value.empty() && value.size() <= kLengthDigitsMax;
    return !std::exchange(length_known, true) && usual;
  }
  if (name == "connection") return value == "keep-alive";
  return name != "transfer-encoding" && name != "upgrade" && name != "proxy-connection";
}

}  // namespace

std::size_t read_ordinary_head(std::string_view bytes, std::size_t bytes_max, Request& into) {
  Cursor cursor(bytes.substr(0, bytes_max));
  if (!read_request_line(cursor, into)) return 0;
  into.headers.reserve(8);
  bool length_known = false;
  while (!cursor.skip("\r\n")) {
    if (into.headers.size() == limits::kHttpHeaderFieldsMax) return 0;
    const std::string_view name = cursor.run(kTokenByte, ends_of_name);
    if (name.empty() || !cursor.skip(":")) return 0;
    const std::string_view value = without_space_before(cursor.run(kValueByte, ends_of_value));
    if (!cursor.skip("\r\n")) return 0;
    Header& header = into.headers.emplace_back();
    header.name = name;
    make_lower(header.name);
    if (!is_ordinary(header.name, value, length_known)) return 0;
    header.value = without_space_after(value);
  }
  return cursor.taken();
}

}  // namespace raftd::http
