// GET /watch (native API, section 7): what a client may ask for, and the head of the answer.
#include <utility>

#include "api/answer.h"
#include "api/native_kv.h"
#include "api/watch_stream.h"
#include "base/text.h"

namespace raftd::api {
namespace {

constexpr ParamSet kWatchParams =
    kCommonParams | ParamSet{Param::kAfter, Param::kFilter, Param::kInit,
                             Param::kKey64, Param::kPrefix, Param::kPrev};
constexpr const char* kSse = "text/event-stream";
constexpr const char* kNdjson = "application/x-ndjson";

// Waits until the replica says that its state may be shown.
class WatchCall final : public Call {
 public:
  explicit WatchCall(WatchQuery query) : query_(std::move(query)) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    return start_watch(site, request, std::move(query_), done.index);
  }

 private:
  WatchQuery query_;
};

void read_filter(ParamReader& reader, WatchQuery& query) {
  if (!reader.has(Param::kFilter)) return;
  query.kinds = kv::EventKinds();
  std::string_view rest = reader.text(Param::kFilter);
  for (bool more = true; more;) {
    const std::size_t comma = rest.find(',');
    const std::string_view kind = rest.substr(0, comma);
    if (kind == "put") {
      query.kinds.add(kv::EventKind::kPut);
    } else if (kind == "delete") {
      query.kinds.add(kv::EventKind::kDelete);
    } else if (kind == "expire") {
      query.kinds.add(kv::EventKind::kExpire);
    } else {
      return reader.fail(Param::kFilter, "filter is a comma list of put, delete and expire");
    }
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
}

}  // namespace

ApiError watch_not_acceptable(bool lines_offered) {
  ApiError error = bad_request("a watch is not offered in that form");
  error.status = 406;
  error.code = "not_acceptable";
  add_name(error.extra, "offers");
  error.extra.append("[\"").append(kSse).append("\"");
  if (lines_offered) error.extra.append(",\"").append(kNdjson).append("\"");
  error.extra += ']';
  return error;
}

// SSE unless another form is named first.
std::optional<WatchFormat> negotiate_watch(const std::string* accept) {
  if (accept == nullptr || accept->empty()) return WatchFormat::kSse;
  for (const std::string_view type : accepted_types(*accept)) {
    if (type == kSse || type == "text/*" || type == "*/*") return WatchFormat::kSse;
    if (type == kNdjson || type == "application/*") return WatchFormat::kNdjson;
  }
  return std::nullopt;
}

void read_watch_start(const Context& context, ParamReader& reader, WatchQuery& query) {
  if (reader.has(Param::kAfter)) {
    query.after = reader.number(Param::kAfter, 0, 0, UINT64_MAX);
    return;
  }
  const std::string* id = context.headers.last_event_id;
  if (id == nullptr || id->empty()) return;
  std::uint64_t after = 0;
  if (parse_u64(*id, after)) {
    query.after = after;
  } else {
    reader.fail(bad_parameter("Last-Event-ID", "Last-Event-ID must be a revision"));
  }
}

http::Response start_watch(const Site& site, RequestId request, WatchQuery query, raft::Index at) {
  if (auto error = check_watchers(site.watches, site.limits)) {
    return to_response(*error, site.headers);
  }
  const kv::StoreStats stats = site.store.stats();
  const bool lost = query.after && *query.after < stats.compact_revision;
  if (lost && !query.init) {
    return to_response(compacted(stats.compact_revision, stats.revision), site.headers);
  }
  http::Response response;
  const bool lines = query.format == WatchFormat::kNdjson;
  add_header(response.fields, "Content-Type", lines ? kNdjson : kSse);
  response.fields += "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n";
  add_header(response.fields, "Raftd-Revision", stats.revision);
  add_header(response.fields, "Raftd-Index", at.value);
  add_header(response.fields, "Raftd-Consistency", "stale");
  response.fields += site.headers.block();
  response.stream = std::make_unique<WatchStream>(site, request, std::move(query));
  return response;
}

Handled handle_watch(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  WatchQuery query;
  if (auto error = read_key(context, query.span.begin)) return refuse(site, *error);
  const bool prefix = reader.flag(Param::kPrefix);
  query.span.kind = prefix ? kv::KeySpan::Kind::kPrefix : kv::KeySpan::Kind::kKey;
  query.init = reader.flag(Param::kInit);
  query.prev = reader.flag(Param::kPrev);
  read_filter(reader, query);
  read_watch_start(context, reader, query);
  if (auto error = context.parameters.only(kWatchParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  const std::optional<WatchFormat> format = negotiate_watch(context.headers.accept);
  if (!format) return refuse(site, watch_not_acceptable(true));
  query.format = *format;
  auto wrong_key =
      prefix ? check_key_size(site, query.span.begin) : check_key(site, query.span.begin);
  if (wrong_key) return refuse(site, *wrong_key);
  if (context.head_only) return AwaitBody{};
  if (auto error = check_watchers(site.watches, site.limits)) return refuse(site, *error);
  return Started{std::make_unique<WatchCall>(std::move(query)),
                 confirmation(node::Consistency::kLocal)};
}

}  // namespace raftd::api
