#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What command-line tools read from their arguments alike.
namespace cpubone::cli {

/// Seconds of `90`, `90s`, `2m` or `1h`. Throws std::invalid_argument naming the option.
double parse_seconds(std::string_view option, std::string_view text);

/// A number above 0. Throws std::invalid_argument naming the option.
double parse_number(std::string_view option, std::string_view text);

/// A seed: a whole number from 0 to 2^63 - 1. Throws std::invalid_argument naming the option.
std::uint64_t parse_seed(std::string_view option, std::string_view text);

/// The parts of `a,b`. Throws std::invalid_argument naming the option where one is empty.
std::vector<std::string> parse_list(std::string_view option, std::string_view text);

/// What limits latencies on each of these devices: `30` on all, `pi5=30` on that one, where neither
/// is there nothing; of several the largest. Throws std::invalid_argument naming the option, and
/// the devices where another is named.
std::vector<std::optional<double>> parse_limits(std::string_view option, std::string_view text,
                                                std::span<const std::string> devices);

/// Height and width in pixels of `224` or `288x512`, at most 65536. Throws std::invalid_argument
/// naming the option.
std::pair<int, int> parse_resolution(std::string_view option, std::string_view text);

/// Dimensions of `1x3x224x224`, or of an input by name: `image=1x3x224x224`; the name is empty
/// where there is none. Throws std::invalid_argument naming the option.
std::pair<std::string, std::vector<std::int64_t>> parse_input_shape(std::string_view option,
                                                                    std::string_view text);

/// Throws cpubone::Error where the file could not be written: found out before long work.
void require_writable(const std::filesystem::path& file);

/// Creates the folder where needed; throws cpubone::Error where files could not be written in it.
void require_writable_folder(const std::filesystem::path& folder);

/// True once the user has pressed Ctrl-C or the process was told to end; the first call installs
/// the handlers. A second signal ends the process at once.
const std::atomic<bool>& interrupted();

/// The command that a tool was started with, its words quoted where a shell would need it.
std::string command_line(std::string_view tool, int argc, char** argv);

}  // namespace cpubone::cli
