#include "api/read_options.h"

#include "api/answer.h"
#include "base/text.h"

namespace raftd::api {
namespace {

constexpr Duration kMaxStaleMax = std::chrono::hours(24);

}  // namespace

ReadOptions read_options(ParamReader& reader) {
  ReadOptions options;
  bool sequential = false;
  if (reader.has(Param::kConsistency)) {
    const std::string_view level = reader.text(Param::kConsistency);
    if (level == "stale" || level == "local" || level == "eventual") {
      options.consistency = node::Consistency::kLocal;
      options.level = "stale";
    } else if (level == "sequential") {
      options.consistency = node::Consistency::kLocal;
      options.level = "sequential";
      sequential = true;
    } else if (level != "linearizable" && level != "lease") {
      // Lease reads are off: "lease" is exactly as linearizable.
      reader.fail(Param::kConsistency,
                  "consistency must be linearizable, lease, sequential or stale");
    }
  }
  options.min_revision = reader.number(Param::kMinRevision, 0, 0, UINT64_MAX);
  options.rev = reader.number(Param::kRev, 0, 1, UINT64_MAX);
  if (reader.has(Param::kMaxStale)) {
    options.max_stale = reader.duration(Param::kMaxStale, {}, Duration{}, kMaxStaleMax);
    if (!options.local()) {
      reader.fail(Param::kMaxStale, "max_stale goes with consistency=stale or sequential");
    }
  }
  if (sequential && !reader.has(Param::kMinRevision)) {
    reader.fail(Param::kMinRevision, "consistency=sequential needs min_revision");
  }
  return options;
}

Polling read_polling(ParamReader& reader, const Site& site, const Context& context, bool tag) {
  Polling polling;
  polling.wanted = reader.has(Param::kWait);
  polling.wait = reader.duration(Param::kWait, {}, Duration{}, site.limits.wait);
  if (reader.has(Param::kAfter)) polling.after = reader.number(Param::kAfter, 0, 0, UINT64_MAX);
  if (polling.after && !polling.wanted) {
    reader.fail(Param::kAfter, "after goes with wait");
  }
  if (polling.wanted && tag == polling.after.has_value()) {
    reader.fail(Param::kWait, tag ? "wait goes with either after or If-None-Match"
                                  : "wait says how long, after or If-None-Match for what");
  }
  reader.exclude(Param::kWait, Param::kRev);
  if (context.request.method == http::Method::kHead) polling.wait = {};
  return polling;
}

std::optional<http::Response> refuse_read(const Site& site, const Context& context,
                                          const ReadOptions& options) {
  if (!options.local()) return refuse_by_leader(site, context);
  if (!options.max_stale) return std::nullopt;
  const std::optional<Instant>& contact = context.leader_contact;
  if (contact && context.now - *contact <= *options.max_stale) return std::nullopt;
  ApiError error;
  error.status = 503;
  error.code = "too_stale";
  error.message = "no leader was heard within max_stale";
  error.retry_after_ms = 1000;
  if (contact) {
    const auto lag = std::chrono::duration_cast<std::chrono::milliseconds>(context.now - *contact);
    add_member(error.extra, "lag_ms", static_cast<std::uint64_t>(lag.count()));
  }
  return to_response(error, site.headers);
}

void add_read_headers(std::string& fields, const ReadOptions& options, kv::Revision revision,
                      raft::Index at) {
  add_header(fields, "Raftd-Revision", revision);
  add_header(fields, "Raftd-Index", at.value);
  add_header(fields, "Raftd-Consistency", options.level);
}

ApiError compacted(kv::Revision compact_revision, kv::Revision revision) {
  ApiError error = bad_request("that revision has left the history");
  error.status = 410;
  error.code = "compacted";
  error.revision = revision;
  add_member(error.extra, "compact_revision", compact_revision);
  return error;
}

ApiError future_revision(kv::Revision revision) {
  ApiError error = bad_request("that revision is in the future");
  error.code = "future_revision";
  error.revision = revision;
  add_member(error.extra, "parameter", "rev");
  add_member(error.extra, "current", revision);
  return error;
}

}  // namespace raftd::api
