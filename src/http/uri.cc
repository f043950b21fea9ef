#include "http/uri.h"

#include <algorithm>

#include "base/text.h"

namespace raftd::http {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool must_be_encoded(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= 0x20 || byte > 0x7e || c == '#';
}

// How many bytes from the front stand for themselves: most keys are nothing else.
std::size_t plain_bytes(std::string_view encoded) {
  const auto special = [](char c) { return must_be_encoded(c) || c == '%' || c == '?'; };
  const auto first = std::find_if(encoded.begin(), encoded.end(), special);
  return static_cast<std::size_t>(first - encoded.begin());
}

Result<std::string> decode(std::string_view encoded, bool question_marks) {
  const std::size_t plain = plain_bytes(encoded);
  std::string out(encoded.substr(0, plain));
  if (plain == encoded.size()) return out;
  out.reserve(encoded.size());
  for (std::size_t i = plain; i < encoded.size(); ++i) {
    const char c = encoded[i];
    if (must_be_encoded(c) || (c == '?' && !question_marks)) {
      return Error{Errc::kBadInput, strf("byte 0x%02x must be percent-encoded",
                                         static_cast<unsigned>(static_cast<unsigned char>(c)))};
    }
    if (c != '%') {
      out.push_back(c);
      continue;
    }
    const int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
    const int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return Error{Errc::kBadInput, "a % is not followed by two hexadecimal digits"};
    }
    out.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return out;
}

}  // namespace

Result<std::string> percent_decode(std::string_view encoded) {
  return decode(encoded, false);
}

Result<std::vector<QueryParameter>> parse_query(std::string_view query) {
  std::vector<QueryParameter> parameters;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    const bool last = end == std::string_view::npos;
    const std::size_t equals = part.find('=');
    TRY(std::string name, decode(part.substr(0, equals), true));
    if (name.empty() || (!last && end + 1 == query.size())) {
      return Error{Errc::kBadInput, "a parameter has no name"};
    }
    std::string value;
    if (equals != std::string_view::npos) {
      TRY(value, decode(part.substr(equals + 1), true));
    }
    parameters.push_back({std::move(name), std::move(value)});
    query.remove_prefix(last ? query.size() : end + 1);
  }
  return parameters;
}

std::string percent_encode(std::string_view bytes, bool keep_slashes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool plain = letter || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
                       c == '~' || (keep_slashes && c == '/');
    if (plain) {
      out.push_back(c);
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out.push_back('%');
    out.push_back(kDigits[byte >> 4]);
    out.push_back(kDigits[byte & 15]);
  }
  return out;
}

}  // namespace raftd::http
