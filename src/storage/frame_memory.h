// Memory for frames, used again for each of them: new memory is a page fault for each page, which
// takes longer than to fill it.
//
// A frame begins where a block of the disk may begin in memory, so that DirectWriter writes it from
// where it is.
#pragma once

#include <memory>

#include "base/bytes.h"

namespace raftd::storage {

class FrameMemory {
 public:
  // Room for so many bytes behind what it holds already, which is no part of the frame. That of the
  // frame before, if nobody holds it any more: who keeps a frame's bytes keeps them unchanged.
  std::shared_ptr<Bytes> take(std::size_t bytes);
  void forget() { last_.reset(); }  // An idle node needs none.

 private:
  std::shared_ptr<Bytes> last_;
};

}  // namespace raftd::storage
