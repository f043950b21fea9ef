// Locks and elections over HTTP: what is proposed and asked, step by step, and every way out.
#include "kv/lock_record.h"
#include "unit/api/watch_fixture.h"

namespace raftd::api {
namespace {

using Result = kv::StoreReply::Result;

node::ClientResult replied(kv::LockReply reply, std::uint64_t index = 88) {
  return done(std::make_unique<kv::LockReply>(std::move(reply)), index);
}
kv::LockReply reply_of(Result result, kv::Revision token) {
  kv::LockReply reply;
  reply.result = result;
  reply.token = token;
  reply.revision = token;
  return reply;
}
kv::LockReply locked_by(std::string owner) {
  kv::LockReply reply = reply_of(Result::kLocked, 57);
  reply.owner = std::move(owner);
  reply.remaining_ms = 58'120;
  return reply;
}
kv::LockReply waiting(kv::Revision place, kv::LeaseId lease) {
  kv::LockReply reply = reply_of(Result::kWaiting, 57);
  reply.place = place;
  reply.lease = lease;
  return reply;
}
node::ClientResult viewed(kv::LockView view) {
  auto reply = std::make_unique<kv::LockQueryReply>();
  reply->revision = 60;
  reply->lock = std::move(view);
  return done(std::move(reply), 90);
}
kv::LockView held(kv::Revision token) {
  kv::LockView view;
  view.name = "backup";
  view.token = token;
  view.lease = 6421;
  view.owner = "host1";
  view.value = "10.0.0.5";
  view.remaining_ms = 60'000;
  return view;
}

// A store in which somebody waits, and a client of this node who sleeps there.
struct Queued : WatchFixture {
  Queued() {
    take_lock(false);
    take_lock(true);
    place = store.stats().revision;
    id = send(make("POST", "/lock/backup?wait=1m"));
    answer(replied(waiting(place, 7)));
  }
  void take_lock(bool wait) {
    kv::Acquire acquire;
    acquire.name = "backup";
    acquire.ttl_ms = 60'000;
    acquire.wait = wait;
    apply(kv::encode(acquire));
  }
  void release() { apply(kv::encode(kv::Release{kv::Space::kLocks, "backup", 0})); }
  void leave() { apply(kv::encode(kv::LeaveQueue{kv::Space::kLocks, "backup", place})); }
  void pump() {
    for (int i = 0; i < 3; ++i)
      service.pump(time);
  }
  // By the store, as the replica would.
  void answer_place() {
    const auto& read = std::get<node::Read>(backend.asked.front().op);
    answer(done(store.query(*read.query, {}), 91));
  }
  kv::Revision place = 0;
  RequestId id;
};

TEST_CASE("a free lock is taken, and the client hears so once the leader has confirmed it") {
  Fixture f;
  const RequestId id = f.send(f.make("POST", "/lock/backup?ttl=60s&owner=host1"));
  f.answer(replied(reply_of(Result::kDone, 57)));
  const auto acquire = f.last_command<kv::Acquire>();
  CHECK(acquire.name == "backup");
  CHECK(acquire.ttl_ms == 60'000);
  CHECK(acquire.owner == "host1");
  CHECK_FALSE(acquire.wait);
  CHECK_FALSE(f.answered(id));
  f.answer(viewed(held(57)));
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  const auto response = f.take(id);
  CHECK(response.status == 200);
  CHECK(response.body ==
        "{\"name\":\"backup\",\"token\":57,\"lease\":\"6421\",\"owner\":\"host1\","
        "\"expires_in_ms\":60000}\n");
  CHECK(field(response, "Raftd-Revision") == "57");
  CHECK(field(response, "Raftd-Index") == "88");
}

TEST_CASE("a lock that ended before the client could be told is lost") {
  for (const bool expires : {false, true}) {
    Fixture f;
    const RequestId id = f.send(f.make("POST", "/lock/backup"));
    f.answer(replied(reply_of(Result::kDone, 57)));
    kv::LockView view = held(expires ? 57 : 58);
    if (expires) view.remaining_ms = 0;
    f.answer(viewed(view));
    const auto response = f.take(id);
    CHECK(response.status == 409);
    CHECK(field(response, "Raftd-Error") == "lock_lost");
  }
}

TEST_CASE("a lock that is held is 409 with what is known of its holder") {
  Fixture f;
  const auto response = f.with(replied(locked_by("host1")), "POST", "/lock/backup?owner=host2");
  CHECK(response.status == 409);
  CHECK(contains(response.body,
                 "{\"error\":\"locked\",\"message\":\"lock backup is held by host1\","
                 "\"status\":409,\"outcome\":\"none\""));
  CHECK(contains(response.body, "\"owner\":\"host1\",\"remaining_ms\":58120,\"waiters\":0}"));
}

TEST_CASE("who waits has a place, which this node keeps alive until it is the lock") {
  Queued f;
  CHECK(f.last_command<kv::Acquire>().wait);
  CHECK(f.last_asked.deadline == at_ms(1000 + 65'000));
  f.pump();
  CHECK(f.backend.asked.empty());  // It sleeps.
  f.service.on_turn(at_ms(5999));
  CHECK(f.backend.asked.empty());
  f.service.on_turn(at_ms(6000));
  f.answer(done(std::make_unique<kv::KeepLeasesReply>()));
  CHECK(f.last_command<kv::KeepLeases>().ids == std::vector<kv::LeaseId>{7});
  f.take_lock(true);
  f.put("k", "v");
  f.pump();
  CHECK(f.backend.asked.empty());  // Nothing of that concerns it.
  f.release();
  f.pump();
  f.answer_place();
  CHECK(f.last_query<kv::PlaceQuery>().place == f.place);
  CHECK_FALSE(f.answered(f.id));
  f.answer(viewed(held(f.place + 4)));
  CHECK(f.take(f.id).status == 200);
  f.service.on_turn(at_ms(60'000));
  CHECK(f.backend.asked.empty());
}

TEST_CASE("a wait for a lock outlives the history of its beginning") {
  Queued f;
  f.pump();
  for (int i = 0; i < 5; ++i)
    f.put("k", "v");
  WatchFixture far;
  f.compact(f.place + 4);
  far.restore(f);
  f.restore(far);
  f.pump();
  f.answer_place();
  CHECK(f.last_query<kv::PlaceQuery>().place == f.place);
  f.pump();
  CHECK(f.backend.asked.empty());
  f.release();
  f.pump();
  f.answer_place();
  f.answer(viewed(held(f.place + 7)));
  CHECK(f.take(f.id).status == 200);
}

TEST_CASE("when the wait is over the place is left, and who got the lock just then has it") {
  for (const bool granted : {false, true}) {
    Queued f;
    f.pump();
    f.time = at_ms(61'000);
    f.pump();
    // The lease of the place is renewed no more.
    CHECK_FALSE(f.answered(f.id));
    while (f.backend.asked.size() > 1)
      f.answer(done(std::make_unique<kv::KeepLeasesReply>()));
    f.answer(replied(granted ? reply_of(Result::kDone, 70) : locked_by("host1")));
    CHECK(f.last_command<kv::LeaveQueue>().place == f.place);
    CHECK(f.last_asked.deadline == at_ms(61'000 + 5000));
    if (granted) f.answer(viewed(held(70)));
    CHECK(f.take(f.id).status == (granted ? 200 : 409));
  }
}

TEST_CASE("a place that is lost, or a lock that cannot be confirmed, is unknown") {
  for (const bool confirming : {false, true}) {
    Queued f;
    f.pump();
    if (confirming) {
      f.release();
      f.pump();
      f.answer_place();
      f.answer(refused(Errc::kNotLeader));
    } else {
      f.leave();
      f.pump();
      f.answer_place();
    }
    const auto response = f.take(f.id);
    CHECK(response.status == 504);
    CHECK(contains(response.body, "\"error\":\"leader_lost\""));
    CHECK(contains(response.body, "\"outcome\":\"unknown\""));
  }
}

TEST_CASE("who waits for a lock when the node stops does not know what becomes of it") {
  Queued f;
  f.vitals.stopping = true;
  f.pump();
  CHECK(f.take(f.id).status == 504);
  CHECK(f.backend.asked.empty());
}

TEST_CASE("who would wait for a lock where there is no room for watchers is turned away at once") {
  Queued f;
  ServiceLimits limits = usual_limits();
  limits.watchers = 1;
  f.service.set_limits(limits);
  CHECK(f.now("POST", "/lock/backup?wait=1m").status == 429);
  const RequestId id = f.send(f.make("POST", "/lock/backup"));
  f.answer(replied(locked_by("host1")));
  CHECK(f.take(id).status == 409);
}

TEST_CASE("a client that goes away while it waits leaves the queue") {
  Queued f;
  f.pump();
  f.service.on_gone(f.id);
  CHECK(f.backend.gone.empty());  // Nothing was asked.
  SUBCASE("and that is all") {
    f.answer(replied(locked_by("host1")));
    CHECK(f.last_command<kv::LeaveQueue>().place == f.place);
  }
  SUBCASE("or releases what it got just then") {
    f.answer(replied(reply_of(Result::kDone, 70)));
    f.answer(replied(reply_of(Result::kDone, 71)));
    CHECK(f.last_command<kv::Release>().token == 70);
  }
  CHECK(f.backend.asked.empty());
  CHECK(f.responder.responses.empty());
  f.service.on_turn(at_ms(60'000));
  CHECK(f.backend.asked.empty());
}

TEST_CASE("a client that goes away before its lock is there holds nothing") {
  Fixture f;
  const RequestId id = f.send(f.make("POST", "/lock/backup?wait=1m"));
  SUBCASE("asking, and it is got") {
    f.service.on_gone(id);
    CHECK(f.backend.gone.empty());
    f.answer(replied(reply_of(Result::kDone, 57)));
    f.answer(replied(reply_of(Result::kDone, 58)));
    CHECK(f.last_command<kv::Release>().token == 57);
  }
  SUBCASE("asking, and it has to wait") {
    f.service.on_gone(id);
    f.answer(replied(waiting(58, 7)));
    f.answer(replied(locked_by("host1")));
    CHECK(f.last_command<kv::LeaveQueue>().place == 58);
  }
  SUBCASE("asking, and it is refused") {
    f.service.on_gone(id);
    f.answer(refused(Errc::kNotLeader));
  }
  SUBCASE("while the lock is confirmed") {
    f.answer(replied(reply_of(Result::kDone, 57)));
    f.service.on_gone(id);
    CHECK(f.backend.gone.size() == 1);
    f.backend.asked.pop_front();
    f.answer(replied(reply_of(Result::kDone, 58)));
    CHECK(f.last_command<kv::Release>().token == 57);
  }
  CHECK(f.backend.asked.empty());
  CHECK(f.responder.responses.empty());
}

TEST_CASE("a client that closes its side of the connection gives back what it has not heard of") {
  Fixture f;
  const RequestId id = f.send(f.make("POST", "/lock/backup?wait=1m"));
  SUBCASE("a lock that is got") {
    f.service.on_input_end(id);
    f.answer(replied(reply_of(Result::kDone, 57)));
    f.answer(replied(reply_of(Result::kDone, 58)));
    CHECK(f.last_command<kv::Release>().token == 57);
    CHECK(field(f.take(id), "Raftd-Error") == "lock_lost");
  }
  SUBCASE("a place in the queue") {
    f.answer(replied(waiting(58, 7)));
    f.service.on_input_end(id);
    CHECK(f.backend.gone.empty());
    f.answer(replied(locked_by("host1")));
    CHECK(f.last_command<kv::LeaveQueue>().place == 58);
    CHECK(f.last_asked.deadline == at_ms(6000));
    CHECK(field(f.take(id), "Raftd-Error") == "locked");
  }
  CHECK(f.backend.asked.empty());
  f.service.on_input_end(id);  // Of one that is answered: nothing.
}

TEST_CASE("keepalive, release and proclaim name the token") {
  Fixture f;
  kv::LockReply kept = reply_of(Result::kDone, 57);
  kept.remaining_ms = 60'000;
  auto response = f.with(replied(kept), "POST", "/lock/a%2Fb/keepalive?token=57&ttl=1m");
  CHECK(response.body == "{\"name\":\"a/b\",\"token\":57,\"expires_in_ms\":60000}\n");
  CHECK(f.last_command<kv::KeepLock>().ttl_ms == 60'000);
  kv::LockReply released = reply_of(Result::kDone, 57);
  released.revision = 60;
  response = f.with(replied(released), "DELETE", "/lock/backup?token=57");
  CHECK(response.body == "{\"released\":true,\"revision\":60}\n");
  CHECK(f.last_command<kv::Release>().token == 57);
  f.with(replied(released), "DELETE", "/election/db?force");
  CHECK(f.last_command<kv::Release>().token == 0);
  CHECK(f.last_command<kv::Release>().space == kv::Space::kElections);
  response = f.with(replied(released), "PUT", "/election/db?token=57", {}, "v2");
  CHECK(response.body == "{\"revision\":60}\n");
  CHECK(f.last_command<kv::Proclaim>().value == "v2");
  response = f.with(replied(released), "PUT", "/election/db?token=57",
                    {{"prefer", "return=minimal"}}, "v2");
  CHECK(response.status == 204);
  CHECK(response.body.empty());
  response = f.with(replied(reply_of(Result::kLockLost, 0)), "DELETE", "/lock/backup?token=57");
  CHECK(response.status == 409);
  CHECK(contains(response.body, "\"error\":\"lock_lost\""));
  CHECK(contains(response.body, "\"name\":\"backup\"}"));
}

TEST_CASE("a lock and an election are shown as they are") {
  Fixture f;
  kv::LockView view = held(57);
  view.remaining_ms = 41'200;
  view.waiters.push_back({"host2", 800});
  view.waiting = 1;
  CHECK(f.with(viewed(view), "GET", "/lock/backup").body ==
        "{\"name\":\"backup\",\"held\":true,\"token\":57,\"lease\":\"6421\",\"owner\":\"host1\","
        "\"expires_in_ms\":41200,\"waiters\":[{\"owner\":\"host2\",\"waiting_ms\":800}]}\n");
  CHECK(f.with(viewed(view), "GET", "/election/backup").body ==
        "{\"name\":\"backup\",\"elected\":true,\"token\":57,\"owner\":\"host1\","
        "\"value\":\"10.0.0.5\",\"expires_in_ms\":41200,\"candidates\":1}\n");
  kv::LockView none;
  none.name = "backup";
  CHECK(f.with(viewed(none), "GET", "/lock/backup").body ==
        "{\"name\":\"backup\",\"held\":false,\"waiters\":[]}\n");
  CHECK(f.with(viewed(none), "GET", "/election/backup?consistency=stale").body ==
        "{\"name\":\"backup\",\"elected\":false,\"candidates\":0}\n");
  CHECK(f.last_consistency() == node::Consistency::kLocal);
}

TEST_CASE("an election has its value as a parameter or as the body, not both") {
  Fixture f;
  for (const bool in_body : {false, true}) {
    const RequestId id = f.send(
        f.make("POST", in_body ? "/election/db" : "/election/db?value=v", {}, in_body ? "v" : ""));
    f.answer(replied(reply_of(Result::kDone, 57)));
    CHECK(f.last_command<kv::Acquire>().value == "v");
    f.answer(viewed(held(57)));
    CHECK(contains(f.take(id).body, "\"owner\":\"host1\",\"value\":\"10.0.0.5\",\"expires"));
  }
  CHECK(f.now("POST", "/election/db?value=v", {}, "v").status == 400);
}

TEST_CASE("a full store takes no lock and no longer value, and still releases") {
  Queued f;  // Two are there, with nothing in them but their names.
  ServiceLimits limits = usual_limits();
  limits.store_bytes = f.store.stats().lock_bytes + 10;
  f.service.set_limits(limits);
  const auto full = f.now("POST", "/election/db", {}, "ten bytes and more");
  CHECK(full.status == 507);
  CHECK(field(full, "Raftd-Error") == "quota");
  CHECK(contains(full.body, "\"outcome\":\"none\""));
  CHECK(contains(f.now("GET", "/metrics").body,
                 "raftd_lock_bytes " + std::to_string(limits.store_bytes - 10) + "\n"));
  CHECK(f.now("PUT", "/kv/a", {}, "ten bytes and more").status == 507);
  f.with(replied(locked_by("host1")), "POST", "/lock/other");
  CHECK(f.now("PUT", "/election/db?token=5", {}, "ten bytes and more").status == 507);
  kv::Acquire acquire;
  acquire.space = kv::Space::kElections;
  acquire.name = "db";
  acquire.ttl_ms = 60'000;
  acquire.value = "ten bytes and more";
  f.apply(kv::encode(acquire));
  f.with(replied(reply_of(Result::kDone, 5)), "PUT", "/election/db?token=5", {},
         "ten bytes or more.");
  CHECK(f.now("PUT", "/election/db?token=5", {}, "ten bytes and more!").status == 507);
  CHECK(f.now("POST", "/lock/other").status == 507);
  f.with(replied(reply_of(Result::kDone, 5)), "DELETE", "/lock/other?token=5");
}

TEST_CASE("who asks again when the store is full finds the place in the queue that it has") {
  Queued f;
  ServiceLimits limits = usual_limits();
  limits.store_bytes = 1;
  f.service.set_limits(limits);
  const RequestId again =
      f.send(f.make("POST", "/lock/backup?wait=1m", {{"idempotency-key", "k"}}));
  f.answer(done(std::make_unique<kv::KeepLeasesReply>(), 119));  // What was before is decided.
  kv::LockReply kept = waiting(f.place, 7);
  kept.replayed = true;
  auto found = std::make_unique<kv::RetryReply>();
  found->reply = std::make_unique<kv::LockReply>(kept);
  f.answer(done(std::move(found)));
  CHECK(f.last_query<kv::RetryQuery>().kind == kv::ReplyKind::kLock);
  f.pump();
  SUBCASE("and waits there") {
    f.release();
    f.pump();
    f.answer_place();
    f.answer_place();
    f.answer(viewed(held(f.place + 2)));
    f.answer(viewed(held(f.place + 2)));
    const auto response = f.take(again);
    CHECK(response.status == 200);
    CHECK(field(response, "Idempotency-Replayed") == "true");
  }
  SUBCASE("and leaves it when its client goes") {
    f.service.on_gone(again);
    f.answer(replied(locked_by("host1")));
    CHECK(f.last_command<kv::LeaveQueue>().place == f.place);
    CHECK(f.responder.responses.empty());
  }
  SUBCASE("and does not know what became of it when the node stops") {
    f.vitals.stopping = true;
    f.pump();
    CHECK(field(f.take(again), "Raftd-Error") == "leader_lost");
  }
}

TEST_CASE("what is malformed is refused before anything is asked") {
  Fixture f;
  const std::string longest(512, 'n');
  const std::pair<const char*, std::string> bad[] = {
      {"POST", "/lock/a?ttl=500ms"}, {"POST", "/lock/a?wait=11m"},
      {"POST", "/lock/a?wait=-1"},   {"POST", "/lock/a?value=v"},
      {"POST", "/lock/a?token=1"},   {"POST", "/lock/a?owner=" + std::string(257, 'o')},
      {"DELETE", "/lock/a"},         {"DELETE", "/lock/a?token=0"},
      {"DELETE", "/lock/a?token=x"}, {"DELETE", "/lock/a?token=1&force"},
      {"POST", "/lock/a/keepalive"}, {"POST", "/lock/a/keepalive?token=1&ttl=0"},
      {"PUT", "/election/a"},        {"GET", "/lock/a?rev=3"},
      {"POST", "/lock/%zz"},         {"POST", "/lock/a?cas=1"},
      {"GET", "/lock?limit=3"},
  };
  for (const auto& each : bad) {
    CAPTURE(each.second);
    CHECK(f.now(each.first, each.second).status == 400);
  }
  CHECK(f.now("POST", "/lock/a", {}, "{\"x\":1}").status == 400);
  CHECK(f.now("POST", "/lock/" + longest + "n").status == 413);
  for (const char* nowhere : {"/lock/", "/lock/a/b", "/election", "/election/", "/lock//keepalive"})
    CHECK(f.now("POST", nowhere).status == 404);
  CHECK(f.now("PUT", "/lock/a").status == 405);
  f.with(replied(locked_by("h")), "POST", "/lock/" + longest);
  CHECK(f.last_command<kv::Acquire>().name == longest);
}

TEST_CASE("fences go with the write, and one that is not held refuses it") {
  Fixture f;
  auto refused_reply = std::make_unique<kv::WriteReply>();
  refused_reply->result = Result::kFenced;
  refused_reply->revision = 61;
  refused_reply->message = "a b";
  refused_reply->number = 70;
  const auto response = f.with(done(std::move(refused_reply)), "PUT", "/kv/k",
                               {{"raftd-fence", "backup=57, election:a%20b=70,x%3D=1"}}, "v");
  CHECK(response.status == 412);
  CHECK(contains(response.body, "\"error\":\"fenced\""));
  CHECK(contains(response.body, "\"outcome\":\"none\",\"revision\":61"));
  CHECK(contains(response.body, "\"name\":\"a b\",\"token\":70}"));
  CHECK(field(response, "Raftd-Index") == "88");
  const auto fences = f.last_terms().fences;
  REQUIRE(fences.size() == 3);
  CHECK(fences[0].space == kv::Space::kKeys);
  CHECK(fences[0].name == "backup");
  CHECK(fences[0].token == 57);
  CHECK(fences[1].space == kv::Space::kElections);
  CHECK(fences[1].name == "a b");
  CHECK(fences[2].name == "x=");
}

TEST_CASE("a malformed fence is refused, and one where there is nothing to fence") {
  Fixture f;
  std::string many = "a=1";
  for (int i = 0; i < 16; ++i)
    many += ",a=1";
  for (const std::string& fence :
       {std::string(""), std::string("a"), std::string("=1"), std::string("a=0"),
        std::string("a=x"), std::string("a=1,"), std::string("a=1 b=2"), std::string("a==1"),
        std::string("a%=1"), std::string("election:=1"), std::string("a=99999999999999999999"),
        std::string(513, 'n') + "=1", many}) {
    CAPTURE(fence);
    for (const char* target : {"/kv/k", "/lock/l"})
      CHECK(f.now("POST", target, {{"raftd-fence", fence}}).status == 400);
  }
  CHECK(f.now("POST", "/cluster/tickets", {{"raftd-fence", "a=1"}}).status == 400);
  f.with(got(item("k", "v", 2, 2, 1), 2), "GET", "/kv/k", {{"raftd-fence", "nonsense"}});
}

}  // namespace
}  // namespace raftd::api
