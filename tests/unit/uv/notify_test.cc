#include "uv/notify.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "base/assert.h"

namespace raftd::uv {

TEST_CASE(
    "a state reaches the socket that NOTIFY_SOCKET names, and the watchdog a quarter of its "
    "limit") {
  char directory[] = "/tmp/raftd-notify-XXXXXX";
  REQUIRE(mkdtemp(directory) != nullptr);
  const std::string path = std::string(directory) + "/socket";
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  setenv("WATCHDOG_USEC", "4000000", 1);
  const Notifier notifier;
  unsetenv("NOTIFY_SOCKET");
  unsetenv("WATCHDOG_USEC");
  notifier.send("READY=1");
  char got[64];
  const ssize_t bytes = recv(fd, got, sizeof got, 0);
  REQUIRE(bytes > 0);
  CHECK(std::string(got, static_cast<std::size_t>(bytes)) == "READY=1");
  CHECK(notifier.watchdog_interval() == std::chrono::seconds(1));
  close(fd);
  unlink(path.c_str());
  rmdir(directory);
}

TEST_CASE("without systemd nothing is sent and nothing fails") {
  const Notifier notifier;
  notifier.send("READY=1");
  CHECK(notifier.watchdog_interval() == Duration{});
}

}  // namespace raftd::uv
