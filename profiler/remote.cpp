#include "profiler/remote.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/network.hpp"
#include "profiler/host.hpp"
#include "profiler/host_profile.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string read_file(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (!stream) throw Error(fmt::format("{}: cannot read: {}", path.string(), std::strerror(errno)));
  return bytes.str();
}

// --- Processes

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  ~Descriptor() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read;
  Descriptor write;
};

Pipe make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw Error(fmt::format("cannot start a program: {}", std::strerror(errno)));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

struct Outcome {
  int status = 0;      ///< exit status; 128 + signal
  std::string errors;  ///< standard error
};

/// Ends a child that is still there when it goes out of scope.
struct Child {
  pid_t pid = -1;
  ~Child() {
    if (pid <= 0) return;
    ::kill(pid, SIGTERM);
    ::waitpid(pid, nullptr, 0);
  }
};

/// Runs a program; `input` is written to it and left open until `on_line` says that it is done, or
/// the program ends. A cancelled run closes the input, which ends the other side.
Outcome converse(const std::vector<std::string>& command, std::string_view input,
                 const std::function<bool(const std::string&)>& on_line,
                 const std::function<bool()>& cancelled) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  Child child;
  child.pid = ::fork();
  if (child.pid < 0) throw Error(fmt::format("cannot start a program: {}", std::strerror(errno)));
  if (child.pid == 0) {
    ::dup2(in.read.get(), 0);
    ::dup2(out.write.get(), 1);
    ::dup2(err.write.get(), 2);
    ::execvp(argv[0], argv.data());
    constexpr std::string_view text = "cannot be run: not found or not executable\n";
    if (::write(2, text.data(), text.size()) < 0) ::_exit(126);
    ::_exit(127);
  }
  in.read.close();
  out.write.close();
  err.write.close();
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);

  Outcome outcome;
  std::string pending;
  std::array<char, 1 << 16> buffer{};
  while (out.read.open() || err.read.open()) {
    if (cancelled && cancelled()) in.write.close();
    pollfd fds[3] = {{out.read.get(), POLLIN, 0},
                     {err.read.get(), POLLIN, 0},
                     {input.empty() ? -1 : in.write.get(), POLLOUT, 0}};
    ::poll(fds, 3, 200);
    if (fds[2].revents != 0) {
      const ssize_t n = ::write(in.write.get(), input.data(), input.size());
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 && errno != EAGAIN && errno != EINTR) in.write.close();  // the other side is gone
    }
    if (fds[0].revents != 0) {
      const ssize_t n = ::read(out.read.get(), buffer.data(), buffer.size());
      if (n <= 0) {
        out.read.close();
      } else {
        pending.append(buffer.data(), static_cast<std::size_t>(n));
        for (std::size_t end; (end = pending.find('\n')) != std::string::npos;) {
          const std::string line = pending.substr(0, end);
          pending.erase(0, end + 1);
          if (on_line(line)) in.write.close();
        }
      }
    }
    if (fds[1].revents != 0) {
      const ssize_t n = ::read(err.read.get(), buffer.data(), buffer.size());
      if (n <= 0)
        err.read.close();
      else
        outcome.errors.append(buffer.data(), static_cast<std::size_t>(n));
    }
  }
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  child.pid = -1;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

std::string last_line(const std::string& text) {
  std::string last;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (!line.empty()) last = line;
  }
  return last;
}

// --- The agent's files

/// A file of a ustar archive: POSIX.1-1988.
std::string tar_entry(const std::string& name, const std::string& bytes, unsigned mode) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, name.substr(0, 99));
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
  return header + bytes + std::string((512 - bytes.size() % 512) % 512, '\0');
}

/// Libraries that the C library brings itself, and that must be the device's.
bool is_of_libc(const std::string& file) {
  for (const char* stem :
       {"ld-linux", "libc.so", "libm.so", "libdl.so", "libpthread.so", "librt.so", "libresolv.so"})
    if (file.rfind(stem, 0) == 0) return true;
  return false;
}

/// This program and the libraries that it runs with.
std::string archive_of_this_program() {
  std::string tar = tar_entry("cpubone-profile", read_file("/proc/self/exe"), 0755);
  const fs::path self = fs::read_symlink("/proc/self/exe");
  std::set<fs::path> seen{self};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    const fs::path path = line.substr(slash);
    const std::string file = path.filename().string();
    if (file.find(".so") == std::string::npos || is_of_libc(file) || !seen.insert(path).second)
      continue;
    std::error_code code;
    if (fs::exists(path, code)) {
      // The loader asks for the name in the program, which is a link to the file's.
      for (const auto& entry : fs::directory_iterator(path.parent_path(), code)) {
        if (!entry.is_symlink(code) ||
            fs::canonical(entry.path(), code) != fs::canonical(path, code))
          continue;
        const std::string link = entry.path().filename().string();
        tar += tar_entry(link, read_file(path), 0644);
      }
      tar += tar_entry(file, read_file(path), 0644);
    }
  }
  return tar + std::string(1024, '\0');
}

std::string archive_of_folder(const fs::path& folder) {
  if (!fs::exists(folder / "cpubone-profile"))
    throw Error(
        fmt::format("{}: no agent there: expected a folder with cpubone-profile and its "
                    "libraries",
                    folder.string()));
  std::string tar;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file())
      tar += tar_entry(entry.path().filename().string(), read_file(entry.path()),
                       entry.path().filename() == "cpubone-profile" ? 0755 : 0644);
  return tar + std::string(1024, '\0');
}

std::string this_architecture() {
  utsname name{};
  ::uname(&name);
  return name.machine;
}

std::string agent_archive(const fs::path& agent, const std::string& architecture,
                          const std::string& device) {
  if (!agent.empty()) return archive_of_folder(agent);
  if (architecture == this_architecture()) return archive_of_this_program();
  const fs::path beside =
      fs::read_symlink("/proc/self/exe").parent_path() / ("agent-" + architecture);
  if (fs::exists(beside)) return archive_of_folder(beside);
  throw Error(
      fmt::format("{}: its architecture is {}, and there is no agent for it: build one (see "
                  "the preset aarch64) and name its folder with --agent",
                  device, architecture));
}

// --- The protocol: the agent's version, then lines of JSON; the job goes the other way.

/// In a folder of its own that goes away however this ends: takes `bytes` of archive from standard
/// input, and leaves the rest of it to the agent. Statuses 90 and 91 are this script's own.
std::string script(std::size_t bytes) {
  return fmt::format(
      "t=${{TMPDIR:-/tmp}}; [ -d /data/local/tmp ] && t=/data/local/tmp; "
      "d=$(mktemp -d \"$t/cpubone.XXXXXX\") || exit 90; "
      "trap 'cd /; rm -rf \"$d\"' EXIT; trap 'exit 91' HUP INT TERM PIPE; "
      "head -c {} >\"$d/agent.tar\" && cd \"$d\" && tar -xf agent.tar && rm agent.tar || exit 90; "
      "LD_LIBRARY_PATH=\"$d\" TMPDIR=\"$d\" ./cpubone-profile --version && "
      "LD_LIBRARY_PATH=\"$d\" TMPDIR=\"$d\" ./cpubone-profile --serve",
      bytes);
}

json request(const RemoteJob& job, const MeasureOptions& options,
             const std::map<std::string, std::vector<std::string>>& journals) {
  json ops = json::array();
  for (const Op& op : job.ops) ops.push_back(text(op));
  json networks = json::array();
  for (const Network& network : job.networks) networks.push_back(to_json(network));
  return {{"schema", "cpubone/job/1"},    {"settings", to_json(options.settings)},
          {"budget_s", options.budget_s}, {"seed", options.seed},
          {"ops", std::move(ops)},        {"networks", std::move(networks)},
          {"journals", journals}};
}

/// Journal files on this side.
class LocalJournals {
 public:
  LocalJournals(fs::path path, bool resume) : path_(std::move(path)) {
    for (const char* part : journal_parts) {
      if (path_.empty()) continue;
      if (resume) {
        std::ifstream stream(path_.string() + part);
        for (std::string line; std::getline(stream, line);)
          if (!stream.eof()) lines_[part].push_back(line);  // a torn end has no line break
      }
      std::error_code code;
      fs::remove(path_.string() + part, code);
      for (const std::string& line : lines_[part]) write(part, line);
    }
  }
  /// Line `index` of a part; earlier ones are known.
  void add(const std::string& part, std::size_t index, const std::string& line) {
    std::vector<std::string>& lines = lines_[part];
    if (index < lines.size()) return;
    lines.push_back(line);
    write(part, line);
  }
  const std::map<std::string, std::vector<std::string>>& lines() const { return lines_; }

 private:
  void write(const std::string& part, const std::string& line) {
    if (path_.empty()) return;
    std::ofstream stream(path_.string() + part, std::ios::app);
    stream << line << '\n' << std::flush;
    if (!stream)
      throw Error(
          fmt::format("{}{}: cannot write: {}", path_.string(), part, std::strerror(errno)));
  }

  fs::path path_;
  std::map<std::string, std::vector<std::string>> lines_;
};

std::string connect_failure(const Outcome& outcome) {
  const std::string line = last_line(outcome.errors);
  return line.empty() ? fmt::format("exit status {}", outcome.status) : line;
}

}  // namespace

bool is_transport(std::string_view device) {
  return device.rfind("ssh://", 0) == 0 || device.rfind("adb://", 0) == 0;
}

std::string host_part(const Transport& transport) {
  std::string host = transport.name.substr(std::min(transport.name.size(), std::size_t{6}));
  if (const auto at = host.rfind('@'); at != std::string::npos) host.erase(0, at + 1);
  for (char& c : host)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_') c = '-';
  return host;
}

Transport parse_transport(std::string_view url) {
  const auto fail = [&](std::string_view why) {
    throw std::invalid_argument(fmt::format(
        "device: got \"{}\", expected ssh://[user@]host[:port] or adb://serial: {}", url, why));
  };
  const auto plain = [](std::string_view part, std::string_view more) {
    return !part.empty() && part[0] != '-' &&
           std::all_of(part.begin(), part.end(), [&](unsigned char c) {
             return std::isalnum(c) || more.find(static_cast<char>(c)) != std::string_view::npos;
           });
  };
  Transport transport;
  transport.name = url;
  if (url.rfind("adb://", 0) == 0) {
    const std::string_view serial = url.substr(6);
    if (!plain(serial, "._:-")) fail("no serial number");
    transport.command = {"adb", "-s", std::string(serial), "shell", "-T"};
    return transport;
  }
  if (url.rfind("ssh://", 0) != 0) fail("neither");
  std::string_view rest = url.substr(6);
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  std::string user;
  if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
    user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    if (user.find(':') != std::string::npos) {
      transport.name.clear();
      throw std::invalid_argument(
          "device: passwords are not taken on a command line; use a key (ssh-copy-id)");
    }
    if (!plain(user, "._-")) fail("wrong user name");
  }
  std::string port;
  std::string host(rest);
  if (!rest.empty() && rest[0] == '[') {
    const auto bracket = rest.find(']');
    if (bracket == std::string_view::npos) fail("missing ]");
    host = rest.substr(1, bracket - 1);
    const std::string_view after = rest.substr(bracket + 1);
    if (!after.empty()) port = after.substr(1);
    if (!after.empty() && after[0] != ':') fail("wrong port");
  } else if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
    host = rest.substr(0, colon);
    port = rest.substr(colon + 1);
    if (port.empty()) fail("wrong port");
  }
  if (!plain(host, "._-:%")) fail("wrong host name");
  const bool digits =
      std::all_of(port.begin(), port.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!digits || port.size() > 5 ||
      (!port.empty() && (std::stoi(port) < 1 || std::stoi(port) > 65535)))
    fail("wrong port");

  const char* own = std::getenv("CPUBONE_SSH");
  std::istringstream words(own && *own ? own : "ssh");
  for (std::string word; words >> word;) transport.command.push_back(word);
  for (const char* option : {"-T", "-oBatchMode=yes", "-oConnectTimeout=15",
                             "-oServerAliveInterval=5", "-oServerAliveCountMax=3"})
    transport.command.emplace_back(option);
  if (!port.empty()) transport.command.insert(transport.command.end(), {"-p", port});
  if (!user.empty()) transport.command.insert(transport.command.end(), {"-l", user});
  transport.command.insert(transport.command.end(), {"--", host});
  return transport;
}

Profile measure_remotely(const Transport& transport, const RemoteJob& job,
                         const RemoteOptions& options) {
  // A connection that breaks must be an error of a write, not the end of this program.
  std::signal(SIGPIPE, SIG_IGN);
  const auto cancelled = [&] { return options.measure.cancelled && options.measure.cancelled(); };
  const auto fail = [&](const std::string& what) -> void {
    throw Error(fmt::format("{}: {}", transport.name, what));
  };
  const auto command = [&](const std::string& shell_script) {
    std::vector<std::string> all = transport.command;
    all.push_back(shell_script);
    return all;
  };

  std::string architecture;
  const Outcome first = converse(
      command("uname -m"), "",
      [&](const std::string& line) {
        architecture = line;
        return true;
      },
      options.measure.cancelled);
  if (first.status != 0) fail(connect_failure(first));
  while (!architecture.empty() && architecture.back() == '\r') architecture.pop_back();
  const std::string archive = agent_archive(options.agent, architecture, transport.name);

  LocalJournals journals(options.measure.journal, options.measure.resume);
  Profile profile;
  bool done = false;
  int losses = 0;
  double wait_s = options.retry_after_s;
  while (!done) {
    bool version_seen = false;
    std::string failure;
    bool progressed = false;
    const std::string input =
        archive + request(job, options.measure, journals.lines()).dump() + "\n";
    const auto on_line = [&](const std::string& line) {
      if (!failure.empty()) return true;
      if (!version_seen) {
        version_seen = true;
        if (line != version())
          failure = fmt::format("the agent is of version {}, this is {}: build it again", line,
                                version());
        return !failure.empty();
      }
      json message;
      try {
        message = json::parse(line);
        const std::string kind = message.at("kind").get<std::string>();
        if (kind == "journal") {
          progressed = true;
          journals.add(message.at("part").get<std::string>(),
                       message.at("index").get<std::size_t>(),
                       message.at("line").get<std::string>());
        } else if (kind == "progress") {
          if (options.measure.on_progress)
            options.measure.on_progress(
                {message.at("fraction").get<double>(), message.at("remaining_s").get<double>(),
                 message.at("done").get<int>(), message.at("tasks").get<int>()});
        } else if (kind == "error") {
          failure = message.at("what").get<std::string>();
        } else if (kind == "profile") {
          profile = profile_from_json(JsonReader(message.at("profile"), transport.name + "#"));
          done = true;
        }
      } catch (const json::exception&) {
        failure = fmt::format("not a line of an agent: {:.60}", line);
      }
      return done || !failure.empty();
    };
    const Outcome outcome = converse(command(script(archive.size())), input, on_line, cancelled);
    if (cancelled()) fail("interrupted");
    if (!failure.empty()) fail(failure);
    if (done) break;
    if (outcome.status != transport.lost_status)
      fail(outcome.status == 90 ? "cannot copy the agent: " + connect_failure(outcome)
                                : "the agent ended: " + connect_failure(outcome));
    if (progressed) {
      losses = 0;
      wait_s = options.retry_after_s;
    }
    if (++losses > options.retries) fail("connection lost: " + connect_failure(outcome));
    if (options.on_note)
      options.on_note(fmt::format("{}: connection lost ({}), trying again in {:g} s",
                                  transport.name, connect_failure(outcome), wait_s));
    for (double waited = 0; waited < wait_s && !cancelled(); waited += 0.1)
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    wait_s *= 2;
  }
  return profile;
}

// --- The agent

namespace {

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
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody listens: the watch on the input ends this run
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

/// One line, to which more of the same descriptor may follow.
std::string read_line(int fd) {
  std::string line;
  std::array<char, 1 << 16> buffer{};
  while (line.empty() || line.back() != '\n') {
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw Error("the job ended before its line did");
    line.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return line;
}

/// Sends the lines that journals have gained.
class JournalSender {
 public:
  JournalSender(fs::path path, int out) : path_(std::move(path)), out_(out) {}
  void send() {
    for (const char* part : journal_parts) {
      std::ifstream stream(path_.string() + part);
      stream.seekg(static_cast<std::streamoff>(offsets_[part]));
      for (std::string line; std::getline(stream, line) && !stream.eof();) {
        offsets_[part] += line.size() + 1;
        write_all(
            out_,
            json{{"kind", "journal"}, {"part", part}, {"index", counts_[part]++}, {"line", line}}
                    .dump() +
                "\n");
      }
    }
  }

 private:
  fs::path path_;
  int out_;
  std::map<std::string, std::size_t> offsets_;
  std::map<std::string, std::size_t> counts_;
};

Profile serve(const json& value, const fs::path& journal, const JournalSender& sender_of, int out,
              const MakeSpread& spread_of, const std::function<bool()>& cancelled) {
  const JsonReader job(value, "job#");
  job.expect_schema("job");
  job.expect_keys({"schema", "settings", "budget_s", "seed", "ops", "networks", "journals"});
  if (is_emulated())
    throw Error("the agent runs under an emulator: its timings would say nothing about a device");
  MeasureOptions options;
  options.settings = settings_from_json(job.at("settings"));
  options.budget_s = job.at("budget_s").number(0, 1e6);
  options.seed = static_cast<std::uint64_t>(job.at("seed").integer(0, INT64_MAX));
  options.journal = journal;
  options.resume = true;
  options.cancelled = cancelled;
  const JsonReader journals = job.at("journals");
  for (const auto& [part, lines] : journals.json().items()) {
    std::ofstream stream(journal.string() + part);
    for (const json& line : lines) stream << line.get<std::string>() << '\n';
    if (!stream.flush()) throw Error(fmt::format("cannot write: {}", std::strerror(errno)));
  }
  std::vector<Op> ops;
  job.at("ops").each([&](const JsonReader& item) { ops.push_back(parse_op(item.string())); });
  std::vector<Network> networks;
  job.at("networks").each([&](const JsonReader& item) {
    networks.push_back(network_from_json(item.json()));
  });
  JournalSender sender = sender_of;
  options.on_progress = [&](const SampleProgress& p) {
    sender.send();
    write_all(out, json{{"kind", "progress"},
                        {"fraction", p.fraction},
                        {"remaining_s", p.remaining_s},
                        {"done", p.done},
                        {"tasks", p.tasks}}
                           .dump() +
                       "\n");
  };
  Profile profile;
  if (ops.empty() && networks.empty()) {
    profile = measure_host_profile(options, spread_of);
  } else {
    profile = host_profile(options.settings);
    if (!ops.empty()) measure_ops(ops, options, profile);
    if (!networks.empty()) {
      if (!ops.empty()) options.journal += ".networks";
      measure_networks(networks, options, profile);
    }
  }
  sender.send();
  return profile;
}

}  // namespace

int serve_remote_job(int in, int out, const MakeSpread& spread_of) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    const TemporaryFolder folder;
    const fs::path journal = folder.path() / "journal";
    const json job = parse_json(read_line(in), "job");
    // The input stays open as long as somebody waits for the result.
    static std::atomic<bool> gone{false};
    std::thread([in] {
      char c = 0;
      ssize_t n = 0;
      do n = ::read(in, &c, 1);
      while (n > 0 || (n < 0 && errno == EINTR));
      gone = true;
    }).detach();
    Profile profile = serve(job, journal, JournalSender(journal, out), out, spread_of,
                            [] { return gone.load(); });
    if (gone) return 1;
    write_all(out, json{{"kind", "profile"}, {"profile", to_json(profile)}}.dump() + "\n");
    return 0;
  } catch (const std::exception& e) {
    write_all(out, json{{"kind", "error"}, {"what", e.what()}}.dump() + "\n");
    return 1;
  }
}

}  // namespace cpubone
