#include "etcd/observe_stream.h"

#include <utility>

#include "base/limits.h"
#include "etcd/queue.h"

namespace raftd::etcd {

ObserveStream::ObserveStream(const api::Site& site, api::RequestId request, std::string name)
    : site_(site),
      request_(request),
      name_(std::move(name)),
      watcher_(site.watches.hub, *this, {kv::KeySpan::Kind::kPrefix, name_ + '/', {}},
               kv::EventKinds::all(), site.store.stats().revision) {
  watcher_.ask_turn();
}

void ObserveStream::on_turn() {
  has_turn_ = true;
  site_.feeder.wake(request_);
}

http::BodySource::Next ObserveStream::next(std::string& out) {
  if (site_.watches.stopping) return Next::kEnd;
  if (!std::exchange(has_turn_, false)) return Next::kLater;
  std::vector<kv::Event>& events = site_.watches.events;
  events.clear();
  const kv::EventsRead read =
      watcher_.read({limits::kWatchVisitsPerTurnMax, limits::kWatchTurnBytes}, false, events);
  if (read == kv::EventsRead::kCompacted) watcher_.restart(site_.store.stats().revision);
  if (read != kv::EventsRead::kCaughtUp) watcher_.ask_turn();
  const std::unique_ptr<machine::Reply> reply = site_.store.query(first_query(name_), {});
  ASSERT(reply != nullptr);
  auto& found = dynamic_cast<kv::TransactionQueryReply&>(*reply);
  if (found.transaction.results.empty() || found.transaction.results[0].items.empty()) {
    return Next::kLater;
  }
  kv::Item& item = found.transaction.results[0].items[0];
  if (item.mod == std::exchange(told_, item.mod)) return Next::kLater;
  LeaderResponse response;
  response.header = header(site_, found.revision);
  response.kv = key_value(std::move(item));
  out = "{\"result\":";
  add_json(out, response);
  out += "}\n";
  return Next::kMore;
}

}  // namespace raftd::etcd
