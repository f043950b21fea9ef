// Events of a watch as text: server-sent events, or a JSON object per line.
#pragma once

#include <string>

#include "api/watch_stream.h"

namespace raftd::api {

void add_event(std::string& out, WatchFormat format, const kv::Event& event, bool with_prev);
void add_snapshot(std::string& out, WatchFormat format, const kv::Item& item);
void add_progress(std::string& out, WatchFormat format, kv::Revision revision);
// reset, or compacted: the last there is.
void add_lost(std::string& out, WatchFormat format, kv::Revision compact_revision, bool reset);
void add_heartbeat(std::string& out, WatchFormat format);

}  // namespace raftd::api
