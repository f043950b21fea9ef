// Base64: the vectors of RFC 4648, and that each byte string has one text only.
#include "http/base64.h"

#include <doctest/doctest.h>

namespace raftd::http {

TEST_CASE("the vectors of RFC 4648, section 10") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
  };
  for (const auto& [bytes, text] : vectors) {
    CHECK(base64_encode(bytes) == text);
    CHECK(base64_decode(text) == bytes);
  }
}

TEST_CASE("both alphabets carry any bytes") {
  std::string all;
  for (int i = 255; i >= 0; --i) {
    all.push_back(static_cast<char>(i));
    for (const Base64 alphabet : {Base64::kStandard, Base64::kUrlSafe}) {
      CHECK(base64_decode(base64_encode(all, alphabet), alphabet) == all);
    }
  }
  CHECK(base64_encode("\xfb\xff", Base64::kStandard) == "+/8=");
  CHECK(base64_encode("\xfb\xff", Base64::kUrlSafe) == "-_8");
}

TEST_CASE("any other text is refused") {
  for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "====", "=",
                          "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm 9v", "Z-_v", "Zm9v====", "Zm=v"}) {
    INFO(bad);
    CHECK(!base64_decode(bad));
  }
  for (const char* bad : {"Z", "Zg==", "Zh", "Z+/v", "Zm9"}) {
    INFO(bad);
    CHECK(!base64_decode(bad, Base64::kUrlSafe));
  }
}

}  // namespace raftd::http
