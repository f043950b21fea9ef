// Rows of a list in the form in which they are sent.
#pragma once

#include <string>

#include "api/list_query.h"

namespace raftd::api {

// Appends rows to text, one after the other.
class ListRows {
 public:
  explicit ListRows(ListFormat format, bool keys_only) : format_(format), keys_only_(keys_only) {}

  void add(const kv::RangeReply::Row& row, std::string& out);
  void finish(kv::Revision revision, std::string& out);  // What ends a whole list.
  std::uint64_t count() const { return count_; }

 private:
  void add_target(const kv::Item& item, std::string& out);

  ListFormat format_;
  bool keys_only_;
  std::uint64_t count_ = 0;
};

}  // namespace raftd::api
