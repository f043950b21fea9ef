// Goal: conf/ says what the program does. Method: load its files.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "config/config.h"
#include "config/keys.h"
#include "config/toml_reader.h"

namespace raftd::config {
namespace {

const std::filesystem::path kConf = std::filesystem::path(RAFTD_SOURCE_DIR) / "conf";

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  REQUIRE(static_cast<bool>(in));
  return {std::istreambuf_iterator<char>(in), {}};
}

// "#key = value" becomes "key = value"; prose has a space after its '#'.
std::string uncommented(const std::string& text) {
  std::istringstream in(text);
  std::string out;
  for (std::string line; std::getline(in, line);) {
    const bool setting = line.size() > 1 && line[0] == '#' && line[1] != ' ' && line[1] != '#';
    out += (setting ? line.substr(1) : line) + "\n";
  }
  return out;
}

}  // namespace

TEST_CASE("conf/raftd.toml as it is needs no change on a single machine") {
  Result<Loaded> loaded = load({kConf / "raftd.toml", {}, {}, "box"});
  REQUIRE_MESSAGE(static_cast<bool>(loaded), loaded.error().message);
  CHECK(loaded->warnings.empty());
  CHECK(loaded->config.data_dir == "/var/lib/raftd");
}

TEST_CASE("conf/raftd.toml has every key of this release at its default, and no other") {
  Result<Value> root = parse_toml(uncommented(read_file(kConf / "raftd.toml")), "raftd.toml");
  REQUIRE_MESSAGE(static_cast<bool>(root), root.error().message);
  std::set<std::string> documented;
  Config config;
  const std::vector<Key> keys = all_keys();
  const auto take = [&](const std::string& name, const Value& value) {
    CAPTURE(name);
    documented.insert(name);
    const auto key =
        std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == name; });
    REQUIRE(key != keys.end());
    REQUIRE(key->in_release);
    Config defaults;
    defaults.data_dir = "/var/lib/raftd";
    defaults.client.advertise = client_url(defaults, "box");
    defaults.peer.advertise = peer_address(defaults, "box");
    config = defaults;
    const bool read = !key->read(value, config).has_value();
    CHECK(read);
    CHECK(key->show(config) == key->show(defaults));
  };
  for (const auto& [name, value] : root->fields) {
    if (value.kind != Value::Kind::kTable) {
      take(name, value);
      continue;
    }
    for (const auto& [field, inner] : value.fields)
      take(name + "." + field, inner);
  }
  for (const Key& key : keys) {
    CAPTURE(key.name);
    CHECK(documented.contains(key.name) == key.in_release);
  }
}

TEST_CASE("the manual has every key of this release, in the section where it belongs") {
  const std::string page =
      read_file(std::filesystem::path(RAFTD_SOURCE_DIR) / "man" / "raftd.toml.5");
  for (const Key& key : all_keys()) {
    CAPTURE(key.name);
    const std::size_t dot = key.name.find('.');
    const bool plain = dot == std::string::npos;
    const std::string heading =
        plain ? ".Ss The node\n" : ".Ss Section " + key.name.substr(0, dot) + "\n";
    const std::size_t begin = page.find(heading);
    const std::string section =
        begin == std::string::npos ? "" : page.substr(begin, page.find(".El", begin) - begin);
    const std::string item = ".It Ic " + (plain ? key.name : key.name.substr(dot + 1)) + " No = ";
    CHECK((section.find(item) != std::string::npos) == key.in_release);
  }
}

TEST_CASE("the three local nodes list each other, and each has its own ports") {
  for (std::uint64_t n = 1; n <= 3; ++n) {
    const std::string file = "node" + std::to_string(n) + ".toml";
    Result<Loaded> loaded = load({kConf / "local" / file, {}, {}, "box"});
    REQUIRE_MESSAGE(static_cast<bool>(loaded), loaded.error().message);
    const Config config = loaded->config;
    CHECK(loaded->warnings.empty());
    CHECK(config.id == n);
    REQUIRE(config.cluster.members.size() == 3);
    CHECK(config.cluster.members[n - 1].peer == config.peer.listen);
    CHECK(config.cluster.members[n - 1].client == "http://" + config.client.listen[0]);
    CHECK(config.data_dir == "build/run/node" + std::to_string(n));
  }
}

}  // namespace raftd::config
