#include "cli/query.h"

#include "http/uri.h"

namespace raftd::cli {

Query& Query::add(std::string_view name) {
  text_ += text_.empty() ? "?" : "&";
  text_ += name;
  return *this;
}

Query& Query::add(std::string_view name, std::string_view value) {
  add(name);
  text_ += "=" + http::percent_encode(value, false);
  return *this;
}

std::string key_target(std::string_view root, std::string_view key) {
  return std::string(root) + http::percent_encode(key, true);
}

std::string segment_target(std::string_view root, std::string_view segment) {
  return std::string(root) + http::percent_encode(segment, false);
}

}  // namespace raftd::cli
