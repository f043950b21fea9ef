// Goal: messages go in as any client of etcd's gateway writes them, and come out as etcd writes
// them. Method: texts and what is read from them, field by field; messages and their text.
#include "etcd/json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "etcd/messages.h"

namespace raftd::etcd {
namespace {

template <class Message>
Message read(std::string_view json) {
  Result<Message> message = from_json<Message>(json);
  if (!message) FAIL(message.error().message);
  return *std::move(message);
}

template <class Message>
std::string problem(std::string_view json) {
  const Result<Message> message = from_json<Message>(json);
  return message ? "none" : message.error().message;
}

template <class Message>
std::string written(const Message& message) {
  std::string json;
  add_json(json, message);
  return json;
}

// All messages: those that the given one holds, too.
void gather(const Description& description, std::vector<const Description*>& all) {
  all.push_back(&description);
  for (std::size_t i = all.size() - 1; i < all.size(); ++i) {
    for (const Field& field : all[i]->fields) {
      if (field.description == nullptr) continue;
      const Description* part = &field.description();
      if (std::find(all.begin(), all.end(), part) == all.end()) all.push_back(part);
    }
  }
}

TEST_CASE("a put is read, its key and its value from base64") {
  const auto put = read<PutRequest>(R"({"key":"Zm9v","value":"YmFy","lease":"12","prev_kv":true})");
  CHECK(put.key == "foo");
  CHECK(put.value == "bar");
  CHECK(put.lease == 12);
  CHECK(put.prev_kv);
  CHECK(!put.ignore_value);
}

TEST_CASE("no text at all is an empty message") {
  for (const char* json : {"", " \r\n\t", "{}", " {} ", "null"}) {
    CAPTURE(json);
    CHECK(read<PutRequest>(json).key.empty());
  }
}

TEST_CASE("a field has two spellings and no third") {
  CHECK(read<RangeRequest>(R"({"min_create_revision":5})").min_create_revision == 5);
  CHECK(read<RangeRequest>(R"({"minCreateRevision":5})").min_create_revision == 5);
  CHECK(read<RangeRequest>(R"({"min_createRevision":5,"MinCreateRevision":6,"mincreaterevision":7,
                               "min_create_revision_":8,"minCreateRevisio":9})")
            .min_create_revision == 0);
  CHECK(read<RangeRequest>("{\"\\u006bey\":\"Zm9v\"}").key == "foo");
  CHECK(read<LeaseGrantRequest>(R"({"ID":1,"TTL":2,"id":3,"ttl":4})").id == 1);
  CHECK(read<MemberUpdateRequest>(R"({"peerURLs":["http://a"]})").peer_urls.size() == 1);
}

TEST_CASE("the last of a field that is there twice counts, in either spelling") {
  CHECK(read<RangeRequest>(R"({"limit":1,"limit":2})").limit == 2);
  CHECK(read<RangeRequest>(R"({"rangeEnd":"YQ==","range_end":"Yg=="})").range_end == "b");
  CHECK(read<RangeRequest>(R"({"limit":1,"limit":null})").limit == 0);
  const auto txn = read<TxnRequest>(R"({"success":[{},{}],"success":[{}]})");
  CHECK(txn.success.size() == 1);
  const auto response =
      read<RangeResponse>(R"({"header":{"revision":"7"},"header":{"raft_term":"2"}})");
  CHECK(response.header.value().revision == 0);
  CHECK(response.header.value().raft_term == 2);
}

TEST_CASE("of fields that exclude each other the last one counts") {
  const auto op = read<RequestOp>(R"({"request_put":{"key":"YQ=="},"requestRange":{"limit":3}})");
  CHECK(!op.request_put);
  REQUIRE(op.request_range);
  CHECK(op.request_range->limit == 3);
  const auto compare = read<Compare>(R"({"mod_revision":"4","value":"YQ==","key":"Yg=="})");
  CHECK(compare.mod_revision == 0);
  CHECK(compare.value == "a");
  CHECK(read<Compare>(R"({"value":"YQ==","version":0})").value.empty());
  CHECK(read<RequestOp>(R"({"request_put":{},"request_range":null})").request_put);
}

TEST_CASE("what the table does not know is skipped, whatever it holds") {
  const auto put = read<PutRequest>(
      R"({"a":1,"b":[1,{"key":"!"},[]],"c":{"key":"!","d":{"key":null}},"e":"x","key":"YQ==",
          "f":true,"g":1.5,"h":-1,"i":null})");
  CHECK(put.key == "a");
  CHECK(read<TxnRequest>(R"({"success":[{"nope":{"request_put":[]}}]})").success.size() == 1);
}

TEST_CASE("a number is a number or its digits as a text, within its type") {
  CHECK(read<RangeRequest>(R"({"limit":9223372036854775807})").limit ==
        std::numeric_limits<std::int64_t>::max());
  CHECK(read<RangeRequest>(R"({"limit":"-9223372036854775808"})").limit ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(read<RangeRequest>(R"({"limit":-5})").limit == -5);
  CHECK(read<RangeRequest>(R"({"limit":-0})").limit == 0);
  CHECK(read<RangeRequest>(R"({"limit":"-0"})").limit == 0);
  CHECK(read<MoveLeaderRequest>(R"({"targetID":"18446744073709551615"})").target_id ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(read<HashResponse>(R"({"hash":4294967295})").hash == 4294967295U);
  for (const char* bad :
       {"9223372036854775808", "-9223372036854775809", "1.0", "1e0", "1.5", "true", "{}", "[]",
        "[1]", R"("")", R"("x")", R"("01")", R"("+1")", R"("0x10")", R"("1.0")", R"(" 1")",
        R"("--1")", R"("-")", R"("9223372036854775808")"}) {
    CAPTURE(bad);
    const std::string json = std::string(R"({"limit":)").append(bad) + "}";
    CHECK(problem<RangeRequest>(json) == "limit: expected an int64");
  }
  CHECK(problem<MoveLeaderRequest>(R"({"targetID":-1})") == "targetID: expected a uint64");
  CHECK(problem<MoveLeaderRequest>(R"({"targetID":"-1"})") == "targetID: expected a uint64");
  CHECK(problem<HashResponse>(R"({"hash":4294967296})") == "hash: expected a uint32");
}

TEST_CASE("a named value is a name or a number, also one that has no name") {
  CHECK(read<RangeRequest>(R"({"sort_order":"DESCEND"})").sort_order == SortOrder::kDescend);
  CHECK(read<RangeRequest>(R"({"sortOrder":1})").sort_order == SortOrder::kAscend);
  CHECK(read<RangeRequest>(R"({"sort_order":-2147483648})").sort_order ==
        static_cast<SortOrder>(std::numeric_limits<std::int32_t>::min()));
  const auto filters = read<WatchCreateRequest>(R"({"filters":["NODELETE",0,null]})").filters;
  CHECK(filters == std::vector{FilterType::kNoDelete, FilterType::kNoPut, FilterType::kNoPut});
  CHECK(problem<RangeRequest>(R"({"sort_order":"descend"})") == "sort_order: unknown name descend");
  CHECK(problem<RangeRequest>(R"({"sort_order":"1"})") == "sort_order: unknown name 1");
  CHECK(problem<RangeRequest>(R"({"sort_order":2147483648})") ==
        "sort_order: expected a name or its number");
  CHECK(problem<RangeRequest>(R"({"sort_order":true})") ==
        "sort_order: expected a name or its number");
}

TEST_CASE("bytes are base64 of both alphabets, padded") {
  CHECK(read<PutRequest>(R"({"value":""})").value.empty());
  CHECK(read<PutRequest>(R"({"value":"+/8="})").value == "\xfb\xff");
  CHECK(read<PutRequest>(R"({"value":"-_8="})").value == "\xfb\xff");
  CHECK(read<PutRequest>(R"({"value":"Zm9v\nYmFy\r\n"})").value == "foobar");
  for (const char* bad :
       {"Zg", "Zm9", "Zg=", "Zm9v=", "Zm9vZg===", "Zm 9v", "!!!!", "====", "Z==="}) {
    CAPTURE(bad);
    CHECK(problem<PutRequest>(std::string(R"({"value":")").append(bad) + "\"}") ==
          "value: illegal base64 data");
  }
  CHECK(problem<PutRequest>(R"({"key":1})") == "key: expected bytes as base64");
  CHECK(problem<PutRequest>(R"({"key":[102]})") == "key: expected bytes as base64");
  CHECK(problem<PutRequest>(R"({"prev_kv":"true"})") == "prev_kv: expected true or false");
}

TEST_CASE("a refusal says where") {
  CHECK(problem<TxnRequest>(R"({"success":[{},{"request_put":{"value":"?"}}]})") ==
        "success[1].request_put.value: illegal base64 data");
  CHECK(problem<TxnRequest>(
            R"({"failure":[{"request_txn":{"compare":[{},{},{"target":"NOPE"}]}}]})") ==
        "failure[0].request_txn.compare[2].target: unknown name NOPE");
  CHECK(problem<TxnRequest>(R"({"compare":[null,1]})") == "compare[1]: expected an object");
  CHECK(problem<TxnRequest>(R"({"compare":{}})") == "compare: expected a list");
  CHECK(problem<TxnRequest>(R"({"compare":1})") == "compare: expected a list");
  CHECK(problem<TxnRequest>(R"({"compare":[[]]})") == "compare[0]: expected an object");
  CHECK(problem<MemberAddRequest>(R"({"peerURLs":["a",2]})") == "peerURLs[1]: expected a text");
  for (const char* other : {"[]", "[{}]", "1", "-1", "1.5", "true", R"("x")"}) {
    CAPTURE(other);
    CHECK(problem<PutRequest>(other) == "expected an object");
  }
}

TEST_CASE("what is no JSON is refused at its byte") {
  CHECK(problem<PutRequest>("{") == "no JSON at byte 1");
  CHECK(problem<PutRequest>(R"({"key":"Zm9v",})") == "no JSON at byte 14");
  CHECK(problem<PutRequest>(R"({"key":"Zm9v"}x)") == "no JSON at byte 14");
  CHECK(problem<PutRequest>(R"({"key":"Zm9v"}{})") == "no JSON at byte 14");
  CHECK(problem<PutRequest>("{key:1}") == "no JSON at byte 1");
  CHECK(problem<PutRequest>(std::string("{}\0", 3)) == "no JSON at byte 2: a NUL byte");
}

TEST_CASE("a transaction nests as deep as JSON may") {
  const auto nested = [](int levels) {
    std::string json = R"({"success":[{"request_put":{"key":"YQ=="}}]})";
    for (int i = 0; i < levels; ++i)
      json = R"({"failure":[{"request_txn":)" + json + "}]}";
    return json;
  };
  const auto txn = read<TxnRequest>(nested(9));
  const TxnRequest* inner = &txn;
  for (int i = 0; i < 9; ++i)
    inner = inner->failure.at(0).request_txn.get();
  CHECK(inner->success.at(0).request_put.value().key == "a");
  CHECK(problem<TxnRequest>(nested(10)) == "JSON nested deeper than 32 levels");
  CHECK(problem<TxnRequest>(std::string(33, '[')) == "expected an object");
  CHECK(problem<TxnRequest>(R"({"x":)" + std::string(32, '[')) ==
        "JSON nested deeper than 32 levels");
}

TEST_CASE("fields come in the table's order, numbers of 64 bits as texts, and no zeros") {
  RangeResponse response;
  response.header = ResponseHeader{.cluster_id = std::numeric_limits<std::uint64_t>::max(),
                                   .member_id = 1,
                                   .revision = 2,
                                   .raft_term = 0};
  response.count = 3;
  response.kvs.push_back({.key = "foo", .create_revision = 2, .value = "ba"});
  response.kvs.emplace_back().lease = -1;
  CHECK(written(response) ==
        R"({"header":{"cluster_id":"18446744073709551615","member_id":"1","revision":"2"},)"
        R"("kvs":[{"key":"Zm9v","create_revision":"2","value":"YmE="},{"lease":"-1"}],)"
        R"("count":"3"})");
  CHECK(written(RangeResponse()) == "{}");
  CHECK(written(Empty()) == "{}");
}

TEST_CASE("an empty message that is there is written, and an empty item of a list") {
  TxnResponse response;
  response.responses.resize(2);
  response.responses[1].response_txn = std::make_unique<TxnResponse>();
  response.responses[1].response_txn->header.emplace();
  response.succeeded = true;
  CHECK(written(response) ==
        R"({"succeeded":true,"responses":[{},{"response_txn":{"header":{}}}]})");
  LeaseTimeToLiveResponse lease;
  lease.keys = {"a", "", "bc"};
  CHECK(written(lease) == R"({"keys":["YQ==","","YmM="]})");
}

TEST_CASE("names, numbers of 32 bits and texts are written as they are") {
  Event event;
  event.type = EventType::kDelete;
  CHECK(written(event) == R"({"type":"DELETE"})");
  event.type = static_cast<EventType>(9);
  CHECK(written(event) == R"({"type":9})");
  HashResponse hash;
  hash.hash = 4294967295U;
  CHECK(written(hash) == R"({"hash":4294967295})");
  MemberAddRequest member;
  member.peer_urls = {"http://a", "\"\n"};
  member.is_learner = true;
  CHECK(written(member) == R"({"peerURLs":["http://a","\"\n"],"isLearner":true})");
}

TEST_CASE("a message that was written reads as it was") {
  const std::string json =
      R"({"compare":[{"result":"GREATER","target":"MOD","key":"YQ==","mod_revision":"5"}],)"
      R"("success":[{"request_put":{"key":"YQ==","value":"AP8=","lease":"-3"}},)"
      R"({"request_txn":{"failure":[{"request_delete_range":{"key":"AA==","prev_kv":true}}]}}],)"
      R"("failure":[{"request_range":{"key":"YQ==","limit":"2","sort_order":"ASCEND"}}]})";
  CHECK(written(read<TxnRequest>(json)) == json);
}

TEST_CASE("every table has each number and each name once, and what its kind needs") {
  std::vector<const Description*> all;
  for (const Description* root : {&describe<TxnRequest>(),
                                  &describe<TxnResponse>(),
                                  &describe<CompactionRequest>(),
                                  &describe<HashKVRequest>(),
                                  &describe<HashKVResponse>(),
                                  &describe<HashResponse>(),
                                  &describe<SnapshotResponse>(),
                                  &describe<WatchRequest>(),
                                  &describe<WatchResponse>(),
                                  &describe<LeaseGrantRequest>(),
                                  &describe<LeaseGrantResponse>(),
                                  &describe<LeaseRevokeRequest>(),
                                  &describe<LeaseKeepAliveRequest>(),
                                  &describe<LeaseKeepAliveResponse>(),
                                  &describe<LeaseTimeToLiveRequest>(),
                                  &describe<LeaseTimeToLiveResponse>(),
                                  &describe<LeaseLeasesResponse>(),
                                  &describe<MemberAddRequest>(),
                                  &describe<MemberAddResponse>(),
                                  &describe<MembersResponse>(),
                                  &describe<MemberRemoveRequest>(),
                                  &describe<MemberUpdateRequest>(),
                                  &describe<MemberListRequest>(),
                                  &describe<MemberPromoteRequest>(),
                                  &describe<MoveLeaderRequest>(),
                                  &describe<AlarmRequest>(),
                                  &describe<AlarmResponse>(),
                                  &describe<StatusResponse>(),
                                  &describe<LockRequest>(),
                                  &describe<LockResponse>(),
                                  &describe<UnlockRequest>(),
                                  &describe<CampaignRequest>(),
                                  &describe<CampaignResponse>(),
                                  &describe<LeaderRequest>(),
                                  &describe<LeaderResponse>(),
                                  &describe<ResignRequest>(),
                                  &describe<ProclaimRequest>(),
                                  &describe<HeaderResponse>()}) {
    gather(*root, all);
  }
  std::set<std::string_view> messages;
  for (const Description* message : all) {
    messages.insert(message->name);
    std::set<int> numbers;
    std::set<std::string_view> names;
    for (const Field& field : message->fields) {
      INFO(message->name, ".", field.name);
      CHECK(field.number > 0);
      CHECK(numbers.insert(field.number).second);
      CHECK(names.insert(field.name).second);
      CHECK((field.kind == Kind::kNamed) == !field.values.empty());
      CHECK((field.kind == Kind::kMessage) == (field.description != nullptr));
      CHECK((field.kind == Kind::kMessage) == (field.add_part != nullptr));
      const bool text = field.kind == Kind::kBytes || field.kind == Kind::kText;
      CHECK(text == (field.add_text != nullptr));
      CHECK((!text && field.kind != Kind::kMessage) == (field.add_value != nullptr));
    }
  }
  CHECK(messages.size() > 50);
}

}  // namespace
}  // namespace raftd::etcd
