#include "uv/publisher.h"

#include "kv/command.h"

namespace raftd::uv {

std::optional<Publisher::Due> Publisher::due(Instant now,
                                             const std::vector<kv::PublishedMember>& published) {
  if (in_flight_ || (attempts_ > 0 && now - tried_ < kRetryInterval)) return std::nullopt;
  for (const kv::PublishedMember& member : published) {
    if (member.id == self_.id && member.instance == self_.instance && member.name == self_.name &&
        member.client == self_.client && member.version == self_.version) {
      return std::nullopt;
    }
  }
  in_flight_ = true;
  tried_ = now;
  return Due{{kOwnTokens | ++attempts_},
             kv::encode(kv::PublishMember{self_.id, self_.instance, self_.name, self_.client,
                                          self_.version})};
}

}  // namespace raftd::uv
