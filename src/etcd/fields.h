// How a message is described: a table of its fields, each with what reads and writes the member
// that holds it. Codecs know tables, not messages (Protocol Buffers' idea of a descriptor).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace raftd::etcd {

enum class Kind : std::uint8_t { kFlag, kInt64, kUint64, kUint32, kBytes, kText, kNamed, kMessage };

struct EnumValue {
  std::string_view name;
  std::int32_t number = 0;
};

struct Description;

// Messages are given as pointers to what the table describes. Everything that a field has is
// counted: 0 or 1 for one that is not repeated. A number that is zero, a flag that is false and
// bytes that are empty count as absent, as in proto3; a message is absent if nobody gave it.
struct Field {
  std::uint8_t number = 0;  // In Protocol Buffers.
  std::string_view name;    // In JSON, as it goes out.
  Kind kind{};
  bool repeated = false;
  bool one_of = false;  // Of a message's fields of this kind at most one has a value.
  std::span<const EnumValue> values{};            // kNamed.
  const Description& (*description)() = nullptr;  // kMessage.

  std::size_t (*count)(const void* message) = nullptr;
  void (*clear)(void* message) = nullptr;
  // Flags (0 or 1), numbers (two's complement) and named values. add: in place of what there is,
  // or behind it.
  std::uint64_t (*value)(const void* message, std::size_t at) = nullptr;
  void (*add_value)(void* message, std::uint64_t value) = nullptr;
  // Bytes and texts. The reference is good until the message is changed.
  const std::string& (*text)(const void* message, std::size_t at) = nullptr;
  std::string& (*add_text)(void* message) = nullptr;  // Empty.
  const void* (*part)(const void* message, std::size_t at) = nullptr;
  void* (*add_part)(void* message) = nullptr;  // A new one; a single one that is there: that one.
};

struct Description {
  std::string_view name;
  std::span<const Field> fields;
};

template <class Message>
const Description& describe();

namespace detail {

template <class T>
struct MemberOf;
template <class C, class M>
struct MemberOf<M C::*> {
  using Class = C;
  using Type = M;
};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct PartOf {};
template <class T>
struct PartOf<std::optional<T>> {
  using Type = T;
  static T& make(std::optional<T>& place) { return place ? *place : place.emplace(); }
};
template <class T>
struct PartOf<std::unique_ptr<T>> {
  using Type = T;
  static T& make(std::unique_ptr<T>& place) {
    if (place == nullptr) place = std::make_unique<T>();
    return *place;
  }
};
template <class T>
struct PartOf<std::vector<T>> {
  using Type = T;
  static T& make(std::vector<T>& place) { return place.emplace_back(); }
};

// The functions of a table's line, for the member that it is about.
template <auto kMember>
struct Access {
  using Class = typename MemberOf<decltype(kMember)>::Class;
  using Type = typename MemberOf<decltype(kMember)>::Type;
  static constexpr bool kRepeated = IsVector<Type>::value;

  static const Type& get(const void* message) {
    return static_cast<const Class*>(message)->*kMember;
  }
  static Type& get(void* message) { return static_cast<Class*>(message)->*kMember; }
  static void clear(void* message) { get(message) = Type(); }

  static std::size_t count(const void* message) {
    const Type& member = get(message);
    if constexpr (kRepeated) {
      return member.size();
    } else if constexpr (std::is_same_v<Type, std::string>) {
      return member.empty() ? 0 : 1;
    } else {
      return member == Type() ? 0 : 1;
    }
  }
  static std::size_t count_parts(const void* message) {
    const Type& member = get(message);
    if constexpr (kRepeated) {
      return member.size();
    } else {
      return member ? 1 : 0;
    }
  }
  static std::uint64_t value(const void* message, [[maybe_unused]] std::size_t at) {
    if constexpr (kRepeated) {
      return static_cast<std::uint64_t>(get(message)[at]);
    } else {
      return static_cast<std::uint64_t>(get(message));
    }
  }
  static void add_value(void* message, std::uint64_t value) {
    if constexpr (kRepeated) {
      get(message).push_back(static_cast<typename Type::value_type>(value));
    } else {
      get(message) = static_cast<Type>(value);
    }
  }
  static const std::string& text(const void* message, [[maybe_unused]] std::size_t at) {
    if constexpr (kRepeated) {
      return get(message)[at];
    } else {
      return get(message);
    }
  }
  static std::string& add_text(void* message) {
    if constexpr (kRepeated) {
      return get(message).emplace_back();
    } else {
      get(message).clear();
      return get(message);
    }
  }
  static const void* part(const void* message, [[maybe_unused]] std::size_t at) {
    if constexpr (kRepeated) {
      return &get(message)[at];
    } else {
      return &*get(message);
    }
  }
  static void* add_part(void* message) { return &PartOf<Type>::make(get(message)); }
};

template <auto kMember>
constexpr Field plain_field(std::uint8_t number, std::string_view name, Kind kind, bool one_of) {
  using A = Access<kMember>;
  Field field;
  field.number = number;
  field.name = name;
  field.kind = kind;
  field.repeated = A::kRepeated;
  field.one_of = one_of;
  field.count = &A::count;
  field.clear = &A::clear;
  return field;
}

template <auto kMember>
constexpr Field value_field(std::uint8_t number, std::string_view name, Kind kind, bool one_of) {
  using A = Access<kMember>;
  Field field = plain_field<kMember>(number, name, kind, one_of);
  field.value = &A::value;
  field.add_value = &A::add_value;
  return field;
}

template <auto kMember>
constexpr Field text_field(std::uint8_t number, std::string_view name, Kind kind, bool one_of) {
  using A = Access<kMember>;
  Field field = plain_field<kMember>(number, name, kind, one_of);
  field.text = &A::text;
  field.add_text = &A::add_text;
  return field;
}

}  // namespace detail

inline constexpr bool kOneOf = true;

// Lines of a table.
template <auto kMember>
constexpr Field number(std::uint8_t number, std::string_view name, bool one_of = false) {
  using Type = typename detail::Access<kMember>::Type;
  constexpr Kind kKind = std::is_same_v<Type, std::uint32_t>   ? Kind::kUint32
                         : std::is_same_v<Type, std::uint64_t> ? Kind::kUint64
                                                               : Kind::kInt64;
  return detail::value_field<kMember>(number, name, kKind, one_of);
}
template <auto kMember>
constexpr Field flag(std::uint8_t number, std::string_view name) {
  return detail::value_field<kMember>(number, name, Kind::kFlag, false);
}
template <auto kMember>
constexpr Field named(std::uint8_t number, std::string_view name,
                      std::span<const EnumValue> values) {
  Field field = detail::value_field<kMember>(number, name, Kind::kNamed, false);
  field.values = values;
  return field;
}
template <auto kMember>
constexpr Field bytes(std::uint8_t number, std::string_view name, bool one_of = false) {
  return detail::text_field<kMember>(number, name, Kind::kBytes, one_of);
}
template <auto kMember>
constexpr Field text(std::uint8_t number, std::string_view name) {
  return detail::text_field<kMember>(number, name, Kind::kText, false);
}
template <auto kMember>
constexpr Field message(std::uint8_t number, std::string_view name, bool one_of = false) {
  using A = detail::Access<kMember>;
  Field field;
  field.number = number;
  field.name = name;
  field.kind = Kind::kMessage;
  field.repeated = A::kRepeated;
  field.one_of = one_of;
  field.description = &describe<typename detail::PartOf<typename A::Type>::Type>;
  field.count = &A::count_parts;
  field.clear = &A::clear;
  field.part = &A::part;
  field.add_part = &A::add_part;
  return field;
}

}  // namespace raftd::etcd
