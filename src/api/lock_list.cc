// GET /lock: all locks that are held, as a stream.
//
// The first piece is read as fresh as the client asked, the others as api/pieces_stream.h says.
// What changes while the list is sent is seen or not; each lock is there at most once.
#include <utility>

#include "api/answer.h"
#include "api/locks.h"
#include "api/pieces_stream.h"

namespace raftd::api {
namespace {

class LockStream final : public PiecesStream {
 public:
  using PiecesStream::PiecesStream;

 private:
  Next take(node::Done& done, std::string& out) override {
    auto& reply = reply_as<kv::LocksReply>(done);
    for (const kv::LockView& lock : reply.locks) {
      if (std::exchange(listed_, true)) out += ',';
      add_lock_json(out, lock, false);
    }
    start_ = std::move(reply.next);
    if (!start_.empty()) return Next::kMore;
    out += "]}\n";
    return Next::kEnd;
  }

  node::ClientOp ask_more() const override {
    kv::LocksQuery query;
    query.start = start_;
    return read_op(std::move(query), node::Consistency::kLocal);
  }

  bool listed_ = false;
  std::string start_;
};

class LocksCall final : public Call {
 public:
  explicit LocksCall(const ReadOptions& options) : options_(options) {}

  Asked asked() const override { return Asked::kRead; }

  Step on_done(const Site& site, RequestId request, node::Done& done) override {
    const auto& reply = reply_as<kv::LocksReply>(done);
    http::Response response = json_answer(200, site.headers, "");
    add_read_headers(response.fields, options_, reply.revision, done.index);
    auto stream = std::make_unique<LockStream>(site, request);
    std::string head = "{";
    add_member(head, "revision", reply.revision);
    stream->begin(done, head + ",\"locks\":[");
    response.stream = std::move(stream);
    return response;
  }

 private:
  ReadOptions options_;
};

}  // namespace

Handled handle_locks(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  const ReadOptions options = read_options(reader);
  if (auto error = context.parameters.only(kLockReadParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (auto response = refuse_read(site, context, options)) return *std::move(response);
  if (context.head_only) return AwaitBody{};
  kv::LocksQuery query;
  query.min_revision = options.min_revision;
  return Started{std::make_unique<LocksCall>(options),
                 read_op(std::move(query), options.consistency)};
}

}  // namespace raftd::api
