#include "etcd/messages.h"

namespace raftd::etcd {
namespace {

constexpr EnumValue kEventType[] = {{"PUT", 0}, {"DELETE", 1}};
constexpr EnumValue kSortOrder[] = {{"NONE", 0}, {"ASCEND", 1}, {"DESCEND", 2}};
constexpr EnumValue kSortTarget[] = {
    {"KEY", 0}, {"VERSION", 1}, {"CREATE", 2}, {"MOD", 3}, {"VALUE", 4}};
constexpr EnumValue kCompareResult[] = {
    {"EQUAL", 0}, {"GREATER", 1}, {"LESS", 2}, {"NOT_EQUAL", 3}};
constexpr EnumValue kCompareTarget[] = {
    {"VERSION", 0}, {"CREATE", 1}, {"MOD", 2}, {"VALUE", 3}, {"LEASE", 4}};
constexpr EnumValue kFilterType[] = {{"NOPUT", 0}, {"NODELETE", 1}};
constexpr EnumValue kAlarmType[] = {{"NONE", 0}, {"NOSPACE", 1}, {"CORRUPT", 2}};
constexpr EnumValue kAlarmAction[] = {{"GET", 0}, {"ACTIVATE", 1}, {"DEACTIVATE", 2}};
constexpr Field kHeaderResponse[] = {
    message<&HeaderResponse::header>(1, "header"),
};
constexpr Field kKeyValue[] = {
    bytes<&KeyValue::key>(1, "key"),
    number<&KeyValue::create_revision>(2, "create_revision"),
    number<&KeyValue::mod_revision>(3, "mod_revision"),
    number<&KeyValue::version>(4, "version"),
    bytes<&KeyValue::value>(5, "value"),
    number<&KeyValue::lease>(6, "lease"),
};
constexpr Field kEvent[] = {
    named<&Event::type>(1, "type", kEventType),
    message<&Event::kv>(2, "kv"),
    message<&Event::prev_kv>(3, "prev_kv"),
};
constexpr Field kResponseHeader[] = {
    number<&ResponseHeader::cluster_id>(1, "cluster_id"),
    number<&ResponseHeader::member_id>(2, "member_id"),
    number<&ResponseHeader::revision>(3, "revision"),
    number<&ResponseHeader::raft_term>(4, "raft_term"),
};
constexpr Field kRangeRequest[] = {
    bytes<&RangeRequest::key>(1, "key"),
    bytes<&RangeRequest::range_end>(2, "range_end"),
    number<&RangeRequest::limit>(3, "limit"),
    number<&RangeRequest::revision>(4, "revision"),
    named<&RangeRequest::sort_order>(5, "sort_order", kSortOrder),
    named<&RangeRequest::sort_target>(6, "sort_target", kSortTarget),
    flag<&RangeRequest::serializable>(7, "serializable"),
    flag<&RangeRequest::keys_only>(8, "keys_only"),
    flag<&RangeRequest::count_only>(9, "count_only"),
    number<&RangeRequest::min_mod_revision>(10, "min_mod_revision"),
    number<&RangeRequest::max_mod_revision>(11, "max_mod_revision"),
    number<&RangeRequest::min_create_revision>(12, "min_create_revision"),
    number<&RangeRequest::max_create_revision>(13, "max_create_revision"),
};
constexpr Field kRangeResponse[] = {
    message<&RangeResponse::header>(1, "header"),
    message<&RangeResponse::kvs>(2, "kvs"),
    flag<&RangeResponse::more>(3, "more"),
    number<&RangeResponse::count>(4, "count"),
};
constexpr Field kPutRequest[] = {
    bytes<&PutRequest::key>(1, "key"),
    bytes<&PutRequest::value>(2, "value"),
    number<&PutRequest::lease>(3, "lease"),
    flag<&PutRequest::prev_kv>(4, "prev_kv"),
    flag<&PutRequest::ignore_value>(5, "ignore_value"),
    flag<&PutRequest::ignore_lease>(6, "ignore_lease"),
};
constexpr Field kPutResponse[] = {
    message<&PutResponse::header>(1, "header"),
    message<&PutResponse::prev_kv>(2, "prev_kv"),
};
constexpr Field kDeleteRangeRequest[] = {
    bytes<&DeleteRangeRequest::key>(1, "key"),
    bytes<&DeleteRangeRequest::range_end>(2, "range_end"),
    flag<&DeleteRangeRequest::prev_kv>(3, "prev_kv"),
};
constexpr Field kDeleteRangeResponse[] = {
    message<&DeleteRangeResponse::header>(1, "header"),
    number<&DeleteRangeResponse::deleted>(2, "deleted"),
    message<&DeleteRangeResponse::prev_kvs>(3, "prev_kvs"),
};
constexpr Field kRequestOp[] = {
    message<&RequestOp::request_range>(1, "request_range", kOneOf),
    message<&RequestOp::request_put>(2, "request_put", kOneOf),
    message<&RequestOp::request_delete_range>(3, "request_delete_range", kOneOf),
    message<&RequestOp::request_txn>(4, "request_txn", kOneOf),
};
constexpr Field kResponseOp[] = {
    message<&ResponseOp::response_range>(1, "response_range", kOneOf),
    message<&ResponseOp::response_put>(2, "response_put", kOneOf),
    message<&ResponseOp::response_delete_range>(3, "response_delete_range", kOneOf),
    message<&ResponseOp::response_txn>(4, "response_txn", kOneOf),
};
constexpr Field kCompare[] = {
    named<&Compare::result>(1, "result", kCompareResult),
    named<&Compare::target>(2, "target", kCompareTarget),
    bytes<&Compare::key>(3, "key"),
    number<&Compare::version>(4, "version", kOneOf),
    number<&Compare::create_revision>(5, "create_revision", kOneOf),
    number<&Compare::mod_revision>(6, "mod_revision", kOneOf),
    bytes<&Compare::value>(7, "value", kOneOf),
    number<&Compare::lease>(8, "lease", kOneOf),
    bytes<&Compare::range_end>(64, "range_end"),
};
constexpr Field kTxnRequest[] = {
    message<&TxnRequest::compare>(1, "compare"),
    message<&TxnRequest::success>(2, "success"),
    message<&TxnRequest::failure>(3, "failure"),
};
constexpr Field kTxnResponse[] = {
    message<&TxnResponse::header>(1, "header"),
    flag<&TxnResponse::succeeded>(2, "succeeded"),
    message<&TxnResponse::responses>(3, "responses"),
};
constexpr Field kCompactionRequest[] = {
    number<&CompactionRequest::revision>(1, "revision"),
    flag<&CompactionRequest::physical>(2, "physical"),
};
constexpr Field kHashKVRequest[] = {
    number<&HashKVRequest::revision>(1, "revision"),
};
constexpr Field kHashKVResponse[] = {
    message<&HashKVResponse::header>(1, "header"),
    number<&HashKVResponse::hash>(2, "hash"),
    number<&HashKVResponse::compact_revision>(3, "compact_revision"),
    number<&HashKVResponse::hash_revision>(4, "hash_revision"),
};
constexpr Field kHashResponse[] = {
    message<&HashResponse::header>(1, "header"),
    number<&HashResponse::hash>(2, "hash"),
};
constexpr Field kSnapshotResponse[] = {
    message<&SnapshotResponse::header>(1, "header"),
    number<&SnapshotResponse::remaining_bytes>(2, "remaining_bytes"),
    bytes<&SnapshotResponse::blob>(3, "blob"),
    text<&SnapshotResponse::version>(4, "version"),
};
constexpr Field kWatchCreateRequest[] = {
    bytes<&WatchCreateRequest::key>(1, "key"),
    bytes<&WatchCreateRequest::range_end>(2, "range_end"),
    number<&WatchCreateRequest::start_revision>(3, "start_revision"),
    flag<&WatchCreateRequest::progress_notify>(4, "progress_notify"),
    named<&WatchCreateRequest::filters>(5, "filters", kFilterType),
    flag<&WatchCreateRequest::prev_kv>(6, "prev_kv"),
    number<&WatchCreateRequest::watch_id>(7, "watch_id"),
    flag<&WatchCreateRequest::fragment>(8, "fragment"),
};
constexpr Field kWatchCancelRequest[] = {
    number<&WatchCancelRequest::watch_id>(1, "watch_id"),
};
constexpr Field kWatchRequest[] = {
    message<&WatchRequest::create_request>(1, "create_request", kOneOf),
    message<&WatchRequest::cancel_request>(2, "cancel_request", kOneOf),
    message<&WatchRequest::progress_request>(3, "progress_request", kOneOf),
};
constexpr Field kWatchResponse[] = {
    message<&WatchResponse::header>(1, "header"),
    number<&WatchResponse::watch_id>(2, "watch_id"),
    flag<&WatchResponse::created>(3, "created"),
    flag<&WatchResponse::canceled>(4, "canceled"),
    number<&WatchResponse::compact_revision>(5, "compact_revision"),
    text<&WatchResponse::cancel_reason>(6, "cancel_reason"),
    flag<&WatchResponse::fragment>(7, "fragment"),
    message<&WatchResponse::events>(11, "events"),
};
constexpr Field kLeaseGrantRequest[] = {
    number<&LeaseGrantRequest::ttl>(1, "TTL"),
    number<&LeaseGrantRequest::id>(2, "ID"),
};
constexpr Field kLeaseGrantResponse[] = {
    message<&LeaseGrantResponse::header>(1, "header"),
    number<&LeaseGrantResponse::id>(2, "ID"),
    number<&LeaseGrantResponse::ttl>(3, "TTL"),
    text<&LeaseGrantResponse::error>(4, "error"),
};
constexpr Field kLeaseRevokeRequest[] = {
    number<&LeaseRevokeRequest::id>(1, "ID"),
};
constexpr Field kLeaseKeepAliveRequest[] = {
    number<&LeaseKeepAliveRequest::id>(1, "ID"),
};
constexpr Field kLeaseKeepAliveResponse[] = {
    message<&LeaseKeepAliveResponse::header>(1, "header"),
    number<&LeaseKeepAliveResponse::id>(2, "ID"),
    number<&LeaseKeepAliveResponse::ttl>(3, "TTL"),
};
constexpr Field kLeaseTimeToLiveRequest[] = {
    number<&LeaseTimeToLiveRequest::id>(1, "ID"),
    flag<&LeaseTimeToLiveRequest::keys>(2, "keys"),
};
constexpr Field kLeaseTimeToLiveResponse[] = {
    message<&LeaseTimeToLiveResponse::header>(1, "header"),
    number<&LeaseTimeToLiveResponse::id>(2, "ID"),
    number<&LeaseTimeToLiveResponse::ttl>(3, "TTL"),
    number<&LeaseTimeToLiveResponse::granted_ttl>(4, "grantedTTL"),
    bytes<&LeaseTimeToLiveResponse::keys>(5, "keys"),
};
constexpr Field kLeaseStatus[] = {
    number<&LeaseStatus::id>(1, "ID"),
};
constexpr Field kLeaseLeasesResponse[] = {
    message<&LeaseLeasesResponse::header>(1, "header"),
    message<&LeaseLeasesResponse::leases>(2, "leases"),
};
constexpr Field kMember[] = {
    number<&Member::id>(1, "ID"),
    text<&Member::name>(2, "name"),
    text<&Member::peer_urls>(3, "peerURLs"),
    text<&Member::client_urls>(4, "clientURLs"),
    flag<&Member::is_learner>(5, "isLearner"),
};
constexpr Field kMemberAddRequest[] = {
    text<&MemberAddRequest::peer_urls>(1, "peerURLs"),
    flag<&MemberAddRequest::is_learner>(2, "isLearner"),
};
constexpr Field kMemberAddResponse[] = {
    message<&MemberAddResponse::header>(1, "header"),
    message<&MemberAddResponse::member>(2, "member"),
    message<&MemberAddResponse::members>(3, "members"),
};
constexpr Field kMembersResponse[] = {
    message<&MembersResponse::header>(1, "header"),
    message<&MembersResponse::members>(2, "members"),
};
constexpr Field kMemberRemoveRequest[] = {
    number<&MemberRemoveRequest::id>(1, "ID"),
};
constexpr Field kMemberUpdateRequest[] = {
    number<&MemberUpdateRequest::id>(1, "ID"),
    text<&MemberUpdateRequest::peer_urls>(2, "peerURLs"),
};
constexpr Field kMemberListRequest[] = {
    flag<&MemberListRequest::linearizable>(1, "linearizable"),
};
constexpr Field kMemberPromoteRequest[] = {
    number<&MemberPromoteRequest::id>(1, "ID"),
};
constexpr Field kMoveLeaderRequest[] = {
    number<&MoveLeaderRequest::target_id>(1, "targetID"),
};
constexpr Field kAlarmRequest[] = {
    named<&AlarmRequest::action>(1, "action", kAlarmAction),
    number<&AlarmRequest::member_id>(2, "memberID"),
    named<&AlarmRequest::alarm>(3, "alarm", kAlarmType),
};
constexpr Field kAlarmMember[] = {
    number<&AlarmMember::member_id>(1, "memberID"),
    named<&AlarmMember::alarm>(2, "alarm", kAlarmType),
};
constexpr Field kAlarmResponse[] = {
    message<&AlarmResponse::header>(1, "header"),
    message<&AlarmResponse::alarms>(2, "alarms"),
};
constexpr Field kStatusResponse[] = {
    message<&StatusResponse::header>(1, "header"),
    text<&StatusResponse::version>(2, "version"),
    number<&StatusResponse::db_size>(3, "dbSize"),
    number<&StatusResponse::leader>(4, "leader"),
    number<&StatusResponse::raft_index>(5, "raftIndex"),
    number<&StatusResponse::raft_term>(6, "raftTerm"),
    number<&StatusResponse::raft_applied_index>(7, "raftAppliedIndex"),
    text<&StatusResponse::errors>(8, "errors"),
    number<&StatusResponse::db_size_in_use>(9, "dbSizeInUse"),
    flag<&StatusResponse::is_learner>(10, "isLearner"),
    text<&StatusResponse::storage_version>(11, "storageVersion"),
    number<&StatusResponse::db_size_quota>(12, "dbSizeQuota"),
};
constexpr Field kLockRequest[] = {
    bytes<&LockRequest::name>(1, "name"),
    number<&LockRequest::lease>(2, "lease"),
};
constexpr Field kLockResponse[] = {
    message<&LockResponse::header>(1, "header"),
    bytes<&LockResponse::key>(2, "key"),
};
constexpr Field kUnlockRequest[] = {
    bytes<&UnlockRequest::key>(1, "key"),
};
constexpr Field kCampaignRequest[] = {
    bytes<&CampaignRequest::name>(1, "name"),
    number<&CampaignRequest::lease>(2, "lease"),
    bytes<&CampaignRequest::value>(3, "value"),
};
constexpr Field kLeaderKey[] = {
    bytes<&LeaderKey::name>(1, "name"),
    bytes<&LeaderKey::key>(2, "key"),
    number<&LeaderKey::rev>(3, "rev"),
    number<&LeaderKey::lease>(4, "lease"),
};
constexpr Field kCampaignResponse[] = {
    message<&CampaignResponse::header>(1, "header"),
    message<&CampaignResponse::leader>(2, "leader"),
};
constexpr Field kLeaderRequest[] = {
    bytes<&LeaderRequest::name>(1, "name"),
};
constexpr Field kLeaderResponse[] = {
    message<&LeaderResponse::header>(1, "header"),
    message<&LeaderResponse::kv>(2, "kv"),
};
constexpr Field kResignRequest[] = {
    message<&ResignRequest::leader>(1, "leader"),
};
constexpr Field kProclaimRequest[] = {
    message<&ProclaimRequest::leader>(1, "leader"),
    bytes<&ProclaimRequest::value>(2, "value"),
};

}  // namespace

template <>
const Description& describe<Empty>() {
  static constexpr Description description{"Empty", {}};
  return description;
}
template <>
const Description& describe<ResponseHeader>() {
  static constexpr Description description{"ResponseHeader", kResponseHeader};
  return description;
}
template <>
const Description& describe<HeaderResponse>() {
  static constexpr Description description{"HeaderResponse", kHeaderResponse};
  return description;
}
template <>
const Description& describe<KeyValue>() {
  static constexpr Description description{"KeyValue", kKeyValue};
  return description;
}
template <>
const Description& describe<Event>() {
  static constexpr Description description{"Event", kEvent};
  return description;
}
template <>
const Description& describe<RangeRequest>() {
  static constexpr Description description{"RangeRequest", kRangeRequest};
  return description;
}
template <>
const Description& describe<RangeResponse>() {
  static constexpr Description description{"RangeResponse", kRangeResponse};
  return description;
}
template <>
const Description& describe<PutRequest>() {
  static constexpr Description description{"PutRequest", kPutRequest};
  return description;
}
template <>
const Description& describe<PutResponse>() {
  static constexpr Description description{"PutResponse", kPutResponse};
  return description;
}
template <>
const Description& describe<DeleteRangeRequest>() {
  static constexpr Description description{"DeleteRangeRequest", kDeleteRangeRequest};
  return description;
}
template <>
const Description& describe<DeleteRangeResponse>() {
  static constexpr Description description{"DeleteRangeResponse", kDeleteRangeResponse};
  return description;
}
template <>
const Description& describe<RequestOp>() {
  static constexpr Description description{"RequestOp", kRequestOp};
  return description;
}
template <>
const Description& describe<ResponseOp>() {
  static constexpr Description description{"ResponseOp", kResponseOp};
  return description;
}
template <>
const Description& describe<Compare>() {
  static constexpr Description description{"Compare", kCompare};
  return description;
}
template <>
const Description& describe<TxnRequest>() {
  static constexpr Description description{"TxnRequest", kTxnRequest};
  return description;
}
template <>
const Description& describe<TxnResponse>() {
  static constexpr Description description{"TxnResponse", kTxnResponse};
  return description;
}
template <>
const Description& describe<CompactionRequest>() {
  static constexpr Description description{"CompactionRequest", kCompactionRequest};
  return description;
}
template <>
const Description& describe<HashKVRequest>() {
  static constexpr Description description{"HashKVRequest", kHashKVRequest};
  return description;
}
template <>
const Description& describe<HashKVResponse>() {
  static constexpr Description description{"HashKVResponse", kHashKVResponse};
  return description;
}
template <>
const Description& describe<HashResponse>() {
  static constexpr Description description{"HashResponse", kHashResponse};
  return description;
}
template <>
const Description& describe<SnapshotResponse>() {
  static constexpr Description description{"SnapshotResponse", kSnapshotResponse};
  return description;
}
template <>
const Description& describe<WatchCreateRequest>() {
  static constexpr Description description{"WatchCreateRequest", kWatchCreateRequest};
  return description;
}
template <>
const Description& describe<WatchCancelRequest>() {
  static constexpr Description description{"WatchCancelRequest", kWatchCancelRequest};
  return description;
}
template <>
const Description& describe<WatchRequest>() {
  static constexpr Description description{"WatchRequest", kWatchRequest};
  return description;
}
template <>
const Description& describe<WatchResponse>() {
  static constexpr Description description{"WatchResponse", kWatchResponse};
  return description;
}
template <>
const Description& describe<LeaseGrantRequest>() {
  static constexpr Description description{"LeaseGrantRequest", kLeaseGrantRequest};
  return description;
}
template <>
const Description& describe<LeaseGrantResponse>() {
  static constexpr Description description{"LeaseGrantResponse", kLeaseGrantResponse};
  return description;
}
template <>
const Description& describe<LeaseRevokeRequest>() {
  static constexpr Description description{"LeaseRevokeRequest", kLeaseRevokeRequest};
  return description;
}
template <>
const Description& describe<LeaseKeepAliveRequest>() {
  static constexpr Description description{"LeaseKeepAliveRequest", kLeaseKeepAliveRequest};
  return description;
}
template <>
const Description& describe<LeaseKeepAliveResponse>() {
  static constexpr Description description{"LeaseKeepAliveResponse", kLeaseKeepAliveResponse};
  return description;
}
template <>
const Description& describe<LeaseTimeToLiveRequest>() {
  static constexpr Description description{"LeaseTimeToLiveRequest", kLeaseTimeToLiveRequest};
  return description;
}
template <>
const Description& describe<LeaseTimeToLiveResponse>() {
  static constexpr Description description{"LeaseTimeToLiveResponse", kLeaseTimeToLiveResponse};
  return description;
}
template <>
const Description& describe<LeaseStatus>() {
  static constexpr Description description{"LeaseStatus", kLeaseStatus};
  return description;
}
template <>
const Description& describe<LeaseLeasesResponse>() {
  static constexpr Description description{"LeaseLeasesResponse", kLeaseLeasesResponse};
  return description;
}
template <>
const Description& describe<Member>() {
  static constexpr Description description{"Member", kMember};
  return description;
}
template <>
const Description& describe<MemberAddRequest>() {
  static constexpr Description description{"MemberAddRequest", kMemberAddRequest};
  return description;
}
template <>
const Description& describe<MemberAddResponse>() {
  static constexpr Description description{"MemberAddResponse", kMemberAddResponse};
  return description;
}
template <>
const Description& describe<MembersResponse>() {
  static constexpr Description description{"MembersResponse", kMembersResponse};
  return description;
}
template <>
const Description& describe<MemberRemoveRequest>() {
  static constexpr Description description{"MemberRemoveRequest", kMemberRemoveRequest};
  return description;
}
template <>
const Description& describe<MemberUpdateRequest>() {
  static constexpr Description description{"MemberUpdateRequest", kMemberUpdateRequest};
  return description;
}
template <>
const Description& describe<MemberListRequest>() {
  static constexpr Description description{"MemberListRequest", kMemberListRequest};
  return description;
}
template <>
const Description& describe<MemberPromoteRequest>() {
  static constexpr Description description{"MemberPromoteRequest", kMemberPromoteRequest};
  return description;
}
template <>
const Description& describe<MoveLeaderRequest>() {
  static constexpr Description description{"MoveLeaderRequest", kMoveLeaderRequest};
  return description;
}
template <>
const Description& describe<AlarmRequest>() {
  static constexpr Description description{"AlarmRequest", kAlarmRequest};
  return description;
}
template <>
const Description& describe<AlarmMember>() {
  static constexpr Description description{"AlarmMember", kAlarmMember};
  return description;
}
template <>
const Description& describe<AlarmResponse>() {
  static constexpr Description description{"AlarmResponse", kAlarmResponse};
  return description;
}
template <>
const Description& describe<StatusResponse>() {
  static constexpr Description description{"StatusResponse", kStatusResponse};
  return description;
}
template <>
const Description& describe<LockRequest>() {
  static constexpr Description description{"LockRequest", kLockRequest};
  return description;
}
template <>
const Description& describe<LockResponse>() {
  static constexpr Description description{"LockResponse", kLockResponse};
  return description;
}
template <>
const Description& describe<UnlockRequest>() {
  static constexpr Description description{"UnlockRequest", kUnlockRequest};
  return description;
}
template <>
const Description& describe<CampaignRequest>() {
  static constexpr Description description{"CampaignRequest", kCampaignRequest};
  return description;
}
template <>
const Description& describe<LeaderKey>() {
  static constexpr Description description{"LeaderKey", kLeaderKey};
  return description;
}
template <>
const Description& describe<CampaignResponse>() {
  static constexpr Description description{"CampaignResponse", kCampaignResponse};
  return description;
}
template <>
const Description& describe<LeaderRequest>() {
  static constexpr Description description{"LeaderRequest", kLeaderRequest};
  return description;
}
template <>
const Description& describe<LeaderResponse>() {
  static constexpr Description description{"LeaderResponse", kLeaderResponse};
  return description;
}
template <>
const Description& describe<ResignRequest>() {
  static constexpr Description description{"ResignRequest", kResignRequest};
  return description;
}
template <>
const Description& describe<ProclaimRequest>() {
  static constexpr Description description{"ProclaimRequest", kProclaimRequest};
  return description;
}

}  // namespace raftd::etcd
