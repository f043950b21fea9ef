// Sockets that connect without blocking.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"

namespace raftd::cli {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t bytes = 0;
};

// All that a name has, in the order in which they are to be tried. kIo: there is none.
Result<std::vector<SocketAddress>> resolve(const Address& address);

// Begins to connect: a descriptor that is writable when that has ended, one way or the other.
Result<int> dial(const SocketAddress& address);
// How it ended: 0, or the number of the error.
int dial_error(int fd);
// Until it is ready for these events of poll(2). False: not by the deadline, of the steady clock.
bool ready(int fd, short events, Instant deadline);
// Waits for the connection: a descriptor. kIo: there is none by then, and why.
Result<int> connect_by(const SocketAddress& address, Instant deadline);

}  // namespace raftd::cli
