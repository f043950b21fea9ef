// Reads and writes of keys: bodies and header lines byte for byte where the contract shows them.
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Result = kv::WriteReply::Result;

kv::WriteReply wrote(std::uint64_t revision, bool created) {
  kv::WriteReply reply;
  reply.revision = revision;
  reply.created = created;
  return reply;
}

TEST_CASE("a GET gives the raw value with its revisions in header lines") {
  Fixture f;
  const auto response = f.with(got(item("app/a", "hello", 42, 7, 3), 50), "GET", "/kv/app/a");
  CHECK(response.status == 200);
  CHECK(response.body == "hello");
  CHECK(field(response, "Content-Type") == "application/octet-stream");
  CHECK(field(response, "X-Content-Type-Options") == "nosniff");
  CHECK(field(response, "Cache-Control") == "no-cache");
  CHECK(field(response, "ETag") == "\"42\"");
  CHECK(field(response, "Raftd-Revision") == "50");
  CHECK(field(response, "Raftd-Mod-Revision") == "42");
  CHECK(field(response, "Raftd-Create-Revision") == "7");
  CHECK(field(response, "Raftd-Version") == "3");
  CHECK(field(response, "Raftd-Index") == "88");
  CHECK(field(response, "Raftd-Consistency") == "linearizable");
  CHECK(field(response, "Raftd-Term") == "3");
  CHECK(field(response, "Raftd-Node") == "1");
  CHECK(field(response, "Raftd-Cluster") == "8f1c0a93d2be7745");
  CHECK(field(response, "Raftd-Leader") == "http://10.0.0.1:2379");
  CHECK(field(response, "Raftd-Error") == "-");
  CHECK(f.last_query<kv::GetQuery>().key == "app/a");
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
}

TEST_CASE("what was sent, asked and answered is the memory of the next request, and nothing else") {
  Fixture f;
  const std::string key(40, 'k');
  http::Response first =
      f.with(got(item(key, std::string(200, 'v'), 42, 7, 3), 50), "GET", "/kv/" + key);
  const char* const fields = first.fields.data();
  const char* const body = first.body.data();
  f.service.take_back(std::move(first));
  http::Response second = f.with(written(wrote(43, true)), "PUT", "/kv/a", {}, "1");
  CHECK(second.fields.data() == fields);
  CHECK(second.body.data() == body);
  CHECK(second.body == "{\"revision\":43,\"created\":true}\n");
  CHECK(field(second, "Raftd-Version") == "-");
  CHECK(f.last_command<kv::Put>().key == "a");
  // A large one is freed; and so is one without room for an ordinary answer.
  second.body.resize(100'000);
  f.service.take_back(std::move(second));
  f.service.take_back(http::Response());
  const http::Response third = f.with(got(item("a", "1", 42, 7, 3), 50), "GET", "/kv/a");
  CHECK(third.fields.data() == fields);
  CHECK(third.body == "1");
  CHECK(third.body.capacity() < 100'000);
}

TEST_CASE("a GET with meta gives the item as JSON and otherwise the same header lines") {
  Fixture f;
  const auto response = f.with(got(item("app/a", "hello", 42, 7, 3), 50), "GET", "/kv/app/a?meta");
  CHECK(response.body ==
        "{\"key\":\"app/a\",\"value\":\"hello\",\"mod\":42,\"create\":7,\"version\":3}\n");
  CHECK(field(response, "Content-Type") == "application/json");
  CHECK(field(response, "ETag") == "\"42\"");
}

TEST_CASE("keys and values that are not UTF-8 are base64 in JSON and raw in a body") {
  Fixture f;
  const std::string bytes("\xff\x00\xfe", 3);
  auto response = f.with(got(item(bytes, bytes, 2, 2, 1), 2), "GET", "/kv/%ff%00%FE?meta");
  CHECK(response.body ==
        "{\"key64\":\"/wD+\",\"value64\":\"/wD+\",\"mod\":2,\"create\":2,\"version\":1}\n");
  CHECK(f.last_query<kv::GetQuery>().key == bytes);
  response = f.with(got(item(bytes, bytes, 2, 2, 1), 2), "GET", "/kv/?key64=/wD%2B");
  CHECK(response.body == bytes);
  CHECK(f.last_query<kv::GetQuery>().key == bytes);
  response = f.with(got(item("a", "v", 2, 2, 1), 2), "GET", "/kv/?key64=YQ==");
  CHECK(response.status == 200);
  response = f.with(got(item(bytes, bytes, 2, 2, 1), 2), "GET", "/kv/?key64=_wD-");
  CHECK(f.last_query<kv::GetQuery>().key == bytes);
}

TEST_CASE("a key is bytes and never a path") {
  Fixture f;
  const std::pair<const char*, std::string> cases[] = {
      {"/kv//a", "/a"},     {"/kv/../../etc/passwd", "../../etc/passwd"},
      {"/kv/a%2Fb", "a/b"}, {"/kv/a/b", "a/b"},
      {"/kv/a/", "a/"},     {"/kv/%00", std::string(1, '\0')},
      {"/kv/%252F", "%2F"}, {"/kv/a+b&c=d;e:f@g,h!", "a+b&c=d;e:f@g,h!"},
      {"/kv/kv", "kv"},
  };
  for (const auto& each : cases) {
    const auto& target = each.first;
    const auto& key = each.second;
    CAPTURE(target);
    f.with(got(item(key, "", 2, 2, 1), 2), "GET", target);
    CHECK(f.last_query<kv::GetQuery>().key == key);
  }
}

TEST_CASE("a key is 1 to 2048 bytes") {
  Fixture f;
  const std::string longest(2048, 'k');
  CHECK(f.with(written(wrote(2, true)), "PUT", "/kv/" + longest, {}, "v").status == 201);
  CHECK(f.last_command<kv::Put>().key == longest);
  for (const char* method : {"GET", "PUT", "DELETE"}) {
    const auto over = f.now(method, "/kv/" + longest + "k");
    CHECK(over.status == 413);
    CHECK(contains(over.body, "\"limit\":\"limits.key_bytes\",\"max\":2048,\"got\":2049}"));
    for (const char* target : {"/kv/", "/kv", "/kv/?key64="}) {
      const auto empty = f.now(method, target);
      CHECK(empty.status == 400);
      CHECK(field(empty, "Raftd-Error") == "bad_request");
    }
  }
}

TEST_CASE("a malformed path or key64 is refused") {
  Fixture f;
  for (const char* target :
       {"/kv/%zz", "/kv/%4", "/kv/a%", "/kv/a b", "/kv/a\x7f", "/kv/\xc3\xa4", "/kv/a?key64=YQ",
        "/kv/?key64=%21", "/kv/?key64=Y", "/kv/?key64=YQ=a"}) {
    CAPTURE(target);
    CHECK(f.now("PUT", target).status == 400);
  }
}

TEST_CASE("an absent key is 404 with the revision at which it was absent") {
  Fixture f;
  const auto response = f.with(got(kv::GetReply::Result::kNotFound, 50), "GET", "/kv/x");
  CHECK(response.status == 404);
  CHECK(
      response.body ==
      "{\"error\":\"not_found\",\"message\":\"key x does not exist\",\"status\":404,"
      "\"outcome\":\"none\",\"revision\":50,\"leader\":\"http://10.0.0.1:2379\",\"key\":\"x\"}\n");
  CHECK(field(response, "ETag") == "\"0\"");
  CHECK(field(response, "Raftd-Revision") == "50");
  CHECK(field(response, "Raftd-Error") == "not_found");
}

TEST_CASE("If-None-Match of a GET is 304 while the key is unchanged") {
  Fixture f;
  for (const char* tag : {"\"42\"", "42", "W/\"42\""}) {
    const auto same =
        f.with(got(item("a", "v", 42, 7, 3), 50), "GET", "/kv/a", {{"if-none-match", tag}});
    CHECK(same.status == 304);
    CHECK(same.body.empty());
    CHECK(field(same, "ETag") == "\"42\"");
    CHECK(field(same, "Raftd-Revision") == "50");
  }
  const auto changed =
      f.with(got(item("a", "v", 43, 7, 4), 50), "GET", "/kv/a", {{"if-none-match", "\"42\""}});
  CHECK(changed.status == 200);
  const auto absent = f.with(got(kv::GetReply::Result::kNotFound, 50), "GET", "/kv/a",
                             {{"if-none-match", "\"0\""}});
  CHECK(absent.status == 304);
  CHECK(f.with(got(kv::GetReply::Result::kNotFound, 50), "GET", "/kv/a",
               {{"if-none-match", "\"42\""}})
            .status == 404);
  for (const char* bad : {"*", "\"a\"", "\"1\", \"2\"", "", "\""}) {
    CHECK(f.now("GET", "/kv/a", {{"if-none-match", bad}}).status == 400);
  }
}

TEST_CASE("If-Match on a read has no effect") {
  Fixture f;
  CHECK(f.with(got(item("a", "v", 4, 4, 1), 5), "GET", "/kv/a", {{"if-match", "\"9\""}}).status ==
        200);
}

TEST_CASE("a HEAD has the status and the header lines of the GET") {
  Fixture f;
  for (const char* target : {"/kv/a", "/kv/a?meta", "/status", "/livez", "/kv/", "/nothing"}) {
    const auto answer = [&](const char* method) {
      const RequestId id = f.send(Fixture::make(method, target));
      if (!f.answered(id)) f.answer(got(item("a", "v", 4, 4, 1), 5));
      return f.take(id);
    };
    const auto get = answer("GET");
    const auto head = answer("HEAD");
    CHECK(head.status == get.status);
    CHECK(head.fields == get.fields);
    CHECK(head.body.size() == get.body.size());  // For Content-Length; the connection drops it.
  }
}

TEST_CASE("a PUT answers 201 when it created the key and 200 when it replaced it") {
  Fixture f;
  const auto created = f.with(written(wrote(43, true)), "PUT", "/kv/svc/web/a", {}, "10.0.0.7:80");
  CHECK(created.status == 201);
  CHECK(created.body == "{\"revision\":43,\"created\":true}\n");
  CHECK(field(created, "ETag") == "\"43\"");
  CHECK(field(created, "Raftd-Revision") == "43");
  CHECK(field(created, "Raftd-Index") == "88");
  CHECK(field(created, "Content-Type") == "application/json");
  CHECK(f.last_command<kv::Put>().value == "10.0.0.7:80");
  CHECK(f.last_command<kv::Put>().condition.kind == kv::Condition::Kind::kNone);
  const auto replaced = f.with(written(wrote(44, false)), "POST", "/kv/svc/web/a");
  CHECK(replaced.status == 200);
  CHECK(replaced.body == "{\"revision\":44,\"created\":false}\n");
  CHECK(f.last_command<kv::Put>().value.empty());
}

TEST_CASE("prev shows the item before, or null") {
  Fixture f;
  auto reply = wrote(44, false);
  reply.prev = item("a", "old", 3, 2, 2);
  CHECK(f.with(written(reply), "PUT", "/kv/a?prev", {}, "new").body ==
        "{\"revision\":44,\"created\":false,\"prev\":{\"key\":\"a\",\"value\":\"old\",\"mod\":3,"
        "\"create\":2,\"version\":2}}\n");
  CHECK(f.last_command<kv::Put>().want_prev);
  CHECK(f.with(written(wrote(44, true)), "PUT", "/kv/a?prev=true", {}, "new").body ==
        "{\"revision\":44,\"created\":true,\"prev\":null}\n");
}

TEST_CASE("Prefer: return=minimal leaves the body out of every success") {
  Fixture f;
  const std::vector<http::Header> minimal = {{"prefer", "respond-async, Return=Minimal"}};
  for (const bool created : {true, false}) {
    const auto put = f.with(written(wrote(9, created)), "PUT", "/kv/a", minimal, "v");
    CHECK(put.status == 204);
    CHECK(put.body.empty());
    CHECK(field(put, "Preference-Applied") == "return=minimal");
    CHECK(field(put, "ETag") == "\"9\"");
  }
  CHECK(f.with(written(wrote(9, false)), "DELETE", "/kv/a", minimal).status == 204);
  CHECK(f.with(written(wrote(9, false)), "DELETE", "/kv/a?prefix", minimal).status == 204);
}

TEST_CASE("conditions come from headers or parameters and reach the store") {
  using Kind = kv::Condition::Kind;
  struct Case {
    const char* target;
    std::vector<http::Header> headers;
    Kind kind;
    std::uint64_t mod;
  };
  const Case cases[] = {
      {"/kv/a", {{"if-match", "\"42\""}}, Kind::kModIs, 42},
      {"/kv/a", {{"if-match", "42"}}, Kind::kModIs, 42},
      {"/kv/a", {{"if-match", "*"}}, Kind::kExists, 0},
      {"/kv/a", {{"if-match", "\"0\""}}, Kind::kAbsent, 0},
      {"/kv/a", {{"if-none-match", "*"}}, Kind::kAbsent, 0},
      {"/kv/a?cas=42", {}, Kind::kModIs, 42},
      {"/kv/a?cas=0", {}, Kind::kAbsent, 0},
      {"/kv/a?if=exists", {}, Kind::kExists, 0},
      {"/kv/a?if=absent", {}, Kind::kAbsent, 0},
  };
  Fixture f;
  for (const Case& each : cases) {
    CAPTURE(each.target);
    f.with(written(wrote(2, true)), "PUT", each.target, each.headers, "v");
    CHECK(f.last_command<kv::Put>().condition.kind == each.kind);
    CHECK(f.last_command<kv::Put>().condition.mod == each.mod);
    f.with(written(wrote(2, false)), "DELETE", each.target, each.headers);
    CHECK(f.last_command<kv::Delete>().condition.kind == each.kind);
  }
}

TEST_CASE("more than one condition, or one that cannot be read, is refused") {
  struct Case {
    const char* target;
    std::vector<http::Header> headers;
  };
  const Case cases[] = {
      {"/kv/a?cas=1&if=exists", {}},
      {"/kv/a?cas=1", {{"if-match", "\"1\""}}},
      {"/kv/a", {{"if-match", "\"1\""}, {"if-none-match", "*"}}},
      {"/kv/a", {{"if-match", "\"1\""}, {"if-match", "\"1\""}}},
      {"/kv/a", {{"if-match", "W/\"1\""}}},
      {"/kv/a", {{"if-match", "\"1\", \"2\""}}},
      {"/kv/a", {{"if-match", ""}}},
      {"/kv/a", {{"if-match", "-1"}}},
      {"/kv/a", {{"if-match", "99999999999999999999"}}},
      {"/kv/a", {{"if-none-match", "\"1\""}}},
      {"/kv/a", {{"if-none-match", "\"0\""}}},
      {"/kv/a?cas=", {}},
      {"/kv/a?cas=-1", {}},
      {"/kv/a?cas=1.0", {}},
      {"/kv/a?cas=18446744073709551616", {}},
      {"/kv/a?if=present", {}},
      {"/kv/a?if", {}},
  };
  Fixture f;
  for (const Case& each : cases) {
    for (const char* method : {"PUT", "DELETE"}) {
      CAPTURE(each.target);
      const auto response = f.now(method, each.target, each.headers);
      CHECK(response.status == 400);
      CHECK(contains(response.body, "\"error\":\"bad_request\""));
      CHECK(contains(response.body, "\"outcome\":\"none\""));
    }
  }
}

TEST_CASE("a lost compare-and-set is 412 with the present item, as the contract shows it") {
  ServiceOptions options = usual_options();  // The example leaves the leader out.
  options.client_url.clear();
  options.listed_members.clear();
  Fixture f(options);
  kv::WriteReply reply = wrote(43, false);
  reply.result = Result::kModDiffers;
  reply.prev = item("app/a", "hello", 42, 7, 3);
  const auto response = f.with(written(reply), "PUT", "/kv/app/a?cas=40", {}, "v2");
  CHECK(response.status == 412);
  CHECK(field(response, "ETag") == "\"42\"");
  CHECK(field(response, "Raftd-Error") == "cas_failed");
  CHECK(
      response.body ==
      "{\"error\":\"cas_failed\",\"message\":\"key app/a is at revision 42, not 40\","
      "\"status\":412,\"outcome\":\"none\",\"revision\":43,\"key\":\"app/a\",\"current\":42,"
      "\"item\":{\"key\":\"app/a\",\"value\":\"hello\",\"mod\":42,\"create\":7,\"version\":3}}\n");
}

TEST_CASE("each condition that does not hold has its own error") {
  Fixture f;
  kv::WriteReply reply = wrote(50, false);
  reply.result = Result::kModDiffers;
  auto response = f.with(written(reply), "PUT", "/kv/a?cas=40", {}, "v");
  CHECK(contains(response.body,
                 "\"error\":\"cas_failed\",\"message\":\"key a does not exist, it "
                 "is not at revision 40\""));
  CHECK(contains(response.body, "\"current\":0,\"item\":null}"));
  CHECK(field(response, "ETag") == "\"0\"");
  reply.result = Result::kAbsent;
  response = f.with(written(reply), "DELETE", "/kv/a?if=exists");
  CHECK(response.status == 412);
  CHECK(contains(response.body, "\"error\":\"absent\",\"message\":\"key a does not exist\""));
  reply.result = Result::kExists;
  reply.prev = item("a", "1", 54, 54, 1);
  response = f.with(written(reply), "PUT", "/kv/a?cas=0", {{"prefer", "return=minimal"}}, "2");
  CHECK(contains(response.body, "\"error\":\"exists\",\"message\":\"key a exists\""));
  CHECK(contains(response.body, "\"key\":\"a\",\"current\":54}"));
  CHECK(field(response, "ETag") == "\"54\"");
}

TEST_CASE("a DELETE says how many keys it deleted") {
  Fixture f;
  kv::WriteReply reply = wrote(44, false);
  reply.deleted = 1;
  CHECK(f.with(written(reply), "DELETE", "/kv/a").body == "{\"deleted\":1,\"revision\":44}\n");
  reply.deleted = 0;
  const auto absent = f.with(written(reply), "DELETE", "/kv/a?prev");
  CHECK(absent.status == 200);
  CHECK(absent.body == "{\"deleted\":0,\"revision\":44,\"prev\":null}\n");
  CHECK(f.last_command<kv::Delete>().want_prev);
}

TEST_CASE("a DELETE of a prefix is one command") {
  Fixture f;
  kv::WriteReply reply = wrote(60, false);
  reply.deleted = 17;
  auto response = f.with(written(reply), "DELETE", "/kv/tmp/?prefix&limit=17");
  CHECK(response.body == "{\"deleted\":17,\"revision\":60,\"more\":false}\n");
  CHECK(f.last_command<kv::DeletePrefix>().prefix == "tmp/");
  CHECK(f.last_command<kv::DeletePrefix>().limit == 17);
  reply.more = true;
  response = f.with(written(reply), "DELETE", "/kv/?prefix&all");
  CHECK(response.body == "{\"deleted\":17,\"revision\":60,\"more\":true}\n");
  CHECK(f.last_command<kv::DeletePrefix>().prefix.empty());
}

TEST_CASE("a DELETE of every key must say all, and all goes with nothing else") {
  Fixture f;
  for (const char* target :
       {"/kv/?prefix", "/kv?prefix", "/kv/?prefix&all=0", "/kv/a?prefix&all", "/kv/a?all",
        "/kv/a?prefix&cas=1", "/kv/a?prefix&if=exists", "/kv/a?prefix&prev", "/kv/a?prefix&limit=0",
        "/kv/a?prefix&limit=x", "/kv/a?dry_run", "/kv/a?limit=1", "/kv/a?prefix=yes"}) {
    CAPTURE(target);
    CHECK(f.now("DELETE", target).status == 400);
  }
  CHECK(f.now("DELETE", "/kv/a?prefix", {{"if-match", "\"1\""}}).status == 400);
  CHECK(f.now("DELETE", "/kv/a?prefix", {{"if-none-match", "*"}}).status == 400);
}

TEST_CASE("dry_run counts and deletes nothing") {
  Fixture f;
  auto reply = std::make_unique<kv::RangeReply>();
  reply->revision = 59;
  reply->count = 17;
  auto response = f.with(done(std::move(reply)), "DELETE", "/kv/tmp/?prefix&dry_run");
  CHECK(response.body == "{\"deleted\":0,\"would_delete\":17,\"revision\":59,\"more\":false}\n");
  CHECK(f.last_query<kv::RangeQuery>().count_only);
  CHECK(f.last_consistency() == node::Consistency::kLinearizable);
  reply = std::make_unique<kv::RangeReply>();
  reply->revision = 59;
  reply->count = 17;
  response = f.with(done(std::move(reply)), "DELETE", "/kv/tmp/?prefix&dry_run&limit=5");
  CHECK(response.body == "{\"deleted\":0,\"would_delete\":5,\"revision\":59,\"more\":true}\n");
}

TEST_CASE("a value may have up to limits.value_bytes bytes") {
  Fixture f;
  const std::string largest(1024 * 1024, 'v');
  CHECK(f.with(written(wrote(2, true)), "PUT", "/kv/a", {}, largest).status == 201);
  const auto over = f.now("PUT", "/kv/a", {}, largest + "v");
  CHECK(over.status == 413);
  CHECK(contains(over.body, "\"error\":\"too_large\""));
  CHECK(contains(over.body, "\"limit\":\"limits.value_bytes\",\"max\":1048576,\"got\":1048577}"));
  CHECK_FALSE(over.close);
}

TEST_CASE("a forwarded write says who forwarded it") {
  Fixture f;
  f.follow(2);
  const RequestId id = f.send(Fixture::make("PUT", "/kv/a", {}, "v"));
  f.answer(node::Done{{90}, {3}, true, std::make_unique<kv::WriteReply>(wrote(9, true))});
  const auto response = f.take(id);
  CHECK(response.status == 201);
  CHECK(field(response, "Raftd-Forwarded") == "1");
  CHECK(field(response, "Raftd-Leader") == "http://10.0.0.2:2379");
  CHECK(field(response, "Raftd-Index") == "90");
}

TEST_CASE("[RF-10] a forwarded refusal is an error, never a success") {
  Fixture f;
  f.follow(2);
  kv::WriteReply reply = wrote(50, false);
  for (const Result result : {Result::kModDiffers, Result::kExists, Result::kAbsent}) {
    reply.result = result;
    const RequestId id = f.send(Fixture::make("PUT", "/kv/a?cas=1", {}, "v"));
    f.answer(node::Done{{90}, {3}, true, std::make_unique<kv::WriteReply>(reply)});
    const auto response = f.take(id);
    CHECK(response.status == 412);
    CHECK(field(response, "Raftd-Forwarded") == "1");
  }
  for (const Errc code :
       {Errc::kNotLeader, Errc::kBusy, Errc::kTransferring, Errc::kDiskFull, Errc::kSuperseded,
        Errc::kTimeout, Errc::kTooBig, Errc::kShuttingDown, Errc::kBadInput, Errc::kConflict}) {
    const auto response = f.with(refused(code), "PUT", "/kv/a", {}, "v");
    CHECK(response.status >= 400);
    CHECK(field(response, "Raftd-Error") != "-");
  }
}

TEST_CASE("read parameters reach the store") {
  Fixture f;
  f.with(got(item("a", "v", 4, 4, 1), 5), "GET", "/kv/a?rev=5&min_revision=4&timeout=250ms");
  CHECK(f.last_query<kv::GetQuery>().rev == 5);
  CHECK(f.last_query<kv::GetQuery>().min_revision == 4);
  CHECK(f.last_asked.deadline == at_ms(1250));
  const std::pair<const char*, const char*> levels[] = {{"linearizable", "linearizable"},
                                                        {"lease", "linearizable"},
                                                        {"stale", "stale"},
                                                        {"local", "stale"},
                                                        {"eventual", "stale"},
                                                        {"sequential", "sequential"}};
  for (const auto& [asked, used] : levels) {
    const auto response = f.with(got(item("a", "v", 4, 4, 1), 5), "GET",
                                 std::string("/kv/a?min_revision=1&consistency=") + asked);
    CHECK(field(response, "Raftd-Consistency") == used);
    CHECK((f.last_consistency() == node::Consistency::kLinearizable) ==
          (std::string(used) == "linearizable"));
  }
  for (const char* bad :
       {"consistency=strong", "consistency", "consistency=sequential", "max_stale=1s",
        "max_stale=1s&consistency=lease", "rev=0", "rev=-1", "rev=x",
        "min_revision=", "consistency=stale&max_stale=-1s", "consistency=stale&max_stale=1s2m"}) {
    CAPTURE(bad);
    CHECK(f.now("GET", std::string("/kv/a?") + bad).status == 400);
  }
}

TEST_CASE("a stale read is served without a leader, unless it is too stale") {
  Fixture f;
  f.follow(0);
  f.backend.now.leader_contact = at_ms(400);
  CHECK(f.with(got(item("a", "v", 4, 4, 1), 5), "GET", "/kv/a?consistency=stale").status == 200);
  CHECK(f.with(got(item("a", "v", 4, 4, 1), 5), "GET",
               "/kv/a?consistency=stale&max_stale=600ms&redirect")
            .status == 200);
  const auto stale = f.now("GET", "/kv/a?consistency=stale&max_stale=599ms");
  CHECK(stale.status == 503);
  CHECK(contains(stale.body, "\"error\":\"too_stale\""));
  CHECK(contains(stale.body, "\"lag_ms\":600}"));
  CHECK(field(stale, "Retry-After") == "1");
  f.backend.now.leader_contact.reset();
  CHECK(f.now("GET", "/kv/a?consistency=stale&max_stale=24h").status == 503);
}

TEST_CASE("a revision below the history is 410 and one in the future 400") {
  Fixture f;
  const auto gone = f.with(got(kv::GetReply::Result::kCompacted, 50, 45), "GET", "/kv/a?rev=3");
  CHECK(gone.status == 410);
  CHECK(contains(gone.body, "\"error\":\"compacted\""));
  CHECK(contains(gone.body, "\"compact_revision\":45}"));
  const auto future = f.with(got(kv::GetReply::Result::kFuture, 50), "GET", "/kv/a?rev=51");
  CHECK(future.status == 400);
  CHECK(contains(future.body, "\"error\":\"future_revision\""));
  CHECK(contains(future.body, "\"current\":50}"));
}

TEST_CASE("a client that goes away is forgotten by the replica") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("PUT", "/kv/a", {}, "v"));
  f.service.on_gone(id);
  REQUIRE(f.backend.gone.size() == 1);
  CHECK(f.backend.gone[0] == f.backend.asked[0].token);
  CHECK_FALSE(f.answered(id));
  f.service.on_gone(id);  // Again, and of one that never was: nothing.
  f.service.on_gone({999});
  f.backend.asked.clear();
  CHECK(f.with(written(wrote(2, true)), "PUT", "/kv/a", {}, "v").status == 201);
}

TEST_CASE("a command that does not decode is an internal error of unknown outcome") {
  Fixture f;
  kv::WriteReply reply = wrote(2, false);
  reply.result = Result::kBadCommand;
  const auto response = f.with(written(reply), "PUT", "/kv/a", {}, "v");
  CHECK(response.status == 500);
  CHECK(contains(response.body, "\"outcome\":\"unknown\""));
}

}  // namespace
}  // namespace raftd::api
