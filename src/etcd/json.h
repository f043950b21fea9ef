// Messages as JSON, by their tables: Protocol Buffers' JSON form as etcd's gateway speaks it.
// Numbers of 64 bits are texts, zeros are left out, bytes are base64 (etcd-v3: A1, A2).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "etcd/fields.h"

namespace raftd::etcd {

// Into a message that is empty. Nothing at all means {}. Fields go by both of their spellings,
// those that the table does not know are skipped, the last of one that is there twice counts, null
// is absent. kBadInput: no JSON, or a value that its field cannot hold; the message names the field
// ("compare[0].key") or the byte.
Status read_json(std::string_view json, const Description& description, void* message);
// Appends the object.
void write_json(std::string& out, const Description& description, const void* message);

template <class Message>
Result<Message> from_json(std::string_view json) {
  Message message;
  if (Status status = read_json(json, describe<Message>(), &message); !status) {
    return std::move(status).error();
  }
  return message;
}

template <class Message>
void add_json(std::string& out, const Message& message) {
  write_json(out, describe<Message>(), &message);
}

}  // namespace raftd::etcd
