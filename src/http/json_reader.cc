// parse_json_events: RFC 8259 and nothing more. What many requests consist of goes through here:
// nothing is allocated but the memory of one string, if there are escapes.
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/assert.h"
#include "base/byte_words.h"
#include "base/limits.h"
#include "base/text.h"
#include "http/json.h"

namespace raftd::http {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// Of a string: what stands for itself. Bytes above 0x7f are looked at again.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0x20; byte < plain.size(); ++byte)
    plain[byte] = byte != '"' && byte != '\\';
  return plain;
}();

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Where the first sequence begins that is no UTF-8. Precondition: there is one.
std::size_t first_bad_byte(std::string_view text) {
  constexpr std::size_t kSequenceMax = 4;
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t length = 1;
    while (length <= kSequenceMax && !is_utf8(text.substr(at, length)))
      ++length;
    if (length > kSequenceMax) break;
    at += length;
  }
  return at;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto add = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) {
    add(0xc0 | code >> 6);
  } else if (code < 0x10000) {
    add(0xe0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3f));
  } else {
    add(0xf0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3f));
    add(0x80 | (code >> 6 & 0x3f));
  }
  add(0x80 | (code & 0x3f));
}

class Scanner {
 public:
  Scanner(std::string_view text, JsonEvents& events) : text_(text), events_(events) {}

  bool scan() {
    skip_space();
    if (!value()) return false;
    while (depth_ > 0) {
      if (!element()) return false;
    }
    skip_space();
    return at_ == text_.size() || refuse();
  }
  // Of the text; empty: the events have one.
  std::string take_problem() { return std::move(problem_); }

 private:
  // NUL, which is nowhere allowed, at the end.
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\r' || peek() == '\t')
      ++at_;
  }

  bool value();
  bool element();
  bool begin(bool object);
  bool end();
  bool string();
  std::string_view plain_run();
  bool is_sound(std::string_view plain);
  bool escape();
  bool hex_digits(std::uint32_t& unit);
  bool number();
  bool real(std::string_view digits);
  bool word(std::string_view wanted);
  bool digits();
  bool refuse();

  std::string_view text_;
  JsonEvents& events_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::array<bool, limits::kJsonDepthMax> is_object_{};  // Of those that have begun.
  bool is_new_ = false;                                  // The innermost of them has nothing yet.
  std::string_view token_;                               // Of the text, or of unescaped_.
  std::string unescaped_;
  bool is_ascii_ = false;  // What plain_run() gave.
  std::string problem_;
};

bool Scanner::value() {
  switch (peek()) {
    case '{':
      return begin(true) && events_.begin_object();
    case '[':
      return begin(false) && events_.begin_array();
    case '"':
      return string() && events_.text(token_);
    case 't':
      return word("true") && events_.boolean(true);
    case 'f':
      return word("false") && events_.boolean(false);
    case 'n':
      return word("null") && events_.null();
    default:
      return number();
  }
}

// The next item of the innermost list or object, or its end.
bool Scanner::element() {
  const bool in_object = is_object_[depth_ - 1];
  const bool first = is_new_;
  is_new_ = false;
  skip_space();
  if (peek() == (in_object ? '}' : ']')) return end();
  if (!first) {
    if (peek() != ',') return refuse();
    ++at_;
    skip_space();
  }
  if (in_object) {
    if (peek() != '"') return refuse();
    if (!string() || !events_.name(token_)) return false;
    skip_space();
    if (peek() != ':') return refuse();
    ++at_;
    skip_space();
  }
  return value();
}

bool Scanner::begin(bool object) {
  if (depth_ == limits::kJsonDepthMax) {
    problem_ = strf("JSON nested deeper than %zu levels", limits::kJsonDepthMax);
    return false;
  }
  is_object_[depth_++] = object;
  is_new_ = true;
  ++at_;
  return true;
}

bool Scanner::end() {
  ASSERT(depth_ > 0);
  ++at_;
  return is_object_[--depth_] ? events_.end_object() : events_.end_array();
}

// Nearly always it stands in the text as it is meant.
bool Scanner::string() {
  ++at_;
  std::string_view plain = plain_run();
  bool escaped = false;
  while (peek() == '\\') {
    if (!escaped) unescaped_.clear();
    escaped = true;
    if (!is_sound(plain)) return false;
    unescaped_ += plain;
    if (!escape()) return false;
    plain = plain_run();
  }
  if (!is_sound(plain)) return false;
  if (peek() != '"') return refuse();
  ++at_;
  if (escaped) unescaped_ += plain;
  token_ = escaped ? std::string_view(unescaped_) : plain;
  return true;
}

// What stands for itself.
std::string_view Scanner::plain_run() {
  namespace words = byte_words;
  const char* const begin = text_.data() + at_;
  const char* const end = text_.data() + text_.size();
  const char* here = begin;
  std::uint64_t seen = 0;
  while (static_cast<std::size_t>(end - here) >= words::kBytes) {
    const std::uint64_t word = words::load(here);
    const std::uint64_t ends =
        (words::equal(word, '"') | words::equal(word, '\\') | words::below(word, 0x20)) &
        ~words::above_ascii(word);
    if (ends != 0) {
      const std::size_t count = words::bytes_before(ends);
      seen |= word & ~(~std::uint64_t{0} << 8 * count);
      here += count;
      break;
    }
    seen |= word;
    here += words::kBytes;
  }
  for (; here != end && kPlain[static_cast<unsigned char>(*here)]; ++here)
    seen |= static_cast<unsigned char>(*here);
  is_ascii_ = words::above_ascii(seen) == 0;
  const auto length = static_cast<std::size_t>(here - begin);
  at_ += length;
  return {begin, length};
}

// What plain_run() gave last.
bool Scanner::is_sound(std::string_view plain) {
  if (is_ascii_ || is_utf8(plain)) return true;
  at_ -= plain.size() - first_bad_byte(plain);
  return refuse();
}

bool Scanner::escape() {
  static constexpr std::string_view kNames = "\"\\/bfnrt";
  static constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
  ++at_;
  const char name = peek();
  if (name != 'u') {
    const std::size_t found = kNames.find(name);
    if (found == std::string_view::npos) return refuse();
    unescaped_ += kMeant[found];
    ++at_;
    return true;
  }
  std::uint32_t code = 0;
  if (!hex_digits(code)) return false;
  if (code >= 0xdc00 && code < 0xe000) return refuse();
  if (code >= 0xd800 && code < 0xdc00) {
    std::uint32_t low = 0;
    if (peek() != '\\') return refuse();
    ++at_;
    if (peek() != 'u' || !hex_digits(low)) return refuse();
    if (low < 0xdc00 || low >= 0xe000) return refuse();
    code = 0x10000 + ((code & 0x3ff) << 10 | (low & 0x3ff));
  }
  append_utf8(unescaped_, code);
  return true;
}

// The u and four digits.
bool Scanner::hex_digits(std::uint32_t& unit) {
  constexpr std::size_t kDigits = 4;
  ++at_;
  const std::string_view digits = text_.substr(at_, kDigits);
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, unit, 16);
  if (digits.size() < kDigits || result.ptr != end) return refuse();
  at_ += kDigits;
  return true;
}

bool Scanner::digits() {
  if (!is_digit(peek())) return refuse();
  while (is_digit(peek()))
    ++at_;
  return true;
}

bool Scanner::number() {
  const std::size_t begin = at_;
  const bool negative = peek() == '-';
  if (negative) ++at_;
  if (peek() == '0') {
    ++at_;
  } else if (!digits()) {
    return false;
  }
  const std::size_t whole_end = at_;
  if (peek() == '.') {
    ++at_;
    if (!digits()) return false;
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    if (!digits()) return false;
  }
  const std::string_view all = text_.substr(begin, at_ - begin);
  const char* end = all.data() + all.size();
  if (at_ == whole_end && !negative) {
    std::uint64_t value = 0;
    if (std::from_chars(all.data(), end, value).ec == std::errc()) return events_.whole(value);
  } else if (at_ == whole_end) {
    std::int64_t value = 0;
    const bool fits = std::from_chars(all.data(), end, value).ec == std::errc();
    if (fits) return value < 0 ? events_.negative(value) : events_.whole(0);
  }
  return real(all);
}

bool Scanner::real(std::string_view digits) {
  double value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  // Too small is zero, or nearly; too large is not a number that anybody could mean.
  if (result.ec != std::errc()) value = std::strtod(std::string(digits).c_str(), nullptr);
  if (std::isfinite(value)) return events_.real(value);
  at_ -= digits.size();
  return refuse();
}

bool Scanner::word(std::string_view wanted) {
  if (!text_.substr(at_).starts_with(wanted)) return refuse();
  at_ += wanted.size();
  return true;
}

// What stands here.
bool Scanner::refuse() {
  problem_ = strf("no JSON at byte %zu", at_);
  if (at_ < text_.size() && text_[at_] == '\0') problem_ += ": a NUL byte";
  if (at_ == 0 && text_.starts_with(kByteOrderMark)) problem_ += ": a byte order mark";
  return false;
}

}  // namespace

Status parse_json_events(std::string_view text, JsonEvents& events) {
  Scanner scanner(text, events);
  if (scanner.scan()) return Done{};
  std::string problem = scanner.take_problem();
  return Error{Errc::kBadInput, problem.empty() ? events.take_problem() : std::move(problem)};
}

}  // namespace raftd::http
