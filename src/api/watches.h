// Those who wait for changes on this node, whatever protocol they speak: streams and long-polls.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "api/alarms.h"
#include "api/errors.h"
#include "base/limits.h"
#include "kv/watch_hub.h"

namespace raftd::api {

struct ServiceLimits;

// What they share.
struct Watches {
  Watches(kv::Store& store, std::uint64_t seed) : hub(store, seed) {}

  kv::WatchHub hub;
  Alarms alarms;
  Instant now{};                  // As last told.
  bool stopping = false;          // Streams end, nobody waits any longer.
  std::size_t bytes_left = 0;     // That streams may still make in this pump.
  std::vector<kv::Event> events;  // Of who has its turn; kept for its memory.
};

// limits.watchers: 429. Nothing: there is room for one more.
std::optional<ApiError> check_watchers(const Watches& watches, const ServiceLimits& limits);

// What a long-poll waits for: the first event of this span above that revision, or the end of its
// patience.
struct Park {
  kv::KeySpan span;
  kv::Revision after = 0;
  Instant until{};
};

struct Woken {
  enum class Why : std::uint8_t { kChanged, kTimedOut, kStopping };
  Why why = Why::kChanged;
  // Timed out: there was no event up to here.
  kv::Revision position = 0;
};

// A watcher without a stream. Its owner destroys it when it is told.
class LongPoll final : kv::Watcher::Client, Alarm::Client {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_woken(std::uint64_t id, Woken woken) = 0;  // Once.
  };

  LongPoll(Watches& watches, Owner& owner, std::uint64_t id, Park park);
  void give_up() { on_alarm(); }  // Its client waits no more: as if its time were over.

 private:
  void on_turn() override;
  void on_endangered(kv::Revision) override {}  // Its client learns where it was when it ends.
  void on_alarm() override;
  bool look();  // True: it is over.

  Watches& watches_;
  Owner& owner_;
  const std::uint64_t id_;
  kv::Watcher watcher_;
  Alarm alarm_;
};

}  // namespace raftd::api
