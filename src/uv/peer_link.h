// What this node has with one other node: at most one connection, dialled or accepted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "uv/peer_context.h"

namespace raftd::uv {

// The node with the higher id dials. The one with the lower id only knocks, when it starts and
// now and then while there is no link: the other checks its hello, answers "I call back" and dials
// at once, or says why it does not: this node may have been removed while it was away.
class PeerLink final : public PeerConnection::Owner {
 public:
  PeerLink(PeerContext& context, raft::NodeId peer, std::uint64_t seed);
  ~PeerLink() override;
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  raft::NodeId peer() const { return peer_; }
  bool up() const { return state_ == State::kUp; }
  // It has accepted, refused, or there was no process at its address.
  bool answered() const { return answered_; }
  // The newest one that the other side knew when it said hello.
  raft::Index configuration() const { return configuration_; }

  // "HOST:PORT", as the log has it; begins to dial or knock. Where that fails, what the peer has
  // announced itself and what the file lists are tried in turn.
  void set_address(const std::string& address);

  // A process says that it is the peer, and check_hello has let it pass.
  // Why this cannot be: another process with this id is there.
  std::optional<wire::Refusal> check_double(const wire::Hello& hello) const;
  // Takes the connection over: says hello and waits for the welcome.
  void adopt(std::unique_ptr<PeerConnection> connection, const wire::Hello& hello);
  // The peer has knocked: it is there now.
  void call_back(const wire::Hello& hello);
  // Says why and closes. Precondition: there is a connection.
  void refuse(const wire::Refusal& refusal);

  bool send(const node::PeerMessage& message);  // False: no link, or its queue is full.
  void flush(Instant now);
  // As PeerConnection's.
  std::size_t send_piece(Instant now);
  bool has_pieces() const { return up() && connection_->has_pieces(); }
  void trim();
  void close();  // Without events; true loss of a link is told by the caller.

  void on_connect(PeerConnection& connection, int status) override;
  void on_handshake(PeerConnection& connection, wire::Handshake handshake) override;
  void on_frame(PeerConnection& connection, SharedBytes body) override;
  void on_part(PeerConnection& connection) override;
  void on_ended(PeerConnection& connection, PeerEnd end, const std::string& why) override;

 private:
  enum class State : std::uint8_t {
    kIdle,        // The other side dials, or there is no address.
    kResolving,   // The name is being looked up.
    kConnecting,  // TCP.
    kGreeting,    // Hello said, theirs awaited.
    kAwaited,     // Both hellos passed, their welcome is awaited.
    kUp,
    kPause,  // Until the next attempt.
  };

  bool dials() const { return context_.options.identity.node_id > peer_; }
  void dial() noexcept;
  const std::string& after_dialled() const;
  void try_next_address();
  void on_resolved(Result<std::vector<SocketAddress>> addresses);
  void greet(const wire::Hello& hello);
  void remember(const wire::Hello& hello);
  void go_up();
  void be_refused(const wire::Refusal& refusal);
  void bad(const std::string& why);
  void lose(const std::string& why, int failures_min);
  void fail(const std::string& why);
  void pause();
  void await_dial();
  std::string name() const;

  PeerContext& context_;
  const raft::NodeId peer_;
  State state_ = State::kIdle;
  bool answered_ = false;
  bool knocked_ = false;   // Once at once; then seldom.
  std::string address_;    // As the log has it,
  std::string announced_;  //   as the peer's last hello had it,
  std::string listed_;     //   and as this node's file has it; each may be empty.
  std::string dialled_;    // One of them: of the present attempt, or of the next one.
  Rng rng_;
  Resolver resolver_;
  Timer timer_;
  std::vector<SocketAddress> candidates_;  // Not tried yet, last first.
  std::unique_ptr<PeerConnection> connection_;
  int failures_ = 0;          // In a row.
  bool loss_unsaid_ = false;  // The log has not been told; nor is it told of the end of it.

  // Of the process at the other end.
  raft::Incarnation incarnation_;
  raft::Incarnation superseded_;  // The one before: if it speaks again there are two.
  std::uint64_t instance_ = 0;
  raft::Index configuration_;
  std::int32_t priority_ = 0;
};

}  // namespace raftd::uv
