// The transport of real life: one TCP or Unix connection per question.
#pragma once

#include "cli/transport.h"

namespace raftd::cli {

class SocketTransport final : public Transport {
 public:
  Instant now() override;
  void pause(Duration duration) override;
  Exchange exchange(const Address& address, std::string_view request, Instant deadline) override;
  Exchange download(const Address& address, std::string_view request, Instant deadline,
                    Duration patience, const BodySink& sink) override;

 private:
  struct Talk;
  Exchange connect_and(const Address& address, Instant deadline, const Talk& talk);
};

}  // namespace raftd::cli
