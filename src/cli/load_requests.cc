#include "cli/load_requests.h"

#include <algorithm>

#include "base/assert.h"

namespace raftd::cli {
namespace {

constexpr std::size_t kKeyDigits = 8;
constexpr std::size_t kListDigits = 6;  // A prefix that a hundred keys have.
constexpr std::uint64_t kMixedPutOneIn = 10;

void write_number(std::string& text, std::size_t at, std::size_t digits, std::uint64_t number) {
  for (std::size_t i = digits; i > 0; --i) {
    text[at + i - 1] = static_cast<char>('0' + number % 10);
    number /= 10;
  }
  ASSERT(number == 0);
}

std::string head_end(const LoadPlan& plan, std::size_t body_bytes) {
  std::string text = " HTTP/1.1\r\nHost: raftd\r\n";
  if (!plan.token.empty()) text += "Authorization: Bearer " + plan.token + "\r\n";
  if (body_bytes > 0) text += "Content-Length: " + std::to_string(body_bytes) + "\r\n";
  return text + "\r\n";
}

std::string query(const LoadPlan& plan, char separator) {
  return plan.consistency.empty() ? "" : separator + ("consistency=" + plan.consistency);
}

}  // namespace

RequestMaker::RequestMaker(const LoadPlan& plan, std::uint64_t seed) : plan_(plan), rng_(seed) {
  ASSERT(plan_.keys > 0);
  ASSERT(plan_.keys <= kLoadKeysMax);
  Template& get = template_of(LoadKind::kGet);
  put_key(get, "GET /kv/" + std::string(kLoadPrefix));
  get.text += query(plan_, '?') + head_end(plan_, 0);
  Template& list = template_of(LoadKind::kList);
  list.text = "GET /kv/" + std::string(kLoadPrefix);
  list.places.push_back({list.text.size(), kListDigits, kLoadListItems});
  list.text += std::string(kListDigits, '0') + "?list&limit=" + std::to_string(kLoadListItems) +
               query(plan_, '&') + head_end(plan_, 0);
  make_put();
  make_transaction();
}

RequestMaker RequestMaker::filling(const LoadPlan& plan) {
  LoadPlan puts = plan;
  puts.workload = Workload::kPut;
  RequestMaker maker(puts, 0);
  maker.next_key_ = 0;
  return maker;
}

// Appends what stands before a key, and the key.
void RequestMaker::put_key(Template& made, std::string_view before) {
  made.text += before;
  made.places.push_back({made.text.size(), kKeyDigits, 1});
  made.text += std::string(kKeyDigits, '0');
}

void RequestMaker::make_put() {
  const bool stamped = plan_.workload == Workload::kWatch;
  const std::size_t bytes = std::max(plan_.value_bytes, stamped ? kLoadStampDigits : 0);
  Template& put = template_of(LoadKind::kPut);
  put_key(put, "PUT /kv/" + std::string(kLoadPrefix));
  put.text += head_end(plan_, bytes);
  if (stamped) put.stamp_at = put.text.size();
  put.text += std::string(bytes, 'v');
}

// One guard, which holds, and two puts.
void RequestMaker::make_transaction() {
  const std::string prefix(kLoadPrefix);
  const std::string value = "\",\"value\":\"" + std::string(plan_.value_bytes, 'v') + "\"}";
  Template body;
  put_key(body, R"({"if":[{"key":")" + prefix);
  put_key(body, R"(","version":{"!=":999999999}}],"then":[{"put":")" + prefix);
  put_key(body, value + R"(,{"put":")" + prefix + "pair/");
  body.text += value + "]}";
  Template& made = template_of(LoadKind::kTransaction);
  made.text = "POST /txn" + head_end(plan_, body.text.size());
  for (Place& place : body.places)
    place.at += made.text.size();
  made.text += body.text;
  made.places = std::move(body.places);
}

LoadKind RequestMaker::choose() {
  switch (plan_.workload) {
    case Workload::kPut:
    case Workload::kWatch:
      return LoadKind::kPut;
    case Workload::kGet:
      return LoadKind::kGet;
    case Workload::kMixed:
      return rng_.one_in(kMixedPutOneIn) ? LoadKind::kPut : LoadKind::kGet;
    case Workload::kList:
      return LoadKind::kList;
    case Workload::kTransaction:
      return LoadKind::kTransaction;
  }
  PANIC("no workload");
}

std::optional<LoadRequest> RequestMaker::next(Instant due) {
  if (next_key_ && *next_key_ >= plan_.keys) return std::nullopt;
  const LoadKind kind = choose();
  const std::uint64_t key = next_key_ ? (*next_key_)++ : rng_.below(plan_.keys);
  Template& made = template_of(kind);
  for (const Place& place : made.places)
    write_number(made.text, place.at, place.digits, key / place.divisor);
  if (made.stamp_at) {
    const auto ns = static_cast<std::uint64_t>(due.since_origin.count());
    write_number(made.text, *made.stamp_at, kLoadStampDigits, ns);
  }
  return LoadRequest{kind, made.text};
}

std::string RequestMaker::watch_text(const LoadPlan& plan) {
  std::string text = "GET /watch/" + std::string(kLoadPrefix) + "?prefix";
  text += " HTTP/1.1\r\nHost: raftd\r\nAccept: application/x-ndjson\r\n";
  if (!plan.token.empty()) text += "Authorization: Bearer " + plan.token + "\r\n";
  return text + "\r\n";
}

}  // namespace raftd::cli
