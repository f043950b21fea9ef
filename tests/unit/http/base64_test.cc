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

TEST_CASE("what clients call base64 is read in either alphabet, with line ends and stray bits") {
  std::string bytes = "before";
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all.push_back(static_cast<char>(i));
    CHECK(base64_decode_any(base64_encode(all), bytes));
    CHECK(bytes == all);
  }
  const std::pair<const char*, const char*> read[] = {
      {"", ""},       {"-_8=", "\xfb\xff"},         {"+_8=", "\xfb\xff"}, {"Zh==", "f"},
      {"Zm9=", "fo"}, {"Zm9v\r\nYg=\n=\n", "foob"}, {"\n", ""},
  };
  for (const auto& [given, expected] : read) {
    const std::string_view text = given;
    INFO(text);
    CHECK(base64_decode_any(text, bytes));
    CHECK(bytes == expected);
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Zm9", "====", "Z===", "Zg==Zg==", " Zm9v", "Zm 9v",
                          "Zm=v", "Zm9v====", "Zm9v=", "Z\x80==", "\xff\xff\xff\xff", "Zm9\t"}) {
    INFO(bad);
    CHECK(!base64_decode_any(bad, bytes));
  }
}

TEST_CASE("base64 is appended to what is there") {
  std::string out = "\"";
  base64_append(out, "foob");
  base64_append(out, "");
  CHECK(out == "\"Zm9vYg==");
}

}  // namespace raftd::http
