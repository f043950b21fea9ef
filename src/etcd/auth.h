// Users and roles: there are none yet, and what asks for them hears so.
#pragma once

#include "etcd/call.h"

namespace raftd::etcd {

api::Handled auth_status(const api::Site& site, Empty request);
api::Handled auth_disable(const api::Site& site, Empty request);
// All the others.
api::Handled auth_off(const api::Site& site, Empty request);

}  // namespace raftd::etcd
