#include "kv/pool.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/assert.h"

namespace raftd::kv {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RAFTD_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define RAFTD_ADDRESS_SANITIZER
#endif

// A sanitizer must see each block by itself.
#ifdef RAFTD_ADDRESS_SANITIZER
constexpr bool kPooled = false;
#else
constexpr bool kPooled = true;
#endif

// The allocator's own word behind it makes the next aligned page follow without a gap.
constexpr std::size_t kUsableBytes = Pool::kPageBytes - sizeof(void*);

}  // namespace

struct Pool::Page {
  Page* next;  // In its list; one without room is in none.
  Page* before;
  void* free;           // Given back: each begins with a pointer to the next one.
  std::uint32_t fresh;  // Where those begin that were never given out.
  std::uint32_t block_bytes;
  std::uint32_t used;

  bool full() const { return free == nullptr && fresh + block_bytes > kUsableBytes; }
};

Pool::~Pool() {
  for (const Page* page : partial_)
    ASSERT(page == nullptr);
  while (empty_ != nullptr)
    std::free(std::exchange(empty_, empty_->next));
}

Pool::Pool(Pool&& other) noexcept {
  *this = std::move(other);
}

Pool& Pool::operator=(Pool&& other) noexcept {
  std::swap(partial_, other.partial_);
  std::swap(empty_, other.empty_);
  std::swap(empties_, other.empties_);
  std::swap(pages_, other.pages_);
  return *this;
}

void* Pool::allocate(std::size_t bytes) {
  ASSERT_CMP(bytes, >, 0U);
  if (!kPooled || bytes > kPooledBytesMax) return ::operator new(bytes);
  const std::size_t size = (bytes - 1) / kGrain;
  Page* page = partial_[size] != nullptr ? partial_[size] : take_page(size);
  void* block = page->free;
  if (block != nullptr) {
    page->free = *static_cast<void**>(block);
  } else {
    block = reinterpret_cast<char*>(page) + page->fresh;
    page->fresh += page->block_bytes;
  }
  ++page->used;
  if (page->full()) take_out(partial_[size], page);
  return block;
}

void Pool::release(void* block, std::size_t bytes) {
  ASSERT(block != nullptr);
  if (!kPooled || bytes > kPooledBytesMax) {
    ::operator delete(block);
    return;
  }
  const std::size_t size = (bytes - 1) / kGrain;
  auto* page = reinterpret_cast<Page*>(reinterpret_cast<std::uintptr_t>(block) & ~(kPageBytes - 1));
  ASSERT_CMP(page->block_bytes, ==, (size + 1) * kGrain);
  ASSERT_CMP(page->used, >, 0U);
  if (page->full()) put_in(partial_[size], page);
  *static_cast<void**>(block) = page->free;
  page->free = block;
  if (--page->used > 0) return;
  take_out(partial_[size], page);
  retire(page);
}

void Pool::put_in(Page*& list, Page* page) {
  page->next = list;
  page->before = nullptr;
  if (list != nullptr) list->before = page;
  list = page;
}

void Pool::take_out(Page*& list, Page* page) {
  (page->before == nullptr ? list : page->before->next) = page->next;
  if (page->next != nullptr) page->next->before = page->before;
}

Pool::Page* Pool::take_page(std::size_t size) {
  Page* page = empty_;
  if (page != nullptr) {
    take_out(empty_, page);
    --empties_;
  } else {
    void* memory = nullptr;
    const int refused = ::posix_memalign(&memory, kPageBytes, kUsableBytes);
    ASSERT_CMP(refused, ==, 0);
    page = ::new (memory) Page;
    ++pages_;
  }
  page->free = nullptr;
  page->fresh = sizeof(Page);
  page->block_bytes = static_cast<std::uint32_t>((size + 1) * kGrain);
  page->used = 0;
  static_assert(sizeof(Page) % kGrain == 0);
  put_in(partial_[size], page);
  return page;
}

// Some stay: what goes now and then comes again.
void Pool::retire(Page* page) {
  put_in(empty_, page);
  ++empties_;
  while (empties_ > std::max<std::size_t>(pages_ / 8, kEmptiesMin)) {
    Page* gone = empty_;
    take_out(empty_, gone);
    std::free(gone);
    --empties_;
    --pages_;
  }
}

}  // namespace raftd::kv
