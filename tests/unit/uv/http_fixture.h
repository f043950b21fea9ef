// An HTTP server with a scripted front end, and clients that talk to it over real sockets in the
// same thread: turn() gives each of them a chance, until() does so until something is true.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/text.h"
#include "uv/http_server.h"

namespace raftd::uv {

inline Instant test_clock() {
  return {std::chrono::nanoseconds(uv_hrtime())};
}

// Answers "METHOD TARGET BODY\n" at once, unless told otherwise.
class ScriptedFront final : public api::Front {
 public:
  struct Asked {
    api::RequestId id;
    std::string text;
  };

  std::span<const std::string_view> streamed_paths() const override {
    static constexpr std::string_view kPaths[] = {"/open"};
    return kPaths;
  }
  std::optional<http::Response> on_head(Instant, const http::Request& head) override {
    heads.push_back(head.method_name + " " + head.target);
    if (answer_head) return answer_head(head);
    return std::nullopt;
  }
  void on_request(Instant, api::RequestId id, const http::Request& request) override {
    std::string text = request.method_name + " " + request.target;
    if (!request.body.empty()) text += " " + request.body;
    asked.push_back({id, text});
    if (!manual) responder->respond(id, answer(text + "\n"));
  }
  void on_input_end(api::RequestId id) override { input_ended.push_back(id); }
  void on_gone(api::RequestId id) override { gone.push_back(id); }
  http::Response refusal(Instant, const http::Refusal& refused) override {
    http::Response response = answer(refused.error + "\n");
    response.status = refused.status;
    return response;
  }
  void take_back(http::Response response) override { back += response.body; }
  static http::Response answer(std::string body) {
    http::Response response;
    response.body = std::move(body);
    return response;
  }
  std::string asked_texts() const {
    std::string all;
    for (const Asked& one : asked)
      all += one.text + ";";
    return all;
  }

  api::Responder* responder = nullptr;
  bool manual = false;
  std::function<std::optional<http::Response>(const http::Request&)> answer_head;
  std::vector<std::string> heads;
  std::vector<Asked> asked;
  std::vector<api::RequestId> input_ended;
  std::vector<api::RequestId> gone;
  std::string back;  // The bodies that were sent.
};

class TestClient {
 public:
  explicit TestClient(int family) : fd_(::socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0)) {}
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  void connect_to(const std::string& address) {
    if (address.substr(0, 5) == "unix:") {
      sockaddr_un name{};
      name.sun_family = AF_UNIX;
      std::memcpy(name.sun_path, address.data() + 5, address.size() - 5);
      [[maybe_unused]] const int rc =
          ::connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name);
      return;
    }
    const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    sockaddr_storage name{};
    socklen_t bytes = sizeof(sockaddr_in);
    if (address.front() == '[') {
      auto& v6 = reinterpret_cast<sockaddr_in6&>(name);
      v6.sin6_family = AF_INET6;
      v6.sin6_addr = in6addr_loopback;
      v6.sin6_port = htons(port);
      bytes = sizeof(sockaddr_in6);
    } else {
      auto& v4 = reinterpret_cast<sockaddr_in&>(name);
      v4.sin_family = AF_INET;
      v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      v4.sin_port = htons(port);
    }
    [[maybe_unused]] const int rc = ::connect(fd_, reinterpret_cast<const sockaddr*>(&name), bytes);
  }
  void send(std::string_view bytes) { to_send_ += bytes; }
  void half_close() { half_close_ = true; }  // Once everything is sent.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  void turn() {
    if (fd_ < 0) return;
    while (!to_send_.empty()) {
      const ssize_t sent = ::send(fd_, to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      to_send_.erase(0, static_cast<std::size_t>(sent));
    }
    if (half_close_ && to_send_.empty()) {
      half_close_ = false;
      ::shutdown(fd_, SHUT_WR);
    }
    while (reads && !closed) {
      char buffer[65536];
      const ssize_t count = ::recv(fd_, buffer, sizeof buffer, 0);
      if (count > 0) {
        got.append(buffer, static_cast<std::size_t>(count));
        continue;
      }
      if (count == 0 || (errno != EAGAIN && errno != ENOTCONN)) closed = true;
      broken = count < 0 && errno == ECONNRESET;
      break;
    }
  }
  std::size_t unsent() const { return to_send_.size(); }

  bool reads = true;
  std::string got;
  bool closed = false;  // By the server.
  bool broken = false;  // By a reset.

 private:
  int fd_;
  std::string to_send_;
  bool half_close_ = false;
};

struct HttpFixture {
  explicit HttpFixture(HttpServerOptions with = defaults(),
                       const std::string& listen_on = "127.0.0.1:0")
      : server(std::make_unique<HttpServer>(loop, with, front, vitals, log)) {
    front.responder = server.get();
    auto in_use = server->listen(listen_on);
    if (in_use) address = *in_use;
  }
  static HttpServerOptions defaults() {
    return {.connections_max = 100,
            .header_bytes = limits::kHttpHeaderBytesMax,
            .request_bytes = limits::kRequestBytesMax,
            .header_timeout = std::chrono::seconds(60),
            .body_timeout = std::chrono::seconds(60),
            .idle_timeout = std::chrono::seconds(60)};
  }

  TestClient& client() {
    clients.push_back(std::make_unique<TestClient>(
        address.substr(0, 5) == "unix:" ? AF_UNIX : (address.front() == '[' ? AF_INET6 : AF_INET)));
    clients.back()->connect_to(address);
    return *clients.back();
  }
  void turn() {
    for (const auto& each : clients)
      each->turn();
    uv_run(loop.get(), UV_RUN_NOWAIT);
    server->flush(test_clock());
  }
  // False: it has not become true in ten seconds.
  bool until(const std::function<bool()>& condition) {
    const Instant deadline = test_clock() + std::chrono::seconds(10);
    while (!condition()) {
      if (test_clock() > deadline) return false;
      turn();
    }
    return true;
  }
  bool until_got(const TestClient& one, std::string_view text) {
    return until([&] { return one.got.find(text) != std::string::npos; });
  }
  void respond(std::size_t asked, const std::string& body) {
    server->respond(front.asked.at(asked).id, ScriptedFront::answer(body));
  }
  // Long enough for anything that is under way to have happened.
  void settle() {
    for (int i = 0; i < 50; ++i)
      turn();
  }

  Loop loop;
  Log log{LogLevel::kError, [](LogLevel, std::string_view) {}};
  api::Vitals vitals;
  ScriptedFront front;
  std::unique_ptr<HttpServer> server;
  std::string address;
  std::vector<std::unique_ptr<TestClient>> clients;
};

inline std::string get_request(std::string_view target, std::string_view fields = "") {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
}

inline std::string put_request(std::string_view target, std::string_view body,
                               std::string_view fields = "") {
  return "PUT " + std::string(target) +
         " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(fields) + "\r\n" + std::string(body);
}

inline std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

}  // namespace raftd::uv
