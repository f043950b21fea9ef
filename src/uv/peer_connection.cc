// The happy path is: connect() or accept(), the magic and hellos pass, establish(); then every read
// is cut into frames, and every flush writes all that was queued since the last with one system
// call; what the kernel does not take is handed to libuv as one request that owns its bytes. Pieces
// of snapshots wait in a queue behind all that, and are written one at a time as long as little is
// on its way: so a heartbeat waits for one of them and what the kernels hold, not for a window.
//
// Possible failure modes are: the first bytes are a stranger's, a frame is broken, no hello comes
// before the deadline, the other side closes, the other side stops reading. Each closes the
// connection and tells the owner once. Callbacks that come after close() find no owner.
#include "uv/peer_connection.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "node/transfer_pace.h"
#include "wire/codec.h"

namespace raftd::uv {
namespace {

constexpr std::size_t kReadBlockBytes = 64 * limits::kKiB;
constexpr std::size_t kWriteBufferBytes = 64 * limits::kKiB;  // Kept by an idle connection.
constexpr unsigned kKeepaliveSeconds = 5;

std::uint64_t ms_of(Duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
  return static_cast<std::uint64_t>(std::max<decltype(ms)>(ms, 1));
}

}  // namespace

struct PeerConnection::WriteRequest {
  uv_write_t raw{};
  Bytes bytes;
};

PeerConnection::PeerConnection(Loop& loop, Owner& owner, const PeerTimeouts& timeouts)
    : owner_(&owner),
      timeouts_(timeouts),
      reader_(limits::kHelloBytesMax,
              limits::kHelloBytesMax - wire::kMagic.size() - wire::kFrameHeaderBytes) {
  handle_.emplace(this, [&](uv_tcp_t* tcp) { return uv_tcp_init(loop.get(), tcp); });
  deadline_.emplace(loop, this);
}

void PeerConnection::connect(const SocketAddress& address, Duration timeout) {
  ASSERT(handle_);
  remote_ = to_text(address);
  set_deadline(timeout);
  auto request = std::make_unique<uv_connect_t>();
  const auto on_connected = [](uv_connect_t* raw, int status) noexcept {
    const std::unique_ptr<uv_connect_t> done(raw);
    auto* self = static_cast<PeerConnection*>(done->handle->data);
    if (self == nullptr) return;
    if (status == 0) {
      self->tune();
      self->begin_reading();
    }
    self->owner_->on_connect(*self, status);
  };
  const int rc = uv_tcp_connect(request.get(), handle_->get(), address.get(), on_connected);
  if (rc == 0) {
    request.release();
  } else {
    connect_error_ = rc;  // Cannot even begin (no IPv6, say): ends as soon as the loop turns.
    set_deadline({});
  }
}

int PeerConnection::accept(uv_stream_t* listener) {
  ASSERT(handle_);
  const int rc = uv_accept(listener, handle_->stream());
  if (rc < 0) {
    close();
    return rc;
  }
  SocketAddress peer;
  int bytes = sizeof(peer.storage);
  auto* raw = reinterpret_cast<sockaddr*>(&peer.storage);
  if (uv_tcp_getpeername(handle_->get(), raw, &bytes) == 0) remote_ = to_text(peer);
  tune();
  begin_reading();
  return 0;
}

void PeerConnection::tune() {
  uv_tcp_nodelay(handle_->get(), 1);
  uv_tcp_keepalive(handle_->get(), 1, kKeepaliveSeconds);
  // Unacknowledged bytes end the connection soon: else the kernel, which doubles its pauses, would
  // be silent for minutes after a network partition has healed.
  uv_os_fd_t fd = -1;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(handle_->get()), &fd) != 0) return;
  const Duration patience = std::max<Duration>(4 * timeouts_.drain, std::chrono::seconds(1));
  const auto ms = static_cast<unsigned>(ms_of(patience));
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void PeerConnection::begin_reading() {
  const auto allocate = [](uv_handle_t* raw, std::size_t, uv_buf_t* buffer) noexcept {
    Loop::of(raw).note_awake();
    auto* self = static_cast<PeerConnection*>(raw->data);
    *buffer = uv_buf_init(nullptr, 0);
    if (self == nullptr) return;
    const std::span<std::byte> space = self->reader_.space();
    *buffer =
        uv_buf_init(reinterpret_cast<char*>(space.data()), static_cast<unsigned>(space.size()));
  };
  const auto on_bytes = [](uv_stream_t* raw, ssize_t n, const uv_buf_t*) noexcept {
    if (auto* self = static_cast<PeerConnection*>(raw->data)) self->on_read(n);
  };
  const int rc = uv_read_start(handle_->stream(), allocate, on_bytes);
  ASSERT(rc == 0);
}

void PeerConnection::set_deadline(Duration timeout) {
  ASSERT(deadline_);
  deadline_->start_once<PeerConnection, &PeerConnection::on_deadline>(
      timeout == Duration{} ? 0 : ms_of(timeout));
}

void PeerConnection::establish() {
  ASSERT(handle_);
  phase_ = Phase::kOpen;
  deadline_.reset();
  reader_.set_limits(kReadBlockBytes, limits::kWireMessageBytesMax);
}

void PeerConnection::close() {
  deadline_.reset();
  handle_.reset();
}

void PeerConnection::end(PeerEnd end, const std::string& why) {
  if (!handle_) return;
  close();
  if (owner_ != nullptr) owner_->on_ended(*this, end, why);
}

void PeerConnection::on_deadline() noexcept {
  if (connect_error_ != 0) return end(PeerEnd::kClosed, uv_strerror(connect_error_));
  end(PeerEnd::kTimedOut, "no answer in time");
}

void PeerConnection::on_read(ssize_t n) {
  if (n == 0) return;  // Nothing was there after all.
  if (n < 0) {
    const int status = static_cast<int>(n);
    end(PeerEnd::kClosed, status == UV_EOF ? "closed by the other side" : uv_strerror(status));
    return;
  }
  reader_.received(static_cast<std::size_t>(n));
  if (phase_ == Phase::kMagic && !take_magic()) return;
  const bool whole = take_frames();
  if (handle_ && !whole && phase_ == Phase::kOpen) owner_->on_part(*this);
}

// False: not all there yet, or a stranger's.
bool PeerConnection::take_magic() {
  const std::string_view first = as_text(reader_.pending());
  if (!wire::kMagic.starts_with(first.substr(0, wire::kMagic.size()))) {
    end(PeerEnd::kStranger, wire::describe(wire::classify(reader_.pending())));
    return false;
  }
  if (first.size() < wire::kMagic.size()) return false;
  reader_.skip(wire::kMagic.size());
  phase_ = Phase::kHello;
  return true;
}

// Whether there was one.
bool PeerConnection::take_frames() {
  bool taken = false;
  while (handle_) {
    auto next = reader_.next();
    if (!next) {
      end(PeerEnd::kMalformed, next.error().message);
      return taken;
    }
    if (!*next) return taken;
    taken = true;
    SharedBytes body = std::move(**next);
    if (phase_ == Phase::kOpen && !wire::is_handshake(body.bytes)) {
      owner_->on_frame(*this, std::move(body));
      continue;
    }
    auto handshake = wire::decode_handshake(body);
    if (!handshake) {
      end(PeerEnd::kMalformed, handshake.error().message);
      return taken;
    }
    owner_->on_handshake(*this, std::move(*handshake));
  }
  return taken;
}

void PeerConnection::begin_speaking() {
  if (spoken_) return;
  spoken_ = true;
  const ByteView magic = as_bytes(wire::kMagic);
  out_.insert(out_.end(), magic.begin(), magic.end());
}

std::size_t PeerConnection::queued_bytes() const {
  if (!handle_) return 0;
  return out_.size() + uv_stream_get_write_queue_size(handle_->stream());
}

bool PeerConnection::send(const node::PeerMessage& message) {
  if (handle_ && node::is_snapshot_piece(message)) {
    // Sent again because the link is slow: once is enough.
    const bool waits = std::any_of(pieces_.begin(), pieces_.end(), [&](const auto& each) {
      return node::same_piece(each, message);
    });
    if (waits) return true;
    if (pieces_.size() == limits::kPeerPiecesMax) return false;
    pieces_.push_back(message);
    return true;
  }
  if (!handle_ || queued_bytes() >= limits::kPeerQueueBytesMax) return false;
  const std::size_t begin = wire::begin_frame(out_);
  wire::encode(message, out_);
  wire::end_frame(out_, begin);
  if (queued_bytes() <= limits::kPeerQueueBytesMax) return true;
  out_.resize(begin);
  return false;
}

void PeerConnection::flush(Instant now) {
  if (!handle_) return;
  if (writing_) {
    if (stalled(now)) end(PeerEnd::kStalled, "the other side does not read");
    return;
  }
  if (out_.empty()) return;
  used_max_ = std::max(used_max_, out_.size());
  const uv_buf_t buffer =
      uv_buf_init(reinterpret_cast<char*>(out_.data()), static_cast<unsigned>(out_.size()));
  int rc = uv_try_write(handle_->stream(), &buffer, 1);
  if (rc == UV_EAGAIN) rc = 0;
  if (rc < 0) {
    end(PeerEnd::kClosed, uv_strerror(rc));
    return;
  }
  if (static_cast<std::size_t>(rc) == out_.size()) {
    out_.clear();
  } else {
    write_rest(static_cast<std::size_t>(rc), now);
  }
}

// What this kernel holds: not sent, or sent and not acknowledged by the other.
std::size_t PeerConnection::unacked_bytes() const {
  uv_os_fd_t fd = -1;
  int bytes = 0;
  if (uv_fileno(reinterpret_cast<uv_handle_t*>(handle_->get()), &fd) != 0 ||
      ioctl(fd, SIOCOUTQ, &bytes) != 0)
    return 0;
  return static_cast<std::size_t>(std::max(bytes, 0));
}

// Of the request that is being written, and of those before.
std::size_t PeerConnection::unread_bytes() const {
  return uv_stream_get_write_queue_size(handle_->stream()) + unacked_bytes();
}

std::size_t PeerConnection::send_piece(Instant now) {
  if (!has_pieces() || writing_ || !out_.empty()) return 0;
  if (unacked_bytes() + limits::kSnapshotWireBytes > limits::kPeerPieceUnackedBytesMax) return 0;
  const std::size_t begin = wire::begin_frame(out_);
  wire::encode(pieces_.front(), out_);
  wire::end_frame(out_, begin);
  pieces_.pop_front();
  const std::size_t bytes = out_.size();
  flush(now);
  return bytes;
}

void PeerConnection::write_rest(std::size_t done, Instant now) {
  auto request = std::make_unique<WriteRequest>();
  request->bytes = std::move(out_);
  out_ = Bytes();
  request->raw.data = request.get();
  const uv_buf_t rest = uv_buf_init(reinterpret_cast<char*>(request->bytes.data() + done),
                                    static_cast<unsigned>(request->bytes.size() - done));
  const auto on_written = [](uv_write_t* raw, int status) noexcept {
    const std::unique_ptr<WriteRequest> written(static_cast<WriteRequest*>(raw->data));
    auto* self = static_cast<PeerConnection*>(raw->handle->data);
    if (self == nullptr) return;
    self->writing_ = false;
    if (status < 0) self->end(PeerEnd::kClosed, uv_strerror(status));
  };
  const int rc = uv_write(&request->raw, handle_->stream(), &rest, 1, on_written);
  if (rc < 0) {
    end(PeerEnd::kClosed, uv_strerror(rc));
    return;
  }
  request.release();
  writing_ = true;
  writing_left_ = unread_bytes();
  progress_at_ = now;
}

// By what the other side takes, however slowly, and not by what this kernel does: that asks for
// more only once a third of its buffer is free, and on a slow link this takes longer than a drain.
bool PeerConnection::stalled(Instant now) {
  const std::size_t left = unread_bytes();
  if (left < writing_left_) {
    writing_left_ = left;
    progress_at_ = now;
  }
  return now - progress_at_ > timeouts_.drain;
}

void PeerConnection::trim() {
  if (out_.empty() && out_.capacity() > kWriteBufferBytes && used_max_ <= kWriteBufferBytes) {
    out_ = Bytes();
  }
  used_max_ = 0;
}

}  // namespace raftd::uv
