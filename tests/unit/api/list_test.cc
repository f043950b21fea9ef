// Lists: pages, cursors, streams with back-pressure, and what does not go together.
#include "unit/api/fixture.h"

namespace raftd::api {
namespace {

using Row = kv::RangeReply::Row;
using Next = http::BodySource::Next;

kv::RangeReply slice(std::uint64_t revision, std::vector<Row> rows, std::string next = "",
                     bool page_full = false) {
  kv::RangeReply reply;
  reply.revision = revision;
  reply.rows = std::move(rows);
  reply.more = !next.empty();
  reply.next = std::move(next);
  reply.page_full = page_full;
  return reply;
}

node::ClientResult rows(kv::RangeReply reply) {
  return done(std::make_unique<kv::RangeReply>(std::move(reply)));
}

Row row(const std::string& key, const std::string& value = "v") {
  return {false, item(key, value, 42, 7, 3)};
}
Row prefix(const std::string& key) {
  return {true, item(key, "", 0, 0, 0)};
}

std::string cursor_of(const std::string& body) {
  const std::size_t begin = body.find("\"cursor\":\"");
  REQUIRE(begin != std::string::npos);
  const std::size_t first = begin + 10;
  return body.substr(first, body.find('"', first) - first);
}

std::vector<http::Header> accept(const char* types) {
  return {{"accept", types}};
}

TEST_CASE("a page has items and prefixes as the contract shows them") {
  Fixture f;
  const auto response =
      f.with(rows(slice(50, {{false, item("app/a", "hello", 42, 7, 3)}, prefix("app/x/")}, "app/x0",
                        true)),
             "GET", "/kv/app/?list&delimiter=/&limit=2");
  CHECK(response.status == 200);
  const std::string cursor = cursor_of(response.body);
  CHECK(response.body ==
        "{\"revision\":50,\"items\":[{\"key\":\"app/a\",\"value\":\"hello\",\"mod\":42,"
        "\"create\":7,\"version\":3}],\"prefixes\":[\"app/x/\"],\"more\":true,\"cursor\":\"" +
            cursor + "\"}\n");
  CHECK(cursor.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
        std::string::npos);
  CHECK(field(response, "Content-Type") == "application/json");
  CHECK(field(response, "Raftd-Revision") == "50");
  CHECK(field(response, "Raftd-Consistency") == "linearizable");
  const auto& query = f.last_query<kv::RangeQuery>();
  CHECK(query.prefix == "app/");
  CHECK(query.delimiter == "/");
  CHECK(query.limit == 2);
  CHECK(query.bytes_max == 1024 * 1024);
}

TEST_CASE("an empty list is 200 with no items") {
  Fixture f;
  CHECK(f.with(rows(slice(50, {})), "GET", "/kv/?list").body ==
        "{\"revision\":50,\"items\":[],\"more\":false}\n");
  CHECK(f.last_query<kv::RangeQuery>().prefix.empty());
  CHECK(f.last_query<kv::RangeQuery>().limit == 1000);
  CHECK(f.with(rows(slice(50, {})), "GET", "/kv?list&delimiter=/").body ==
        "{\"revision\":50,\"items\":[],\"prefixes\":[],\"more\":false}\n");
}

TEST_CASE("keys leaves the values out, and binary keys and prefixes are base64") {
  Fixture f;
  const auto response =
      f.with(rows(slice(50, {row("\xff"), prefix("\xfe/"), prefix("a/"), prefix("\xfd/")})), "GET",
             "/kv/?list&keys&delimiter=/&reverse");
  CHECK(response.body ==
        "{\"revision\":50,\"items\":[{\"key64\":\"/w==\",\"mod\":42,\"create\":7,\"version\":3}],"
        "\"prefixes\":[\"a/\"],\"prefixes64\":[\"/i8=\",\"/S8=\"],\"more\":false}\n");
  CHECK(f.last_query<kv::RangeQuery>().keys_only);
  CHECK(f.last_query<kv::RangeQuery>().reverse);
}

TEST_CASE("a page is put together from slices of one revision") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/a?list&limit=5&timeout=2s"));
  f.answer(rows(slice(50, {row("a1"), row("a2")}, "a3")));
  CHECK_FALSE(f.answered(id));
  f.answer(rows(slice(50, {row("a3"), row("a4")}, "a5")));
  CHECK(f.last_query<kv::RangeQuery>().start == "a3");
  CHECK(f.last_query<kv::RangeQuery>().rev == 50);
  CHECK(f.last_query<kv::RangeQuery>().limit == 3);
  CHECK(f.last_query<kv::RangeQuery>().min_revision == 0);
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  CHECK(f.last_asked.deadline == at_ms(3000));
  f.answer(rows(slice(50, {row("a5")}, "a6", true)));
  CHECK(f.last_query<kv::RangeQuery>().limit == 1);
  const auto response = f.take(id);
  CHECK(contains(response.body, "\"a4\""));
  CHECK(contains(response.body, "\"a5\""));
  CHECK(contains(response.body, "\"more\":true"));
}

TEST_CASE("a page ends at its bytes") {
  Fixture f;
  ServiceLimits limits = usual_limits();
  limits.page_bytes = 10;
  f.service.set_limits(limits);
  const RequestId id = f.send(Fixture::make("GET", "/kv/a?list"));
  f.answer(rows(slice(50, {row("a1", "123")}, "a2")));
  CHECK(f.last_query<kv::RangeQuery>().bytes_max == 10);
  f.answer(rows(slice(50, {row("a2", "1234567")}, "a3")));
  CHECK(f.last_query<kv::RangeQuery>().bytes_max == 5);
  CHECK(contains(f.take(id).body, "\"more\":true"));
  CHECK(f.backend.asked.empty());
}

TEST_CASE("history that goes while a page is read is 410") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/a?list"));
  f.answer(rows(slice(50, {row("a1")}, "a2")));
  kv::RangeReply gone;
  gone.result = kv::RangeReply::Result::kCompacted;
  gone.revision = 90;
  gone.compact_revision = 60;
  f.answer(rows(gone));
  const auto response = f.take(id);
  CHECK(response.status == 410);
  CHECK(contains(response.body, "\"compact_revision\":60}"));
}

TEST_CASE("a cursor goes on at the same revision, with another limit if wanted") {
  Fixture f;
  const std::string target = "/kv/app/?list&keys&delimiter=/&consistency=lease";
  const auto first =
      f.with(rows(slice(50, {row("app/a")}, "app/b", true)), "GET", target + "&limit=1");
  const std::string cursor = cursor_of(first.body);
  f.with(rows(slice(50, {row("app/b")})), "GET",
         target + "&limit=7&timeout=1s&redirect=0&cursor=" + cursor);
  const auto& query = f.last_query<kv::RangeQuery>();
  CHECK(query.start == "app/b");
  CHECK(query.rev == 50);
  CHECK(query.limit == 7);
  for (const char* other :
       {"/kv/app/?list&delimiter=/", "/kv/app/?list&keys", "/kv/ap?list&keys&delimiter=/",
        "/kv/app/?list&keys&delimiter=%2F&reverse", "/kv/app/?list&keys&delimiter=/&rev=50",
        "/kv/app/?list&keys&delimiter=/&consistency=stale",
        "/kv/app/?list&keys&delimiter=/&min_revision=3"}) {
    CAPTURE(other);
    CHECK(f.now("GET", std::string(other) + "&cursor=" + cursor).status == 400);
  }
}

TEST_CASE("a cursor without a confirmed read waits for its revision") {
  Fixture f;
  const std::string target = "/kv/?list&consistency=stale&limit=1";
  const auto first = f.with(rows(slice(50, {row("a")}, "b", true)), "GET", target);
  f.with(rows(slice(50, {row("b")})), "GET", target + "&cursor=" + cursor_of(first.body));
  CHECK(f.last_query<kv::RangeQuery>().min_revision == 50);
}

TEST_CASE("a malformed cursor is refused") {
  Fixture f;
  for (const std::string& cursor :
       {std::string(), std::string("!"), std::string("a"), std::string("Mi41MC5hcHAveC8"),
        std::string("MS4w"), std::string("MS41MC4="), std::string(4097, 'A'),
        std::string(4000, 'A'), std::string("MS4wLjEuYQ")}) {
    CAPTURE(cursor);
    const auto response = f.now("GET", "/kv/?list&cursor=" + cursor);
    CHECK(response.status == 400);
    CHECK(contains(response.body, "\"parameter\":\"cursor\""));
  }
}

TEST_CASE("parameters of a list that do not go together are refused") {
  Fixture f;
  for (const char* query : {"list&limit=0",
                            "list&limit=10001",
                            "list&limit=x",
                            "list&count&limit=3",
                            "list&count&delimiter=/",
                            "list&count&cursor=MQ",
                            "list&delimiter=",
                            "list&meta",
                            "list&format=json",
                            "list&format",
                            "list&format=http_sd&keys",
                            "list&format=http_sd&count",
                            "list&format=http_sd&limit=3",
                            "list=2",
                            "list&list",
                            "keys",
                            "list=0&keys",
                            "count",
                            "list&prev",
                            "list&wait=3s",
                            "list&rev=0"}) {
    CAPTURE(query);
    CHECK(f.now("GET", std::string("/kv/a?") + query).status == 400);
  }
  CHECK(f.now("GET", "/kv/" + std::string(2049, 'k') + "?list").status == 413);
}

TEST_CASE("count adds up its slices") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/a?list&count"));
  kv::RangeReply part = slice(50, {}, "b");
  part.count = 4096;
  f.answer(rows(part));
  part = slice(50, {});
  part.count = 4;
  f.answer(rows(part));
  CHECK(f.last_query<kv::RangeQuery>().count_only);
  CHECK(f.last_query<kv::RangeQuery>().rev == 50);
  CHECK(f.take(id).body == "{\"revision\":50,\"count\":4100}\n");
}

TEST_CASE("the form of a list is negotiated") {
  Fixture f;
  const std::pair<const char*, const char*> cases[] = {
      {"*/*", "application/json"},
      {"", "application/json"},
      {"text/plain, application/json;q=0.1", "application/json"},
      {"text/html, text/plain;q=0.5, application/x-ndjson", "text/plain; charset=utf-8"},
      {"application/x-ndjson, text/plain", "application/x-ndjson"},
  };
  for (const auto& each : cases) {
    const auto& types = each.first;
    const auto& used = each.second;
    CAPTURE(types);
    CHECK(field(f.with(rows(slice(50, {})), "GET", "/kv/?list&limit=1", accept(types)),
                "Content-Type") == used);
  }
  for (const char* none : {"text/html", "image/*", "application/xml, text/css"}) {
    const auto response = f.now("GET", "/kv/?list", accept(none));
    CHECK(response.status == 406);
    CHECK(contains(response.body,
                   "\"offers\":[\"application/json\",\"text/plain\",\"application/x-ndjson\"]}"));
  }
}

TEST_CASE("a text page escapes what would break a line and gives the cursor as a header") {
  Fixture f;
  const auto response =
      f.with(rows(slice(50, {row("svc/web/a"), row("b\n%\xff"), prefix("c/")}, "d", true)), "GET",
             "/kv/?list&keys&limit=3&delimiter=/", accept("text/plain"));
  CHECK(response.body == "svc/web/a\nb%0A%25%FF\nc/\n");
  CHECK(field(response, "Raftd-Cursor") != "-");
  const auto last = f.with(rows(slice(50, {row("svc/web/a"), row("svc/web/b")})), "GET",
                           "/kv/svc/web/?list&keys&limit=3", accept("text/plain"));
  CHECK(last.body == "svc/web/a\nsvc/web/b\n");
  CHECK(field(last, "Raftd-Cursor") == "-");
}

TEST_CASE("an ndjson page ends with its revision and count") {
  Fixture f;
  const auto response = f.with(rows(slice(50, {row("app/a", "hello"), prefix("app/x/")})), "GET",
                               "/kv/app/?list&limit=9&delimiter=/", accept("application/x-ndjson"));
  CHECK(response.body ==
        "{\"key\":\"app/a\",\"value\":\"hello\",\"mod\":42,\"create\":7,\"version\":3}\n"
        "{\"prefix\":\"app/x/\"}\n"
        "{\"end\":true,\"revision\":50,\"count\":2}\n");
}

TEST_CASE("a stream reads its next piece only when there is room for it") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/?list", accept("application/x-ndjson")));
  f.answer(rows(slice(50, {row("a")}, "b")));
  auto response = f.take(id);
  CHECK(response.status == 200);
  CHECK(field(response, "Content-Type") == "application/x-ndjson");
  REQUIRE(response.stream != nullptr);
  CHECK(f.backend.asked.empty());
  std::string out;
  CHECK(response.stream->next(out) == Next::kMore);
  CHECK(contains(out, "\"key\":\"a\""));
  CHECK(f.backend.asked.empty());
  CHECK(response.stream->next(out) == Next::kLater);
  CHECK(response.stream->next(out) == Next::kLater);
  REQUIRE(f.backend.asked.size() == 1);
  f.answer(rows(slice(50, {row("b"), row("c")})));
  CHECK(f.last_query<kv::RangeQuery>().start == "b");
  CHECK(f.last_query<kv::RangeQuery>().rev == 50);
  CHECK(f.last_query<kv::RangeQuery>().bytes_max == limits::kHttpStreamBytes);
  CHECK(f.last_consistency() == node::Consistency::kLocal);
  REQUIRE(f.responder.woken.size() == 1);
  CHECK(f.responder.woken[0] == id);
  out.clear();
  CHECK(response.stream->next(out) == Next::kMore);
  CHECK(out.ends_with("{\"end\":true,\"revision\":50,\"count\":3}\n"));
  CHECK(response.stream->next(out) == Next::kEnd);
  f.service.on_gone(id);
  CHECK(f.backend.gone.empty());
}

TEST_CASE("a stream overtaken by compaction ends with the error, or is cut off") {
  for (const bool ndjson : {true, false}) {
    Fixture f;
    const RequestId id = f.send(
        Fixture::make("GET", "/kv/?list", accept(ndjson ? "application/x-ndjson" : "text/plain")));
    f.answer(rows(slice(50, {row("a")}, "b")));
    auto response = f.take(id);
    std::string out;
    CHECK(response.stream->next(out) == Next::kMore);
    CHECK(response.stream->next(out) == Next::kLater);
    kv::RangeReply gone;
    gone.result = kv::RangeReply::Result::kCompacted;
    gone.compact_revision = 60;
    f.answer(rows(gone));
    out.clear();
    if (ndjson) {
      CHECK(response.stream->next(out) == Next::kMore);
      CHECK(out.starts_with("{\"error\":\"compacted\""));
      CHECK(contains(out, "\"compact_revision\":60}\n"));
      CHECK(response.stream->next(out) == Next::kEnd);
    } else {
      CHECK(response.stream->next(out) == Next::kBroken);
      CHECK(out.empty());
    }
  }
}

TEST_CASE("a stream whose replica stops ends with the error") {
  Fixture f;
  for (int i = 0; i < 2; ++i) {
    const RequestId id = f.send(Fixture::make("GET", "/kv/?list", accept("application/x-ndjson")));
    f.answer(rows(slice(50, {}, "b")));
    auto response = f.take(id);
    std::string out;
    CHECK(response.stream->next(out) == Next::kLater);
    f.answer(i == 0 ? refused(Errc::kShuttingDown) : node::ClientResult(node::Unknown{}));
    CHECK(response.stream->next(out) == Next::kMore);
    CHECK(out.starts_with(i == 0 ? "{\"error\":\"shutting_down\"" : "{\"error\":\"timeout\""));
    CHECK(response.stream->next(out) == Next::kEnd);
  }
}

TEST_CASE("a stream that is destroyed forgets its question") {
  Fixture f;
  const RequestId id = f.send(Fixture::make("GET", "/kv/?list", accept("text/plain")));
  f.answer(rows(slice(50, {row("a")}, "b")));
  {
    auto response = f.take(id);
    std::string out;
    response.stream->next(out);
    response.stream->next(out);
    REQUIRE(f.backend.asked.size() == 1);
  }
  REQUIRE(f.backend.gone.size() == 1);
  CHECK(f.backend.gone[0] == f.backend.asked[0].token);
  f.service.on_gone(id);
  CHECK(f.backend.gone.size() == 1);
}

TEST_CASE("the first piece decides the status of a stream") {
  Fixture f;
  kv::RangeReply gone;
  gone.result = kv::RangeReply::Result::kCompacted;
  CHECK(f.with(rows(gone), "GET", "/kv/?list&rev=3", accept("text/plain")).status == 410);
  gone.result = kv::RangeReply::Result::kFuture;
  CHECK(f.with(rows(gone), "GET", "/kv/?list&rev=3", accept("text/plain")).status == 400);
}

std::string whole(http::Response response) {
  std::string out;
  while (response.stream->next(out) == Next::kMore) {
  }
  return out;
}

TEST_CASE("http_sd makes target groups of values") {
  Fixture f;
  const char* target = "/kv/services/web/?list&format=http_sd";
  const auto response = f.with(
      rows(slice(50, {row("services/web/a", "h:p\n"),
                      row("services/web/b", "{\"targets\":[\"x:1\"],\"labels\":{\"a\":\"b\"}}"),
                      row("c", "{\"targets\":3}"), row("d", "\xff"), row("e", "")})),
      "GET", target, accept("text/html"));
  CHECK(field(response, "Content-Type") == "application/json");
  CHECK_FALSE(f.last_query<kv::RangeQuery>().keys_only);
  const RequestId id = f.send(Fixture::make("GET", target));
  f.answer(
      rows(slice(50, {row("services/web/a", "h:p\n"),
                      row("services/web/b", "{\"targets\":[\"x:1\"],\"labels\":{\"a\":\"b\"}}"),
                      row("d", "\xff"), row("e", "")})));
  CHECK(whole(f.take(id)) ==
        "[{\"targets\":[\"h:p\"],\"labels\":{\"key\":\"services/web/a\"}},"
        "{\"targets\":[\"x:1\"],\"labels\":{\"a\":\"b\"}}]\n");
  CHECK(whole(f.with(rows(slice(50, {})), "GET", target)) == "[]\n");
}

TEST_CASE("a list is redirected and refused without a leader like any read") {
  Fixture f;
  f.follow(2);
  CHECK(f.now("GET", "/kv/a?list&redirect").status == 307);
  f.follow(0);
  CHECK(f.now("GET", "/kv/a?list").status == 503);
  CHECK(f.with(rows(slice(50, {})), "GET", "/kv/a?list&consistency=stale").status == 200);
}

}  // namespace
}  // namespace raftd::api
