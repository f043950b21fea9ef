// Goal: every sentence an operator can get from the configuration, and that no key is dead.
// Method: write a file, load it, compare the result or the whole sentence.
#include "config/config.h"

#include <doctest/doctest.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "config/keys.h"

namespace raftd::config {
namespace {

// A directory of its own for each test, removed afterwards.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "raftd-config-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file() const { return path_ + "/node.toml"; }
  const std::string& path() const { return path_; }
  void write(const std::string& text) const { std::ofstream(file(), std::ios::binary) << text; }

 private:
  std::string path_;
};

const char* const kSmallest = "data_dir = \"/var/lib/raftd\"\n";
const char* const kThree =
    "id = 2\ndata_dir = \"d\"\n[cluster]\nmembers = [\n"
    "  { id = 3, peer = \"h3:2380\", client = \"http://h3:2379\" },\n"
    "  { id = 1, peer = \"h1:2380\", name = \"one\" },\n"
    "  { id = 2, peer = \"h2:2380\", client = \"http://h2:2379\" },\n"
    "]\n";

Result<Loaded> load_text(const std::string& text, const std::vector<std::string>& set = {},
                         const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  const Folder folder;
  folder.write(text);
  Result<Loaded> loaded = load({folder.file(), set, environment, "box"});
  if (loaded) return loaded;
  std::string message = loaded.error().message;
  const std::size_t at = message.find(folder.file());
  if (at != std::string::npos) message.replace(at, folder.file().size(), "FILE");
  return Error{loaded.error().code, message};
}

std::string error_of(const std::string& text, const std::vector<std::string>& set = {},
                     const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  Result<Loaded> loaded = load_text(text, set, environment);
  if (loaded) return "";
  CHECK(loaded.error().code == Errc::kBadInput);
  CHECK(loaded.error().message.find('\n') == std::string::npos);
  return loaded.error().message;
}

Config config_of(const std::string& text, const std::vector<std::string>& set = {},
                 const std::vector<std::pair<std::string, std::string>>& environment = {}) {
  Result<Loaded> loaded = load_text(text, set, environment);
  REQUIRE_MESSAGE(static_cast<bool>(loaded), loaded.error().message);
  return loaded->config;
}

// A valid value that is not the default, for each key.
const std::map<std::string, std::string>& other_values() {
  static const std::map<std::string, std::string> values = {
      {"id", "7"},
      {"name", "\"seven\""},
      {"data_dir", "\"/elsewhere\""},
      {"shutdown_timeout", "\"11s\""},
      {"client.listen", "[\"127.0.0.1:1\", \"unix:/run/x\"]"},
      {"client.advertise", "\"http://h:9\""},
      {"client.max_connections", "12"},
      {"client.header_timeout", "\"11s\""},
      {"client.body_timeout", "\"11s\""},
      {"client.idle_timeout", "\"11s\""},
      {"client.request_timeout", "\"11s\""},
      {"client.follower", "\"redirect\""},
      {"client.ui", "false"},
      {"client.cors", "[\"*\"]"},
      {"peer.listen", "\"127.0.0.1:9\""},
      {"peer.advertise", "\"h:9\""},
      {"peer.transport", "\"jsonrpc\""},
      {"cluster.name", "\"other\""},
      {"cluster.members", "[{ id = 1, peer = \"h:1\" }]"},
      {"raft.heartbeat_interval", "\"51ms\""},
      {"raft.election_timeout", "\"501ms\""},
      {"raft.priority", "-1"},
      {"raft.max_inflight_bytes", "\"7MiB\""},
      {"raft.max_pending_bytes", "\"65MiB\""},
      {"log.segment_bytes", "\"8MiB\""},
      {"log.cache_bytes", "\"32MiB\""},
      {"log.sync", "\"none\""},
      {"log.archive_dir", "\"/a\""},
      {"snapshot.entries", "5"},
      {"snapshot.bytes", "\"1MiB\""},
      {"snapshot.interval", "\"1h\""},
      {"snapshot.keep", "3"},
      {"history.age", "\"11m\""},
      {"history.bytes", "\"65MiB\""},
      {"limits.key_bytes", "100"},
      {"limits.value_bytes", "100"},
      {"limits.request_bytes", "\"1100KiB\""},
      {"limits.header_bytes", "\"8KiB\""},
      {"limits.txn_ops", "5"},
      {"limits.page_items", "5"},
      {"limits.page_bytes", "\"2MiB\""},
      {"limits.wait", "\"1m\""},
      {"limits.store_bytes", "\"9GiB\""},
      {"limits.watchers", "5"},
      {"reads.lease", "true"},
      {"admin.listen", "\"127.0.0.1:9\""},
      {"auth.required", "true"},
      {"auth.open_status", "false"},
      {"etcd.version", "\"3.5.12\""},
      {"etcd.max_txn_ops", "5"},
      {"etcd.progress_interval", "\"1m\""},
      {"etcd.v2", "true"},
      {"consul.listen", "\"127.0.0.1:9\""},
      {"consul.datacenter", "\"dc2\""},
      {"consul.max_value_bytes", "\"1KiB\""},
      {"consul.session_ttl_min", "\"11s\""},
      {"logging.level", "\"trace\""},
      {"logging.format", "\"json\""},
  };
  return values;
}

std::string id_if_members(const std::string& key) {
  return key == "cluster.members" ? "id = 1\n" : "";
}

// One line of TOML that sets the key, and data_dir unless that is it.
std::string file_with(const std::string& key, const std::string& value) {
  return (key == "data_dir" ? "" : kSmallest) + id_if_members(key) + key + " = " + value + "\n";
}

}  // namespace

TEST_CASE("[CP-9] a file of one line is a whole configuration") {
  const Config config = config_of(kSmallest);
  CHECK(config.data_dir == "/var/lib/raftd");
  CHECK(config.id == 0);
  CHECK(node_name(config) == "n1");
  CHECK(config.client.listen == std::vector<std::string>{"127.0.0.1:2379"});
  CHECK(client_url(config, "box") == "http://127.0.0.1:2379");
  CHECK(peer_address(config, "box") == "127.0.0.1:2380");
  CHECK(load_text(kSmallest)->warnings.empty());
}

TEST_CASE("an empty file lacks the one required key") {
  CHECK(error_of("") == "FILE:1:1: data_dir: found nothing (expected the path of a directory)");
  CHECK(error_of("# nothing\n") == error_of(""));
}

TEST_CASE("[CP-15] every key has an effect, from the file, a variable and --set alike") {
  for (const Key& key : all_keys()) {
    CAPTURE(key.name);
    REQUIRE(other_values().contains(key.name));
    const std::string value = other_values().at(key.name);
    Result<Loaded> from_file = load_text(file_with(key.name, value));
    REQUIRE_MESSAGE(static_cast<bool>(from_file), from_file.error().message);
    const std::string base = kSmallest + id_if_members(key.name);
    Result<Loaded> from_set = load_text(base, {key.name + "=" + value});
    REQUIRE_MESSAGE(static_cast<bool>(from_set), from_set.error().message);
    Result<Loaded> from_environment = load_text(base, {}, {{environment_name(key.name), value}});
    REQUIRE_MESSAGE(static_cast<bool>(from_environment), from_environment.error().message);
    if (!key.in_release) continue;
    const bool changed = key.show(from_file->config) != key.show(config_of(kSmallest));
    CHECK(changed);
    CHECK(key.show(from_set->config) == key.show(from_file->config));
    CHECK(key.show(from_environment->config) == key.show(from_file->config));
  }
}

TEST_CASE("[CP-15] every key misspelt is an error that names the right one") {
  for (const Key& key : all_keys()) {
    std::string misspelt = key.name;
    if (misspelt.size() < 4) continue;
    std::swap(misspelt[misspelt.size() - 1], misspelt[misspelt.size() - 2]);
    if (misspelt == key.name) misspelt.pop_back();
    CAPTURE(misspelt);
    const std::string value = other_values().at(key.name);
    CHECK(error_of(file_with(misspelt, value)).ends_with("(expected " + key.name + ")"));
    CHECK(error_of(kSmallest, {misspelt + "=" + value}).ends_with("(expected " + key.name + ")"));
  }
}

TEST_CASE("keys whose part this release lacks are checked, and named in one warning") {
  std::string text = kSmallest;
  std::size_t lacking = 0;
  for (const Key& key : all_keys()) {
    if (key.in_release) continue;
    text += key.name + " = " + other_values().at(key.name) + "\n";
    ++lacking;
  }
  CHECK(lacking > 10);
  text += "tls.cert = \"/c\"\n";
  Result<Loaded> loaded = load_text(text);
  REQUIRE_MESSAGE(static_cast<bool>(loaded), loaded.error().message);
  REQUIRE(loaded->warnings.size() == 1);
  for (const Key& key : all_keys()) {
    CAPTURE(key.name);
    CHECK((loaded->warnings[0].find(key.name) != std::string::npos) == !key.in_release);
  }
  CHECK(loaded->warnings[0].find("tls.cert") != std::string::npos);
  CHECK(error_of(file_with("snapshot.keep", "\"two\"")) ==
        "FILE:2:17: snapshot.keep: found the string \"two\" (expected an integer from 1 to 100)");
}

TEST_CASE("effective lines are TOML, say where each value is from, and load to the same") {
  const Folder folder;
  folder.write(std::string(kThree) + "[raft]\npriority = 3\n");
  const Sources sources{
      folder.file(), {"raft.election_timeout=300ms"}, {{"RAFTD_LOGGING_LEVEL", "debug"}}, "box"};
  Result<Loaded> first = load(sources);
  REQUIRE(static_cast<bool>(first));
  const auto has = [&](const std::string& line) {
    return std::find(first->effective.begin(), first->effective.end(), line) !=
           first->effective.end();
  };
  CHECK(has("raft.election_timeout = \"300ms\"  # --set"));
  CHECK(has("raft.priority = 3  # " + folder.file() + ":10"));
  CHECK(has("raft.heartbeat_interval = \"50ms\"  # default"));
  CHECK(has("logging.level = \"debug\"  # RAFTD_LOGGING_LEVEL"));
  CHECK(has("name = \"n2\"  # default"));
  CHECK(
      has("cluster.members = [{ id = 1, name = \"one\", peer = \"h1:2380\" }, { id = 2, peer = "
          "\"h2:2380\", client = \"http://h2:2379\" }, { id = 3, peer = \"h3:2380\", client = "
          "\"http://h3:2379\" }]  # " +
          folder.file() + ":4"));
  std::string again;
  for (const std::string& line : first->effective)
    again += line + "\n";
  folder.write(again);
  Result<Loaded> second = load({folder.file(), {}, {}, "box"});
  REQUIRE_MESSAGE(static_cast<bool>(second), second.error().message);
  for (const Key& key : all_keys()) {
    if (key.in_release) CHECK(key.show(second->config) == key.show(first->config));
  }
}

TEST_CASE("--set goes before the environment, and that before the file") {
  const std::string file = std::string(kSmallest) + "name = \"file\"\n";
  CHECK(config_of(file).name == "file");
  CHECK(config_of(file, {}, {{"RAFTD_NAME", "variable"}}).name == "variable");
  CHECK(config_of(file, {"name=set", "name=last"}, {{"RAFTD_NAME", "variable"}}).name == "last");
  CHECK(config_of("", {"data_dir=/x"}).data_dir == "/x");
  CHECK(config_of("", {}, {{"RAFTD_DATA_DIR", "/y z"}}).data_dir == "/y z");
}

TEST_CASE("other RAFTD_ variables are one warning; those of client commands are none") {
  std::vector<std::pair<std::string, std::string>> environment{{"RAFTD_LISTEN", "x"},
                                                               {"RAFTD_X", "y"}};
  for (const std::string_view variable : kClientVariables)
    environment.emplace_back(variable, "[x");
  Result<Loaded> loaded = load_text(kSmallest, {}, environment);
  REQUIRE(static_cast<bool>(loaded));
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0] ==
        "environment variables that mean nothing to raftd: RAFTD_LISTEN, RAFTD_X");
}

TEST_CASE("no key is named by a variable that is the client's") {
  for (const Key& key : all_keys()) {
    CAPTURE(key.name);
    const std::string variable = environment_name(key.name);
    CHECK(std::find(kClientVariables.begin(), kClientVariables.end(), variable) ==
          kClientVariables.end());
  }
}

TEST_CASE("a wrong type or value says where, what was found and what is allowed") {
  const std::string d = kSmallest;
  CHECK(error_of(d + "[raft]\nelection_timeout = 500\n") ==
        "FILE:3:20: raft.election_timeout: found the integer 500 (expected a duration from "
        "\"3ms\" to \"10m\")");
  CHECK(error_of(d + "[limits]\nkey_bytes = \"3KiB\"\n") ==
        "FILE:3:13: limits.key_bytes: found the string \"3KiB\" (expected a size from 1B to 2KiB)");
  CHECK(error_of(d + "id = 0\n") ==
        "FILE:2:6: id: found the integer 0 (expected an integer from 1 to 9007199254740991)");
  CHECK(error_of(d + "id = 9007199254740992\n").find("9007199254740992") != std::string::npos);
  CHECK(error_of(d + "name = \"12\"\n").starts_with("FILE:2:8: name: found the string \"12\""));
  CHECK(error_of(d, {"client.follower=forwrad"}) ==
        "--set: client.follower: found the string \"forwrad\" (expected one of \"forward\", "
        "\"redirect\")");
  CHECK(error_of(d, {}, {{"RAFTD_RAFT_PRIORITY", "high"}}) ==
        "RAFTD_RAFT_PRIORITY: raft.priority: found the string \"high\" (expected an integer from "
        "-1000 to 1000)");
  CHECK(error_of(d, {"raft"}) == "--set: found \"raft\" (expected KEY=VALUE)");
  CHECK(error_of(d, {"name=\xff"}) == "--set: found name=%FF (expected KEY=VALUE in UTF-8)");
  CHECK(error_of(d, {"raft={}"}) == "--set: raft: found a table (expected one of its keys)");
  CHECK(error_of(d, {"raft.election_timeout=\"300"}) ==
        "--set: raft.election_timeout: found \"\\\"300\" (expected a value in TOML, or one word)");
  CHECK(error_of(d, {"id=[1]\nname=2"}) ==
        "--set: id: found \"[1]\\u000Aname=2\" (expected one value)");
  CHECK(error_of(d + "raft = 5\n") == "FILE:2:8: raft: found the integer 5 (expected a table)");
  CHECK(error_of("data_dir = \"\"\n").starts_with("FILE:1:12: data_dir: found the string \"\""));
  CHECK(error_of(d + "client.listen = []\n").find("found an empty array") != std::string::npos);
}

TEST_CASE("an unknown key or section is refused where it stands") {
  const std::string d = kSmallest;
  CHECK(error_of(d + "[raft]\n  zzzzzzzzzzzzz = 1\n")
            .starts_with("FILE:3:3: raft.zzzzzzzzzzzzz: found an unknown key (expected one of "
                         "raft.heartbeat_interval, "));
  CHECK(error_of(d + "[rafft]\npriority = 1\n").ends_with("(expected raft)"));
  CHECK(error_of(d + "\"raft.priority\" = 1\n").find("unknown key") != std::string::npos);
  CHECK(error_of(d + "[raft.priority]\nx = 1\n").find("found a table") != std::string::npos);
}

TEST_CASE("contradictions are found whatever the source of the two halves") {
  const std::string d = kSmallest;
  CHECK(error_of(d + "[raft]\nheartbeat_interval = \"200ms\"\n") ==
        "FILE:3:22: raft.election_timeout: found an election timeout of 500ms (expected at least 3 "
        "heartbeat intervals, 600ms)");
  CHECK(error_of(d, {"raft.election_timeout=149ms"}) ==
        "--set: raft.election_timeout: found an election timeout of 149ms (expected at least 3 "
        "heartbeat intervals, 150ms)");
  CHECK(error_of(d, {"raft.election_timeout=150ms"}).empty());
  CHECK(error_of(d, {"limits.request_bytes=64KiB"}).find("limits.value_bytes") !=
        std::string::npos);
  CHECK(error_of(d, {"log.segment_bytes=4MiB"}).find("from 8MiB to 1GiB") != std::string::npos);
  CHECK(error_of(d, {"log.segment_bytes=8388609"}).find("multiple of 4KiB") != std::string::npos);
  CHECK(error_of(d, {"log.cache_bytes=31MiB"}).find("from 32MiB") != std::string::npos);
  CHECK(error_of(d, {"peer.listen=0.0.0.0:2379"}).find("another port than that of client.listen") !=
        std::string::npos);
  CHECK(error_of(d, {"client.listen=[\"127.0.0.1:1\", \"0.0.0.0:1\"]"}).find("together") !=
        std::string::npos);
}

TEST_CASE("members: the id is among them, nothing is there twice, and they can be a cluster") {
  const Config config = config_of(kThree);
  REQUIRE(config.cluster.members.size() == 3);
  CHECK(config.cluster.members[0].name == "one");  // Sorted by id.
  CHECK(client_url(config, "box") == "http://h2:2379");
  CHECK(peer_address(config, "box") == "h2:2380");
  const auto set = [](const std::string& members) {
    return error_of(kSmallest, {"id=1", "cluster.members=[" + members + "]"});
  };
  CHECK(set("{id = 1, peer = \"a:1\"}").empty());
  CHECK(set("{id = 2, peer = \"a:1\"}") ==
        "--set: id: found the id 1 (expected one of cluster.members: 2)");
  CHECK(set("{id = 1, peer = \"a:1\"}, {id = 1, peer = \"b:1\"}") ==
        "--set: cluster.members[1].id: found 1 a second time (expected another one for each "
        "member)");
  CHECK(set("{id = 1, peer = \"a:1\"}, {id = 2, peer = \"a:1\"}").find("\"a:1\" a second time") !=
        std::string::npos);
  CHECK(set("{id = 1, peer = \"a:1\", name = \"n2\"}, {id = 2, peer = \"b:1\"}")
            .find("\"n2\" a second time") != std::string::npos);
  CHECK(set("{id = 1}") ==
        "--set: cluster.members[0].peer: found nothing (expected HOST:PORT of its peer port)");
  CHECK(set("{id = 1, peer = \"a:0\"}").find("members[0].peer: found the string \"a:0\"") !=
        std::string::npos);
  CHECK(set("{id = 1, peer = \"a:1\", rloe = \"voter\"}").find("rloe: found an unknown key") !=
        std::string::npos);
  CHECK(set("{id = 1, peer = \"a:1\", role = \"learner\"}").find("0 voters and 1 learners") !=
        std::string::npos);
  CHECK(set("1").find("members[0]: found the integer 1") != std::string::npos);
  CHECK(error_of(kSmallest, {"cluster.members=[{id=4, peer=\"a:1\"},{id=5, peer=\"b:1\"}]"}) ==
        "--set: id: found nothing (expected which of the members 4, 5 this node is)");
  std::string many;
  for (int i = 1; i <= 10; ++i)
    many += "{id = " + std::to_string(i) + ", peer = \"h:" + std::to_string(i) + "\"},";
  CHECK(set(many).find("10 voters and 0 learners") != std::string::npos);
}

TEST_CASE("what the library would not survive or not notice is refused before it") {
  const std::string d = kSmallest;
  CHECK(error_of(d + "id = 9223372036854775808\n") ==
        "FILE:2:6: found the integer 9223372036854775808 (expected one of at most 64 bits)");
  CHECK(error_of(d + "id = 0xffffffffffffffffff\n").find("at most 64 bits") != std::string::npos);
  CHECK(error_of(d + "id = 0b" + std::string(65, '1') + "\n").find("62 digits") !=
        std::string::npos);
  CHECK(error_of(d + "id = 0o7777777777777777777777777\n").find("64 bits") != std::string::npos);
  CHECK(config_of(d + "id = 0x1_0\n").id == 16);
  CHECK(error_of(d + "x = " + std::string(100'000, '[')) == "FILE:2:69: nested deeper than 64");
  std::string dotted = "a";
  for (int i = 0; i < 50'000; ++i)
    dotted += ".a";
  CHECK(error_of(d + dotted + " = 1\n").find("nested deeper") != std::string::npos);
  CHECK(error_of(d + "# " + std::string(200, '[') + "\nname = '" + std::string(60, '[') + "'\n")
            .empty());
  CHECK(error_of(d + "name = \"\xff\"\n") == "FILE:2:9: the text is not UTF-8 here");
  CHECK(error_of(d + "name = \"a" + std::string(1, '\0') + "\"\n") ==
        "FILE:2:10: found the control byte 0x00 (expected text)");
}

TEST_CASE("text that is not TOML is refused in one line with its place") {
  const std::string d = kSmallest;
  for (const char* text :
       {"id =\n", "id = 1\nid = 2\n", "[raft\n", "name = \"open\n", "= 1\n", "id = 1 2\n",
        "members = [{]\n", "[[[\n", "x = 2024-99-99\n", "name = \"\\q\"\n", "x = \"\"\"\n",
        "name = \"\\UFFFFFFFF\"\n", "{}", "]", "id = 1_\n", "x = .5\n"}) {
    CAPTURE(text);
    const std::string message = error_of(d + text);
    CHECK(message.starts_with("FILE:"));
  }
}

TEST_CASE("a key that would break a line is shown escaped, wherever it is quoted") {
  const std::string d = kSmallest;
  const std::string file = "\"a\\u0001\" = 1\n";
  CHECK(error_of(d + file + file).find("a%01") != std::string::npos);
  CHECK(error_of(d, {"a\nb=[x"}) ==
        "--set: a%0Ab: found \"[x\" (expected a value in TOML, or one word)");
  const Result<Loaded> loaded = load_text(d, {"tls.a\nb=1"}, {{"RAFTD_\n", "x"}});
  REQUIRE(static_cast<bool>(loaded));
  REQUIRE(loaded->warnings.size() == 2);
  CHECK(loaded->warnings[0].ends_with(": RAFTD_%0A"));
  CHECK(loaded->warnings[1].ends_with(": tls.a%0Ab"));
}

TEST_CASE("a file that is missing, a directory or too large is refused") {
  const Folder folder;
  const auto message = [](const std::string& path) {
    return load({path, {}, {}, "box"}).error().message;
  };
  CHECK(message(folder.file()) ==
        folder.file() + ":1:1: No such file or directory (expected a configuration file)");
  CHECK(message(folder.path()) ==
        folder.path() + ":1:1: found a directory (expected a configuration file)");
  std::filesystem::create_symlink(folder.file(), folder.file());
  CHECK(message(folder.file()).find("symbolic links") != std::string::npos);
  std::filesystem::remove(folder.file());
  folder.write(kSmallest + std::string(1024 * 1024, '\n'));
  CHECK(message(folder.file()).find("found more than 1MiB") != std::string::npos);
}

TEST_CASE("the limits are shown as JSON under their dotted names") {
  const auto shown = limits_as_json(config_of(kSmallest));
  REQUIRE(shown.size() == 19);
  CHECK(shown[0] == std::pair<std::string, std::string>("limits.key_bytes", "2048"));
  CHECK(shown[14] == std::pair<std::string, std::string>("history.age", "\"10m\""));
}

TEST_CASE("an address that is not loopback is a warning, and others are told the machine's name") {
  Result<Loaded> open =
      load_text(kSmallest, {"client.listen=0.0.0.0:2379", "peer.listen=[::]:2380"});
  REQUIRE_MESSAGE(!open, "brackets begin TOML");
  Result<Loaded> loaded = load_text(
      kSmallest, {"client.listen=0.0.0.0:2379", "peer.listen=\"[::]:2380\"", "log.sync=none"});
  REQUIRE_MESSAGE(static_cast<bool>(loaded), loaded.error().message);
  REQUIRE(loaded->warnings.size() == 1);
  CHECK(loaded->warnings[0].ends_with("client.listen 0.0.0.0:2379, peer.listen [::]:2380"));
  Config everywhere = loaded->config;
  CHECK(everywhere.client.advertise == "http://box:2379");
  CHECK(everywhere.peer.advertise == "box:2380");
}

}  // namespace raftd::config
