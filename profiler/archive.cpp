#include "profiler/archive.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <set>
#include <span>
#include <vector>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "runtime/system.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t block = 512;
constexpr const char* program_name = "cpubone-profile";

std::string end_of_archive() {
  return std::string(2 * block, '\0');
}

/// Libraries that the C library brings itself, and that must be the device's.
bool is_of_libc(const std::string& file) {
  for (const char* stem :
       {"ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so"})
    if (file.starts_with(stem)) return true;
  return false;
}

/// Names of a library: its file's, and those of links to it, of which a program asks for one.
std::vector<std::string> names_of(const fs::path& library) {
  std::vector<std::string> names{library.filename().string()};
  std::error_code code;
  const fs::path file = fs::canonical(library, code);
  for (const auto& entry : fs::directory_iterator(library.parent_path(), code))
    if (entry.is_symlink(code) && fs::canonical(entry.path(), code) == file)
      names.push_back(entry.path().filename().string());
  return names;
}

/// This program and the libraries that it runs with.
std::string archive_of_this_program(std::span<const fs::path> files) {
  std::string tar = tar_entry(program_name, read_text_file(files.front()), 0755);
  for (const fs::path& path : files.subspan(1)) {
    const std::string file = path.filename().string();
    std::error_code code;
    if (file.find(".so") == std::string::npos || is_of_libc(file) || !fs::exists(path, code))
      continue;
    const std::string bytes = read_text_file(path);
    for (const std::string& name : names_of(path)) tar += tar_entry(name, bytes, 0644);
  }
  return tar + end_of_archive();
}

std::string archive_of_folder(const fs::path& folder) {
  if (!fs::exists(folder / program_name))
    throw Error(fmt::format("{}: no agent there: expected a folder with {} and its libraries",
                            folder.string(), program_name));
  std::set<fs::path> files;  // in an order
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file()) files.insert(entry.path());
  std::string tar;
  for (const fs::path& file : files)
    tar += tar_entry(file.filename().string(), read_text_file(file),
                     file.filename() == program_name ? 0755 : 0644);
  return tar + end_of_archive();
}

std::string this_architecture() {
  utsname name{};
  ::uname(&name);
  return name.machine;
}

}  // namespace

std::string tar_entry(std::string_view name, std::string_view bytes, unsigned mode) {
  if (name.size() >= 100) throw Error(fmt::format("{}: its name is too long for an archive", name));
  std::string header(block, '\0');
  const auto put = [&](std::size_t at, std::string_view text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, name);
  put(100, fmt::format("{:07o}", mode));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", bytes.size()));
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  header += bytes;
  return header + std::string((block - bytes.size() % block) % block, '\0');
}

std::string agent_archive(const fs::path& agent, const std::string& architecture) {
  if (!agent.empty()) return archive_of_folder(agent);
  const std::vector<fs::path> files = program_files();
  if (!files.empty() && architecture == this_architecture()) return archive_of_this_program(files);
  // The name goes into a path, and the device chose it.
  const bool plain = !architecture.empty() &&
                     std::all_of(architecture.begin(), architecture.end(),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (plain && !files.empty())
    if (const fs::path beside = files.front().parent_path() / ("agent-" + architecture);
        fs::exists(beside))
      return archive_of_folder(beside);
  throw Error(
      fmt::format("its architecture is {:.40}, and there is no agent for it: build one (see the "
                  "preset aarch64) and name its folder with --agent",
                  architecture));
}

}  // namespace cpubone
