#include "cli/arguments.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "graph/error.hpp"

namespace cpubone::cli {
namespace {

namespace fs = std::filesystem;

std::atomic<bool> was_interrupted = false;

/// The finite number above 0 that all of `text` is.
std::optional<double> positive(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value) ||
      value <= 0)
    return std::nullopt;
  return value;
}

}  // namespace

double parse_seconds(std::string_view option, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double factor = 0;
  if (unit.empty() || unit == "s") factor = 1;
  if (unit == "m" || unit == "min") factor = 60;
  if (unit == "h") factor = 3600;
  constexpr double longest = 24 * 3600;
  if (error != std::errc{} || factor == 0 || !(value > 0) || value * factor > longest)
    throw std::invalid_argument(
        fmt::format("{}: got \"{}\", expected a time up to 24h such as 90s or 2m", option, text));
  return value * factor;
}

double parse_number(std::string_view option, std::string_view text) {
  const std::optional<double> value = positive(text);
  if (!value)
    throw std::invalid_argument(
        fmt::format("{}: got \"{}\", expected a number above 0", option, text));
  return *value;
}

std::uint64_t parse_seed(std::string_view option, std::string_view text) {
  std::int64_t value = 0;  // as results hold it
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0)
    throw std::invalid_argument(fmt::format("{}: got \"{}\", expected a whole number from 0 to {}",
                                            option, text,
                                            std::numeric_limits<std::int64_t>::max()));
  return static_cast<std::uint64_t>(value);
}

std::vector<std::string> parse_list(std::string_view option, std::string_view text) {
  std::vector<std::string> parts;
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    parts.emplace_back(rest.substr(0, comma));
    if (parts.back().empty())
      throw std::invalid_argument(
          fmt::format("{}: got \"{}\", expected no empty part between commas", option, text));
    if (comma == std::string_view::npos) return parts;
    rest.remove_prefix(comma + 1);
  }
}

std::vector<std::optional<double>> parse_limits(std::string_view option, std::string_view text,
                                                std::span<const std::string> devices) {
  std::optional<double> of_all;
  std::vector<std::optional<double>> limits(devices.size());
  for (std::string_view rest = text; !text.empty();) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const auto equals = part.rfind('=');
    const bool is_named = equals != std::string_view::npos;
    const std::optional<double> value = positive(is_named ? part.substr(equals + 1) : part);
    if (!value)
      throw std::invalid_argument(fmt::format(
          "{}: got \"{}\" in \"{}\", expected numbers above 0 such as 10,20, or of a device such "
          "as pi5=30",
          option, part, text));
    std::optional<double>* limit = &of_all;
    if (is_named) {
      const auto device = std::find(devices.begin(), devices.end(), part.substr(0, equals));
      if (device == devices.end())
        throw std::invalid_argument(fmt::format("{}: got \"{}\", expected one of the devices {}",
                                                option, part.substr(0, equals),
                                                fmt::join(devices, ", ")));
      limit = &limits[static_cast<std::size_t>(device - devices.begin())];
    }
    *limit = std::max(limit->value_or(0), *value);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  for (std::optional<double>& limit : limits)
    if (!limit) limit = of_all;
  return limits;
}

std::pair<int, int> parse_resolution(std::string_view option, std::string_view text) {
  constexpr int most = 65536;
  const char* const end = text.data() + text.size();
  int height = 0;
  auto parsed = std::from_chars(text.data(), end, height);
  int width = height;
  if (parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == 'x')
    parsed = std::from_chars(parsed.ptr + 1, end, width);
  if (parsed.ec != std::errc{} || parsed.ptr != end || height < 1 || width < 1 || height > most ||
      width > most)
    throw std::invalid_argument(fmt::format(
        "{}: got \"{}\", expected pixels such as 224, or height x width such as 288x512", option,
        text));
  return {height, width};
}

std::pair<std::string, std::vector<std::int64_t>> parse_input_shape(std::string_view option,
                                                                    std::string_view text) {
  constexpr std::int64_t most = 65536;
  const std::size_t equals = text.rfind('=');
  const std::string name(equals == std::string_view::npos ? "" : text.substr(0, equals));
  std::vector<std::int64_t> dims;
  for (std::string_view rest = equals == std::string_view::npos ? text : text.substr(equals + 1);
       ;) {
    const auto end = rest.find('x');
    const std::string_view part = rest.substr(0, end);
    std::int64_t value = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != part.data() + part.size() || value < 1 ||
        value > most)
      throw std::invalid_argument(fmt::format(
          "{}: got \"{}\", expected dimensions such as 1x3x224x224, or INPUT=1x3x224x224", option,
          text));
    dims.push_back(value);
    if (end == std::string_view::npos) return {name, dims};
    rest.remove_prefix(end + 1);
  }
}

void require_writable(const fs::path& file) {
  std::error_code code;
  const auto fail = [&](std::string_view reason) {
    throw Error(fmt::format("{}: cannot write: {}", file.string(), reason));
  };
  if (fs::is_directory(file, code)) fail("it is a directory");
  std::string probe = file.string() + ".XXXXXX";
  const int descriptor = ::mkstemp(probe.data());
  if (descriptor < 0) fail(std::strerror(errno));
  ::close(descriptor);
  fs::remove(probe, code);
}

void require_writable_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code)
    throw Error(fmt::format("{}: cannot create the folder: {}", folder.string(), code.message()));
  require_writable(folder / "result.json");
}

const std::atomic<bool>& interrupted() {
  static const bool installed = [] {
    const auto handler = [](int signal) {
      was_interrupted = true;
      std::signal(signal, SIG_DFL);
    };
    std::signal(SIGINT, handler);
    std::signal(SIGTERM, handler);
    return true;
  }();
  (void)installed;
  return was_interrupted;
}

std::string command_line(std::string_view tool, int argc, char** argv) {
  std::string line(tool);
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain =
        !word.empty() &&
        word.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./,=:@+") ==
            std::string::npos;
    line += plain ? " " + word : " '" + word + "'";
  }
  return line;
}

}  // namespace cpubone::cli
