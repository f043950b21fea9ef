// Goal: what import asks for which lines, what it does when a node refuses, and what it says in the
// end. Method: a file in, scripted answers; requests, output and exit status out.
#include <doctest/doctest.h>

#include <fstream>

#include "cli/cli.h"
#include "http/json.h"
#include "unit/cli/scene.h"
#include "unit/storage/temporary_directory.h"

namespace raftd::cli {
namespace {

const char* const kDone = R"({"succeeded":true,"revision":2,"results":[]})";
const char* const kTooLarge =
    R"({"error":"too_large","message":"too many operations","status":413,"outcome":"none"})";

std::string item(const std::string& key, const std::string& value, const std::string& more = "") {
  std::string line;
  http::JsonWriter writer(line);
  writer.begin_object().bytes("key", key).bytes("value", value);
  return line + more + "}\n";
}

Ran import_text(Scene& scene, const std::string& text, const std::string& option = "--timeout=5s") {
  const TemporaryDirectory directory;
  const std::string file = directory.path() + "/x";
  std::ofstream(file, std::ios::binary) << text;
  Ran ran = scene.run({"import", file, option});
  const std::size_t at = ran.error.find(file);
  if (at != std::string::npos) ran.error.replace(at, file.size(), "FILE");
  return ran;
}

std::string body_of(const Scene& scene, std::size_t request) {
  const std::string& text = scene.net.asked.at(request).request;
  return text.substr(text.find("\r\n\r\n") + 4);
}

// How many operations each transaction has; 1 for a PUT.
std::vector<std::size_t> sizes(const Scene& scene) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < scene.net.asked.size(); ++i) {
    out.push_back(1);
    if (scene.net.asked[i].request.starts_with("PUT ")) continue;
    const Result<http::JsonValue> body = http::parse_json(body_of(scene, i));
    REQUIRE(static_cast<bool>(body));
    out.back() = body->field("then")->array()->size();
  }
  return out;
}

}  // namespace

TEST_CASE("import writes several lines in one transaction, and one by itself") {
  Scene scene;
  scene.net.forever(200, kDone);
  const Ran ran = import_text(scene, item("a/b", "1") + "\r\n" + item("\xff", "\xfe"));
  CHECK(ran.out == "2\n");
  CHECK(ran.error.empty());
  CHECK(ran.status == kExitDone);
  CHECK(ran.asked == std::vector<std::string>{"POST /txn"});
  CHECK(body_of(scene, 0) ==
        R"({"then":[{"put":"a/b","value":"1"},{"put64":"/w==","value64":"/g=="}]})");
  CHECK(scene.net.asked[0].request.find("\r\nIdempotency-Key: ") != std::string::npos);

  Scene one;
  one.net.forever(201, R"({"revision":2,"created":true})");
  CHECK(import_text(one, item("a b", "1")).out == "1\n");
  CHECK(one.net.lines()[0].starts_with("PUT /kv/a%20b?timeout="));
  CHECK(body_of(one, 0) == "1");
  CHECK(one.net.asked[0].request.find("\r\nIdempotency-Key: ") != std::string::npos);
}

TEST_CASE("a transaction has as many operations and bytes as nodes take, and each key once") {
  std::string many;
  for (std::size_t i = 0; i < 2 * limits::kTransactionOpsMax + 3; ++i)
    many += item("k" + std::to_string(i), "v");
  Scene scene;
  scene.net.forever(200, kDone);
  CHECK(import_text(scene, many).out == "1027\n");
  CHECK(sizes(scene) == std::vector<std::size_t>{512, 512, 3});

  // Escaped, a NUL is six bytes: what a request with JSON could not hold is a PUT.
  const std::string large(600 * 1024, 'x');
  const std::string zeros(1024 * 1024, '\0');
  Scene bytes;
  bytes.net.forever(200, kDone);
  CHECK(import_text(bytes, item("a", large) + item("b", large) + item("c", zeros) + item("d", "1") +
                               item("e", large))
            .out == "5\n");
  CHECK(sizes(bytes) == std::vector<std::size_t>{1, 1, 1, 2});
  CHECK(body_of(bytes, 2) == zeros);

  Scene twice;
  twice.net.forever(200, kDone);
  CHECK(import_text(twice, item("a", "1") + item("b", "1") + item("a", "2") + item("b", "2")).out ==
        "4\n");
  CHECK(sizes(twice) == std::vector<std::size_t>{2, 2});
  CHECK(body_of(twice, 1) == R"({"then":[{"put":"a","value":"2"},{"put":"b","value":"2"}]})");
}

TEST_CASE("a node with lower limits gets smaller transactions") {
  std::string lines;
  for (int i = 0; i < 10; ++i)
    lines += item("k" + std::to_string(i), "v");
  Scene scene;
  scene.net.answer(413, kTooLarge);
  scene.net.answer(413, kTooLarge);
  for (int i = 0; i < 5; ++i)
    scene.net.answer(200, kDone);
  const Ran ran = import_text(scene, lines);
  CHECK(ran.status == kExitDone);
  CHECK(ran.out == "10\n");
  CHECK(sizes(scene) == std::vector<std::size_t>{10, 5, 2, 2, 2, 2, 2});
}

TEST_CASE("a line that is refused is named, and what stands before it is written") {
  const char* const refusal =
      R"({"message":"there is no more room","status":507,"outcome":"none"})";
  Scene scene;
  scene.net.answer(507, refusal);  // Lines 1, 3 and 4; 2 is empty.
  scene.net.answer(201, "{}");
  scene.net.answer(507, refusal);
  const Ran ran = import_text(scene, item("a", "1") + "\n" + item("b", "1") + item("c", "1"));
  CHECK(ran.status == kExitNo);
  CHECK(ran.out.empty());
  CHECK(ran.error == "FILE: line 3: there is no more room; 1 were written before\n");
  CHECK(ran.asked == std::vector<std::string>{"POST /txn", "PUT /kv/a", "PUT /kv/b"});
}

TEST_CASE("lines of which nobody knows whether they are written are named") {
  Scene scene;
  scene.net.lose();
  for (int i = 0; i < 50; ++i)
    scene.net.refuse();
  const Ran ran = import_text(scene, item("a", "1") + item("b", "1"));
  CHECK(ran.status == kExitCannotAsk);
  CHECK(ran.error.starts_with("FILE: lines 1 to 2: the outcome is unknown"));
  CHECK(ran.error.ends_with("; 0 were written before\n"));
}

TEST_CASE("import counts the leases that it leaves behind") {
  Scene scene;
  scene.net.forever(200, kDone);
  const std::string lines = item("a", "1", R"(,"lease":"7","ttl":5)") + item("b", "1") +
                            item("c", "1", R"(,"lease":"7","ttl":5)");
  const Ran ran = import_text(scene, lines, "--output=json");
  CHECK(ran.status == kExitDone);
  CHECK(ran.out == "{\"imported\":3}\n");
  CHECK(ran.error == "2 of 3 had a lease and have none now: they stay until they are deleted\n");
}

}  // namespace raftd::cli
