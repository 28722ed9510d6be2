#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace cpubone::onnxruntime {

// The part of ONNX Runtime's C API (onnxruntime_c_api.h) that is used here. Its library exports
// OrtGetApiBase alone, which gives a table of functions for a version. A version only appends to
// the table, so that a function's place never changes; places are told below, since not every
// system that has the library has its header.

struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct RunOptions;
struct MemoryInfo;
struct Value;

/// What ONNX Runtime 1.17 is asked for by: the first that reads opset 20, which is exported.
inline constexpr std::uint32_t api_version = 17;

/// A function by its place in the table.
template <std::size_t, typename Result, typename... Arguments>
struct Function {};

inline constexpr Function<2, const char*, const Status*> get_error_message{};
inline constexpr Function<3, Status*, int, const char*, Env**> create_env{};
inline constexpr Function<8, Status*, const Env*, const void*, std::size_t, const SessionOptions*,
                          Session**>
    create_session_from_array{};
inline constexpr Function<9, Status*, Session*, const RunOptions*, const char* const*,
                          const Value* const*, std::size_t, const char* const*, std::size_t,
                          Value**>
    run{};
inline constexpr Function<10, Status*, SessionOptions**> create_session_options{};
inline constexpr Function<24, Status*, SessionOptions*, int> set_intra_op_num_threads{};
inline constexpr Function<25, Status*, SessionOptions*, int> set_inter_op_num_threads{};
inline constexpr Function<49, Status*, const MemoryInfo*, void*, std::size_t, const std::int64_t*,
                          std::size_t, int, Value**>
    create_tensor_with_data{};
inline constexpr Function<69, Status*, int, int, MemoryInfo**> create_cpu_memory_info{};
inline constexpr Function<92, void, Env*> release_env{};
inline constexpr Function<93, void, Status*> release_status{};
inline constexpr Function<94, void, MemoryInfo*> release_memory_info{};
inline constexpr Function<95, void, Session*> release_session{};
inline constexpr Function<96, void, Value*> release_value{};
inline constexpr Function<100, void, SessionOptions*> release_session_options{};
inline constexpr Function<130, Status*, SessionOptions*, const char*, const char*>
    add_session_config_entry{};

// Values of its enumerations.
inline constexpr int log_errors = 3;
inline constexpr int device_allocator = 0;
inline constexpr int default_memory = 0;
inline constexpr int type_float = 1;
inline constexpr int type_int8 = 3;

/// ONNX Runtime, loaded; it stays so until the process ends.
class Library {
 public:
  /// Loads `path`, where it is empty the file that $CPUBONE_ONNXRUNTIME names, else what the system
  /// has. Throws cpubone::Error saying what is missing and how to get it, or that it is too old.
  explicit Library(const std::filesystem::path& path);

  const std::string& version() const { return version_; }
  const std::filesystem::path& path() const { return path_; }

  template <std::size_t place, typename Result, typename... Arguments>
  Result call(Function<place, Result, Arguments...>,
              std::type_identity_t<Arguments>... arguments) const {
    return reinterpret_cast<Result (*)(Arguments...)>(table_[place])(arguments...);
  }
  /// The same; throws cpubone::Error saying `what` was tried and why it failed.
  template <std::size_t place, typename... Arguments>
  void require(std::string_view what, Function<place, Status*, Arguments...> function,
               std::type_identity_t<Arguments>... arguments) const {
    check(what, call(function, arguments...));
  }
  /// What a function makes as its last argument, released by `release`.
  template <typename Object, std::size_t place, std::size_t release_place, typename... Arguments,
            typename... Given>
  std::shared_ptr<Object> make(std::string_view what,
                               Function<place, Status*, Arguments...> function,
                               Function<release_place, void, Object*> release,
                               Given... given) const {
    Object* object = nullptr;
    require(what, function, given..., &object);
    return {object, [this, release](Object* o) { call(release, o); }};
  }

 private:
  void check(std::string_view what, Status* status) const;

  using AnyFunction = void (*)();
  const AnyFunction* table_ = nullptr;
  std::string version_;
  std::filesystem::path path_;
};

}  // namespace cpubone::onnxruntime
