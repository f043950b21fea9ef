// One TCP connection that speaks the peer protocol: bytes to handshakes and frames, and one write
// per flush. Who may talk to whom is not decided here (peer_link, peer_network).
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "node/peer_message.h"
#include "uv/resolver.h"
#include "wire/frame.h"
#include "wire/hello.h"

namespace raftd::uv {

struct PeerTimeouts {
  Duration drain{};  // A write of which the other side takes nothing for so long ends it.
};

enum class PeerEnd : std::uint8_t {
  kClosed,     // By the other side, or broken.
  kTimedOut,   // No connection, or no hello, before the deadline.
  kStranger,   // The first bytes are not the peer protocol's.
  kMalformed,  // A broken frame or handshake.
  kStalled,    // The other side does not read.
};

class PeerConnection {
 public:
  // Whoever owns the connection. It may close it in any of these; it must not delete it before the
  // callback has returned. After on_ended the connection is closed.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_connect(PeerConnection& connection, int status) = 0;  // After connect().
    virtual void on_handshake(PeerConnection& connection, wire::Handshake handshake) = 0;
    virtual void on_frame(PeerConnection& connection, SharedBytes body) = 0;
    // Bytes have come, and no frame ends in them. After establish().
    virtual void on_part(PeerConnection& connection) = 0;
    virtual void on_ended(PeerConnection& connection, PeerEnd end, const std::string& why) = 0;
  };

  PeerConnection(Loop& loop, Owner& owner, const PeerTimeouts& timeouts);
  PeerConnection(const PeerConnection&) = delete;
  PeerConnection& operator=(const PeerConnection&) = delete;

  void set_owner(Owner& owner) { owner_ = &owner; }

  // One of the two, once. connect: on_connect follows, never from within; unless the deadline comes
  // before, then on_ended. accept: negative: libuv's error; it is closed then.
  void connect(const SocketAddress& address, Duration timeout);
  int accept(uv_stream_t* listener);

  // on_ended(kTimedOut) unless establish() comes before.
  void set_deadline(Duration timeout);
  // The handshake is done: frames of full size from now on, and no deadline.
  void establish();
  void close();  // Without on_ended.
  bool closed() const { return !handle_; }

  // Written at once. Before establish().
  template <class Words>
  void say(const Words& words, Instant now) {
    begin_speaking();
    wire::encode(words, out_);
    flush(now);
  }

  // The last words: written as far as they can be, then closed, without on_ended.
  template <class Words>
  void say_last(const Words& words, Instant now) {
    owner_ = nullptr;
    say(words, now);
    close();
  }

  // Queues a message; a piece of a snapshot in a queue of its own, unless it waits there already.
  // False: the queue is full; nothing was queued.
  bool send(const node::PeerMessage& message);
  // One write of what is queued, but for pieces. May end in on_ended.
  void flush(Instant now);
  // Pieces go only while nothing else waits, here or in the kernel: what is handed over cannot be
  // overtaken. Writes the next one, if it may go; how many bytes, 0: not now. May end in on_ended.
  std::size_t send_piece(Instant now);
  bool has_pieces() const { return handle_ && !pieces_.empty(); }
  // Gives memory back that was not used since the last call.
  void trim();

  std::size_t queued_bytes() const;
  std::size_t buffer_bytes() const { return out_.capacity(); }
  const std::string& remote() const { return remote_; }  // "127.0.0.1:50000"

 private:
  struct WriteRequest;
  enum class Phase : std::uint8_t { kMagic, kHello, kOpen };

  void begin_speaking();
  void begin_reading();
  void tune();
  void end(PeerEnd end, const std::string& why);
  void on_deadline() noexcept;
  void on_read(ssize_t n);
  bool take_frames();
  bool take_magic();
  void write_rest(std::size_t done, Instant now);
  bool stalled(Instant now);
  std::size_t unacked_bytes() const;
  std::size_t unread_bytes() const;

  Owner* owner_;  // Nobody after say_last.
  const PeerTimeouts timeouts_;
  std::optional<Handle<uv_tcp_t>> handle_;  // Nothing: closed.
  std::optional<Timer> deadline_;
  wire::FrameReader reader_;
  Phase phase_ = Phase::kMagic;
  bool spoken_ = false;    // The magic has been sent.
  int connect_error_ = 0;  // Known at once; told when the loop turns.
  std::string remote_;

  Bytes out_;                             // Not handed to libuv yet.
  std::deque<node::PeerMessage> pieces_;  // Not in out_ yet. At most kPeerPiecesMax.
  std::size_t used_max_ = 0;              // Of out_, since the last trim.
  bool writing_ = false;                  // One request of libuv at a time.
  std::size_t writing_left_ = 0;          // Not acknowledged, as seen by the last flush.
  Instant progress_at_{};
};

}  // namespace raftd::uv
