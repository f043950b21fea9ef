// Connections that nobody waits for one by one.
#pragma once

#include <sys/socket.h>

#include "base/address.h"
#include "base/result.h"

namespace raftd::cli {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// The first one of a name. kIo: there is none.
Result<SocketAddress> resolve(const Address& address);

// Begins to connect: a descriptor that is writable when that has ended, one way or the other.
Result<int> dial(const SocketAddress& address);
// How it ended: 0, or the number of the error.
int dial_error(int fd);

}  // namespace raftd::cli
