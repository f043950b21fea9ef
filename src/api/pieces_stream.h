// A body that is read from the store in pieces, each when the connection has room for it, so that
// no long answer holds up the loop or is held whole.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "api/call.h"

namespace raftd::api {

// The happy path is: the call has waited for the first piece, which decides the status, and begins
// the stream with it; further ones are read on this node. Possible failure modes are: a piece
// cannot be had, as the node stops (what fail() says; most cut the body off); the client goes away
// (the stream is destroyed and forgets its question).
class PiecesStream : public http::BodySource, Feed {
 public:
  PiecesStream(const Site& site, RequestId request) : site_(site), request_(request) {}
  ~PiecesStream() override;
  PiecesStream(const PiecesStream&) = delete;
  PiecesStream& operator=(const PiecesStream&) = delete;

  // Once, before all else: with the first piece, and what stands before it.
  void begin(node::Done& done, std::string head = {}) {
    ready_ = std::move(head);
    after_ = take(done, ready_);
  }
  Next next(std::string& out) final;

 private:
  // Appends a piece. kMore: it is not the last one. kBroken: there are none to go on with.
  virtual Next take(node::Done& done, std::string& out) = 0;
  virtual node::ClientOp ask_more() const = 0;
  // There is no next piece, for this reason. Appends what can be said of it; kEnd or kBroken.
  virtual Next fail(const ApiError&, std::string&) { return Next::kBroken; }

  void on_result(node::ClientResult result) final;

  Site site_;
  RequestId request_;
  std::string ready_;
  Next after_ = Next::kMore;  // What is ready.
  std::optional<node::ClientToken> asked_;
};

}  // namespace raftd::api
