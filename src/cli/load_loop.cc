#include "cli/load_loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

#include "base/text.h"

namespace raftd::cli {
namespace {

constexpr std::chrono::milliseconds kLookInterval{50};
constexpr std::chrono::milliseconds kDialPause{100};
constexpr std::size_t kBufferBytes = 256 * limits::kKiB;
constexpr std::size_t kOtherFiles = 32;
constexpr unsigned long kTimerSlackNs = 1000;  // The default delays what is due by 50 us.

std::string error_text(int code) {
  return std::error_code(code, std::generic_category()).message();
}

void close_fd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

// The first that takes a connection: a name may have addresses at which nobody listens.
Result<SocketAddress> reachable(const Address& address, Instant deadline) {
  TRY(const std::vector<SocketAddress> found, resolve(address));
  Error last{Errc::kIo, "no address"};
  for (const SocketAddress& one : found) {
    const Result<int> fd = connect_by(one, deadline);
    if (fd) {
      close(*fd);
      return one;
    }
    last = fd.error();
  }
  return last;
}

bool allow_files(std::size_t count) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return false;
  if (limit.rlim_cur >= count) return true;
  limit.rlim_cur = std::min<rlim_t>(count, limit.rlim_max);
  return limit.rlim_cur >= count && setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace

Instant LoadLoop::now() {
  return {std::chrono::steady_clock::now().time_since_epoch()};
}

LoadLoop::LoadLoop(Options options)
    : options_(std::move(options)),
      connections_(options_.connections),
      watchers_(options_.watchers),
      buffer_(kBufferBytes, '\0') {
  ASSERT(!options_.addresses.empty());
  ASSERT(!connections_.empty());
}

LoadLoop::~LoadLoop() {
  for (Connection& connection : connections_)
    close_fd(connection.fd);
  for (Watcher& watcher : watchers_)
    close_fd(watcher.fd);
  close_fd(epoll_);
}

Status LoadLoop::prepare() {
  const std::size_t files = connections_.size() + watchers_.size() + kOtherFiles;
  if (!allow_files(files)) {
    return Error{Errc::kIo, strf("%zu open files are needed, and not allowed (ulimit -n)", files)};
  }
  if (prctl(PR_SET_TIMERSLACK, kTimerSlackNs) != 0) return Error{Errc::kIo, error_text(errno)};
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return Error{Errc::kIo, error_text(errno)};
  for (const Address& address : options_.addresses) {
    const Result<SocketAddress> found = reachable(address, now() + options_.patience);
    if (!found) return Error{Errc::kIo, address.text() + ": " + found.error().message};
    addresses_.push_back(*found);
  }
  return Done{};
}

Status LoadLoop::connect_all() {
  TRY([[maybe_unused]] const Done prepared, prepare());
  Tally ignored;
  tally_ = &ignored;
  const Instant begin = now();
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    connections_[i].address = i % addresses_.size();
    dial_again(connections_[i]);
  }
  for (std::size_t i = 0; i < watchers_.size(); ++i) {
    const Result<int> fd = dial(addresses_[i % addresses_.size()]);
    if (!fd) return fd.error();
    watchers_[i].fd = *fd;
    watchers_[i].reader =
        ResponseReader([this, &lines = watchers_[i].lines](std::string_view body) {
          return lines.take(body, now(), *tally_);
        });
    await(*fd, connections_.size() + i, true, true);
  }
  while (!all_ready()) {
    if (!problem_.empty()) return Error{Errc::kIo, problem_};
    if (now() - begin > options_.patience) return Error{Errc::kIo, "no connection in time"};
    if (options_.interrupted()) return Error{Errc::kIo, "interrupted"};
    poll(now() + kLookInterval);
  }
  tally_ = nullptr;
  return Done{};
}

bool LoadLoop::all_ready() const {
  const auto idle = [](const Connection& one) { return one.state == State::kIdle; };
  const auto watches = [](const Watcher& one) { return one.watches; };
  return std::all_of(connections_.begin(), connections_.end(), idle) &&
         std::all_of(watchers_.begin(), watchers_.end(), watches);
}

bool LoadLoop::has_seen_all() const {
  return tally_->count(LoadKind::kEvent) >= tally_->count(LoadKind::kPut) * watchers_.size();
}

bool LoadLoop::run(RequestMaker& maker, Pace& pace, Tally& tally) {
  tally_ = &tally;
  tally.begin = tally.last = looked_at_ = pace.begin();
  bool interrupted = false;
  bool more = true;
  Instant patience_ends = Instant::never();
  while (!interrupted) {
    if (more) {
      more = !pace.over(now()) && send_due(maker, pace);
      if (!more) patience_ends = now() + options_.patience;
    }
    const Instant time = now();
    if (!more && ((waiting_ == 0 && has_seen_all()) || time >= patience_ends)) break;
    if (time - looked_at_ >= kLookInterval) {
      look_after(time);
      interrupted = options_.interrupted();
    }
    const bool may_send = more && !idle_.empty();
    poll(std::min(looked_at_ + kLookInterval, may_send ? pace.next() : Instant::never()));
  }
  if (!interrupted) count_late(maker, pace);
  tally_ = nullptr;
  return !interrupted;
}

bool LoadLoop::send_due(RequestMaker& maker, Pace& pace) {
  while (!idle_.empty()) {
    Connection& connection = connections_[idle_.back()];
    if (connection.state == State::kIdle) {
      const std::optional<Instant> due = pace.take(now());
      if (!due) return true;
      const std::optional<LoadRequest> request = maker.next(*due);
      if (!request) return false;
      send(connection, *request, *due);
    }
    // Or it broke while it had nothing to do.
    idle_.pop_back();
    connection.listed = false;
  }
  return true;
}

// What has not come, and what has not even gone.
void LoadLoop::count_late(RequestMaker& maker, Pace& pace) {
  if (waiting_ > 0) tally_->errors["no answer in time"] += waiting_;
  const std::uint64_t expected = tally_->count(LoadKind::kPut) * watchers_.size();
  const std::uint64_t seen = tally_->count(LoadKind::kEvent);
  if (seen < expected) tally_->errors["event missing"] += expected - seen;
  for (auto due = pace.take(pace.end()); due; due = pace.take(pace.end())) {
    const std::optional<LoadRequest> request = maker.next(*due);
    if (!request) return;
    tally_->add_never_sent(request->kind, *due, pace.end());
  }
}

void LoadLoop::look_after(Instant now) {
  looked_at_ = now;
  for (Connection& connection : connections_) {
    const Duration since = now - connection.since;
    if (connection.state == State::kDown && since >= kDialPause) dial_again(connection);
    if (connection.state == State::kConnecting && since > options_.patience) {
      fail(connection, "no connection in time");
    }
    if (connection.state == State::kWaiting && since > options_.patience) {
      fail(connection, "no answer in time");
    }
  }
}

void LoadLoop::dial_again(Connection& connection) {
  ASSERT(connection.state == State::kDown);
  connection.since = now();
  const Result<int> fd = dial(addresses_[connection.address]);
  if (!fd) return fail(connection, "connect: " + fd.error().message);
  connection.fd = *fd;
  connection.state = State::kConnecting;
  await(*fd, static_cast<std::size_t>(&connection - connections_.data()), true, true);
}

void LoadLoop::await(int fd, std::size_t number, bool writable, bool is_new) {
  epoll_event event{};
  event.events = EPOLLIN | (writable ? EPOLLOUT : 0U);
  event.data.u64 = number;
  ASSERT(epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) == 0);
}

// epoll_wait() counts in milliseconds, in which many requests may be due.
void LoadLoop::poll(Instant until) {
  std::array<epoll_event, 256> events{};
  const auto look = [&] {
    return epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 0);
  };
  int count = look();
  if (count == 0) {
    const Duration left = std::max(Duration(), until - now());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec wait{static_cast<time_t>(seconds.count()),
                        static_cast<long>((left - seconds).count())};
    pollfd any{epoll_, POLLIN, 0};
    if (ppoll(&any, 1, &wait, nullptr) > 0) count = look();
  }
  if (count < 0) return;  // EINTR: stopped, and continued.
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const std::uint32_t what = events[i].events;
    on_events(events[i].data.u64, (what & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0,
              (what & EPOLLOUT) != 0);
  }
}

void LoadLoop::on_events(std::size_t number, bool readable, bool writable) {
  if (number >= connections_.size()) {
    return on_watcher_events(number, readable, writable);
  }
  Connection& connection = connections_[number];
  if (connection.state == State::kConnecting) {
    if (const int code = dial_error(connection.fd)) {
      return fail(connection, "connect: " + error_text(code));
    }
    await(connection.fd, number, false, false);
    return rest(connection);
  }
  if (writable) send_rest(connection);
  if (readable && connection.fd >= 0) receive(connection);
}

// It has nothing to do.
void LoadLoop::rest(Connection& connection) {
  connection.state = State::kIdle;
  connection.scanner.begin();
  if (connection.listed) return;
  connection.listed = true;
  idle_.push_back(static_cast<std::size_t>(&connection - connections_.data()));
}

void LoadLoop::send(Connection& connection, const LoadRequest& request, Instant due) {
  ASSERT(connection.state == State::kIdle);
  ASSERT(connection.unsent.empty());
  connection.state = State::kWaiting;
  ++waiting_;
  connection.kind = request.kind;
  connection.due = due;
  connection.since = now();
  const ssize_t sent =
      ::send(connection.fd, request.text.data(), request.text.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return fail(connection, error_text(errno));
  const auto taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
  if (taken == request.text.size()) return;
  connection.unsent = request.text.substr(taken);
  await(connection.fd, static_cast<std::size_t>(&connection - connections_.data()), true, false);
}

void LoadLoop::send_rest(Connection& connection) {
  std::string& rest = connection.unsent;
  const ssize_t sent = ::send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return fail(connection, error_text(errno));
  rest.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (!rest.empty()) return;
  await(connection.fd, static_cast<std::size_t>(&connection - connections_.data()), false, false);
}

void LoadLoop::receive(Connection& connection) {
  const ssize_t got = recv(connection.fd, buffer_.data(), buffer_.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got < 0) return fail(connection, error_text(errno));
  if (got == 0) return fail(connection, "closed by the node");
  const auto bytes = static_cast<std::size_t>(got);
  if (connection.state != State::kWaiting) return fail(connection, "an answer to nothing");
  const Status fed = connection.scanner.feed(std::string_view(buffer_).substr(0, bytes));
  if (!fed) return fail(connection, fed.error().message);
  if (!connection.scanner.complete()) return;
  const int status = connection.scanner.status();
  // Refused by its head: what is left of it is not worth sending.
  if (!connection.unsent.empty()) return fail(connection, strf("status %d", status));
  if (status / 100 == 2) {
    tally_->add(connection.kind, connection.due, now());
  } else {
    ++tally_->errors[strf("status %d", status)];
  }
  --waiting_;
  if (connection.scanner.closes()) return hang_up(connection);
  rest(connection);
}

// Counted if it has kept a request from being answered.
void LoadLoop::fail(Connection& connection, const std::string& why) {
  problem_ = options_.addresses[connection.address].text() + ": " + why;
  if (connection.state != State::kIdle) ++tally_->errors[why];
  if (connection.state == State::kWaiting) --waiting_;
  hang_up(connection);
}

// It is dialled again after a pause.
void LoadLoop::hang_up(Connection& connection) {
  close_fd(connection.fd);
  connection.state = State::kDown;
  connection.since = now();
  connection.unsent.clear();
}

void LoadLoop::on_watcher_events(std::size_t number, bool readable, bool writable) {
  Watcher& watcher = watchers_[number - connections_.size()];
  if (watcher.fd < 0) return;
  if (writable) {
    if (const int code = dial_error(watcher.fd)) {
      return end_watch(watcher, "connect: " + error_text(code));
    }
    const std::string& text = options_.watch_text;
    const ssize_t sent = ::send(watcher.fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(text.size())) return end_watch(watcher, "not asked");
    await(watcher.fd, number, false, false);
  }
  if (readable) receive_events(watcher);
}

void LoadLoop::receive_events(Watcher& watcher) {
  const ssize_t got = recv(watcher.fd, buffer_.data(), buffer_.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) return end_watch(watcher, got < 0 ? error_text(errno) : "closed by the node");
  const auto bytes = static_cast<std::size_t>(got);
  const Status fed = watcher.reader.feed(std::string_view(buffer_).substr(0, bytes));
  if (!fed) return end_watch(watcher, fed.error().message);
  const int status = watcher.reader.answer().status;
  if (status != 0 && status != 200) return end_watch(watcher, strf("status %d", status));
  watcher.watches = status == 200;
}

void LoadLoop::end_watch(Watcher& watcher, const std::string& why) {
  problem_ = "watch: " + why;
  ++tally_->errors[problem_];
  close_fd(watcher.fd);
  watcher.watches = false;
}

}  // namespace raftd::cli
