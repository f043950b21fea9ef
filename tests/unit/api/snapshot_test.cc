// Snapshots over HTTP: what is asked of the replica, and what the client is told.
#include "node/backup.h"
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Next = http::BodySource::Next;

TEST_CASE("a snapshot made on demand is told with its file") {
  Fixture f;
  auto reply = std::make_unique<node::MakeSnapshotReply>();
  reply->kept = {"snapshot-x", {1042}, {3}, 48211};
  const auto response = f.with(done(std::move(reply)), "POST", "/admin/snapshot");
  CHECK(response.status == 200);
  CHECK(response.body == "{\"index\":1042,\"term\":3,\"bytes\":48211,\"file\":\"snapshot-x\"}\n");
  CHECK(std::holds_alternative<node::MakeSnapshot>(f.last_asked.op));
}

TEST_CASE("a stream says where it was cut, and its sum at the end") {
  Fixture f;
  f.put("a", "value");
  node::Backups backups;
  auto reply = std::make_unique<node::BackupReply>();
  storage::SnapshotCut cut;
  cut.last_index = {1042};
  cut.last_term = {3};
  cut.configuration = {{1}, {{{1}}, {}, {}, {{{1}, "here:1"}}}};
  cut.machine_name = "kv/1";
  reply->backup = std::make_unique<node::Backup>(backups, cut, f.store);
  auto response = f.with(done(std::move(reply)), "GET", "/admin/snapshot");
  CHECK(std::holds_alternative<node::OpenBackup>(f.last_asked.op));
  CHECK(response.status == 200);
  CHECK(field(response, "Content-Type") == "application/octet-stream");
  CHECK(field(response, "Content-Disposition") == "attachment; filename=\"raftd-1042-3.snap\"");
  CHECK(field(response, "Raftd-Snapshot-Index") == "1042");
  CHECK(field(response, "Raftd-Snapshot-Term") == "3");
  CHECK(field(response, "Trailer") == "Raftd-Snapshot-Sha256");
  f.put("a", "later");
  std::string body;
  Next next{};
  while ((next = response.stream->next(body)) != Next::kEnd)
    REQUIRE(next != Next::kBroken);
  CHECK(contains(body, "value"));
  CHECK(!contains(body, "later"));
  const std::string trailers = response.stream->trailers();
  CHECK(trailers.starts_with("Raftd-Snapshot-Sha256: "));
  CHECK(trailers.size() == 23 + 64 + 2);
  response.stream.reset();
  CHECK(backups.size() == 0);
}

TEST_CASE("a stream is broken off when another state comes, or when too much is held for it") {
  Fixture f;
  ServiceLimits limits = usual_limits();
  limits.backup_history_bytes = 10'000;
  f.service.set_limits(limits);
  f.put("k", "old");
  node::Backups backups;
  storage::SnapshotCut cut;
  cut.configuration = {{1}, {{{1}}, {}, {}, {{{1}, "here:1"}}}};
  const auto open = [&] {
    auto reply = std::make_unique<node::BackupReply>();
    reply->backup = std::make_unique<node::Backup>(backups, cut, f.store);
    return f.with(done(std::move(reply)), "GET", "/admin/snapshot");
  };
  auto broken = open();
  backups.break_all();
  std::string body;
  CHECK(broken.stream->next(body) == Next::kBroken);
  auto slow = open();
  CHECK(slow.stream->next(body) == Next::kWork);
  f.put("k", std::string(9'000, 'x'));
  CHECK(slow.stream->next(body) != Next::kBroken);
  f.put("k", std::string(9'000, 'y'));
  f.put("k", "");
  CHECK(slow.stream->next(body) == Next::kBroken);
}

TEST_CASE("what a snapshot does not take is refused before the replica is asked") {
  Fixture f;
  CHECK(f.now("GET", "/admin/snapshot?index=1").status == 400);
  CHECK(f.now("POST", "/admin/snapshot?cas=1").status == 400);
  CHECK(f.now("POST", "/admin/snapshot", {}, "{\"index\":1}").status == 400);
  CHECK(f.now("POST", "/admin/snapshot", {}, "[").status == 400);
  CHECK(f.now("PUT", "/admin/snapshot").status == 405);
  CHECK(f.now("GET", "/admin/snapshots").status == 404);
}

TEST_CASE("why there is no snapshot is said as the contract has it") {
  Fixture f;
  const auto busy = f.with(refused(Errc::kBusy, "many"), "GET", "/admin/snapshot");
  CHECK(busy.status == 429);
  CHECK(contains(busy.body, "\"limit\":\"snapshots\""));
  CHECK(field(busy, "Retry-After") != "-");
  const auto full = f.with(refused(Errc::kDiskFull, "no space"), "POST", "/admin/snapshot");
  CHECK(full.status == 507);
  CHECK(contains(full.body, "\"error\":\"disk_full\",\"message\":\"no space\""));
  CHECK(f.with(refused(Errc::kNotReady, "none"), "GET", "/admin/snapshot").status == 503);
  const auto late = f.with(node::Unknown{}, "POST", "/admin/snapshot");
  CHECK(late.status == 504);
  CHECK(contains(late.body, "\"outcome\":\"unknown\""));
}

}  // namespace
}  // namespace raftd::api
