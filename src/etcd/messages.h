// The messages of etcd's v3 API as values (etcd-io/etcd: rpc.proto, kv.proto, lock and election):
// every protocol that carries them reads and writes these, by the tables that describe() gives.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "etcd/fields.h"

namespace raftd::etcd {

enum class EventType : std::int32_t { kPut = 0, kDelete = 1 };
enum class SortOrder : std::int32_t { kNone = 0, kAscend = 1, kDescend = 2 };
enum class SortTarget : std::int32_t { kKey = 0, kVersion = 1, kCreate = 2, kMod = 3, kValue = 4 };
enum class CompareResult : std::int32_t { kEqual = 0, kGreater = 1, kLess = 2, kNotEqual = 3 };
enum class CompareTarget : std::int32_t {
  kVersion = 0,
  kCreate = 1,
  kMod = 2,
  kValue = 3,
  kLease = 4
};
enum class FilterType : std::int32_t { kNoPut = 0, kNoDelete = 1 };
enum class AlarmType : std::int32_t { kNone = 0, kNoSpace = 1, kCorrupt = 2 };
enum class AlarmAction : std::int32_t { kGet = 0, kActivate = 1, kDeactivate = 2 };

// A request without fields, and an answer that is a header.
struct Empty {};
struct ResponseHeader {
  std::uint64_t cluster_id = 0;
  std::uint64_t member_id = 0;
  std::int64_t revision = 0;
  std::uint64_t raft_term = 0;
};
struct HeaderResponse {
  std::optional<ResponseHeader> header;
};

struct KeyValue {
  std::string key;
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::int64_t version = 0;
  std::string value;
  std::int64_t lease = 0;
};
struct Event {
  EventType type{};
  std::optional<KeyValue> kv;
  std::optional<KeyValue> prev_kv;
};

struct RangeRequest {
  std::string key;
  std::string range_end;
  std::int64_t limit = 0;
  std::int64_t revision = 0;
  SortOrder sort_order{};
  SortTarget sort_target{};
  bool serializable = false;
  bool keys_only = false;
  bool count_only = false;
  std::int64_t min_mod_revision = 0;
  std::int64_t max_mod_revision = 0;
  std::int64_t min_create_revision = 0;
  std::int64_t max_create_revision = 0;
};
struct RangeResponse {
  std::optional<ResponseHeader> header;
  std::vector<KeyValue> kvs;
  bool more = false;
  std::int64_t count = 0;
};
struct PutRequest {
  std::string key;
  std::string value;
  std::int64_t lease = 0;
  bool prev_kv = false;
  bool ignore_value = false;
  bool ignore_lease = false;
};
struct PutResponse {
  std::optional<ResponseHeader> header;
  std::optional<KeyValue> prev_kv;
};
struct DeleteRangeRequest {
  std::string key;
  std::string range_end;
  bool prev_kv = false;
};
struct DeleteRangeResponse {
  std::optional<ResponseHeader> header;
  std::int64_t deleted = 0;
  std::vector<KeyValue> prev_kvs;
};
struct TxnRequest;
struct TxnResponse;
// One of them.
struct RequestOp {
  std::optional<RangeRequest> request_range;
  std::optional<PutRequest> request_put;
  std::optional<DeleteRangeRequest> request_delete_range;
  std::unique_ptr<TxnRequest> request_txn;
};
struct ResponseOp {
  std::optional<RangeResponse> response_range;
  std::optional<PutResponse> response_put;
  std::optional<DeleteRangeResponse> response_delete_range;
  std::unique_ptr<TxnResponse> response_txn;
};
struct Compare {
  CompareResult result{};
  CompareTarget target{};
  std::string key;
  std::int64_t version = 0;  // One of these five.
  std::int64_t create_revision = 0;
  std::int64_t mod_revision = 0;
  std::string value;
  std::int64_t lease = 0;
  std::string range_end;
};
struct TxnRequest {
  std::vector<Compare> compare;
  std::vector<RequestOp> success;
  std::vector<RequestOp> failure;
};
struct TxnResponse {
  std::optional<ResponseHeader> header;
  bool succeeded = false;
  std::vector<ResponseOp> responses;
};
struct CompactionRequest {
  std::int64_t revision = 0;
  bool physical = false;
};
struct HashKVRequest {
  std::int64_t revision = 0;
};
struct HashKVResponse {
  std::optional<ResponseHeader> header;
  std::uint32_t hash = 0;
  std::int64_t compact_revision = 0;
  std::int64_t hash_revision = 0;
};
struct HashResponse {
  std::optional<ResponseHeader> header;
  std::uint32_t hash = 0;
};
struct SnapshotResponse {
  std::optional<ResponseHeader> header;
  std::uint64_t remaining_bytes = 0;
  std::string blob;
  std::string version;
};
struct WatchCreateRequest {
  std::string key;
  std::string range_end;
  std::int64_t start_revision = 0;
  bool progress_notify = false;
  std::vector<FilterType> filters;
  bool prev_kv = false;
  std::int64_t watch_id = 0;
  bool fragment = false;
};
struct WatchCancelRequest {
  std::int64_t watch_id = 0;
};
// One of them.
struct WatchRequest {
  std::optional<WatchCreateRequest> create_request;
  std::optional<WatchCancelRequest> cancel_request;
  std::optional<Empty> progress_request;
};
struct WatchResponse {
  std::optional<ResponseHeader> header;
  std::int64_t watch_id = 0;
  bool created = false;
  bool canceled = false;
  std::int64_t compact_revision = 0;
  std::string cancel_reason;
  bool fragment = false;
  std::vector<Event> events;
};
struct LeaseGrantRequest {
  std::int64_t ttl = 0;
  std::int64_t id = 0;
};
struct LeaseGrantResponse {
  std::optional<ResponseHeader> header;
  std::int64_t id = 0;
  std::int64_t ttl = 0;
  std::string error;
};
struct LeaseRevokeRequest {
  std::int64_t id = 0;
};
struct LeaseKeepAliveRequest {
  std::int64_t id = 0;
};
struct LeaseKeepAliveResponse {
  std::optional<ResponseHeader> header;
  std::int64_t id = 0;
  std::int64_t ttl = 0;
};
struct LeaseTimeToLiveRequest {
  std::int64_t id = 0;
  bool keys = false;
};
struct LeaseTimeToLiveResponse {
  std::optional<ResponseHeader> header;
  std::int64_t id = 0;
  std::int64_t ttl = 0;
  std::int64_t granted_ttl = 0;
  std::vector<std::string> keys;
};
struct LeaseStatus {
  std::int64_t id = 0;
};
struct LeaseLeasesResponse {
  std::optional<ResponseHeader> header;
  std::vector<LeaseStatus> leases;
};
struct Member {
  std::uint64_t id = 0;
  std::string name;
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
  bool is_learner = false;
};
struct MemberAddRequest {
  std::vector<std::string> peer_urls;
  bool is_learner = false;
};
struct MemberAddResponse {
  std::optional<ResponseHeader> header;
  std::optional<Member> member;
  std::vector<Member> members;
};
// Of member/list, remove, update and promote.
struct MembersResponse {
  std::optional<ResponseHeader> header;
  std::vector<Member> members;
};
struct MemberRemoveRequest {
  std::uint64_t id = 0;
};
struct MemberUpdateRequest {
  std::uint64_t id = 0;
  std::vector<std::string> peer_urls;
};
struct MemberListRequest {
  bool linearizable = false;
};
struct MemberPromoteRequest {
  std::uint64_t id = 0;
};
struct MoveLeaderRequest {
  std::uint64_t target_id = 0;
};
struct AlarmRequest {
  AlarmAction action{};
  std::uint64_t member_id = 0;
  AlarmType alarm{};
};
struct AlarmMember {
  std::uint64_t member_id = 0;
  AlarmType alarm{};
};
struct AlarmResponse {
  std::optional<ResponseHeader> header;
  std::vector<AlarmMember> alarms;
};
struct StatusResponse {
  std::optional<ResponseHeader> header;
  std::string version;
  std::int64_t db_size = 0;
  std::uint64_t leader = 0;
  std::uint64_t raft_index = 0;
  std::uint64_t raft_term = 0;
  std::uint64_t raft_applied_index = 0;
  std::vector<std::string> errors;
  std::int64_t db_size_in_use = 0;
  bool is_learner = false;
  std::string storage_version;
  std::int64_t db_size_quota = 0;
};
struct LockRequest {
  std::string name;
  std::int64_t lease = 0;
};
struct LockResponse {
  std::optional<ResponseHeader> header;
  std::string key;
};
struct UnlockRequest {
  std::string key;
};
struct CampaignRequest {
  std::string name;
  std::int64_t lease = 0;
  std::string value;
};
struct LeaderKey {
  std::string name;
  std::string key;
  std::int64_t rev = 0;
  std::int64_t lease = 0;
};
struct CampaignResponse {
  std::optional<ResponseHeader> header;
  std::optional<LeaderKey> leader;
};
struct LeaderRequest {
  std::string name;
};
struct LeaderResponse {
  std::optional<ResponseHeader> header;
  std::optional<KeyValue> kv;
};
struct ResignRequest {
  std::optional<LeaderKey> leader;
};
struct ProclaimRequest {
  std::optional<LeaderKey> leader;
  std::string value;
};

template <>
const Description& describe<Empty>();
template <>
const Description& describe<ResponseHeader>();
template <>
const Description& describe<HeaderResponse>();
template <>
const Description& describe<KeyValue>();
template <>
const Description& describe<Event>();
template <>
const Description& describe<RangeRequest>();
template <>
const Description& describe<RangeResponse>();
template <>
const Description& describe<PutRequest>();
template <>
const Description& describe<PutResponse>();
template <>
const Description& describe<DeleteRangeRequest>();
template <>
const Description& describe<DeleteRangeResponse>();
template <>
const Description& describe<RequestOp>();
template <>
const Description& describe<ResponseOp>();
template <>
const Description& describe<Compare>();
template <>
const Description& describe<TxnRequest>();
template <>
const Description& describe<TxnResponse>();
template <>
const Description& describe<CompactionRequest>();
template <>
const Description& describe<HashKVRequest>();
template <>
const Description& describe<HashKVResponse>();
template <>
const Description& describe<HashResponse>();
template <>
const Description& describe<SnapshotResponse>();
template <>
const Description& describe<WatchCreateRequest>();
template <>
const Description& describe<WatchCancelRequest>();
template <>
const Description& describe<WatchRequest>();
template <>
const Description& describe<WatchResponse>();
template <>
const Description& describe<LeaseGrantRequest>();
template <>
const Description& describe<LeaseGrantResponse>();
template <>
const Description& describe<LeaseRevokeRequest>();
template <>
const Description& describe<LeaseKeepAliveRequest>();
template <>
const Description& describe<LeaseKeepAliveResponse>();
template <>
const Description& describe<LeaseTimeToLiveRequest>();
template <>
const Description& describe<LeaseTimeToLiveResponse>();
template <>
const Description& describe<LeaseStatus>();
template <>
const Description& describe<LeaseLeasesResponse>();
template <>
const Description& describe<Member>();
template <>
const Description& describe<MemberAddRequest>();
template <>
const Description& describe<MemberAddResponse>();
template <>
const Description& describe<MembersResponse>();
template <>
const Description& describe<MemberRemoveRequest>();
template <>
const Description& describe<MemberUpdateRequest>();
template <>
const Description& describe<MemberListRequest>();
template <>
const Description& describe<MemberPromoteRequest>();
template <>
const Description& describe<MoveLeaderRequest>();
template <>
const Description& describe<AlarmRequest>();
template <>
const Description& describe<AlarmMember>();
template <>
const Description& describe<AlarmResponse>();
template <>
const Description& describe<StatusResponse>();
template <>
const Description& describe<LockRequest>();
template <>
const Description& describe<LockResponse>();
template <>
const Description& describe<UnlockRequest>();
template <>
const Description& describe<CampaignRequest>();
template <>
const Description& describe<LeaderKey>();
template <>
const Description& describe<CampaignResponse>();
template <>
const Description& describe<LeaderRequest>();
template <>
const Description& describe<LeaderResponse>();
template <>
const Description& describe<ResignRequest>();
template <>
const Description& describe<ProclaimRequest>();

}  // namespace raftd::etcd
