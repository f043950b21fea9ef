// Targets of requests from what was typed.
#pragma once

#include <string>
#include <string_view>

namespace raftd::cli {

// "?a=1&b".
class Query {
 public:
  Query& add(std::string_view name);
  Query& add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// "/kv/a/b": a slash of the key stays one. root ends with a slash.
std::string key_target(std::string_view root, std::string_view key);
// "/lock/a%2Fb": one segment.
std::string segment_target(std::string_view root, std::string_view segment);

}  // namespace raftd::cli
