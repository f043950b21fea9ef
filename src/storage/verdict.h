// What becomes of a segment whose good frames end somewhere: the decision table of recovery. Rows
// are tried from the top; a test holds the function against the same table, over all combinations.
//
//   last record   bytes from the end on                       newest  verdict
//   ------------  ------------------------------------------  ------  ----------------------------
//   seal, clean   zeros or end of file                        any     kSealed
//   seal, clean   anything else                               any     kBytesAfterSeal   (corrupt)
//   other         zeros or end of file                        no      kSealMissing      (corrupt)
//   other         zeros or end of file                        yes     kEnd       trim, seal
//   other         a later frame's header                      any     kFrameLost        (corrupt)
//   other         non-zero farther than the largest frame     any     kFarBytes         (corrupt)
//   other         anything else                               no      kBadInside        (corrupt)
//   other         anything else                               yes     kTorn      copy, trim, seal
//   no header     no later frame, nothing far, S-1 is sealed  yes     kNeverWritten     remove
//   no header     otherwise                                   any     kHeaderBad        (corrupt)
//
// Why a torn tail and damage can be told apart: frame N + 1 is submitted only after frame N's sync
// returned, so whatever stands before a later frame was durable.
#pragma once

#include <cstdint>

namespace raftd::storage {

struct SegmentEnd {
  bool header_valid = false;
  bool sealed = false;           // The last good record is a seal or clean.
  bool rest_zero = false;        // From the end of the good frames to the end of the file.
  bool later_frame = false;      // A valid frame header with a later number than the one expected;
                                 // without a header: later than the first one.
  bool far_bytes = false;        // Non-zero where the one frame in flight cannot have reached.
  bool newest = false;           // No later segment holds anything.
  bool previous_sealed = false;  // The segment before; asked only without a header.
};

enum class Verdict : std::uint8_t {
  kSealed,
  kBytesAfterSeal,
  kSealMissing,
  kEnd,
  kFrameLost,
  kFarBytes,
  kBadInside,
  kTorn,
  kNeverWritten,
  kHeaderBad,
};

constexpr Verdict judge(const SegmentEnd& end) {
  if (!end.header_valid) {
    const bool first_write_only = !end.later_frame && !end.far_bytes;
    return first_write_only && end.previous_sealed && end.newest ? Verdict::kNeverWritten
                                                                 : Verdict::kHeaderBad;
  }
  if (end.sealed) return end.rest_zero ? Verdict::kSealed : Verdict::kBytesAfterSeal;
  if (end.rest_zero) return end.newest ? Verdict::kEnd : Verdict::kSealMissing;
  if (end.later_frame) return Verdict::kFrameLost;
  if (end.far_bytes) return Verdict::kFarBytes;
  return end.newest ? Verdict::kTorn : Verdict::kBadInside;
}

}  // namespace raftd::storage
