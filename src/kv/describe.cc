#include "kv/describe.h"

#include <algorithm>

#include "base/text.h"

namespace raftd::kv {
namespace {

constexpr std::size_t kValueBytesShown = 64;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// The longest start of text within bytes_max that does not cut a character in two.
std::string_view start_of(std::string_view text, std::size_t bytes_max) {
  std::size_t end = std::min(bytes_max, text.size());
  while (end > 0 && end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
    --end;
  return text.substr(0, end);
}

// Fields between braces, separated by commas.
class Line {
 public:
  Line(const char* name, bool full, bool hex) : text_(name), full_(full), hex_(hex) {
    text_ += " {";
  }
  void bytes(const char* name, std::string_view value) {
    field(name);
    shown(value, value.size());
  }
  void value(const char* name, std::string_view value) {
    field(name);
    shown(value, full_ ? value.size() : kValueBytesShown);
  }
  void number(const char* name, std::uint64_t value) {
    field(name);
    text_ += std::to_string(value);
  }
  void word(const char* name, const char* value) {
    field(name);
    text_ += value;
  }
  void condition(const Condition& condition) {
    switch (condition.kind) {
      case Condition::Kind::kNone:
        return;
      case Condition::Kind::kModIs:
        return number("if_mod", condition.mod);
      case Condition::Kind::kExists:
        return word("if", "exists");
      case Condition::Kind::kAbsent:
        return word("if", "absent");
    }
  }
  void lease(const LeaseChoice& choice) {
    switch (choice.kind) {
      case LeaseChoice::Kind::kNone:
        return;
      case LeaseChoice::Kind::kKeep:
        return word("lease", "keep");
      case LeaseChoice::Kind::kAttach:
        return number("lease", choice.number);
      case LeaseChoice::Kind::kPrivate:
        return number("ttl_ms", choice.number);
    }
  }
  void signed_number(const char* name, std::int64_t value) {
    field(name);
    text_ += std::to_string(value);
  }
  void terms(const Terms& terms) {
    if (!terms.idempotency_key.empty()) bytes("idempotency_key", terms.idempotency_key);
    for (const Fence& fence : terms.fences) {
      bytes("fence", fence.name);
      number("token", fence.token);
    }
  }
  std::string take() && { return std::move(text_) + " }"; }

 private:
  void field(const char* name) {
    if (text_.back() != '{') text_ += ',';
    text_ += ' ';
    text_ += name;
    text_ += ": ";
  }

  void shown(std::string_view value, std::size_t bytes_max) {
    const bool as_hex = hex_ || !is_utf8(value) || std::ranges::any_of(value, is_control);
    const std::string_view start = as_hex ? value.substr(0, bytes_max) : start_of(value, bytes_max);
    if (as_hex) {
      text_ += "0x" + to_hex(as_bytes(start));
    } else {
      text_ += '"';
      for (const char c : start) {
        if (c == '"' || c == '\\') text_ += '\\';
        text_ += c;
      }
      text_ += '"';
    }
    if (start.size() < value.size()) text_ += strf(".. (%zu bytes)", value.size());
  }

  std::string text_;
  bool full_;
  bool hex_;
};

void write(Line& line, const Put& put) {
  line.bytes("key", put.key);
  if (put.keep_value) {
    line.word("value", "keep");
  } else {
    line.value("value", put.value);
  }
  if (put.must_exist) line.word("must", "exist");
  line.condition(put.condition);
  line.lease(put.lease);
}

void write(Line& line, const Delete& del) {
  line.bytes("key", del.key);
  line.condition(del.condition);
}

void write(Line& line, const DeletePrefix& del) {
  line.bytes("prefix", del.prefix);
  if (del.limit != 0) line.number("limit", del.limit);
}

void write(Line& line, const PublishMember& member) {
  line.number("id", member.id);
  line.word("instance", strf("%016llx", static_cast<unsigned long long>(member.instance)).c_str());
  line.bytes("name", member.name);
  line.bytes("client", member.client);
  line.bytes("version", member.version);
}

void write(Line& line, const Compact& compact) {
  line.number("revision", compact.revision);
}

void write(Line& line, const ReserveMember& reserve) {
  line.bytes("name", reserve.name);
  line.word("role", reserve.voter ? "voter" : "learner");
  if (reserve.replaces != 0) line.number("replaces", reserve.replaces);
  line.number("ttl_ms", reserve.ttl_ms);
}

void write(Line& line, const ClaimMember& claim) {
  line.number("id", claim.id);
  line.word("instance", strf("%016llx", static_cast<unsigned long long>(claim.instance)).c_str());
  line.bytes("name", claim.name);
  line.bytes("client", claim.client);
  line.word("role", claim.voter ? "voter" : "learner");
  if (claim.replaces != 0) line.number("replaces", claim.replaces);
}

void write(Line& line, const DropTickets& drop) {
  if (drop.id != 0) line.number("id", drop.id);
}

void write(Line& line, const Increment& increment) {
  line.bytes("key", increment.key);
  line.signed_number("by", increment.by);
  line.condition(increment.condition);
  line.lease(increment.lease);
}

void write(Line& line, const Touch& touch) {
  line.bytes("key", touch.key);
  if (touch.ttl_ms != 0) line.number("ttl_ms", touch.ttl_ms);
}

void write(Line& line, const Transaction& transaction) {
  line.number("guards", transaction.guards.size());
  line.number("then", transaction.then.size());
  line.number("else", transaction.otherwise.size());
}

void write(Line& line, const GrantLease& grant) {
  if (grant.id != 0) line.number("id", grant.id);
  line.number("ttl_ms", grant.ttl_ms);
}

void write(Line& line, const KeepLeases& keep) {
  line.number("leases", keep.ids.size());
  if (!keep.ids.empty()) line.number("first", keep.ids.front());
}

void write(Line& line, const RevokeLease& revoke) {
  line.number("id", revoke.id);
}

void write(Line&, const ExpireLeases&) {}

void name_lock(Line& line, Space space, std::string_view name) {
  line.bytes(space == Space::kElections ? "election" : "lock", name);
}

void write(Line& line, const Acquire& acquire) {
  name_lock(line, acquire.space, acquire.name);
  line.number("ttl_ms", acquire.ttl_ms);
  if (!acquire.owner.empty()) line.bytes("owner", acquire.owner);
  if (acquire.space == Space::kElections) line.value("value", acquire.value);
  line.word("wait", acquire.wait ? "true" : "false");
}

void write(Line& line, const KeepLock& keep) {
  name_lock(line, keep.space, keep.name);
  line.number("token", keep.token);
  if (keep.ttl_ms != 0) line.number("ttl_ms", keep.ttl_ms);
}

void write(Line& line, const Release& release) {
  name_lock(line, release.space, release.name);
  if (release.token != 0) line.number("token", release.token);
}

void write(Line& line, const Proclaim& proclaim) {
  name_lock(line, Space::kElections, proclaim.name);
  line.number("token", proclaim.token);
  line.value("value", proclaim.value);
}

void write(Line& line, const LeaveQueue& leave) {
  name_lock(line, leave.space, leave.name);
  line.number("place", leave.place);
}

const char* name_of(const Put&) {
  return "Put";
}
const char* name_of(const Delete&) {
  return "Delete";
}
const char* name_of(const DeletePrefix&) {
  return "DeletePrefix";
}
const char* name_of(const PublishMember&) {
  return "PublishMember";
}
const char* name_of(const Compact&) {
  return "Compact";
}
const char* name_of(const ReserveMember&) {
  return "ReserveMember";
}
const char* name_of(const ClaimMember&) {
  return "ClaimMember";
}
const char* name_of(const DropTickets&) {
  return "DropTickets";
}
const char* name_of(const Increment&) {
  return "Increment";
}
const char* name_of(const Touch&) {
  return "Touch";
}
const char* name_of(const Transaction&) {
  return "Transaction";
}
const char* name_of(const GrantLease&) {
  return "GrantLease";
}
const char* name_of(const KeepLeases&) {
  return "KeepLeases";
}
const char* name_of(const RevokeLease&) {
  return "RevokeLease";
}
const char* name_of(const ExpireLeases&) {
  return "ExpireLeases";
}
const char* name_of(const Acquire&) {
  return "Acquire";
}
const char* name_of(const KeepLock&) {
  return "KeepLock";
}
const char* name_of(const Release&) {
  return "Release";
}
const char* name_of(const Proclaim&) {
  return "Proclaim";
}
const char* name_of(const LeaveQueue&) {
  return "LeaveQueue";
}

}  // namespace

std::string describe(const Request& request, bool full, bool hex) {
  return std::visit(
      [&](const auto& body) {
        Line line(name_of(body), full, hex);
        write(line, body);
        line.terms(request.terms);
        return std::move(line).take();
      },
      request.command);
}

}  // namespace raftd::kv
