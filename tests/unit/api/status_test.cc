// What the node says of itself and of the cluster.
#include "http/json.h"
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

struct StatusFixture : Fixture {
  StatusFixture() {
    auto& status = backend.now;
    status.hard_state = {{3}, {1}};
    status.commit = {1042};
    status.applied = {1042};
    status.persisted = {1042};
    status.first = {1};
    status.last = {1042};
    auto& configuration = status.configuration.configuration;
    status.configuration.index = {12};
    configuration.voters = {{1}, {2}, {3}};
    configuration.learners = {{4}};
    configuration.addresses = {{{1}, "10.0.0.1:2380"},
                               {{2}, "10.0.0.2:2380"},
                               {{3}, "10.0.0.3:2380"},
                               {{4}, "10.0.0.4:2380"}};
    using State = raft::PeerProgress::State;
    status.progress = {
        {{2}, State::kReplicate, {1042}, {1043}, 0, 0, at_ms(986), {}, 0},
        {{3}, State::kProbe, {990}, {991}, 1, 100, at_ms(-1210), {}, 0},
        {{4}, State::kProbe, {0}, {1}, 0, 0, std::nullopt, {}, 0},
    };
    vitals.connected_peers = {{2}};
  }

  http::JsonValue json(std::string_view target) {
    auto parsed = http::parse_json(now("GET", target).body);
    REQUIRE(parsed);
    return *std::move(parsed);
  }
};

TEST_CASE("/status on the leader has every field in its order") {
  StatusFixture f;
  CHECK(f.now("GET", "/status").body ==
        "{\"id\":1,\"name\":\"n1\",\"cluster_id\":\"8f1c0a93d2be7745\",\"role\":\"leader\","
        "\"term\":3,\"leader\":{\"id\":1,\"client\":\"http://10.0.0.1:2379\"},"
        "\"commit_index\":1042,\"applied_index\":1042,\"first_index\":1,\"last_index\":1042,"
        "\"snapshot_index\":0,\"revision\":1,\"keys\":0,\"bytes\":0,\"leases\":0,\"watchers\":0,"
        "\"members\":[{\"id\":1,\"name\":\"n1\",\"role\":\"voter\",\"peer\":\"10.0.0.1:2380\","
        "\"client\":\"http://10.0.0.1:2379\",\"match_index\":1042,\"lag\":0,"
        "\"last_contact_ms\":0,\"state\":\"self\"},"
        "{\"id\":2,\"name\":\"n2\",\"role\":\"voter\",\"peer\":\"10.0.0.2:2380\","
        "\"client\":\"http://10.0.0.2:2379\",\"match_index\":1042,\"lag\":0,"
        "\"last_contact_ms\":14,\"state\":\"replicate\"},"
        "{\"id\":3,\"name\":\"n3\",\"role\":\"voter\",\"peer\":\"10.0.0.3:2380\",\"client\":\"\","
        "\"match_index\":990,\"lag\":52,\"last_contact_ms\":2210,\"state\":\"unreachable\"},"
        "{\"id\":4,\"name\":\"n4\",\"role\":\"learner\",\"peer\":\"10.0.0.4:2380\","
        "\"client\":\"\",\"match_index\":0,\"lag\":1042,\"last_contact_ms\":null,"
        "\"state\":\"unreachable\"}],"
        "\"fsync\":{\"p50_us\":0,\"p99_us\":0},"
        "\"loop\":{\"p50_us\":0,\"p99_us\":0,\"max_us\":0},\"uptime_s\":1,\"version\":\"1.0.0\","
        "\"warnings\":[]}\n");
}

TEST_CASE("/status on a follower knows of its leader alone") {
  StatusFixture f;
  f.follow(2);
  f.backend.now.progress.clear();
  f.backend.now.leader_contact = at_ms(970);
  const std::string body = f.now("GET", "/status?redirect").body;
  CHECK(contains(body, "\"role\":\"follower\""));
  CHECK(
      contains(body, "\"match_index\":null,\"lag\":null,\"last_contact_ms\":0,\"state\":\"self\""));
  CHECK(contains(body,
                 "\"match_index\":null,\"lag\":null,\"last_contact_ms\":30,\"state\":\"leader\""));
  CHECK(contains(body, "\"last_contact_ms\":null,\"state\":\"unknown\""));
}

TEST_CASE("/status names the role of every stage") {
  StatusFixture f;
  const std::pair<raft::Role, const char*> roles[] = {{raft::Role::kLeader, "leader"},
                                                      {raft::Role::kFollower, "follower"},
                                                      {raft::Role::kPreCandidate, "precandidate"},
                                                      {raft::Role::kCandidate, "candidate"}};
  for (const auto& [role, name] : roles) {
    f.backend.now.role.role = role;
    CHECK(contains(f.now("GET", "/status").body, std::string("\"role\":\"") + name + "\""));
  }
  f.backend.now.role.role = raft::Role::kFollower;
  f.backend.now.configuration.configuration.voters = {{2}, {3}};
  f.backend.now.configuration.configuration.learners = {{1}, {4}};
  CHECK(contains(f.now("GET", "/status").body, "\"role\":\"learner\""));
  f.backend.now.recovered = false;
  CHECK(contains(f.now("GET", "/status").body, "\"role\":\"starting\""));
}

TEST_CASE("/status warns") {
  ServiceOptions options = usual_options();
  options.config_differs = true;
  Fixture f(options);
  f.follow(0);
  f.backend.now.disk_full = true;
  for (int i = 0; i < 100; ++i)
    f.backend.sync.add(at_ms(990), std::chrono::milliseconds(200));
  ServiceLimits limits = usual_limits();
  limits.store_bytes = 0;
  f.service.set_limits(limits);
  const std::string body = f.now("GET", "/status").body;
  CHECK(contains(body, "\"leader\":null"));
  CHECK(contains(
      body,
      "\"warnings\":[\"slow_disk\",\"disk_full\",\"quota\",\"config_differs\",\"no_leader\"]"));
}

TEST_CASE("a node whose state differs from the others' says so everywhere") {
  StatusFixture f;
  f.lead();
  f.backend.now.doubt = node::StateDoubt{node::StateDoubt::Why::kDiffers, {64}, 1, 2};
  f.backend.now.doubts = 3;
  f.backend.now.reloads = 2;
  CHECK(contains(f.now("GET", "/status").body, "\"warnings\":[\"hash_mismatch\"]"));
  CHECK(f.now("GET", "/readyz").status == 503);
  CHECK(contains(f.now("GET", "/readyz").body, "\"recovered\":false"));
  CHECK(f.now("GET", "/health").body == "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n");
  CHECK(f.now("GET", "/livez").status == 200);
  const std::string metrics = f.now("GET", "/metrics").body;
  CHECK(contains(metrics, "\nraftd_hash_mismatch 1\n"));
  CHECK(contains(metrics, "\nraftd_hash_mismatches_total 3\n"));
  CHECK(contains(metrics, "\nraftd_state_reloads_total 2\n"));
}

TEST_CASE("/status?limits adds the limits under their dotted names") {
  Fixture f;
  CHECK(contains(f.now("GET", "/status?limits").body,
                 "\"warnings\":[],\"limits\":{\"limits.key_bytes\":2048}}\n"));
  CHECK_FALSE(contains(f.now("GET", "/status?limits=0").body, "\"limits\""));
  CHECK(f.now("GET", "/status?limits=all").status == 400);
  CHECK(f.now("GET", "/status?meta").status == 400);
}

TEST_CASE("/livez depends on the data directory and on nothing else") {
  Fixture f;
  f.follow(0);
  const auto live = f.now("GET", "/livez");
  CHECK(live.status == 200);
  CHECK(live.body == "ok\n");
  f.vitals.data_dir_writable = false;
  const auto dead = f.now("GET", "/livez");
  CHECK(dead.status == 503);
  CHECK(dead.body == "data directory not writable\n");
}

TEST_CASE("/readyz names the checks that do not pass, and can leave some out") {
  StatusFixture f;
  CHECK(f.now("GET", "/readyz").body == "ok\n");
  f.follow(2);
  f.backend.now.leader_contact = at_ms(-1);
  auto response = f.now("GET", "/readyz");
  CHECK(response.status == 503);
  CHECK(contains(response.body, "\"error\":\"not_ready\""));
  CHECK(contains(response.body,
                 "\"checks\":{\"recovered\":true,\"leader\":false,\"lag\":true,\"voter\":true,"
                 "\"disk\":true}}"));
  CHECK(f.now("GET", "/readyz?exclude=leader").status == 200);
  CHECK(f.now("GET", "/readyz?exclude=lag,leader").status == 200);
  CHECK(f.now("GET", "/readyz?exclude=lag").status == 503);
  CHECK(f.now("GET", "/readyz?exclude=quorum").status == 400);
  CHECK(f.now("GET", "/readyz?exclude=leader,,lag").status == 400);
  f.lead();
  f.backend.now.commit = {3000};
  CHECK(contains(f.now("GET", "/readyz").body, "\"lag\":false"));
  f.backend.now.commit = {1042};
  f.backend.now.disk_full = true;
  CHECK(contains(f.now("GET", "/readyz").body, "\"disk\":false"));
  f.backend.now.disk_full = false;
  f.backend.now.recovered = false;
  CHECK(contains(f.now("GET", "/readyz").body, "\"recovered\":false"));
  f.backend.now.recovered = true;
  f.vitals.stopping = true;
  CHECK(contains(f.now("GET", "/readyz").body, "\"error\":\"shutting_down\""));
}

TEST_CASE("/health and /version have etcd's shape") {
  StatusFixture f;
  CHECK(f.now("GET", "/health").body == "{\"health\":\"true\",\"reason\":\"\"}\n");
  CHECK(f.now("GET", "/version").body ==
        "{\"etcdserver\":\"3.6.0\",\"etcdcluster\":\"3.6.0\",\"raftd\":\"1.0.0\"}\n");
  f.follow(0);
  const auto sick = f.now("GET", "/health");
  CHECK(sick.status == 503);
  CHECK(sick.body == "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n");
  CHECK(f.now("GET", "/health?serializable=true").status == 200);
  f.lead();
  f.backend.now.disk_full = true;
  CHECK(f.now("GET", "/health").body == "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
  CHECK(f.now("GET", "/health?exclude=NOSPACE").status == 200);
}

TEST_CASE("GET / lists the roots") {
  Fixture f;
  const auto response = f.now("GET", "/", {{"accept", "text/html"}});
  CHECK(response.status == 200);
  CHECK(field(response, "Content-Type") == "text/plain; charset=utf-8");
  for (const char* root :
       {"/kv/KEY", "/watch/KEY", "/txn", "/lease", "/lock/NAME", "/election/NAME", "/cluster",
        "/status", "/livez", "/readyz", "/health", "/version", "/metrics", "/admin/debug"}) {
    CAPTURE(root);
    CHECK(contains("\n" + response.body, std::string("\n") + root + " "));
  }
}

TEST_CASE("/cluster is confirmed by the leader before it is answered") {
  StatusFixture f;
  const auto confirmed = [] { return got(kv::GetReply::Result::kNotFound, 5); };
  const auto response = f.with(confirmed(), "GET", "/cluster");
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  CHECK(response.body ==
        "{\"cluster_id\":\"8f1c0a93d2be7745\",\"term\":3,"
        "\"leader\":{\"id\":1,\"client\":\"http://10.0.0.1:2379\"},\"config_index\":12,"
        "\"joint\":false,\"max_id\":4,\"members\":["
        "{\"id\":1,\"name\":\"n1\",\"role\":\"voter\",\"peer\":\"10.0.0.1:2380\","
        "\"client\":\"http://10.0.0.1:2379\"},"
        "{\"id\":2,\"name\":\"n2\",\"role\":\"voter\",\"peer\":\"10.0.0.2:2380\","
        "\"client\":\"http://10.0.0.2:2379\"},"
        "{\"id\":3,\"name\":\"n3\",\"role\":\"voter\",\"peer\":\"10.0.0.3:2380\",\"client\":\"\"},"
        "{\"id\":4,\"name\":\"n4\",\"role\":\"learner\",\"peer\":\"10.0.0.4:2380\","
        "\"client\":\"\"}],\"tickets\":[]}\n");
  CHECK(
      f.with(confirmed(), "GET", "/cluster/members").body.starts_with("{\"members\":[{\"id\":1,"));
  f.publish(3, "three", "http://10.0.0.33:2379");
  const char* three =
      "{\"id\":3,\"name\":\"three\",\"role\":\"voter\",\"peer\":\"10.0.0.3:2380\","
      "\"client\":\"http://10.0.0.33:2379\"}\n";
  CHECK(f.with(confirmed(), "GET", "/cluster/members/3").body == three);
  CHECK(f.with(confirmed(), "GET", "/cluster/members/three").body == three);
  CHECK(f.with(confirmed(), "GET", "/cluster/members/thr%65e").body == three);
  for (const char* absent : {"9", "n9", "99999999999999999999999", "%00"}) {
    const auto missing = f.with(confirmed(), "GET", std::string("/cluster/members/") + absent);
    CHECK(missing.status == 404);
    CHECK(field(missing, "Raftd-Error") == "member_not_found");
  }
  CHECK(f.now("GET", "/cluster/members/%zz").status == 400);
  f.follow(0);
  const auto stale = f.with(confirmed(), "GET", "/cluster?consistency=stale");
  CHECK(contains(stale.body, "\"leader\":null"));
  CHECK(field(stale, "Raftd-Consistency") == "stale");
}

TEST_CASE("a joint configuration shows who is leaving") {
  StatusFixture f;
  f.backend.now.configuration.configuration.voters = {{1}, {2}};
  f.backend.now.configuration.configuration.voters_outgoing = {{1}, {2}, {3}};
  const auto response = f.with(got(kv::GetReply::Result::kNotFound, 5), "GET", "/cluster");
  CHECK(contains(response.body, "\"joint\":true"));
  CHECK(contains(response.body, "{\"id\":3,\"name\":\"n3\",\"role\":\"leaving\""));
}

TEST_CASE("a transfer names its target by id or name and answers who leads") {
  StatusFixture f;
  for (const char* to : {"2", "n2"}) {
    f.lead();
    const RequestId id = f.send(Fixture::make("POST", std::string("/cluster/transfer?to=") + to));
    REQUIRE(f.backend.asked.size() == 1);
    const auto& write = std::get<node::Write>(f.backend.asked[0].op);
    CHECK(std::get<node::Transfer>(write.op).target == raft::NodeId{2});
    f.backend.now.role = {raft::Role::kFollower, {4}, {2}};
    f.answer(node::Done{{0}, {4}, false, nullptr});
    CHECK(f.take(id).body == "{\"leader\":2,\"term\":4}\n");
  }
  f.lead();
  CHECK(f.now("POST", "/cluster/transfer?to=1").body == "{\"leader\":1,\"term\":3}\n");
  CHECK(f.now("POST", "/cluster/transfer?to=9").status == 404);
  CHECK(f.now("POST", "/cluster/transfer?to=").status == 404);
  CHECK(f.now("POST", "/cluster/transfer?to=2", {{"if-match", "*"}}).status == 400);
  CHECK(f.now("POST", "/cluster/stepdown?to=2").status == 400);
}

TEST_CASE("a transfer without a target goes to whoever is furthest, and may fail") {
  StatusFixture f;
  for (const char* target : {"/cluster/transfer", "/cluster/stepdown"}) {
    const auto failed =
        f.with(refused(Errc::kConflict, "the transfer was given up"), "POST", target);
    CHECK(failed.status == 409);
    CHECK(contains(failed.body,
                   "\"error\":\"transfer_failed\",\"message\":\"the transfer was given up\""));
    const auto& write = std::get<node::Write>(f.last_asked.op);
    CHECK(std::get<node::Transfer>(write.op).target == raft::NodeId{0});
  }
  CHECK(f.with(refused(Errc::kBadInput, "node 4 is a learner"), "POST", "/cluster/transfer?to=4")
            .status == 409);
  const auto unknown = f.with(node::Unknown{}, "POST", "/cluster/transfer?to=2");
  CHECK(unknown.status == 504);
  CHECK(contains(unknown.body, "\"outcome\":\"unknown\""));
}

TEST_CASE("a body of a cluster call is JSON without fields") {
  StatusFixture f;
  f.with(refused(Errc::kConflict), "POST", "/cluster/stepdown", {}, "{ }");
  for (const char* body : {"{\"to\":2}", "[]", "x", "{}{}", "{\"a\":1,\"a\":2}"}) {
    const auto response = f.now("POST", "/cluster/stepdown", {}, body);
    CHECK(response.status == 400);
    CHECK(field(response, "Raftd-Error") == "bad_json");
  }
  CHECK(contains(f.now("POST", "/cluster/stepdown", {}, "{\"to\":2}").body, "\"field\":\"to\"}"));
}

TEST_CASE("/admin/debug shows the internals of a leader") {
  StatusFixture f;
  CHECK(f.now("GET", "/admin/debug").body ==
        "{\"node_id\":1,\"leader_id\":1,\"term\":3,\"storage\":{\"hard_state\":{\"term\":3,"
        "\"vote\":1,\"commit\":1042},\"conf_state\":{\"voters\":[1,2,3],\"learners\":[4],"
        "\"voters_outgoing\":[],\"learners_next\":[],\"auto_leave\":false},"
        "\"snapshot\":{\"index\":0,\"term\":0,\"bytes\":0},\"last_index\":1042},"
        "\"progress\":{\"2\":{\"matched\":1042,\"next_idx\":1043,\"state\":\"replicate\","
        "\"paused\":false,\"pending_snapshot\":0,\"recent_active\":true,\"inflight\":0,"
        "\"inflight_bytes\":0},\"3\":{\"matched\":990,\"next_idx\":991,\"state\":\"probe\","
        "\"paused\":true,\"pending_snapshot\":0,\"recent_active\":false,\"inflight\":1,"
        "\"inflight_bytes\":100},\"4\":{\"matched\":0,\"next_idx\":1,\"state\":\"probe\","
        "\"paused\":false,\"pending_snapshot\":0,\"recent_active\":false,\"inflight\":0,"
        "\"inflight_bytes\":0}},\"raft_log\":{\"committed\":1042,\"applied\":1042,"
        "\"persisted\":1042},\"connections\":[2],\"fsync\":{\"p50_us\":0,\"p99_us\":0,"
        "\"max_us\":0,\"count\":0}}\n");
  f.follow(2);
  f.backend.now.progress.clear();
  CHECK(contains(f.now("GET", "/admin/debug").body, "\"progress\":{}"));
}

TEST_CASE("/metrics has each metric of the contract, in lines that can be parsed") {
  StatusFixture f;
  f.with(got(item("a", "v", 2, 2, 1), 2), "GET", "/kv/a");
  f.with(refused(Errc::kBusy), "PUT", "/kv/a", {}, "v");
  f.with(node::Unknown{}, "PUT", "/kv/a", {}, "v");
  f.now("GET", "/someone's/path");
  const auto response = f.now("GET", "/metrics");
  CHECK(field(response, "Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"raftd_info{version=\"1.0.0\",id=\"1\",name=\"n1\",cluster_id=\"8f1c0a93d2be7745\"} 1\n",
        "raftd_role{role=\"leader\"} 1\n",
        "raftd_role{role=\"follower\"} 0\n",
        "\nraftd_term 3\n",
        "raftd_has_leader 1\n",
        "raftd_leader_changes_total 0\n",
        "raftd_commit_index 1042\n",
        "raftd_applied_index 1042\n",
        "raftd_snapshot_index 0\n",
        "raftd_revision 1\n",
        "raftd_compact_revision 0\n",
        "raftd_keys 0\n",
        "raftd_bytes 0\n",
        "raftd_lock_bytes 0\n",
        "raftd_replies 0\n",
        "raftd_reply_bytes 0\n",
        "raftd_leases 0\n",
        "raftd_watchers 0\n",
        "raftd_clients 0\n",
        "raftd_peer_lag{id=\"3\"} 52\n",
        "raftd_peer_last_contact_seconds{id=\"2\"} 0.014",
        "raftd_peer_connected{id=\"2\"} 1\n",
        "raftd_peer_connected{id=\"3\"} 0\n",
        "raftd_peer_bad_messages_total 0\n",
        "raftd_proposals_total{result=\"done\"} 0\n",
        "raftd_proposals_total{result=\"refused\"} 1\n",
        "raftd_proposals_total{result=\"unknown\"} 1\n",
        "raftd_pending_bytes 0\n",
        "raftd_http_requests_total{api=\"native\",path=\"/kv\",code=\"200\"} 1\n",
        "raftd_http_requests_total{api=\"native\",path=\"other\",code=\"404\"} 1\n",
        "raftd_http_request_seconds_bucket{api=\"native\",le=\"+Inf\"} 4\n",
        "raftd_http_request_seconds_count{api=\"native\"} 4\n",
        "raftd_fsync_seconds_count 0\n",
        "raftd_commit_seconds_sum ",
        "raftd_apply_seconds_bucket{le=\"0.001\"} 0\n",
        "raftd_loop_lag_seconds_count 0\n"}) {
    CAPTURE(line);
    CHECK(contains(response.body, line));
  }
  std::size_t begin = 0;
  while (begin < response.body.size()) {
    const std::size_t end = response.body.find('\n', begin);
    REQUIRE(end != std::string::npos);
    const std::string_view line = std::string_view(response.body).substr(begin, end - begin);
    CHECK((line.starts_with("# ") || line.find_last_of(' ') != std::string_view::npos));
    begin = end + 1;
  }
}

TEST_CASE("an answer is counted under its own status, and what a call only reads is no proposal") {
  Fixture f;
  kv::WriteReply other;
  other.result = kv::StoreReply::Result::kMismatch;
  CHECK(f.with(written(other), "PUT", "/kv/a", {{"idempotency-key", "k"}}).status == 422);
  const RequestId id = f.send(Fixture::make("POST", "/lock/a"));
  auto reply = std::make_unique<kv::LockReply>();
  reply->token = 5;
  f.answer(done(std::move(reply)));
  f.answer(refused(Errc::kNotLeader));  // Of the read that would have confirmed the lock.
  CHECK(f.take(id).status == 504);
  const std::string metrics = f.now("GET", "/metrics").body;
  CHECK(contains(metrics, "{api=\"native\",path=\"/kv\",code=\"422\"} 1\n"));
  CHECK_FALSE(contains(metrics, "code=\"500\""));
  CHECK(contains(metrics, "raftd_proposals_total{result=\"done\"} 2\n"));
  CHECK(contains(metrics, "raftd_proposals_total{result=\"refused\"} 0\n"));
}

TEST_CASE("how long a request took is measured by what the service was last told") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/a"));
  f.service.on_turn(at_ms(1200));
  f.answer(got(item("a", "v", 2, 2, 1), 2));
  f.take(id);
  const std::string metrics = f.now("GET", "/metrics").body;
  CHECK(contains(metrics, "raftd_http_request_seconds_bucket{api=\"native\",le=\"0.1\"} 0\n"));
  CHECK(contains(metrics, "raftd_http_request_seconds_bucket{api=\"native\",le=\"0.25\"} 1\n"));
}

TEST_CASE("only growing writes are refused over the quota") {
  Fixture f;
  f.put("big", std::string(1000, 'v'));
  ServiceLimits limits = usual_limits();
  limits.store_bytes = 1100;
  f.service.set_limits(limits);
  kv::WriteReply reply;
  reply.revision = 9;
  CHECK(f.with(written(reply), "PUT", "/kv/a", {}, "v").status == 200);
  const auto over = f.now("PUT", "/kv/a", {}, std::string(100, 'v'));
  CHECK(over.status == 507);
  CHECK(contains(over.body, "\"error\":\"quota\""));
  CHECK(contains(over.body, "\"limit\":\"limits.store_bytes\",\"max\":1100,\"got\":1104}"));
  CHECK(contains(over.body, "\"outcome\":\"none\""));
  CHECK(f.with(written(reply), "PUT", "/kv/big", {}, std::string(1000, 'w')).status == 200);
  CHECK(f.with(written(reply), "PUT", "/kv/big", {}, std::string(1090, 'w')).status == 200);
  CHECK(f.now("PUT", "/kv/big", {}, std::string(1200, 'w')).status == 507);
  CHECK(f.with(written(reply), "DELETE", "/kv/big").status == 200);
  // Over it by far: what does not grow is no growth.
  limits.store_bytes = 500;
  f.service.set_limits(limits);
  CHECK(f.with(written(reply), "PUT", "/kv/big", {}, std::string(1000, 'w')).status == 200);
  CHECK(f.now("PUT", "/kv/big", {}, std::string(1001, 'w')).status == 507);
}

}  // namespace
}  // namespace raftd::api
