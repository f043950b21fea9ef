// Tells systemd how the service is (sd_notify(3)), without its library: one datagram.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"

namespace raftd::uv {

class Notifier {
 public:
  Notifier();  // Reads NOTIFY_SOCKET and WATCHDOG_USEC; without them nothing is ever sent.

  // Lines as in sd_notify(3): "READY=1\nSTATUS=...". Never fails: nobody may be listening.
  void send(std::string_view state) const;

  // How often WATCHDOG=1 must be sent; zero: not at all. A quarter of systemd's limit.
  Duration watchdog_interval() const { return watchdog_interval_; }

 private:
  std::string address_;
  Duration watchdog_interval_{};
};

}  // namespace raftd::uv
