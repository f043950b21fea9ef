// SHA-256 against the examples of its standard, and however its input is cut.
#include "base/sha256.h"

#include <doctest/doctest.h>

#include "base/text.h"

namespace raftd {
namespace {

std::string sum_of(std::string_view text, std::size_t piece) {
  Sha256 sha;
  for (std::size_t at = 0; at < text.size(); at += piece)
    sha.add(as_bytes(text.substr(at, piece)));
  const Sha256::Sum sum = sha.finish();
  return to_hex(sum);
}

TEST_CASE("the sums are those of the standard's examples") {
  CHECK(sum_of("", 1) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sum_of("abc", 3) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sum_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56) ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sum_of(std::string(1'000'000, 'a'), 4096) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("a sum does not depend on how its input is cut") {
  std::string text;
  for (int i = 0; i < 300; ++i)
    text += static_cast<char>('a' + i % 26);
  for (std::size_t bytes = 0; bytes <= text.size(); bytes += 7) {
    const std::string part = text.substr(0, bytes);
    const std::string whole = sum_of(part, 1000);
    for (const std::size_t piece : {1U, 3U, 63U, 64U, 65U})
      CHECK(sum_of(part, piece) == whole);
  }
}

}  // namespace
}  // namespace raftd
