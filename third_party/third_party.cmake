# Finds each library that the distribution installed and gives it one name, third_party::X: an
# INTERFACE library of ours, with its headers as system headers. No third-party text is kept here.

function(third_party_missing name package)
  message(FATAL_ERROR "${name} was not found. On Debian: apt-get install ${package}")
endfunction()

# libuv: the static archive, so that the binary needs only libc and libstdc++.
find_path(LIBUV_INCLUDE uv.h)
find_library(LIBUV_ARCHIVE NAMES libuv_a.a libuv.a uv)
if(NOT LIBUV_INCLUDE OR NOT LIBUV_ARCHIVE)
  third_party_missing(libuv libuv1-dev)
endif()
find_package(Threads REQUIRED)
add_library(third_party_libuv INTERFACE)
target_include_directories(third_party_libuv SYSTEM INTERFACE ${LIBUV_INCLUDE})
target_link_libraries(third_party_libuv INTERFACE ${LIBUV_ARCHIVE} Threads::Threads
                      ${CMAKE_DL_LIBS})
add_library(third_party::libuv ALIAS third_party_libuv)

# llhttp: Debian 12 ships the C sources with node-llhttp, Debian 13 a library. Strict mode refuses
# request smuggling that the default build accepts (CVE-2023-30589, CVE-2025-23167).
find_path(LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp)
find_path(LLHTTP_SOURCES llhttp.c PATHS /usr/share/llhttp NO_DEFAULT_PATH)
find_library(LLHTTP_LIBRARY NAMES llhttp)
if(LLHTTP_INCLUDE AND LLHTTP_SOURCES)
  add_library(third_party_llhttp_objects STATIC ${LLHTTP_SOURCES}/llhttp.c ${LLHTTP_SOURCES}/api.c
              ${LLHTTP_SOURCES}/http.c)
  target_include_directories(third_party_llhttp_objects SYSTEM PUBLIC ${LLHTTP_INCLUDE})
  target_compile_definitions(third_party_llhttp_objects PUBLIC LLHTTP_STRICT_MODE=1)
  target_compile_options(third_party_llhttp_objects PRIVATE -w)
  set(LLHTTP_LINK third_party_llhttp_objects)
elseif(LLHTTP_INCLUDE AND LLHTTP_LIBRARY)
  set(LLHTTP_LINK ${LLHTTP_LIBRARY})
else()
  third_party_missing(llhttp "node-llhttp (or libllhttp-dev)")
endif()
add_library(third_party_llhttp INTERFACE)
target_include_directories(third_party_llhttp SYSTEM INTERFACE ${LLHTTP_INCLUDE})
target_link_libraries(third_party_llhttp INTERFACE ${LLHTTP_LINK})
add_library(third_party::llhttp ALIAS third_party_llhttp)

# msgpack-c for C++: its CMake packages insist on Boost, which it does not need.
find_path(MSGPACK_INCLUDE msgpack.hpp)
if(NOT MSGPACK_INCLUDE)
  third_party_missing(msgpack-c libmsgpack-cxx-dev)
endif()
add_library(third_party_msgpack INTERFACE)
target_include_directories(third_party_msgpack SYSTEM INTERFACE ${MSGPACK_INCLUDE})
target_compile_definitions(third_party_msgpack INTERFACE MSGPACK_NO_BOOST
                           MSGPACK_DEFAULT_API_VERSION=3)
add_library(third_party::msgpack ALIAS third_party_msgpack)

find_path(TOML11_INCLUDE toml.hpp)
if(NOT TOML11_INCLUDE)
  third_party_missing(toml11 libtoml11-dev)
endif()
add_library(third_party_toml11 INTERFACE)
target_include_directories(third_party_toml11 SYSTEM INTERFACE ${TOML11_INCLUDE})
add_library(third_party::toml11 ALIAS third_party_toml11)

if(RAFTD_TESTS)
  find_path(DOCTEST_INCLUDE doctest/doctest.h)
  if(NOT DOCTEST_INCLUDE)
    third_party_missing(doctest doctest-dev)
  endif()
  add_library(third_party_doctest INTERFACE)
  target_include_directories(third_party_doctest SYSTEM INTERFACE ${DOCTEST_INCLUDE})
  target_compile_definitions(third_party_doctest INTERFACE DOCTEST_CONFIG_SUPER_FAST_ASSERTS)
  add_library(third_party::doctest ALIAS third_party_doctest)
endif()
