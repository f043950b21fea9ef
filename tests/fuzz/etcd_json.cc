// libFuzzer: a letter that names a message of etcd's API, and a text that may be one as JSON.
// Proves: what is read and written is read again, and is written again as it was; where a text is
// one object, the splitter cuts out that object, in however small pieces it comes.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "etcd/json.h"
#include "etcd/messages.h"
#include "http/json.h"
#include "http/json_splitter.h"

namespace {

using namespace raftd;

template <class Message>
void check(std::string_view text) {
  Result<Message> message = etcd::from_json<Message>(text);
  if (!message) {
    ASSERT(!message.error().message.empty());
    return;
  }
  std::string once;
  etcd::add_json(once, *message);
  Result<Message> again = etcd::from_json<Message>(once);
  ASSERT(static_cast<bool>(again));
  std::string twice;
  etcd::add_json(twice, *again);
  ASSERT(once == twice);
}

void check_message(char letter, std::string_view text) {
  switch (letter) {
    case 'p':
      return check<etcd::PutRequest>(text);
    case 'r':
      return check<etcd::RangeRequest>(text);
    case 't':
      return check<etcd::TxnRequest>(text);
    case 'w':
      return check<etcd::WatchRequest>(text);
    case 'm':
      return check<etcd::MembersResponse>(text);
    case 'e':
      return check<etcd::WatchResponse>(text);
    default:
      return check<etcd::Empty>(text);
  }
}

void check_splitter(std::string_view text) {
  const Result<http::JsonValue> value = http::parse_json(text);
  if (!value || value->object() == nullptr) return;
  const std::size_t begin = text.find('{');
  const std::size_t end = text.rfind('}') + 1;
  http::JsonSplitter splitter(text.size());
  for (std::size_t at = 0; at < end; ++at) {
    const http::JsonSplitter::Step step = splitter.feed(text.substr(at, 1));
    ASSERT_CMP(step.consumed, ==, 1U);
    const bool whole = at + 1 == end;
    ASSERT(step.event ==
           (whole ? http::JsonSplitter::Event::kObject : http::JsonSplitter::Event::kMore));
  }
  ASSERT(splitter.object() == text.substr(begin, end - begin));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  check_message(static_cast<char>(data[0]), text);
  check_splitter(text);
  return 0;
}
