#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "reports/charts.hpp"
#include "reports/report.hpp"
#include "reports/summary.hpp"
#include "reports/web.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace cpubone {
namespace {

namespace fs = std::filesystem;

/// Dots of the cloud in a still picture; more only blacken it and make it large.
constexpr std::size_t most_dots = 600;
constexpr std::chrono::seconds longest_rendering{60};

struct ScratchFolder {
  fs::path path;
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "cpubone-report-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw Error(fmt::format("{}: cannot make a folder: {}", name, std::strerror(errno)));
    path = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

/// Exit status of `node` with these arguments, its errors in `log`; nothing where there is no node.
std::optional<int> run_node(std::vector<std::string> arguments, const fs::path& log) {
  arguments.insert(arguments.begin(), "node");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t process = 0;
  const int failed = ::posix_spawnp(&process, "node", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return std::nullopt;
  // A chart of a study is data: it must not be able to hold the tool up.
  const auto deadline = std::chrono::steady_clock::now() + longest_rendering;
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(process, &status, WNOHANG);
    if (ended == process) break;
    if (ended < 0 && errno != EINTR) return std::nullopt;
    if (std::chrono::steady_clock::now() > deadline) ::kill(process, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<std::string> lines_of(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void make_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed)
    throw Error(fmt::format("{}: cannot make the folder: {}", folder.string(), failed.message()));
}

/// Writes `charts/*.svg` and `*.png`; names of those written, relative to `folder`.
std::vector<std::string> write_charts(std::span<const Result> results, const fs::path& folder,
                                      std::vector<std::string>& notes) {
  if (web::libraries().empty()) {
    notes.push_back(
        "no charts: this build has no vega, vega-lite and vega-embed (they come from npm when "
        "cpubone is built)");
    return {};
  }
  ChartFrame frame = chart_frame(results);
  frame.candidates = std::min(frame.candidates, most_dots);
  nlohmann::json charts = nlohmann::json::array();
  for (std::size_t i = 0; i < results.size(); ++i) {
    const ChartSet set = make_charts(results[i], frame);
    for (const Chart& chart : set.charts) {
      const std::string prefix = results.size() > 1 ? fmt::format("{}-", i + 1) : "";
      charts.push_back({{"file", fmt::format("{}{}.svg", prefix, chart.name)},
                        {"spec", standalone(set, chart)}});
    }
  }
  const ScratchFolder scratch;
  const fs::path libraries = scratch.path / "libraries.js";
  const fs::path program = scratch.path / "render.js";
  const fs::path log = scratch.path / "log";
  write_text_file(web::libraries(), libraries);
  write_text_file(web::render_script(), program);
  write_json_file(charts, scratch.path / "charts.json", -1);
  // Drawn elsewhere, so that a picture is whole where it is read, whatever ends node or fills a
  // disk.
  const fs::path drawn = scratch.path / "charts";
  fs::create_directory(drawn);
  const auto status = run_node({program.string(), libraries.string(),
                                (scratch.path / "charts.json").string(), drawn.string()},
                               log);
  if (!status) {
    notes.push_back(
        "no charts/*.svg and *.png: node was not found; the page draws its charts itself");
    return {};
  }
  for (std::string& line : lines_of(log)) notes.push_back(std::move(line));
  if (*status != 0) notes.push_back(fmt::format("node stopped with status {}", *status));
  make_folder(folder / "charts");
  std::vector<std::string> written;
  for (const auto& chart : charts) {
    fs::path file = chart["file"].get<std::string>();
    for (const char* extension : {".svg", ".png"}) {
      file.replace_extension(extension);
      if (!fs::exists(drawn / file)) continue;
      const std::string name = (fs::path("charts") / file).string();
      write_text_file(bytes_of(drawn / file), folder / name);
      written.push_back(name);
    }
  }
  return written;
}

}  // namespace

std::string report_scripts() {
  return std::string(web::versions());
}

WrittenReport write_report(std::span<const Result> results, const fs::path& folder) {
  if (results.empty())
    throw std::invalid_argument("report: expected at least one result, got none");
  make_folder(folder);
  WrittenReport report;
  const auto write = [&](const char* file, const std::string& text) {
    write_text_file(text, folder / file);
    report.files.push_back(folder / file);
  };
  write("report.html", report_html(results));
  write("pareto.csv", pareto_csv(results));
  const std::vector<std::string> images = write_charts(results, folder, report.notes);
  for (const std::string& image : images) report.files.push_back(folder / image);
  write("report.md", report_markdown(results, images));
  return report;
}

}  // namespace cpubone
