#include "raft/configuration.h"

#include <algorithm>

#include "base/endian.h"
#include "base/limits.h"
#include "base/text.h"

namespace raftd::raft {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kHeadBytes = 8;
constexpr std::size_t kMemberHeadBytes = 10;

bool ascending(const std::vector<NodeId>& ids) {
  return std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) == ids.end();
}

bool overlap(const std::vector<NodeId>& a, const std::vector<NodeId>& b) {
  return std::any_of(a.begin(), a.end(), [&](NodeId id) { return std::ranges::count(b, id) > 0; });
}

const char* broken_list(const std::vector<NodeId>& ids, std::size_t size_max) {
  if (ids.size() > size_max) return "too many members";
  if (!ascending(ids)) return "member ids are not in ascending order";
  if (!ids.empty() && !ids.front()) return "member id 0";
  if (!ids.empty() && ids.back().value > limits::kNodeIdMax) return "member id too large";
  return nullptr;
}

// The first rule that does not hold, or nullptr.
const char* broken_rule(const Configuration& configuration) {
  for (const auto* voters : {&configuration.voters, &configuration.voters_outgoing}) {
    if (const char* rule = broken_list(*voters, limits::kVotersMax)) return rule;
  }
  if (const char* rule = broken_list(configuration.learners, limits::kLearnersMax)) return rule;
  if (configuration.voters.empty()) return "no voters";
  if (overlap(configuration.voters, configuration.learners)) return "a learner is also a voter";
  const std::vector<NodeId> members = members_of(configuration);
  if (configuration.addresses.size() != members.size()) return "addresses do not match members";
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (configuration.addresses[i].id != members[i]) return "addresses do not match members";
    if (configuration.addresses[i].peer.size() > limits::kAddressBytesMax) {
      return "an address is too long";
    }
  }
  return nullptr;
}

// Reads forward and remembers that it once ran out of bytes.
class Reader {
 public:
  explicit Reader(ByteView bytes) : rest_(bytes) {}

  template <class T>
  T take() {
    if (rest_.size() < sizeof(T)) {
      short_ = true;
      return T{};
    }
    const T value = load_le<T>(rest_);
    rest_ = rest_.subspan(sizeof(T));
    return value;
  }
  ByteView take_bytes(std::size_t size) {
    if (rest_.size() < size) {
      short_ = true;
      return {};
    }
    const ByteView taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::vector<NodeId> take_ids(std::size_t count) {
    std::vector<NodeId> ids;
    for (std::size_t i = 0; i < count && !short_; ++i)
      ids.push_back({take<std::uint64_t>()});
    return ids;
  }
  bool ran_short() const { return short_; }
  bool at_end() const { return rest_.empty(); }

 private:
  ByteView rest_;
  bool short_ = false;
};

Error bad(const char* rule) {
  return {Errc::kBadInput, strf("configuration: %s", rule)};
}

}  // namespace

std::vector<NodeId> members_of(const Configuration& configuration) {
  std::vector<NodeId> members = configuration.voters;
  members.insert(members.end(), configuration.voters_outgoing.begin(),
                 configuration.voters_outgoing.end());
  members.insert(members.end(), configuration.learners.begin(), configuration.learners.end());
  std::sort(members.begin(), members.end());
  members.erase(std::unique(members.begin(), members.end()), members.end());
  return members;
}

bool is_member(const Configuration& configuration, NodeId id) {
  return std::ranges::binary_search(configuration.addresses, id, {}, &MemberAddress::id);
}

Configuration joint_of(const Configuration& present, const Configuration& target) {
  ASSERT(!present.joint());
  ASSERT(!target.joint());
  Configuration joint = target;
  joint.voters_outgoing = present.voters;
  for (const MemberAddress& member : present.addresses) {
    const auto place = std::ranges::lower_bound(joint.addresses, member.id, {}, &MemberAddress::id);
    const bool named = place != joint.addresses.end() && place->id == member.id;
    if (!named && std::ranges::binary_search(present.voters, member.id)) {
      joint.addresses.insert(place, member);
    }
  }
  return joint;
}

Configuration after_joint(const Configuration& joint) {
  ASSERT(joint.joint());
  Configuration after = joint;
  after.voters_outgoing.clear();
  const std::vector<NodeId> members = members_of(after);
  std::erase_if(after.addresses, [&](const MemberAddress& member) {
    return !std::ranges::binary_search(members, member.id);
  });
  return after;
}

Status check(const Configuration& configuration) {
  if (const char* rule = broken_rule(configuration)) return bad(rule);
  return Done{};
}

Bytes encode(const Configuration& configuration) {
  ASSERT(broken_rule(configuration) == nullptr);
  Bytes bytes;
  bytes.reserve(kHeadBytes + configuration.addresses.size() * (kMemberHeadBytes + 32));
  append_le<std::uint8_t>(bytes, kVersion);
  append_le<std::uint8_t>(bytes, 0);
  append_le(bytes, static_cast<std::uint8_t>(configuration.voters.size()));
  append_le(bytes, static_cast<std::uint8_t>(configuration.voters_outgoing.size()));
  append_le(bytes, static_cast<std::uint8_t>(configuration.learners.size()));
  append_le(bytes, static_cast<std::uint8_t>(configuration.addresses.size()));
  append_le<std::uint16_t>(bytes, 0);
  for (const auto* ids :
       {&configuration.voters, &configuration.voters_outgoing, &configuration.learners}) {
    for (const NodeId id : *ids)
      append_le(bytes, id.value);
  }
  for (const MemberAddress& member : configuration.addresses) {
    append_le(bytes, member.id.value);
    append_le(bytes, static_cast<std::uint16_t>(member.peer.size()));
    const ByteView peer = as_bytes(member.peer);
    bytes.insert(bytes.end(), peer.begin(), peer.end());
  }
  ASSERT_CMP(bytes.size(), <=, limits::kConfigurationBytesMax);
  return bytes;
}

Result<Configuration> decode_configuration(ByteView payload) {
  if (payload.size() > limits::kConfigurationBytesMax) return bad("too long");
  Reader reader(payload);
  const auto version = reader.take<std::uint8_t>();
  const auto zero = reader.take<std::uint8_t>();
  const auto voters = reader.take<std::uint8_t>();
  const auto outgoing = reader.take<std::uint8_t>();
  const auto learners = reader.take<std::uint8_t>();
  const auto members = reader.take<std::uint8_t>();
  const auto zeros = reader.take<std::uint16_t>();
  if (reader.ran_short()) return bad("too short");
  if (version != kVersion) return bad("unknown version");
  if (zero != 0 || zeros != 0) return bad("reserved bytes are not zero");
  Configuration configuration;
  configuration.voters = reader.take_ids(voters);
  configuration.voters_outgoing = reader.take_ids(outgoing);
  configuration.learners = reader.take_ids(learners);
  for (std::size_t i = 0; i < members && !reader.ran_short(); ++i) {
    const NodeId id{reader.take<std::uint64_t>()};
    const auto address_bytes = reader.take<std::uint16_t>();
    configuration.addresses.push_back({id, std::string(as_text(reader.take_bytes(address_bytes)))});
  }
  if (reader.ran_short()) return bad("too short");
  if (!reader.at_end()) return bad("bytes left over");
  if (const char* rule = broken_rule(configuration)) return bad(rule);
  return configuration;
}

}  // namespace raftd::raft
