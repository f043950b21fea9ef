// Goal: a stream is given on as it comes, lives as long as it says something, and is given up in
// time. Method: real sockets on loopback, and a server that says what it is told to.
#include "cli/sockets.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

namespace raftd::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    REQUIRE(bind(fd_, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(listen(fd_, 8) == 0);
    REQUIRE(getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    address.host = "127.0.0.1";
    address.port = ntohs(name.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int accept_one() const { return accept(fd_, nullptr, nullptr); }

  Address address;

 private:
  int fd_;
};

void say(int fd, const std::string& text) {
  CHECK(send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

const std::string kRequest = "GET /watch/a HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string kHead =
    "HTTP/1.1 200 OK\r\nRaftd-Revision: 6\r\nTransfer-Encoding: chunked\r\n\r\n";

}  // namespace

TEST_CASE("a stream that falls silent is given up after the patience, with its head") {
  const Listener listener;
  SocketTransport transport;
  std::string got;
  int connection = -1;
  std::thread server([&] {
    connection = listener.accept_one();
    say(connection, kHead + "5\r\nhello\r\n");
  });
  const Instant begun = transport.now();
  const Exchange exchange = transport.download(listener.address, kRequest, begun + seconds(1),
                                               milliseconds(50), [&](std::string_view piece) {
                                                 got += piece;
                                                 return Status(Done{});
                                               });
  server.join();
  CHECK(exchange.stage == Exchange::Stage::kSent);
  CHECK(exchange.problem == "no answer in time");
  CHECK(exchange.answer.status == 200);
  CHECK(exchange.answer.headers.at("raftd-revision") == "6");
  CHECK(got == "hello");
  close(connection);
}

TEST_CASE("pieces that keep coming keep a stream alive beyond its deadline") {
  const Listener listener;
  SocketTransport transport;
  std::string got;
  std::thread server([&] {
    const int connection = listener.accept_one();
    say(connection, kHead);
    for (int i = 0; i < 12; ++i) {
      std::this_thread::sleep_for(milliseconds(100));
      say(connection, "1\r\nx\r\n");
    }
    say(connection, "0\r\n\r\n");
    close(connection);
  });
  const Exchange exchange =
      transport.download(listener.address, kRequest, transport.now() + milliseconds(300),
                         seconds(20), [&](std::string_view piece) {
                           got += piece;
                           return Status(Done{});
                         });
  server.join();
  CHECK(exchange.stage == Exchange::Stage::kAnswered);
  CHECK(got == "xxxxxxxxxxxx");
}

}  // namespace raftd::cli
