// Incoming connections, until their hello says whose they are.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "uv/peer_context.h"

namespace raftd::uv {

// Decides about those that have said hello.
class Doorkeeper {
 public:
  virtual ~Doorkeeper() = default;
  virtual void admit(std::unique_ptr<PeerConnection> connection, const wire::Hello& hello) = 0;
};

class PeerListener final : public PeerConnection::Owner {
 public:
  PeerListener(PeerContext& context, Doorkeeper& doorkeeper);
  ~PeerListener() override;
  PeerListener(const PeerListener&) = delete;
  PeerListener& operator=(const PeerListener&) = delete;

  // "HOST:PORT": all addresses of the name. The address in use (of the first, if the port was 0).
  Result<std::string> listen(const std::string& address);
  void close();
  std::size_t strangers() const { return strangers_.size(); }

  void on_connect(PeerConnection& connection, int status) override;
  void on_handshake(PeerConnection& connection, wire::Handshake handshake) override;
  void on_frame(PeerConnection& connection, SharedBytes body) override;
  void on_part(PeerConnection& connection) override;
  void on_ended(PeerConnection& connection, PeerEnd end, const std::string& why) override;

 private:
  struct Bound {
    int status = 0;
    std::string address;
  };
  Bound bind_one(const SocketAddress& address);
  void on_incoming(uv_stream_t* listener) noexcept;
  std::unique_ptr<PeerConnection> take(PeerConnection& connection);
  void complain(const std::string& remote, const char* key, const std::string& what);

  PeerContext& context_;
  Doorkeeper& doorkeeper_;
  std::vector<Handle<uv_tcp_t>> listeners_;
  std::vector<std::unique_ptr<PeerConnection>> strangers_;  // Oldest first.
};

}  // namespace raftd::uv
