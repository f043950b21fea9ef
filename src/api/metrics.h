// What the front end counts, and all metrics in the Prometheus text format.
#pragma once

#include <array>
#include <cstdint>

#include "api/router.h"
#include "base/histogram.h"

namespace raftd::api {

class Metrics {
 public:
  void count_request(Root root, int status, Duration took);
  void count_refused() { ++refused_; }    // Proposals that certainly did not happen.
  void count_unknown() { ++unknown_; }    // Proposals of which that is not known.
  void count_proposed() { ++proposed_; }  // Proposals that were done.

  // Lines of raftd_http_* and raftd_proposals_total.
  void write(std::string& out) const;

 private:
  // Every status that an answer of this API can have; others are counted as the last.
  static constexpr std::array<int, 28> kStatuses{200, 201, 202, 204, 304, 307, 400, 403, 404, 405,
                                                 406, 408, 409, 410, 412, 413, 414, 417, 421, 422,
                                                 429, 431, 501, 503, 504, 505, 507, 500};

  std::array<std::array<std::uint64_t, kStatuses.size()>, kRoots> requests_{};
  Histogram native_;  // Of data and control calls.
  std::uint64_t proposed_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t unknown_ = 0;
};

// Pieces of the text format.
void add_metric_type(std::string& out, const char* name, const char* type, const char* help);
void add_metric(std::string& out, const char* name, std::string_view labels, std::uint64_t value);
void add_histogram(std::string& out, const char* name, std::string_view labels,
                   const Histogram& histogram);

}  // namespace raftd::api
