// Memory for the many small blocks of a store. Blocks of one size share a page, with nothing
// between them: no head of the allocator's, which is a tenth of a small value. A page that is empty
// again serves any size; of many such pages, most go back to the allocator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace raftd::kv {

class Pool {
 public:
  Pool() = default;
  ~Pool();  // Precondition: no block is in use.
  Pool(Pool&& other) noexcept;
  Pool& operator=(Pool&& other) noexcept;  // Exchanges them.
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void* allocate(std::size_t bytes);  // Aligned to kGrain. Precondition: bytes > 0.
  // Precondition: allocate(bytes) gave it.
  void release(void* block, std::size_t bytes);

  std::size_t pages() const { return pages_; }  // In use or empty.

  static constexpr std::size_t kGrain = 8;
  static constexpr std::size_t kPooledBytesMax = 512;  // Larger ones are the allocator's.
  static constexpr std::size_t kPageBytes = 8192;
  static constexpr std::size_t kEmptiesMin = 4;  // Kept, and an eighth of all pages.

 private:
  struct Page;
  static constexpr std::size_t kSizes = kPooledBytesMax / kGrain;

  static void put_in(Page*& list, Page* page);
  static void take_out(Page*& list, Page* page);
  Page* take_page(std::size_t size);
  void retire(Page* page);

  std::array<Page*, kSizes> partial_{};  // By size: pages with room for another block.
  Page* empty_ = nullptr;
  std::size_t empties_ = 0;
  std::size_t pages_ = 0;
};

}  // namespace raftd::kv
