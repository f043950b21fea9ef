#include "uv/http_server.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include "base/limits.h"
#include "base/spares.h"
#include "http/response.h"
#include "uv/http_connection.h"
#include "uv/http_listener.h"

namespace raftd::uv {

namespace {

constexpr Duration kShedInterval = std::chrono::seconds(10);  // Of telling it.

// Timeouts are looked at so often: finely enough for the shortest of them, and no more than once a
// second in ordinary operation.
std::uint64_t sweep_ms(const HttpServerOptions& options) {
  const Duration shortest =
      std::min({options.header_timeout, options.body_timeout, options.idle_timeout});
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(shortest / 8).count();
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(ms, 5, 500));
}

}  // namespace

struct HttpServer::State final : HttpListener::Owner {
  State(Loop& on_loop, const HttpServerOptions& options, api::Front& front,
        api::Vitals& shown_vitals, Log& shown_log)
      : loop(on_loop),
        vitals(shown_vitals),
        log(shown_log),
        shared(front, options),
        sweeper(on_loop, this),
        waker(on_loop, this) {}

  void on_accepted(ClientStream stream) override;
  void on_exhausted() override;
  HttpConnection* connection_of(api::RequestId id);
  void sweep() noexcept;
  void wake_up() noexcept {}  // The timer only keeps poll from sleeping.
  void flush(Instant now);
  void bury();
  void shed(Instant now);
  void tell_date();

  Loop& loop;
  api::Vitals& vitals;
  Log& log;
  HttpShared shared;
  Timer sweeper;
  Timer waker;
  std::vector<std::unique_ptr<HttpListener>> listeners;
  std::vector<std::unique_ptr<HttpConnection>> table;  // By index.
  std::vector<std::uint32_t> free_indexes;
  std::size_t clients = 0;
  std::size_t turned_away = 0;
  std::int64_t date_second = -1;
  bool sweeping = false;
  bool exhausted = false;
  Instant shed_told{};  // When the log last heard of it.
};

// ---- Connections come ------------------------------------------------------------------------

void HttpServer::State::on_accepted(ClientStream stream) {
  if (exhausted) log.info("clients can connect again");
  exhausted = false;
  const bool too_many = clients - turned_away >= shared.options.connections_max;
  // Beyond the few that hear why, they are just closed.
  if (too_many && turned_away >= limits::kHttpTurnedAwayMax) return;
  if (free_indexes.empty()) {
    free_indexes.push_back(static_cast<std::uint32_t>(table.size()));
    table.emplace_back();
  }
  const std::uint32_t index = free_indexes.back();
  free_indexes.pop_back();
  table[index] = std::make_unique<HttpConnection>(shared, index, std::move(stream));
  vitals.clients = ++clients;
  const Instant now{std::chrono::nanoseconds(uv_hrtime())};
  if (too_many) {
    ++turned_away;
    table[index]->turn_away(now);
  } else {
    table[index]->start(now);
  }
  if (!sweeping) {
    sweeping = true;
    sweeper.start_repeating<State, &State::sweep>(sweep_ms(shared.options));
  }
}

// A listening socket that cannot be served would wake the loop without end. libuv closes waiting
// connections by means of a spare descriptor; when that is gone, too, the socket itself is closed,
// and opened again by sweep().
void HttpServer::State::on_exhausted() {
  if (!exhausted) {
    log.warn("no file descriptors are left: clients cannot connect; raise LimitNOFILE");
  }
  exhausted = true;
  for (const auto& listener : listeners)
    listener->close();
  if (!sweeping) {
    sweeping = true;
    sweeper.start_repeating<State, &State::sweep>(sweep_ms(shared.options));
  }
}

void HttpServer::State::sweep() noexcept {
  const Instant now{std::chrono::nanoseconds(uv_hrtime())};
  for (const auto& connection : table) {
    if (connection != nullptr) connection->sweep(now);
  }
  bool all_listen = true;
  for (const auto& listener : listeners) {
    if (listener->listening()) continue;
    const std::string address = listener->address();
    if (!listener->listen(address)) all_listen = false;
  }
  if (clients == 0 && all_listen) {
    sweeping = false;
    sweeper.stop();
  }
}

// ---- Once per loop iteration -----------------------------------------------------------------

void HttpServer::State::flush(Instant now) {
  shared.handed_in_flush = false;
  for (const std::uint32_t index : std::exchange(shared.again, {})) {
    if (table[index] != nullptr) table[index]->mark_dirty();
  }
  if (!shared.dirty.empty()) tell_date();
  // Flushing one may make others dirty.
  for (std::size_t i = 0; i < shared.dirty.size(); ++i)
    shared.dirty[i]->flush(now);
  shared.dirty.clear();
  if (shared.held_bytes > shared.options.held_bytes_max) shed(now);
  if (!shared.doomed.empty()) bury();
  clear_text(shared.output, limits::kHttpOutputBytesMax);
  if (shared.handed_in_flush || !shared.again.empty()) {
    waker.start_once<State, &State::wake_up>(0);
  }
}

void HttpServer::State::bury() {
  for (HttpConnection* dead : std::exchange(shared.doomed, {})) {
    const std::uint32_t index = dead->index();
    if (dead->turned_away()) --turned_away;
    table[index].reset();
    free_indexes.push_back(index);
    vitals.clients = --clients;
  }
}

// Too much memory is held for clients: those for whom most of it is are closed, until a quarter is
// free again. Who reads what he asks for, and sends what he announces, is not among them as long as
// anybody does not.
void HttpServer::State::shed(Instant now) {
  std::vector<HttpConnection*> holders;
  for (const auto& connection : table) {
    if (connection != nullptr && connection->held_bytes() != 0) holders.push_back(connection.get());
  }
  std::ranges::sort(holders, std::greater(), &HttpConnection::held_bytes);
  const std::size_t before = shared.held_bytes;
  std::size_t closed = 0;
  for (; shared.held_bytes > shared.options.held_bytes_max / 4 * 3; ++closed) {
    ASSERT_CMP(closed, <, holders.size());
    holders[closed]->die();
  }
  shared.handed_in_flush = true;  // That they are gone.
  if (shed_told != Instant{} && now - shed_told < kShedInterval) return;
  shed_told = now;
  log.warn(
      "closed %zu clients that do not read their answers, or send much at once: %zu MiB were held "
      "for clients, of at most %zu",
      closed, before / limits::kMiB, shared.options.held_bytes_max / limits::kMiB);
}

void HttpServer::State::tell_date() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const auto second = std::chrono::duration_cast<std::chrono::seconds>(since_1970).count();
  if (second == date_second) return;
  date_second = second;
  shared.date = http::http_date(std::max<std::int64_t>(second, 0));
}

HttpConnection* HttpServer::State::connection_of(api::RequestId id) {
  const std::uint32_t index = HttpShared::index_of(id);
  return index < table.size() ? table[index].get() : nullptr;
}

// ---- The public face -------------------------------------------------------------------------

HttpServer::HttpServer(Loop& loop, const HttpServerOptions& options, api::Front& front,
                       api::Vitals& vitals, Log& log)
    : state_(std::make_unique<State>(loop, options, front, vitals, log)) {
  static_assert(limits::kHttpConnectionsMax + limits::kHttpTurnedAwayMax <
                1u << HttpShared::kIndexBits);
  ASSERT_CMP(options.connections_max, <=, limits::kHttpConnectionsMax);
}

HttpServer::~HttpServer() = default;

Result<std::string> HttpServer::listen(const std::string& address) {
  auto listener = std::make_unique<HttpListener>(state_->loop, *state_);
  Result<std::string> in_use = listener->listen(address);
  if (in_use) state_->listeners.push_back(std::move(listener));
  return in_use;
}

void HttpServer::set_options(const HttpServerOptions& options) {
  ASSERT_CMP(options.connections_max, <=, limits::kHttpConnectionsMax);
  state_->shared.options = options;
  if (state_->sweeping) {
    state_->sweeper.start_repeating<State, &State::sweep>(sweep_ms(options));
  }
}

void HttpServer::respond(api::RequestId id, http::Response response) {
  if (HttpConnection* connection = state_->connection_of(id)) {
    connection->respond(id, std::move(response));
  }
}

void HttpServer::wake(api::RequestId id) {
  if (HttpConnection* connection = state_->connection_of(id)) connection->wake(id);
}

void HttpServer::flush(Instant now) {
  state_->flush(now);
}

void HttpServer::stop() {
  state_->shared.stopping = true;
  state_->listeners.clear();
  for (const auto& connection : state_->table) {
    if (connection != nullptr) connection->stop();
  }
}

bool HttpServer::stopped() const {
  return state_->clients == 0;
}

}  // namespace raftd::uv
