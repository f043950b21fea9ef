// Snapshots of this node's state (native API, section 15): as a stream to keep, or made durable
// here.
//
// The happy path of a stream is: the replica cuts its state; the connection asks for a piece
// whenever it has room, and gets the bytes of a snapshot file, their SHA-256 behind them
// (api/backup_stream.h).
#include <memory>
#include <utility>

#include "api/answer.h"
#include "api/backup_stream.h"
#include "api/call.h"
#include "base/sha256.h"
#include "base/text.h"
#include "node/backup.h"

namespace raftd::api {
namespace {

class SnapshotStream final : public BackupStream {
 public:
  using BackupStream::BackupStream;

  std::string trailers() override {
    std::string line;
    add_header(line, "Raftd-Snapshot-Sha256", to_hex(sum_.finish()));
    return line;
  }

 private:
  void add_piece(ByteView piece, std::string& out) override {
    sum_.add(piece);
    out += as_text(piece);
  }

  Sha256 sum_;
};

class StreamCall final : public Call {
 public:
  Asked asked() const override { return Asked::kSnapshot; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    std::unique_ptr<node::Backup> backup = std::move(reply_as<node::BackupReply>(done).backup);
    const std::uint64_t index = backup->index().value;
    const std::uint64_t term = backup->term().value;
    http::Response response;
    add_header(response.fields, "Content-Type", "application/octet-stream");
    add_header(response.fields, "Content-Disposition",
               strf("attachment; filename=\"raftd-%llu-%llu.snap\"",
                    static_cast<unsigned long long>(index), static_cast<unsigned long long>(term)));
    add_header(response.fields, "Raftd-Snapshot-Index", index);
    add_header(response.fields, "Raftd-Snapshot-Term", term);
    add_header(response.fields, "Trailer", "Raftd-Snapshot-Sha256");
    response.fields += site.headers.block();
    response.stream = std::make_unique<SnapshotStream>(site, std::move(backup));
    return response;
  }
};

class MakeCall final : public Call {
 public:
  Asked asked() const override { return Asked::kSnapshot; }

  Step on_done(const Site& site, RequestId, node::Done& done) override {
    const storage::KeptSnapshot& kept = reply_as<node::MakeSnapshotReply>(done).kept;
    std::string json = "{";
    add_member(json, "index", kept.index.value);
    add_member(json, "term", kept.term.value);
    add_member(json, "bytes", kept.bytes);
    add_member(json, "file", kept.name);
    json += "}\n";
    return json_answer(200, site.headers, std::move(json));
  }
};

}  // namespace

Handled handle_snapshot(const Site& site, const Context& context) {
  ParamReader reader(context.parameters);
  if (!context.is_read()) refuse_condition(context.headers, reader);
  if (auto error = context.parameters.only(kCommonParams)) return refuse(site, *error);
  if (reader.failed()) return refuse(site, reader.take_error());
  if (context.head_only) return AwaitBody{};
  if (context.is_read()) return Started{std::make_unique<StreamCall>(), node::OpenBackup{}};
  if (auto error = check_no_fields(context.request.body)) return refuse(site, *error);
  return Started{std::make_unique<MakeCall>(), node::MakeSnapshot{}};
}

}  // namespace raftd::api
