// A number that the keys and values of a revision make: on every node the same, so that nodes can
// be compared.
//
// The happy path is: the keys are read in pieces, all of one revision, of what this node has.
// Possible failure modes are: the revision is not there yet, or no longer.
#include <utility>

#include "api/read_options.h"
#include "etcd/call.h"

namespace raftd::etcd {
namespace {

using api::Asked;
using api::Handled;
using api::RequestId;
using api::Site;
using api::Step;

class HashCall : public EtcdCall {
 public:
  Asked asked() const final { return Asked::kRead; }
  Step on_done(const Site& site, RequestId, node::Done& done) final {
    using Result = kv::HashReply::Result;
    auto& reply = api::reply_as<kv::HashReply>(done);
    if (reply.result == Result::kCompacted) return etcd::refuse(compacted());
    if (reply.result == Result::kFuture) return etcd::refuse(future_revision());
    if (!reply.more) return finish(site, reply);
    kv::HashQuery query;
    query.rev = reply.rev;
    query.start = std::move(reply.next);
    query.seed = reply.hash;
    return api::read_op(std::move(query), node::Consistency::kLocal);
  }

 protected:
  static std::uint32_t folded(std::uint64_t hash) {
    return static_cast<std::uint32_t>(hash ^ hash >> 32);
  }

 private:
  virtual http::Response finish(const Site& site, const kv::HashReply& reply) const = 0;
};

class WholeHashCall final : public HashCall {
  http::Response finish(const Site& site, const kv::HashReply& reply) const override {
    HashResponse response;
    response.header = header(site, reply.revision);
    response.hash = folded(reply.hash);
    return answer(site, response);
  }
};

class RevisionHashCall final : public HashCall {
  http::Response finish(const Site& site, const kv::HashReply& reply) const override {
    HashKVResponse response;
    response.header = header(site, reply.revision);
    response.hash = folded(reply.hash);
    response.compact_revision = static_cast<std::int64_t>(reply.compact_revision);
    response.hash_revision = static_cast<std::int64_t>(reply.rev);
    return answer(site, response);
  }
};

}  // namespace

Handled hash(const Site&, Empty) {
  return api::Started{std::make_unique<WholeHashCall>(),
                      api::read_op(kv::HashQuery{}, node::Consistency::kLocal)};
}

Handled hash_kv(const Site&, HashKVRequest request) {
  kv::HashQuery query;
  query.rev = positive(request.revision).value_or(0);
  return api::Started{std::make_unique<RevisionHashCall>(),
                      api::read_op(std::move(query), node::Consistency::kLocal)};
}

}  // namespace raftd::etcd
