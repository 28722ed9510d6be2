#pragma once
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "graph/json_file.hpp"

/// How records become JSON and come back: one table a record lists its fields, and reading, writing
/// and the description in docs/file-formats.md follow from it. Only sources of records include
/// this.
namespace cpubone::records {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Numbers that a field may hold; handed on to the fields of a record that set none themselves.
struct Range {
  double low = -infinity;
  double high = infinity;
  bool without_low = false;
  bool operator==(const Range&) const = default;
};
constexpr Range any_number{};
constexpr Range positive{0, infinity, true};
constexpr Range not_negative{0, infinity};
constexpr Range percents{0, 100};
constexpr Range share{0, 1};

/// What the documentation says of a field.
struct Row {
  std::string_view key;
  std::string type;
  std::string_view meaning;
  bool required = true;
};

enum class Presence { required, optional };

/// One key of a record.
template <typename Record>
struct Field {
  Row row;
  Range range;
  void (*read)(Record&, const JsonReader& value, const Range&) = nullptr;
  nlohmann::json (*write)(const Record&) = nullptr;
  /// Of a member whose own fields stand among those of the record; then `row.key` is empty.
  std::vector<Row> (*rows)() = nullptr;
};

template <typename Record>
struct Table {
  std::string_view name;  ///< in the documentation
  std::vector<Field<Record>> fields;
  /// What the fields alone do not say; throws through the reader.
  void (*check)(const Record&, const JsonReader&) = nullptr;
  bool as_list = false;          ///< `[value, value]`, in the order of the fields
  std::string_view kind = {};    ///< value of a key `kind` that tells alternatives apart
  std::string_view schema = {};  ///< of a file: `cpubone/<schema>/<version>`
  int version = 1;
};

/// The table of a record; every record has a specialisation.
template <typename Record>
const Table<Record>& table();
/// The names of an enumeration's values in order; every enumeration has a specialisation.
template <typename Enum>
std::span<const std::string_view> names();

template <typename Record>
std::vector<Row> rows_of() {
  std::vector<Row> rows;
  for (const Field<Record>& field : table<Record>().fields) {
    if (field.rows == nullptr) {
      rows.push_back(field.row);
    } else {
      for (Row& row : field.rows()) rows.push_back(std::move(row));
    }
  }
  return rows;
}

/// The element of a list.
JsonReader element(const JsonReader& json, std::size_t index);
/// Throws unless it is an object of these keys, or a list of one value a row.
void expect_rows(const JsonReader& json, const std::vector<Row>& rows, std::string_view kind,
                 std::string_view schema);
void expect_length(const JsonReader& json, const std::vector<Row>& rows);
std::size_t read_name(const JsonReader& json, std::span<const std::string_view> names);
bool is_present(const JsonReader& json, std::string_view key);
std::string list_type(std::string_view of);
/// The table of a record in Markdown.
std::string describe(std::string_view name, const std::vector<Row>& rows, bool as_list);

template <typename Record>
void read_fields(const JsonReader& json, Record& record, const Range& outer) {
  const Table<Record>& fields = table<Record>();
  std::size_t index = 0;
  for (const Field<Record>& field : fields.fields) {
    const Range& range = field.range == any_number ? outer : field.range;
    if (fields.as_list) {
      field.read(record, element(json, index++), range);
    } else if (field.rows != nullptr) {
      field.read(record, json, range);
    } else if (field.row.required || is_present(json, field.row.key)) {
      field.read(record, json.at(field.row.key), range);
    }
  }
  if (fields.check != nullptr) fields.check(record, json);
}

template <typename Record>
Record read_record(const JsonReader& json, const Range& outer = any_number) {
  const Table<Record>& fields = table<Record>();
  static const std::vector<Row> rows = rows_of<Record>();
  if (!fields.schema.empty()) json.expect_schema(fields.schema, fields.version);
  if (fields.as_list)
    expect_length(json, rows);
  else
    expect_rows(json, rows, fields.kind, fields.schema);
  Record record{};
  read_fields(json, record, outer);
  return record;
}

template <typename Record>
nlohmann::json write_record(const Record& record) {
  const Table<Record>& fields = table<Record>();
  nlohmann::json json = fields.as_list ? nlohmann::json::array() : nlohmann::json::object();
  for (const Field<Record>& field : fields.fields) {
    if (fields.as_list)
      json.push_back(field.write(record));
    else if (field.rows != nullptr)
      json.update(field.write(record));
    else
      json[std::string(field.row.key)] = field.write(record);
  }
  if (!fields.kind.empty()) json["kind"] = fields.kind;
  if (!fields.schema.empty())
    json["schema"] = "cpubone/" + std::string(fields.schema) + "/" + std::to_string(fields.version);
  return json;
}

template <typename Record>
std::string describe() {
  return describe(table<Record>().name, rows_of<Record>(), table<Record>().as_list);
}

/// Several tables, one after another.
template <typename... Records>
std::string describe_all() {
  std::string text;
  ((text += "\n" + describe<Records>()), ...);
  return text;
}

/// How a value is read, written and described: a record by its table, or as specialised below.
template <typename T>
struct Codec {
  static void read(const JsonReader& json, T& value, const Range& range) {
    value = read_record<T>(json, range);
  }
  static nlohmann::json write(const T& value) { return write_record(value); }
  static std::string type() { return std::string(table<T>().name); }
};

#define CPUBONE_CODEC(T)                                              \
  template <>                                                         \
  struct Codec<T> {                                                   \
    static void read(const JsonReader& json, T& value, const Range&); \
    static nlohmann::json write(const T& value);                      \
    static std::string type();                                        \
  }
CPUBONE_CODEC(std::string);
CPUBONE_CODEC(bool);
CPUBONE_CODEC(int);
CPUBONE_CODEC(std::int64_t);
CPUBONE_CODEC(double);
CPUBONE_CODEC(nlohmann::json);  ///< a cell: text, number, true, false or null
#undef CPUBONE_CODEC

template <typename T>
requires std::is_enum_v<T>
struct Codec<T> {
  static void read(const JsonReader& json, T& value, const Range&) {
    value = static_cast<T>(read_name(json, names<T>()));
  }
  static nlohmann::json write(const T& value) {
    return names<T>()[static_cast<std::size_t>(value)];
  }
  static std::string type() {
    std::string text;
    for (const std::string_view name : names<T>())
      text += (text.empty() ? "`" : ", `") + std::string(name) + "`";
    return text;
  }
};

template <typename T>
struct Codec<std::optional<T>> {
  static void read(const JsonReader& json, std::optional<T>& value, const Range& range) {
    Codec<T>::read(json, value.emplace(), range);
  }
  static nlohmann::json write(const std::optional<T>& value) {
    return value ? Codec<T>::write(*value) : nlohmann::json();
  }
  static std::string type() { return Codec<T>::type(); }
};

template <typename T>
struct Codec<std::vector<T>> {
  static void read(const JsonReader& json, std::vector<T>& values, const Range& range) {
    values.reserve(json.size());
    json.each([&](const JsonReader& item) { Codec<T>::read(item, values.emplace_back(), range); });
  }
  static nlohmann::json write(const std::vector<T>& values) {
    nlohmann::json json = nlohmann::json::array();
    for (const T& value : values) json.push_back(Codec<T>::write(value));
    return json;
  }
  static std::string type() { return list_type(Codec<T>::type()); }
};

template <auto member>
struct Member;
template <typename R, typename V, V R::*member>
struct Member<member> {
  using Record = R;
  using Value = V;
};

/// The field of a member.
template <auto member>
Field<typename Member<member>::Record> field(std::string_view key, std::string_view meaning,
                                             const Range& range = any_number,
                                             Presence presence = Presence::required) {
  using R = typename Member<member>::Record;
  using V = typename Member<member>::Value;
  return {{key, Codec<V>::type(), meaning, presence == Presence::required},
          range,
          [](R& record, const JsonReader& json, const Range& of) {
            Codec<V>::read(json, record.*member, of);
          },
          [](const R& record) { return Codec<V>::write(record.*member); }};
}

/// A field that may be absent or null: the member then keeps its default.
template <auto member>
Field<typename Member<member>::Record> optional(std::string_view key, std::string_view meaning,
                                                const Range& range = any_number) {
  return field<member>(key, meaning, range, Presence::optional);
}

/// A member whose fields stand among those of the record.
template <auto member>
Field<typename Member<member>::Record> inlined(const Range& range = any_number) {
  using R = typename Member<member>::Record;
  using V = typename Member<member>::Value;
  return {{},
          range,
          [](R& record, const JsonReader& json, const Range& of) {
            read_fields(json, record.*member, of);
          },
          [](const R& record) { return write_record(record.*member); },
          &rows_of<V>};
}

}  // namespace cpubone::records
