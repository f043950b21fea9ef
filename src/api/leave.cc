// POST /cluster/leave (native API, section 13.2): this node, whichever it is, goes for good. It is
// answered at once; the removal takes its time, and the node ends when it is committed.
#include <algorithm>

#include "api/answer.h"
#include "api/call.h"
#include "api/membership.h"

namespace raftd::api {
namespace {

bool only_voter(const raft::Configuration& configuration, raft::NodeId self) {
  return configuration.voters.size() == 1 && configuration.voters.front() == self;
}

}  // namespace

Handled handle_leave(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  const node::ReplicaStatus status = site.backend.status(context.now);
  if (only_voter(status.configuration.configuration, site.options.self)) {
    return refuse(site, refusal("last_voter", "nobody would be left who votes"));
  }
  if (context.head_only) return AwaitBody{};
  if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  site.wishes.leave = true;
  return json_answer(202, site.headers, "{\"leaving\":true}\n");
}

}  // namespace raftd::api
