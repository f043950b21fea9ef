// The lock service (etcd-io/etcd: v3lock).
#include <utility>

#include "etcd/queue.h"
#include "kv/command.h"

namespace raftd::etcd {
namespace {

using api::Site;

class UnlockCall final : public EtcdCall {
 public:
  api::Asked asked() const override { return api::Asked::kWrite; }
  api::Step on_done(const Site& site, api::RequestId, node::Done& done) override {
    const auto& reply = api::reply_as<kv::WriteReply>(done);
    if (auto error = error_of(reply)) return etcd::refuse(*error);
    return header_answer(site, reply.revision);
  }
};

}  // namespace

api::Handled lock(const Site& site, LockRequest request) {
  return enter(site, {std::move(request.name), request.lease, {}, false});
}

// A key that is not there is unlocked.
api::Handled unlock(const Site& site, UnlockRequest request) {
  if (request.key.empty()) return refuse({Code::kUnknown, "etcdserver: key is not provided"});
  if (auto error = check_leader(site)) return refuse(*error);
  return api::Started{std::make_unique<UnlockCall>(),
                      node::Write{node::Propose{kv::encode(kv::Delete{request.key, {}, false})}}};
}

}  // namespace raftd::etcd
