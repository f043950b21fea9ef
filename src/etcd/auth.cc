#include "etcd/auth.h"

namespace raftd::etcd {
namespace {

http::Response just_header(const api::Site& site) {
  return answer(site, HeaderResponse{header(site, site.store.stats().revision)});
}

}  // namespace

// Not enabled: a flag that is false is left out.
api::Handled auth_status(const api::Site& site, Empty) {
  return just_header(site);
}

api::Handled auth_disable(const api::Site& site, Empty) {
  return just_header(site);
}

api::Handled auth_off(const api::Site&, Empty) {
  return refuse(failed_precondition("authentication is not enabled"));
}

}  // namespace raftd::etcd
