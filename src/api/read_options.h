// How fresh an answer must be: the read parameters of the native API, section 5.
#pragma once

#include <memory>
#include <optional>

#include "api/call.h"

namespace raftd::api {

inline constexpr ParamSet kReadParams =
    ParamSet{Param::kConsistency, Param::kMaxStale, Param::kMinRevision, Param::kRev} |
    kCommonParams;

struct ReadOptions {
  node::Consistency consistency = node::Consistency::kLinearizable;
  const char* level = "linearizable";  // What the answer says was used.
  std::optional<Duration> max_stale;
  kv::Revision min_revision = 0;
  kv::Revision rev = 0;

  bool local() const { return consistency == node::Consistency::kLocal; }
};

ReadOptions read_options(ParamReader& reader);

// A read that waits for a change.
struct Polling {
  bool wanted = false;
  std::optional<kv::Revision> after;  // Else what waits is a GET with If-None-Match.
  Duration wait{};                    // None at all for HEAD.
};
// tag: whether the request has an If-None-Match that counts.
Polling read_polling(ParamReader& reader, const Site& site, const Context& context, bool tag);

// Before the replica is asked: no leader, redirect, too stale. Nothing: go on.
std::optional<http::Response> refuse_read(const Site& site, const Context& context,
                                          const ReadOptions& options);

// The header lines of an answer that reflects the store.
void add_read_headers(std::string& fields, const ReadOptions& options, kv::Revision revision,
                      raft::Index at);

ApiError compacted(kv::Revision compact_revision, kv::Revision revision);
ApiError future_revision(kv::Revision revision);

template <class Query>
node::ClientOp read_op(Query query, node::Consistency consistency) {
  return node::Read{std::make_unique<Query>(std::move(query)), consistency};
}

// A read of nothing: what this node knows then is not out of date.
inline node::ClientOp confirmation(node::Consistency consistency, kv::Revision min_revision = 0) {
  kv::GetQuery nothing;
  nothing.key = "members";
  nothing.min_revision = min_revision;
  return read_op(std::move(nothing), consistency);
}

}  // namespace raftd::api
