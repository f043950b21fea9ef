#include "config/keys.h"

#include <algorithm>
#include <cctype>
#include <limits>
#include <numeric>

#include "base/address.h"
#include "base/text.h"
#include "config/members.h"
#include "config/units.h"

namespace raftd::config {
namespace {

using std::chrono::hours;
using std::chrono::minutes;

constexpr std::uint64_t kKiB = limits::kKiB;
constexpr std::uint64_t kMiB = limits::kMiB;
constexpr std::uint64_t kGiB = 1024 * kMiB;
constexpr std::uint64_t kSizeMax = std::uint64_t{1} << 62;
constexpr std::size_t kListenMax = 16;
constexpr std::size_t kPathBytesMax = 3000;  // With the names of the files in it below PATH_MAX.

// The field of a key that this release has. A lambda without captures converts to it.
template <class T>
using Field = T& (*)(Config&);

#define FIELD(member)            \
  [](Config & config) -> auto& { \
    return config.member;        \
  }

Wrong wrong(const Key& key, const Value& value, std::string expected) {
  return {value.place, key.name, found_text(value), std::move(expected)};
}

// Everything the makers below have in common: parse gives the value or nothing, print the TOML.
template <class T>
Key make(std::string name, Field<T> field, std::string expected,
         std::function<bool(const Value&, T&)> parse, std::function<std::string(const T&)> print) {
  Key key;
  key.name = std::move(name);
  key.in_release = field != nullptr;
  const Key named{key.name, key.in_release, {}, {}};
  key.read = [named, field, expected, parse](const Value& value,
                                             Config& config) -> std::optional<Wrong> {
    T parsed{};
    if (!parse(value, parsed)) return wrong(named, value, expected);
    if (field != nullptr) field(config) = std::move(parsed);
    return std::nullopt;
  };
  if (field != nullptr) {
    key.show = [field, print](Config config) { return print(field(config)); };
  }
  return key;
}

Key duration(std::string name, Field<milliseconds> field, milliseconds least, milliseconds most) {
  const std::string expected =
      "a duration from \"" + duration_text(least) + "\" to \"" + duration_text(most) + "\"";
  return make<milliseconds>(
      std::move(name), field, expected,
      [=](const Value& value, milliseconds& out) {
        return value.kind == Value::Kind::kString && parse_duration(value.text, out) &&
               out >= least && out <= most;
      },
      [](const milliseconds& out) { return toml_quote(duration_text(out)); });
}

Key size(std::string name, Field<std::uint64_t> field, std::uint64_t least, std::uint64_t most,
         std::uint64_t multiple = 1) {
  std::string expected = most < kSizeMax
                             ? "a size from " + size_text(least) + " to " + size_text(most)
                             : "a size of at least " + size_text(least);
  if (multiple > 1) expected += ", a multiple of " + size_text(multiple);
  return make<std::uint64_t>(
      std::move(name), field, expected,
      [=](const Value& value, std::uint64_t& out) {
        if (value.kind == Value::Kind::kInteger) {
          if (value.integer < 0) return false;
          out = static_cast<std::uint64_t>(value.integer);
        } else if (value.kind != Value::Kind::kString || !parse_size(value.text, out)) {
          return false;
        }
        return out >= least && out <= most && out % multiple == 0;
      },
      [](const std::uint64_t& out) { return toml_quote(size_text(out)); });
}

template <class T>
Key integer(std::string name, Field<T> field, std::int64_t least, std::int64_t most) {
  return make<T>(
      std::move(name), field,
      "an integer from " + std::to_string(least) + " to " + std::to_string(most),
      [=](const Value& value, T& out) {
        if (value.kind != Value::Kind::kInteger) return false;
        if (value.integer < least || value.integer > most) return false;
        out = static_cast<T>(value.integer);
        return true;
      },
      [](const T& out) { return std::to_string(out); });
}

Key boolean(std::string name) {
  return make<bool>(std::move(name), nullptr, "true or false",
                    [](const Value& value, bool& out) {
                      out = value.boolean;
                      return value.kind == Value::Kind::kBoolean;
                    },
                    {});
}

template <class T>
Key choice(std::string name, Field<T> field, std::vector<std::pair<std::string, T>> words) {
  std::string expected = "one of";
  for (const auto& word : words)
    expected += (word.first == words.front().first ? " \"" : ", \"") + word.first + "\"";
  return make<T>(
      std::move(name), field, expected,
      [words](const Value& value, T& out) {
        if (value.kind != Value::Kind::kString) return false;
        const auto word = std::find_if(words.begin(), words.end(),
                                       [&](const auto& w) { return w.first == value.text; });
        if (word == words.end()) return false;
        out = word->second;
        return true;
      },
      [words](const T& out) {
        const auto word = std::find_if(words.begin(), words.end(),
                                       [&](const auto& w) { return w.second == out; });
        return toml_quote(word->first);
      });
}

Key text(std::string name, Field<std::string> field, std::string expected,
         std::function<bool(const std::string&)> allowed) {
  return make<std::string>(
      std::move(name), field, std::move(expected),
      [allowed](const Value& value, std::string& out) {
        out = value.text;
        return value.kind == Value::Kind::kString && allowed(value.text);
      },
      [](const std::string& out) { return toml_quote(out); });
}

bool is_tcp(const std::string& text) {
  Address address;
  return parse_address(text, false, address);
}

bool is_tcp_or_nothing(const std::string& text) {
  return text.empty() || is_tcp(text);
}

bool is_reachable_tcp_or_nothing(const std::string& text) {
  Address address;
  return text.empty() || (parse_address(text, false, address) && !address.is_wildcard());
}

bool is_reachable_url_or_nothing(const std::string& text) {
  Address address;
  return text.empty() || (parse_url(text, address) && !address.is_wildcard());
}

bool is_path(const std::string& text) {
  return !text.empty() && text.size() <= kPathBytesMax && text.find('\0') == std::string::npos;
}

bool is_version(const std::string& text) {
  std::string_view rest = text;
  for (int part = 0; part < 3; ++part) {
    const std::size_t point = part < 2 ? rest.find('.') : rest.size();
    std::uint64_t number = 0;
    if (point == std::string_view::npos || point > 6 || !parse_u64(rest.substr(0, point), number)) {
      return false;
    }
    rest.remove_prefix(std::min(point + 1, rest.size()));
  }
  return true;
}

std::string array_text(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items)
    out += (out.size() > 1 ? ", " : "") + toml_quote(item);
  return out + "]";
}

// One address or a list of them.
Key listen_list(std::string name, Field<std::vector<std::string>> field) {
  return make<std::vector<std::string>>(
      std::move(name), field,
      "HOST:PORT, \"[::1]:PORT\", \"unix:PATH\", or a list of up to 16 of them, each once",
      [](const Value& value, std::vector<std::string>& out) {
        const std::vector<Value> one = {value};
        const std::vector<Value>& items = value.kind == Value::Kind::kArray ? value.items : one;
        for (const Value& item : items) {
          Address address;
          if (item.kind != Value::Kind::kString) return false;
          if (!parse_address(item.text, true, address)) return false;
          if (std::find(out.begin(), out.end(), item.text) != out.end()) return false;
          out.push_back(item.text);
        }
        return !out.empty() && out.size() <= kListenMax;
      },
      [](const std::vector<std::string>& out) {
        return out.size() == 1 ? toml_quote(out.front()) : array_text(out);
      });
}

Key origins(std::string name) {
  return make<std::vector<std::string>>(
      std::move(name), nullptr, "a list of origins such as \"https://example.org\", or \"*\"",
      [](const Value& value, std::vector<std::string>&) {
        return value.kind == Value::Kind::kArray &&
               std::all_of(value.items.begin(), value.items.end(), [](const Value& item) {
                 return item.kind == Value::Kind::kString && !item.text.empty();
               });
      },
      {});
}

Key member_list(std::string name) {
  Key key;
  key.name = name;
  key.read = [name](const Value& value, Config& config) {
    return read_members(name, value, config.cluster.members);
  };
  key.show = [](const Config& config) { return members_text(config.cluster.members); };
  return key;
}

void node_keys(std::vector<Key>& keys) {
  keys.push_back(
      integer<std::uint64_t>("id", FIELD(id), 1, static_cast<std::int64_t>(limits::kNodeIdMax)));
  keys.back().show = [](const Config& config) {
    return std::to_string(config.id == 0 ? 1 : config.id);
  };
  keys.push_back(text("name", FIELD(name),
                      "1 to 64 bytes of text that are not all digits, without control bytes",
                      is_member_name));
  keys.back().show = [](const Config& config) { return toml_quote(node_name(config)); };
  keys.push_back(text("data_dir", FIELD(data_dir), "the path of a directory", is_path));
  keys.push_back(
      duration("shutdown_timeout", FIELD(shutdown_timeout), milliseconds(100), minutes(10)));
}

void client_keys(std::vector<Key>& keys) {
  const milliseconds least(10);
  keys.push_back(listen_list("client.listen", FIELD(client.listen)));
  keys.push_back(text("client.advertise", FIELD(client.advertise),
                      "http://HOST:PORT at which others reach this node, or \"\"",
                      is_reachable_url_or_nothing));
  keys.push_back(integer<std::uint64_t>("client.max_connections", FIELD(client.max_connections), 1,
                                        limits::kHttpConnectionsMax));
  keys.push_back(duration("client.header_timeout", FIELD(client.header_timeout), least, hours(1)));
  keys.push_back(duration("client.body_timeout", FIELD(client.body_timeout), least, hours(24)));
  keys.push_back(duration("client.idle_timeout", FIELD(client.idle_timeout), least, hours(24)));
  keys.push_back(duration("client.request_timeout", FIELD(client.request_timeout), milliseconds(1),
                          minutes(1)));
  keys.push_back(
      choice<Follower>("client.follower", FIELD(client.follower),
                       {{"forward", Follower::kForward}, {"redirect", Follower::kRedirect}}));
  keys.push_back(boolean("client.ui"));
  keys.push_back(origins("client.cors"));
  keys.push_back(text("peer.listen", FIELD(peer.listen), "HOST:PORT or \"[::1]:PORT\"", is_tcp));
  keys.push_back(text("peer.advertise", FIELD(peer.advertise),
                      "HOST:PORT at which others reach this node, or \"\"",
                      is_reachable_tcp_or_nothing));
  keys.push_back(choice<int>("peer.transport", nullptr, {{"msgpack", 0}, {"jsonrpc", 1}}));
}

void raft_keys(std::vector<Key>& keys) {
  keys.push_back(text("cluster.name", FIELD(cluster.name),
                      "1 to 64 bytes of text without control bytes", is_label));
  keys.push_back(member_list("cluster.members"));
  keys.push_back(duration("raft.heartbeat_interval", FIELD(raft.heartbeat_interval),
                          milliseconds(1), minutes(1)));
  keys.push_back(duration("raft.election_timeout", FIELD(raft.election_timeout), milliseconds(3),
                          minutes(10)));
  keys.push_back(integer<std::int32_t>("raft.priority", FIELD(raft.priority), -1000, 1000));
  keys.push_back(size("raft.max_inflight_bytes", FIELD(raft.max_inflight_bytes), 64 * kKiB,
                      limits::kUnpersistedBytesMax));
  keys.push_back(size("raft.max_pending_bytes", FIELD(raft.max_pending_bytes), 2 * kMiB, 4 * kGiB));
  keys.push_back(size("log.segment_bytes", FIELD(log.segment_bytes), limits::kSegmentBytesMin,
                      limits::kSegmentBytesMax, limits::kBlockBytes));
  keys.push_back(
      size("log.cache_bytes", FIELD(log.cache_bytes), limits::kLogCacheBytesMin, 64 * kGiB));
  keys.push_back(
      choice<Sync>("log.sync", FIELD(log.sync), {{"batch", Sync::kBatch}, {"none", Sync::kNone}}));
  keys.push_back(text("log.archive_dir", nullptr, "the path of a directory, or \"\"",
                      [](const std::string& path) { return path.empty() || is_path(path); }));
  keys.push_back(integer<std::uint64_t>("snapshot.entries", FIELD(snapshot.entries), 1,
                                        std::numeric_limits<std::int64_t>::max()));
  keys.push_back(size("snapshot.bytes", FIELD(snapshot.bytes), kMiB, kSizeMax));
  keys.push_back(
      duration("snapshot.interval", FIELD(snapshot.interval), milliseconds(0), hours(8760)));
  keys.push_back(integer<std::uint64_t>("snapshot.keep", FIELD(snapshot.keep), 1, 100));
}

void limit_keys(std::vector<Key>& keys) {
  keys.push_back(duration("history.age", FIELD(history.age), milliseconds(1000), hours(8760)));
  keys.push_back(size("history.bytes", FIELD(history.bytes), kMiB, 1024 * kGiB));
  keys.push_back(size("limits.key_bytes", FIELD(limits.key_bytes), 1, limits::kKeyBytesMax));
  keys.push_back(
      size("limits.value_bytes", FIELD(limits.value_bytes), 1, limits::kRequestBytesMax));
  keys.push_back(
      size("limits.request_bytes", FIELD(limits.request_bytes), kKiB, limits::kRequestBytesMax));
  keys.push_back(
      size("limits.header_bytes", FIELD(limits.header_bytes), kKiB, limits::kHttpHeaderBytesMax));
  keys.push_back(integer<std::uint64_t>("limits.txn_ops", FIELD(limits.txn_ops), 1,
                                        limits::kTransactionOpsMax));
  keys.push_back(integer<std::uint64_t>("limits.page_items", FIELD(limits.page_items), 1, 100'000));
  keys.push_back(size("limits.page_bytes", FIELD(limits.page_bytes), kKiB, 16 * kMiB));
  keys.push_back(duration("limits.wait", FIELD(limits.wait), milliseconds(1), hours(24)));
  keys.push_back(size("limits.store_bytes", FIELD(limits.store_bytes), 1, kSizeMax));
  keys.push_back(
      integer<std::uint64_t>("limits.watchers", FIELD(limits.watchers), 1, limits::kWatchersMax));
}

void api_keys(std::vector<Key>& keys) {
  keys.push_back(boolean("reads.lease"));
  keys.push_back(text("admin.listen", nullptr, "HOST:PORT, or \"\"", is_tcp_or_nothing));
  keys.push_back(boolean("auth.required"));
  keys.push_back(boolean("auth.open_status"));
  keys.push_back(
      text("etcd.version", FIELD(etcd.version), "three numbers such as \"3.6.0\"", is_version));
  keys.push_back(integer<std::uint64_t>("etcd.max_txn_ops", FIELD(etcd.max_txn_ops), 1,
                                        limits::kTransactionOpsMax));
  keys.push_back(duration("etcd.progress_interval", FIELD(etcd.progress_interval),
                          milliseconds(100), hours(24)));
  keys.push_back(boolean("etcd.v2"));
  keys.push_back(text("consul.listen", nullptr, "HOST:PORT, or \"\"", is_tcp_or_nothing));
  keys.push_back(
      text("consul.datacenter", nullptr, "1 to 64 bytes of text without control bytes", is_label));
  keys.push_back(size("consul.max_value_bytes", nullptr, 1, limits::kRequestBytesMax));
  keys.push_back(duration("consul.session_ttl_min", nullptr, milliseconds(1000), hours(24)));
  keys.push_back(choice<LogLevel>("logging.level", FIELD(logging.level),
                                  {{"error", LogLevel::kError},
                                   {"warn", LogLevel::kWarn},
                                   {"info", LogLevel::kInfo},
                                   {"debug", LogLevel::kDebug},
                                   {"trace", LogLevel::kTrace}}));
  keys.push_back(choice<Format>("logging.format", FIELD(logging.format),
                                {{"auto", Format::kAuto},
                                 {"text", Format::kText},
                                 {"json", Format::kJson},
                                 {"journald", Format::kJournald}}));
}

#undef FIELD

// Levenshtein's, with a transposition of neighbours counted once.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> older(b.size() + 1);
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(before.begin(), before.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({before[j] + 1, row[j - 1] + 1, before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], older[j - 2] + 1);
    }
    older.swap(before);
    before.swap(row);
  }
  return before[b.size()];
}

}  // namespace

std::vector<Key> all_keys() {
  std::vector<Key> keys;
  node_keys(keys);
  client_keys(keys);
  raft_keys(keys);
  limit_keys(keys);
  api_keys(keys);
  return keys;
}

std::string environment_name(std::string_view key) {
  std::string name = "RAFTD_";
  for (const char c : key)
    name.push_back(c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  return name;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  constexpr std::size_t kWordBytesMax = 100;  // Longer words are not misspelt keys.
  if (word.size() > kWordBytesMax) return "";
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 4) + 1;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d >= best_distance) continue;
    best_distance = d;
    best = candidate;
  }
  return best;
}

}  // namespace raftd::config
