// Who wants to be called at what time. The front end has no clock: it is told the time once per
// iteration of the loop, and says when it wants to be told next.
#pragma once

#include <cstddef>
#include <map>

#include "base/assert.h"
#include "base/time.h"

namespace raftd::api {

class Alarm;

class Alarms {
 public:
  Alarms() = default;
  ~Alarms() { ASSERT(due_.empty()); }
  Alarms(const Alarms&) = delete;
  Alarms& operator=(const Alarms&) = delete;

  Instant next() const { return due_.empty() ? Instant::never() : due_.begin()->first; }
  // Calls those that are due, the earliest first, at most so many of them.
  void ring(Instant now, std::size_t calls_max);

 private:
  friend class Alarm;
  std::multimap<Instant, Alarm*> due_;
};

// One of somebody's own. Ends with it.
class Alarm {
 public:
  class Client {
   public:
    virtual ~Client() = default;
    virtual void on_alarm() = 0;  // Once per set(). May end the alarm.
  };

  Alarm(Alarms& alarms, Client& client)
      : alarms_(alarms), client_(client), place_(alarms.due_.end()) {}
  ~Alarm() { clear(); }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  void set(Instant at) {
    clear();
    place_ = alarms_.due_.emplace(at, this);
  }

 private:
  friend class Alarms;
  void clear() {
    if (place_ != alarms_.due_.end()) alarms_.due_.erase(place_);
    place_ = alarms_.due_.end();
  }

  Alarms& alarms_;
  Client& client_;
  std::multimap<Instant, Alarm*>::iterator place_;
};

inline void Alarms::ring(Instant now, std::size_t calls_max) {
  for (; calls_max > 0 && !due_.empty() && due_.begin()->first <= now; --calls_max) {
    Alarm& alarm = *due_.begin()->second;
    alarm.clear();
    alarm.client_.on_alarm();
  }
}

}  // namespace raftd::api
