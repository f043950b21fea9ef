#include "config/config.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "base/text.h"
#include "config/keys.h"
#include "config/rules.h"
#include "config/toml_reader.h"
#include "config/units.h"
#include "config/value.h"

namespace raftd::config {
namespace {

// A value on its way into the configuration.
struct Assignment {
  std::string key;
  Value value;
};

bool is_bare(const std::string& key) {
  return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  });
}

// The value of --set and of a variable: TOML, but a bare word is a string.
Result<Value> parse_word(const std::string& word, const std::string& origin) {
  const bool toml_only = !word.empty() && std::string("\"'[{").find(word[0]) != std::string::npos;
  Result<Value> parsed = parse_toml("v = " + word + "\n", origin);
  if (parsed && parsed->fields.size() == 1 && parsed->fields[0].name == "v") {
    return parsed->fields[0].value;
  }
  if (toml_only) {
    // Where in these few words the parser stopped says less than the words themselves.
    const char* expected = parsed ? "one value" : "a value in TOML, or one word";
    return Error{Errc::kBadInput,
                 origin + ": found " + toml_quote(word) + " (expected " + expected + ")"};
  }
  Value value;
  value.text = word;
  if (!is_utf8(word)) {
    return Error{Errc::kBadInput, origin + ": found bytes that are not UTF-8 (expected text)"};
  }
  return value;
}

std::string machine_name() {
  char name[256] = {};
  const bool known = gethostname(name, sizeof name - 1) == 0 && name[0] != '\0';
  return known ? name : "localhost";
}

class Loader {
 public:
  explicit Loader(std::string file) : file_(std::move(file)), keys_(all_keys()) {
    for (const Key& key : keys_) {
      names_.push_back(key.name);
      const std::size_t dot = key.name.find('.');
      if (dot != std::string::npos) sections_.insert(key.name.substr(0, dot));
    }
    sections_.insert(kTls);
  }

  Status take_file() {
    TRY(text_, read_config_text(file_));
    TRY(const Value root, parse_toml(text_, file_));
    for (const auto& [name, value] : root.fields) {
      if (sections_.contains(name) && value.kind == Value::Kind::kTable) {
        for (const auto& [field, inner] : value.fields)
          queue_.push_back({name + "." + (is_bare(field) ? field : toml_quote(field)), inner});
      } else {
        queue_.push_back({is_bare(name) ? name : toml_quote(name), value});
      }
    }
    std::sort(queue_.begin(), queue_.end(), [](const Assignment& a, const Assignment& b) {
      return std::tie(a.value.place, a.key) < std::tie(b.value.place, b.key);
    });
    for (const Assignment& assignment : queue_) {
      if (auto wrong = assign(assignment, file_ + ":" + std::to_string(assignment.value.place.line),
                              Source::kFile)) {
        return failed(*wrong, Source::kFile, "");
      }
    }
    return Done{};
  }

  Status take_environment(const std::vector<std::pair<std::string, std::string>>& environment) {
    std::string unknown;
    for (const auto& [variable, word] : environment) {
      const Key* key = by_variable(variable);
      const bool tls = variable.starts_with("RAFTD_TLS_");
      if (tls) absent_.insert(percent_escape(variable));
      if (key == nullptr && !tls && !is_client_variable(variable)) {
        unknown += (unknown.empty() ? "" : ", ") + percent_escape(variable);
      }
      if (key == nullptr) continue;
      TRY(Value value, parse_word(word, variable));
      if (auto wrong = assign({key->name, std::move(value)}, variable, Source::kEnvironment)) {
        return failed(*wrong, Source::kEnvironment, variable);
      }
    }
    if (!unknown.empty()) {
      warnings_.push_back("environment variables that mean nothing to raftd: " + unknown);
    }
    return Done{};
  }

  Status take_set(const std::vector<std::string>& set) {
    for (const std::string& option : set) {
      if (!is_utf8(option)) {  // It would be quoted in the sentences below.
        return Error{Errc::kBadInput,
                     "--set: found " + percent_escape(option) + " (expected KEY=VALUE in UTF-8)"};
      }
      const std::size_t equals = option.find('=');
      if (equals == std::string::npos || equals == 0) {
        return Error{Errc::kBadInput,
                     "--set: found " + toml_quote(option) + " (expected KEY=VALUE)"};
      }
      const std::string key = option.substr(0, equals);
      TRY(Value value, parse_word(option.substr(equals + 1), "--set: " + percent_escape(key)));
      if (auto wrong = assign({key, std::move(value)}, "--set", Source::kSet)) {
        return failed(*wrong, Source::kSet, "");
      }
    }
    return Done{};
  }

  Result<Loaded> finish(const std::string& host_name) {
    if (!origins_.contains("data_dir")) {
      return Error{Errc::kBadInput, file_ +
                                        ":1:1: data_dir: found nothing (expected the path of "
                                        "a directory)"};
    }
    if (const auto found = contradiction(config_)) return contradicted(*found);
    config_.client.advertise = client_url(config_, host_name);
    config_.peer.advertise = peer_address(config_, host_name);
    Loaded loaded;
    for (const Key& key : keys_) {
      if (!key.in_release) continue;
      const auto origin = origins_.find(key.name);
      loaded.effective.push_back(key.name + " = " + key.show(config_) + "  # " +
                                 (origin == origins_.end() ? "default" : origin->second.text));
    }
    if (!absent_.empty()) {
      std::string names;
      for (const std::string& name : absent_)
        names += (names.empty() ? "" : ", ") + name;
      warnings_.push_back("this release has no part for these keys, and they have no effect: " +
                          names);
    }
    for (std::string& doubt : doubts(config_))
      warnings_.push_back(std::move(doubt));
    loaded.config = std::move(config_);
    loaded.warnings = std::move(warnings_);
    return loaded;
  }

 private:
  enum class Source : std::uint8_t { kFile, kEnvironment, kSet };
  struct Origin {
    std::string text;  // As in an effective line.
    Source source = Source::kFile;
    Place place;
  };
  static constexpr const char* kTls = "tls";

  static bool is_client_variable(const std::string& name) {
    return std::find(kClientVariables.begin(), kClientVariables.end(), name) !=
           kClientVariables.end();
  }

  const Key* by_variable(const std::string& variable) const {
    for (const Key& key : keys_)
      if (environment_name(key.name) == variable) return &key;
    return nullptr;
  }

  std::optional<Wrong> assign(const Assignment& assignment, const std::string& origin,
                              Source source) {
    const std::string& name = assignment.key;
    if (name.starts_with(std::string(kTls) + ".")) {
      absent_.insert(percent_escape(name));
      return std::nullopt;
    }
    const auto key =
        std::find_if(keys_.begin(), keys_.end(), [&](const Key& k) { return k.name == name; });
    if (key == keys_.end()) return unknown(assignment, source);
    if (auto wrong = key->read(assignment.value, config_)) return wrong;
    origins_[name] = {origin, source, assignment.value.place};
    if (!key->in_release) absent_.insert(name);
    return std::nullopt;
  }

  std::optional<Wrong> unknown(const Assignment& assignment, Source source) const {
    const std::string& name = assignment.key;
    if (sections_.contains(name)) {
      return Wrong{assignment.value.place, name, found_text(assignment.value),
                   source == Source::kFile ? "a table" : "one of its keys"};
    }
    std::vector<std::string> candidates = names_;
    candidates.insert(candidates.end(), sections_.begin(), sections_.end());
    const std::string meant = nearest(name, candidates);
    const Place place = source == Source::kFile ? key_place(assignment) : assignment.value.place;
    if (!meant.empty()) return Wrong{place, name, "an unknown key", meant};
    std::string section = name.substr(0, name.find('.'));
    std::string expected;
    for (const std::string& known : names_) {
      const bool same = sections_.contains(section) ? known.starts_with(section + ".")
                                                    : known.find('.') == std::string::npos;
      if (same) expected += (expected.empty() ? "" : ", ") + known;
    }
    return Wrong{place, name, "an unknown key", "one of " + expected};
  }

  // The library knows where values are, not keys: a key stands before its value on the line.
  Place key_place(const Assignment& assignment) const {
    Place place = assignment.value.place;
    std::size_t begin = 0;
    for (std::uint32_t line = 1; line < place.line; ++line) {
      begin = text_.find('\n', begin);
      if (begin == std::string::npos) return place;
      ++begin;
    }
    const std::string line = text_.substr(begin, text_.find('\n', begin) - begin);
    const std::size_t dot = assignment.key.rfind('.');
    const std::string last =
        dot == std::string::npos ? assignment.key : assignment.key.substr(dot + 1);
    const std::size_t at = line.find(last);
    if (at != std::string::npos) place.column = static_cast<std::uint32_t>(at + 1);
    return place;
  }

  Error failed(const Wrong& wrong, Source source, const std::string& variable) const {
    std::string prefix = "--set";
    if (source == Source::kEnvironment) prefix = variable;
    if (source == Source::kFile) {
      prefix = strf("%s:%u:%u", file_.c_str(), wrong.place.line, wrong.place.column);
    }
    return {Errc::kBadInput, prefix + ": " + percent_escape(wrong.key) + ": found " + wrong.found +
                                 " (expected " + wrong.expected + ")"};
  }

  Error contradicted(const Contradiction& found) const {
    Wrong wrong{Place(), found.keys.front(), found.found, found.expected};
    for (const std::string& key : found.keys) {
      const auto origin = origins_.find(key);
      if (origin == origins_.end()) continue;
      wrong.place = origin->second.place;
      return failed(wrong, origin->second.source, origin->second.text);
    }
    return failed(wrong, Source::kFile, "");
  }

  std::string file_;
  std::string text_;
  std::vector<Key> keys_;
  std::vector<std::string> names_;
  std::set<std::string> sections_;
  std::vector<Assignment> queue_;
  Config config_;
  std::map<std::string, Origin> origins_;
  std::set<std::string> absent_;  // Set, but this release has no part for them.
  std::vector<std::string> warnings_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> limits_as_json(const Config& config) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto number = [&](const char* key, std::uint64_t value) {
    out.emplace_back(key, std::to_string(value));
  };
  const auto duration = [&](const char* key, milliseconds value) {
    out.emplace_back(key, "\"" + duration_text(value) + "\"");
  };
  number("limits.key_bytes", config.limits.key_bytes);
  number("limits.value_bytes", config.limits.value_bytes);
  number("limits.request_bytes", config.limits.request_bytes);
  number("limits.header_bytes", config.limits.header_bytes);
  number("limits.txn_ops", config.limits.txn_ops);
  number("limits.page_items", config.limits.page_items);
  number("limits.page_bytes", config.limits.page_bytes);
  duration("limits.wait", config.limits.wait);
  number("limits.watchers", config.limits.watchers);
  number("limits.store_bytes", config.limits.store_bytes);
  number("etcd.max_txn_ops", config.etcd.max_txn_ops);
  duration("etcd.progress_interval", config.etcd.progress_interval);
  number("raft.max_pending_bytes", config.raft.max_pending_bytes);
  number("client.max_connections", config.client.max_connections);
  duration("history.age", config.history.age);
  number("history.bytes", config.history.bytes);
  duration("client.header_timeout", config.client.header_timeout);
  duration("client.body_timeout", config.client.body_timeout);
  duration("client.idle_timeout", config.client.idle_timeout);
  return out;
}

Result<Loaded> load(const Sources& sources) {
  Loader loader(sources.file);
  if (Status taken = loader.take_file(); !taken) return std::move(taken).error();
  if (Status taken = loader.take_environment(sources.environment); !taken) {
    return std::move(taken).error();
  }
  if (Status taken = loader.take_set(sources.set); !taken) return std::move(taken).error();
  return loader.finish(sources.host_name.empty() ? machine_name() : sources.host_name);
}

}  // namespace raftd::config
