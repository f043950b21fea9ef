// What the calls of etcd's API have in common: they are functions of a request message and give a
// response message or an Error, whatever protocol carries them.
#pragma once

#include <string>

#include "api/call.h"
#include "etcd/errors.h"
#include "etcd/json.h"
#include "etcd/messages.h"

namespace raftd::etcd {

// revision: of the store; 0: not told.
ResponseHeader header(const api::Site& site, kv::Revision revision);

// Any page may ask, as with etcd: its clients have nothing that a browser would add by itself.
inline constexpr std::string_view kCorsFields =
    "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE\r\n"
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Allow-Headers: accept, content-type, authorization\r\n";

// Whole answers: 200 and a message, or an error.
http::Response empty_answer(const api::Site& site);  // Of which the body is still missing.
template <class Message>
http::Response answer(const api::Site& site, const Message& message) {
  http::Response response = empty_answer(site);
  add_json(response.body, message);
  return response;
}
http::Response header_answer(const api::Site& site, kv::Revision revision);
http::Response refuse(const Error& error);
// The head of an answer that is a stream of messages, each an object and a newline.
http::Response stream_answer(std::unique_ptr<http::BodySource> stream);

class EtcdCall : public api::Call {
 public:
  http::Response refuse(const api::Site& site, const api::ApiError& error) const final;
};

// A write or a linearizable read needs a leader: nothing, or why not.
std::optional<Error> check_leader(const api::Site& site);

// That most probably no client chooses for itself, as small ones may be.
kv::LeaseId choose_lease_id(const api::Site& site);

KeyValue key_value(kv::Item item);
// Of what the store does not do; nothing: it did it.
std::optional<Error> error_of(const kv::StoreReply& reply);
// An id of a lease, or a revision, as the store counts them; nothing: it can be none of them.
inline std::optional<std::uint64_t> positive(std::int64_t number) {
  if (number <= 0) return std::nullopt;
  return static_cast<std::uint64_t>(number);
}

// One function for each call, by the name of its path.
api::Handled range(const api::Site& site, RangeRequest request);
api::Handled put(const api::Site& site, PutRequest request);
api::Handled delete_range(const api::Site& site, DeleteRangeRequest request);
api::Handled txn(const api::Site& site, TxnRequest request);
api::Handled compaction(const api::Site& site, CompactionRequest request);
api::Handled lease_grant(const api::Site& site, LeaseGrantRequest request);
api::Handled lease_keepalive(const api::Site& site, LeaseKeepAliveRequest request);
api::Handled lease_revoke(const api::Site& site, LeaseRevokeRequest request);
api::Handled lease_timetolive(const api::Site& site, LeaseTimeToLiveRequest request);
api::Handled lease_leases(const api::Site& site, Empty request);
api::Handled member_list(const api::Site& site, MemberListRequest request);
api::Handled member_add(const api::Site& site, MemberAddRequest request);
api::Handled member_remove(const api::Site& site, MemberRemoveRequest request);
api::Handled member_update(const api::Site& site, MemberUpdateRequest request);
api::Handled member_promote(const api::Site& site, MemberPromoteRequest request);
api::Handled status(const api::Site& site, Empty request);
api::Handled alarm(const api::Site& site, AlarmRequest request);
api::Handled hash(const api::Site& site, Empty request);
api::Handled hash_kv(const api::Site& site, HashKVRequest request);
api::Handled defragment(const api::Site& site, Empty request);
api::Handled transfer_leadership(const api::Site& site, MoveLeaderRequest request);
api::Handled snapshot(const api::Site& site, Empty request);
api::Handled lock(const api::Site& site, LockRequest request);
api::Handled unlock(const api::Site& site, UnlockRequest request);
api::Handled campaign(const api::Site& site, CampaignRequest request);
api::Handled proclaim(const api::Site& site, ProclaimRequest request);
api::Handled leader(const api::Site& site, LeaderRequest request);
api::Handled observe(const api::Site& site, LeaderRequest request);
api::Handled resign(const api::Site& site, ResignRequest request);

}  // namespace raftd::etcd
