#include "api/watch_format.h"

#include "api/answer.h"
#include "api/native_kv.h"

namespace raftd::api {
namespace {

const char* name_of(kv::EventKind kind) {
  switch (kind) {
    case kv::EventKind::kPut:
      return "put";
    case kv::EventKind::kDelete:
      return "delete";
    case kv::EventKind::kExpire:
      return "expire";
  }
  return "put";
}

void begin_sse(std::string& out, const char* name) {
  out.append("event: ").append(name).append("\ndata: ");
}

void begin_sse(std::string& out, const char* name, kv::Revision id) {
  out += "id: ";
  add_number(out, id);
  out += '\n';
  begin_sse(out, name);
}

void begin_line(std::string& out, const char* type) {
  out.append("{\"type\":\"").append(type).append("\"");
}

void end(std::string& out, WatchFormat format) {
  out += format == WatchFormat::kNdjson ? "\n" : "\n\n";
}

// The item of an event: of a deletion there is not much left.
void add_item_of(std::string& out, const kv::Event& event) {
  if (event.kind == kv::EventKind::kPut) return add_item(out, event.item, true);
  out += '{';
  add_bytes(out, "key", event.item.key);
  add_member(out, "mod", event.item.mod);
  out += '}';
}

}  // namespace

void add_event(std::string& out, WatchFormat format, const kv::Event& event, bool with_prev) {
  const char* name = name_of(event.kind);
  if (format == WatchFormat::kNdjson) {
    begin_line(out, name);
    add_member(out, "revision", event.item.mod);
    add_flag(out, "last", event.last);
    add_name(out, "item");
    add_item_of(out, event);
  } else {
    if (event.last) {
      begin_sse(out, name, event.item.mod);
    } else {
      begin_sse(out, name);
    }
    add_item_of(out, event);
    out.pop_back();  // Its brace: it may have one member more.
  }
  if (with_prev) add_item_or_null(out, "prev", event.prev);
  out += '}';
  end(out, format);
}

void add_snapshot(std::string& out, WatchFormat format, const kv::Item& item) {
  if (format == WatchFormat::kSse) {
    begin_sse(out, "snapshot");
    add_item(out, item, true);
  } else {
    begin_line(out, "snapshot");
    add_name(out, "item");
    add_item(out, item, true);
    out += '}';
  }
  end(out, format);
}

void add_progress(std::string& out, WatchFormat format, kv::Revision revision) {
  if (format == WatchFormat::kElection) {
    // No event: where a client that comes back goes on.
    out += "id: ";
    add_number(out, revision);
    return end(out, format);
  }
  if (format == WatchFormat::kSse) {
    begin_sse(out, "progress", revision);
    out += '{';
  } else {
    begin_line(out, "progress");
  }
  add_member(out, "revision", revision);
  out += '}';
  end(out, format);
}

void add_lost(std::string& out, WatchFormat format, kv::Revision compact_revision, bool reset) {
  const char* name = reset ? "reset" : "compacted";
  if (format == WatchFormat::kNdjson) {
    begin_line(out, name);
  } else {
    begin_sse(out, name);
    out += '{';
  }
  add_member(out, "compact_revision", compact_revision);
  out += '}';
  end(out, format);
}

void add_heartbeat(std::string& out, WatchFormat format) {
  out += format == WatchFormat::kNdjson ? "{\"type\":\"hb\"}\n" : ": hb\n\n";
}

}  // namespace raftd::api
