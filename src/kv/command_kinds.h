// The numbers of the commands' encoding. Included by encode and decode alone.
//
// A command is a flat msgpack array: [1, kind, fields...], or, on terms, [2, idempotency key bin,
// request hash, number of fences, of each space, name bin and token, kind, fields...].
//
// | kind | command       | fields                                                       |
// | ---- | ------------- | ------------------------------------------------------------ |
// | 1    | Put           | key bin, value bin, condition u8, mod, want_prev; of a key   |
// |      |               | with a lease also lease choice u8, number                    |
// | 2    | Delete        | key bin, condition u8, mod, want_prev                        |
// | 3    | DeletePrefix  | prefix bin, limit                                            |
// | 4    | PublishMember | id, instance, name bin, client bin, version bin              |
// | 5    | Compact       | revision                                                     |
// | 6    | ReserveMember | token hash bin, name bin, voter, replaces, ttl               |
// | 7    | ClaimMember   | id, token hash bin, instance, name bin, client bin, voter,   |
// |      |               | replaces                                                     |
// | 8    | DropTickets   | id                                                           |
// | 9    | Increment     | key bin, by (two's complement), condition u8, mod, lease     |
// |      |               | choice u8, number                                            |
// | 10   | Touch         | key bin, ttl                                                 |
// | 11   | Transaction   | number of guards, each: target, relation, from bin, to bin,  |
// |      |               | number, value bin; then twice: number of operations, each:   |
// |      |               | its kind and fields                                          |
// | 12   | GrantLease    | id, ttl                                                      |
// | 13   | KeepLeases    | ids                                                          |
// | 14   | RevokeLease   | id                                                           |
// | 15   | ExpireLeases  |                                                              |
// | 16   | Acquire       | space, name bin, ttl, owner bin, value bin, wait             |
// | 17   | KeepLock      | space, name bin, token, ttl                                  |
// | 18   | Release       | space, name bin, token                                       |
// | 19   | Proclaim      | name bin, token, value bin                                   |
// | 20   | LeaveQueue    | space, name bin, place                                       |
// | 21   | Put           | that keeps its value or must find its key: key bin, value    |
// |      |               | bin, condition u8, mod, want_prev, lease choice u8, number,  |
// |      |               | keep_value, must_exist                                       |
// | 22   | Transaction   | whose guards are first: as 11                                |
//
// Operations of a transaction have kinds of their own:
//
// | kind | operation   | fields                                            |
// | ---- | ----------- | ------------------------------------------------- |
// | 1    | Put         | key bin, value bin, want_prev, lease choice, number |
// | 2    | Delete      | key bin, want_prev                                |
// | 3    | DeleteSpan  | from bin, to bin, want_prev                       |
// | 4    | Get         | key bin                                           |
// | 5    | List        | from bin, to bin, limit, keys_only                |
// | 6    | Increment   | key bin, by, lease choice, number                 |
// | 7    | Touch       | key bin, ttl                                      |
// | 8    | Transaction | as above                                          |
// | 9    | Put         | as 1, keep_value, must_exist                      |
// | 10   | List        | as 5, rev, count_only, count_all, min_mod,        |
// |      |             | max_mod, min_create, max_create, sort target,     |
// |      |             | descending                                        |
#pragma once

#include <cstdint>

namespace raftd::kv {

// The types of msgpack of which a command consists. An array of up to 15 is its type as well.
inline constexpr unsigned kFixedMax = 0x7f;  // Smaller ones are numbers.
inline constexpr unsigned kFixedArray = 0x90;
inline constexpr unsigned kFixedArrayMax = 15;
inline constexpr unsigned kBin8 = 0xc4;  // And of 16 and 32 bits of length.
inline constexpr unsigned kBin32 = 0xc6;
inline constexpr unsigned kUint8 = 0xcc;  // And of 16, 32 and 64 bits.
inline constexpr unsigned kUint64 = 0xcf;
inline constexpr unsigned kArray16 = 0xdc;
inline constexpr unsigned kArray32 = 0xdd;

inline constexpr std::uint64_t kPlainCommand = 1;
inline constexpr std::uint64_t kCommandOnTerms = 2;

enum class CommandKind : std::uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeletePrefix = 3,
  kPublishMember = 4,
  kCompact = 5,
  kReserveMember = 6,
  kClaimMember = 7,
  kDropTickets = 8,
  kIncrement = 9,
  kTouch = 10,
  kTransaction = 11,
  kGrantLease = 12,
  kKeepLeases = 13,
  kRevokeLease = 14,
  kExpireLeases = 15,
  kAcquire = 16,
  kKeepLock = 17,
  kRelease = 18,
  kProclaim = 19,
  kLeaveQueue = 20,
  kPutKeeping = 21,
  kTransactionGuardsFirst = 22,
};

enum class OpKind : std::uint8_t {
  kPut = 1,
  kDelete = 2,
  kDeleteSpan = 3,
  kGet = 4,
  kList = 5,
  kIncrement = 6,
  kTouch = 7,
  kTransaction = 8,
  kPutKeeping = 9,
  kListBy = 10,
};

}  // namespace raftd::kv
