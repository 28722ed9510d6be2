#include "profiler/agent.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "graph/error.hpp"
#include "profiler/host.hpp"
#include "profiler/measure.hpp"
#include "profiler/process.hpp"
#include "profiler/protocol.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "cpubone-agent.XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw Error(fmt::format("{}: cannot create: {}", pattern, std::strerror(errno)));
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code code;
    fs::remove_all(path_, code);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// The request's line, after which nothing comes.
std::string receive_line(int in) {
  std::string line;
  std::array<char, 1 << 16> buffer{};
  while (line.empty() || line.back() != '\n') {
    const ssize_t n = ::read(in, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error("the job ended before its line did");
    line.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return line;
}

/// The input stays open as long as somebody waits for the result.
bool is_closed(int in) {
  pollfd look{in, POLLIN, 0};
  if (::poll(&look, 1, 0) <= 0 || look.revents == 0) return false;
  char more = 0;
  const ssize_t n = ::read(in, &more, 1);
  return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/// Sends the lines that journals have gained.
class JournalSender {
 public:
  JournalSender(fs::path path, int out) : path_(std::move(path)), out_(out) {}
  void send() {
    for (const std::string part : journal_parts) {
      std::ifstream stream(path_.string() + part);
      stream.seekg(static_cast<std::streamoff>(offsets_[part]));
      for (std::string line; std::getline(stream, line) && !stream.eof();) {
        offsets_[part] += line.size() + 1;
        write_all(out_, to_line(JournalLine{part, counts_[part]++, line}));
      }
    }
  }

 private:
  fs::path path_;
  int out_;
  std::map<std::string, std::size_t> offsets_;
  std::map<std::string, std::size_t> counts_;
};

void write_journals(const JournalLines& journals, const fs::path& journal) {
  for (const auto& [part, lines] : journals) {
    std::ofstream stream(journal.string() + part);
    for (const std::string& line : lines) stream << line << '\n';
    if (!stream.flush()) throw Error(fmt::format("cannot write: {}", std::strerror(errno)));
  }
}

Profile measure(const RemoteJob& job, MeasureOptions options, const MakeSpread& spread_of) {
  if (job.ops.empty() && job.networks.empty()) return measure_host_profile(options, spread_of);
  Profile profile = host_profile(options.settings);
  if (!job.ops.empty()) measure_ops(job.ops, options, profile);
  if (!job.ops.empty()) options.journal += ".networks";
  if (!job.networks.empty()) measure_networks(job.networks, options, profile);
  return profile;
}

}  // namespace

int serve_remote_job(int in, int out, const MakeSpread& spread_of) {
  try {
    const TemporaryFolder folder;
    AgentRequest request = parse_request(receive_line(in), "job");
    if (is_emulated())
      throw Error("the agent runs under an emulator: its timings would say nothing about a device");
    MeasureOptions options;
    options.settings = request.settings;
    options.budget_s = request.budget_s;
    options.seed = request.seed;
    options.journal = folder.path() / "journal";
    options.resume = true;
    write_journals(request.journals, options.journal);
    JournalSender sender(options.journal, out);
    options.on_progress = [&](const SampleProgress& progress) {
      sender.send();
      write_all(out, to_line(progress));
    };
    bool gone = false;
    options.cancelled = [&] { return gone = gone || is_closed(in); };
    const Profile profile = measure(request.job, options, spread_of);
    sender.send();
    if (options.cancelled()) return 1;
    write_all(out, to_line(profile));
    return 0;
  } catch (const std::exception& e) {
    write_all(out, to_line(AgentFailure{e.what()}));
    return 1;
  }
}

}  // namespace cpubone
