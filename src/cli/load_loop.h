// Many connections, each with one request in progress, and watchers that only read.
//
// The happy path is: all are connected; requests that are due are written to connections that have
// none in progress; answers are read and counted. Possible failure modes are: a connection breaks,
// cannot be made, or an answer does not come in time (counted, and connected again after a pause);
// an answer is an error (counted by its status); requests are due and every connection is busy (an
// open loop counts them from when they were due, also those that never go); a watch ends (counted,
// and what it does not see is missing).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "cli/dial.h"
#include "cli/load_answers.h"
#include "cli/load_pace.h"
#include "cli/load_requests.h"
#include "cli/load_tally.h"
#include "cli/response_reader.h"

namespace raftd::cli {

class LoadLoop {
 public:
  struct Options {
    std::vector<Address> addresses;  // Connections take turns at them.
    std::size_t connections = 0;
    std::size_t watchers = 0;
    std::string watch_text;             // What each of them asks.
    Duration patience{};                // With anything that does not come.
    std::function<bool()> interrupted;  // Asked a few times a second.
  };
  explicit LoadLoop(Options options);
  ~LoadLoop();
  LoadLoop(const LoadLoop&) = delete;
  LoadLoop& operator=(const LoadLoop&) = delete;

  // Returns when everybody is connected and watches. kIo: not in time.
  Status connect_all();
  // Returns when the pace is over or there are no more requests, and what is in progress has come,
  // or will not. False: interrupted.
  bool run(RequestMaker& maker, Pace& pace, Tally& tally);

  static Instant now();

 private:
  enum class State : std::uint8_t { kDown, kConnecting, kIdle, kWaiting };
  struct Connection {
    State state = State::kDown;
    bool listed = false;  // In idle_.
    int fd = -1;
    std::size_t address = 0;
    LoadKind kind{};     // Of the request in progress, and:
    Instant due;         // Its beginning, for latency.
    Instant since;       // When it was sent; else when it was dialled, or failed.
    std::string unsent;  // The end of the request, if the socket did not take it at once.
    AnswerScanner scanner;
  };
  struct Watcher {
    int fd = -1;
    bool watches = false;
    ResponseReader reader;
    EventLines lines;
  };

  Status prepare();
  void dial_again(Connection& connection);
  void await(int fd, std::size_t number, bool writable, bool is_new);
  void poll(Instant until);
  void on_events(std::size_t number, bool readable, bool writable);
  void on_watcher_events(std::size_t number, bool readable, bool writable);
  // False: there are no more requests.
  bool send_due(RequestMaker& maker, Pace& pace);
  void send(Connection& connection, const LoadRequest& request, Instant due);
  void send_rest(Connection& connection);
  void receive(Connection& connection);
  void receive_events(Watcher& watcher);
  void rest(Connection& connection);
  void fail(Connection& connection, const std::string& why);
  void hang_up(Connection& connection);
  void end_watch(Watcher& watcher, const std::string& why);
  void look_after(Instant now);
  bool all_ready() const;
  bool has_seen_all() const;
  void count_late(RequestMaker& maker, Pace& pace);

  Options options_;
  std::vector<SocketAddress> addresses_;
  int epoll_ = -1;
  std::vector<Connection> connections_;
  std::vector<Watcher> watchers_;  // Their numbers follow those of the connections.
  std::vector<std::size_t> idle_;
  std::size_t waiting_ = 0;  // Requests in progress.
  Instant looked_at_;        // When everything was looked after.
  std::string buffer_;       // What is read, by whomever.
  std::string problem_;      // The last, for connect_all().
  Tally* tally_ = nullptr;   // Of the run.
};

}  // namespace raftd::cli
