// Addresses and names as people write them: HOST:PORT, [::1]:PORT, unix:PATH, http://HOST:PORT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace raftd {

struct Address {
  std::string host;        // Without brackets; empty: a Unix socket.
  std::uint16_t port = 0;  // 1..65535; 0: a Unix socket.
  std::string unix_path;   // Empty: TCP.
  bool operator==(const Address&) const = default;

  bool is_unix() const { return !unix_path.empty(); }
  bool is_wildcard() const;  // 0.0.0.0 or ::
  bool is_loopback() const;  // 127.*, ::1, localhost; a Unix socket counts as one.
  std::string text() const;  // As it was written.
};

// HOST:PORT, "[::1]:PORT" and, if allowed, unix:PATH. False: malformed.
bool parse_address(std::string_view text, bool unix_allowed, Address& address);

// http://HOST:PORT or https://HOST:PORT, with at most one slash after it.
bool parse_url(std::string_view text, Address& address);

bool is_label(const std::string& text);        // 1 to 64 bytes, UTF-8, no control bytes.
bool is_member_name(const std::string& text);  // A label that is not only digits.

}  // namespace raftd
