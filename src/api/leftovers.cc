#include "api/leftovers.h"

#include <typeinfo>
#include <utility>

namespace raftd::api {
namespace {

constexpr std::size_t kFieldBytes = 512;  // Of an ordinary answer.
constexpr std::size_t kBytesKept = 1024;  // Of one command, or one text: more is rare.

}  // namespace

http::Response Leftovers::response() {
  http::Response response = responses_.take();
  response.fields.reserve(kFieldBytes);
  return response;
}

std::unique_ptr<kv::GetQuery> Leftovers::get() {
  std::unique_ptr<kv::GetQuery> query = gets_.take();
  return query != nullptr ? std::move(query) : std::make_unique<kv::GetQuery>();
}

void Leftovers::take_back(http::Response response) {
  if (response.fields.capacity() < kFieldBytes) return;  // Not of response().
  http::Response spare;
  spare.fields.swap(response.fields);
  spare.body.swap(response.body);
  clear_text(spare.fields, kBytesKept);
  clear_text(spare.body, kBytesKept);
  responses_.give(std::move(spare));
}

void Leftovers::take_back(node::ClientOp& op) {
  auto* write = std::get_if<node::Write>(&op);
  auto* propose = write == nullptr ? nullptr : std::get_if<node::Propose>(&write->op);
  if (propose == nullptr || propose->command.capacity() == 0) return;
  if (propose->command.capacity() > kBytesKept) return;
  propose->command.clear();
  commands_.give(std::move(propose->command));
}

void Leftovers::take_back(node::Done& done) {
  if (done.reply != nullptr) store_.take_back(std::move(done.reply));
  if (done.query == nullptr) return;
  machine::Query& asked = *done.query;
  if (typeid(asked) != typeid(kv::GetQuery)) return;
  std::unique_ptr<kv::GetQuery> spare(static_cast<kv::GetQuery*>(done.query.release()));
  kv::GetQuery empty;
  empty.key.swap(spare->key);
  clear_text(empty.key, kBytesKept);
  *spare = std::move(empty);
  gets_.give(std::move(spare));
}

}  // namespace raftd::api
