#include "etcd/auth.h"

namespace raftd::etcd {

// Not enabled: a flag that is false is left out.
api::Handled auth_status(const api::Site& site, Empty) {
  return header_answer(site, site.store.stats().revision);
}

api::Handled auth_disable(const api::Site& site, Empty) {
  return header_answer(site, site.store.stats().revision);
}

api::Handled auth_off(const api::Site&, Empty) {
  return refuse(failed_precondition("authentication is not enabled"));
}

}  // namespace raftd::etcd
