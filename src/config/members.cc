#include "config/members.h"

#include <algorithm>
#include <set>

#include "base/address.h"
#include "base/text.h"

namespace raftd::config {
namespace {

// One entry of the list while it is read: what was wrong with it, if anything.
class EntryReader {
 public:
  EntryReader(std::string path, const Value& entry) : path_(std::move(path)), entry_(entry) {}

  std::optional<Wrong> read(Member& member) {
    if (entry_.kind != Value::Kind::kTable) {
      return Wrong{entry_.place, path_, found_text(entry_),
                   "a table such as { id = 1, peer = \"HOST:PORT\" }"};
    }
    for (const auto& [field, value] : entry_.fields) {
      if (auto wrong = read_field(field, value, member)) return wrong;
    }
    if (member.id == 0) return missing("id", "the id of the member");
    if (member.peer.empty()) return missing("peer", "HOST:PORT of its peer port");
    return std::nullopt;
  }

 private:
  std::optional<Wrong> read_field(const std::string& field, const Value& value, Member& member) {
    const auto refuse = [&](std::string expected) {
      return Wrong{value.place, path_ + "." + field, found_text(value), std::move(expected)};
    };
    const bool is_text = value.kind == Value::Kind::kString;
    Address address;
    if (field == "id") {
      const bool fits = value.kind == Value::Kind::kInteger && value.integer >= 1 &&
                        value.integer <= static_cast<std::int64_t>(limits::kNodeIdMax);
      if (!fits) return refuse("an integer from 1 to " + std::to_string(limits::kNodeIdMax));
      member.id = static_cast<std::uint64_t>(value.integer);
    } else if (field == "name") {
      if (!is_text || !is_member_name(value.text)) {
        return refuse("1 to 64 bytes of text that are not all digits, without control bytes");
      }
      member.name = value.text;
    } else if (field == "peer") {
      if (!is_text || !parse_address(value.text, false, address) || address.is_wildcard()) {
        return refuse("HOST:PORT at which the others reach it");
      }
      member.peer = value.text;
    } else if (field == "client") {
      if (!is_text || !parse_url(value.text, address) || address.is_wildcard()) {
        return refuse("http://HOST:PORT at which clients reach it");
      }
      member.client = value.text;
    } else if (field == "role") {
      if (!is_text || (value.text != "voter" && value.text != "learner")) {
        return refuse("\"voter\" or \"learner\"");
      }
      member.learner = value.text == "learner";
    } else {
      Wrong wrong = refuse("id, name, peer, client or role");
      wrong.found = "an unknown key";
      return wrong;
    }
    return std::nullopt;
  }

  std::optional<Wrong> missing(const std::string& field, std::string expected) const {
    return Wrong{entry_.place, path_ + "." + field, "nothing", std::move(expected)};
  }

  std::string path_;
  const Value& entry_;
};

std::string name_of(const Member& member) {
  return member.name.empty() ? "n" + std::to_string(member.id) : member.name;
}

// What two members may not have in common.
class Distinct {
 public:
  std::optional<std::pair<std::string, std::string>> add(const Member& member) {
    if (!ids_.insert(member.id).second) return {{"id", std::to_string(member.id)}};
    if (!peers_.insert(member.peer).second) return {{"peer", toml_quote(member.peer)}};
    if (!member.client.empty() && !clients_.insert(member.client).second) {
      return {{"client", toml_quote(member.client)}};
    }
    if (!names_.insert(name_of(member)).second) return {{"name", toml_quote(name_of(member))}};
    return std::nullopt;
  }

 private:
  std::set<std::uint64_t> ids_;
  std::set<std::string> peers_;
  std::set<std::string> clients_;
  std::set<std::string> names_;
};

Place place_of_field(const Value& entry, const std::string& field) {
  for (const auto& [name, value] : entry.fields)
    if (name == field) return value.place;
  return entry.place;
}

}  // namespace

std::string node_name(const Config& config) {
  if (!config.name.empty()) return config.name;
  for (const Member& member : config.cluster.members) {
    if (member.id == config.id) return name_of(member);
  }
  return "n" + std::to_string(config.id == 0 ? 1 : config.id);
}

std::optional<Wrong> read_members(const std::string& key, const Value& value,
                                  std::vector<Member>& members) {
  members.clear();
  if (value.kind != Value::Kind::kArray) {
    return Wrong{value.place, key, found_text(value), "a list of members"};
  }
  Distinct distinct;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const std::string path = key + "[" + std::to_string(i) + "]";
    Member member;
    if (auto wrong = EntryReader(path, value.items[i]).read(member)) return wrong;
    if (const auto twice = distinct.add(member)) {
      return Wrong{place_of_field(value.items[i], twice->first), path + "." + twice->first,
                   twice->second + " a second time", "another one for each member"};
    }
    members.push_back(std::move(member));
  }
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return a.id < b.id; });
  const auto learners = static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(), [](const Member& m) { return m.learner; }));
  const std::size_t voters = members.size() - learners;
  const bool possible = voters <= limits::kVotersMax && learners <= limits::kLearnersMax &&
                        (voters > 0 || members.empty());
  if (possible) return std::nullopt;
  return Wrong{
      value.place, key, strf("%zu voters and %zu learners", voters, learners),
      strf("1 to %zu voters and at most %zu learners", limits::kVotersMax, limits::kLearnersMax)};
}

std::string members_text(const std::vector<Member>& members) {
  std::string out = "[";
  for (const Member& member : members) {
    out += out.size() > 1 ? ", " : "";
    out += "{ id = " + std::to_string(member.id);
    if (!member.name.empty()) out += ", name = " + toml_quote(member.name);
    out += ", peer = " + toml_quote(member.peer);
    if (!member.client.empty()) out += ", client = " + toml_quote(member.client);
    if (member.learner) out += ", role = \"learner\"";
    out += " }";
  }
  return out + "]";
}

}  // namespace raftd::config
