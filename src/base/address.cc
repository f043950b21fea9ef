#include "base/address.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"
#include "base/text.h"

namespace raftd {
namespace {

constexpr std::size_t kUnixPathBytesMax = 107;  // sockaddr_un, with its NUL.

bool all_of(std::string_view text, bool (*predicate)(char)) {
  return std::all_of(text.begin(), text.end(), predicate);
}

bool is_host_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
}

bool is_ipv6_character(char c) {  // With a zone: fe80::1%eth0.
  return is_host_character(c) || c == ':' || c == '%';
}

// Only digits and points: then it has to be four numbers up to 255.
bool plausible_ipv4(std::string_view host) {
  int parts = 0;
  while (!host.empty()) {
    const std::size_t point = host.find('.');
    std::uint64_t value = 0;
    if (!parse_u64(host.substr(0, point), value) || value > 255) return false;
    ++parts;
    if (point == std::string_view::npos) return parts == 4;
    host.remove_prefix(point + 1);
  }
  return false;
}

bool plausible_host(std::string_view host) {
  if (host.empty() || host.size() > limits::kAddressBytesMax) return false;
  if (!all_of(host, is_host_character)) return false;
  const bool numeric = all_of(
      host, [](char c) { return c == '.' || std::isdigit(static_cast<unsigned char>(c)) != 0; });
  return !numeric || plausible_ipv4(host);
}

}  // namespace

bool Address::is_wildcard() const {
  return host == "0.0.0.0" || host == "::";
}

bool Address::is_loopback() const {
  return is_unix() || host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && plausible_ipv4(host));
}

std::string Address::text() const {
  if (is_unix()) return "unix:" + unix_path;
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool parse_address(std::string_view text, bool unix_allowed, Address& address) {
  address = {};
  if (text.size() > limits::kAddressBytesMax) return false;
  if (text.starts_with("unix:")) {
    text.remove_prefix(5);
    if (!unix_allowed || text.empty() || text.size() > kUnixPathBytesMax) return false;
    if (text.find('\0') != std::string_view::npos) return false;
    address.unix_path = text;
    return true;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::uint64_t port = 0;
  if (!parse_u64(text.substr(colon + 1), port) || port < 1 || port > 65535) return false;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return false;
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos || !all_of(host, is_ipv6_character)) return false;
  } else if (!plausible_host(host)) {
    return false;
  }
  address.host = host;
  address.port = static_cast<std::uint16_t>(port);
  return true;
}

bool parse_url(std::string_view text, Address& address) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme) || text.size() > limits::kAddressBytesMax) continue;
    text.remove_prefix(scheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    return parse_address(text, false, address);
  }
  return false;
}

bool is_label(const std::string& text) {
  return !text.empty() && text.size() <= limits::kNameBytesMax && is_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_member_name(const std::string& text) {
  return is_label(text) && text.find_first_not_of("0123456789") != std::string::npos;
}

}  // namespace raftd
