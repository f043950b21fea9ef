// What a connection writes.
//
// The happy path is: what a flush has gathered goes out with one system call, and a large body with
// it, from where it is; nothing is left.
//
// Possible failure modes are: the client does not take all of it (the rest is kept until libuv has
// written it; what comes meanwhile waits in pending_, and nothing more is read once that is too
// much); the connection is gone (it is closed here, too).
#include <array>

#include "base/limits.h"
#include "uv/http_connection.h"

namespace raftd::uv {

namespace {

constexpr std::size_t kBodyBytesInPlace = 16 * limits::kKiB;  // Smaller ones are copied.

}  // namespace

// Owns the bytes until libuv has written them, whether the connection is still there or not.
struct HttpConnection::Write {
  uv_write_t request{};
  std::string bytes;
};

// A large one is written from where it is, with the output before it.
void HttpConnection::append_body(Instant now, std::string& body) {
  if (writing_bytes_ == 0 && body.size() >= kBodyBytesInPlace) {
    write_with(now, body);
  } else {
    output() += body;
  }
}

void HttpConnection::write(Instant now) {
  if (writing_bytes_ != 0 || shared_.output.empty()) return;
  std::string nothing;
  write_with(now, nothing);
}

// The output and the body behind it, which is taken if it must wait.
void HttpConnection::write_with(Instant now, std::string& body) {
  ASSERT_CMP(writing_bytes_, ==, 0u);
  std::string& out = shared_.output;
  std::array<uv_buf_t, 2> buffers = {uv_buf_init(out.data(), static_cast<unsigned>(out.size())),
                                     uv_buf_init(body.data(), static_cast<unsigned>(body.size()))};
  const int tried = uv_try_write(stream(), buffers.data(), body.empty() ? 1 : 2);
  if (tried < 0 && tried != UV_EAGAIN) return die();
  std::size_t from = tried > 0 ? static_cast<std::size_t>(tried) : 0;
  if (from != 0) moved_ = now;
  if (from == out.size() + body.size()) return out.clear();
  writing_bytes_ = out.size() + body.size() - from;
  std::string& left = from < out.size() ? out : body;
  if (&left == &out) {
    out += body;
  } else {
    from -= out.size();
  }
  auto* write = new Write;  // Frees itself in its callback, which always comes.
  write->request.data = write;
  if (writing_bytes_ <= left.capacity() / 2) {
    // Who does not read his stream keeps this for long: no more than twice what is left for him.
    write->bytes.assign(left, from);
    from = 0;
  } else {
    write->bytes = std::move(left);
  }
  out.clear();
  queue_seen_ = 0;
  moved_ = now;
  uv_buf_t buffer = uv_buf_init(write->bytes.data() + from, static_cast<unsigned>(writing_bytes_));
  const auto done = [](uv_write_t* request, int status) noexcept {
    auto* self = owner_of<HttpConnection>(request->handle);
    delete static_cast<Write*>(request->data);
    if (self != nullptr) self->on_written(status);
  };
  if (uv_write(&write->request, stream(), &buffer, 1, done) != 0) {
    delete write;
    die();
  }
}

}  // namespace raftd::uv
