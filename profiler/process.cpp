#include "profiler/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "graph/error.hpp"
#include "runtime/system.hpp"

extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace cpubone {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t most_errors = 64 << 10;
constexpr std::size_t longest_line = 64 << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
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

Pipe new_pipe() {
  int ends[2];
  if (!make_pipe(ends))
    throw Error(fmt::format("cannot start a program: {}", std::strerror(errno)));
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

/// Writes to pipes that nobody reads fail with EPIPE meanwhile: how the process handles SIGPIPE is
/// not for a library to change.
class NoSigpipe {
 public:
  NoSigpipe() {
    ::sigemptyset(&sigpipe_);
    ::sigaddset(&sigpipe_, SIGPIPE);
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
  }
  ~NoSigpipe() {
    const int error = errno;
    if (!was_pending_) drop_pending(SIGPIPE);
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;

 private:
  sigset_t sigpipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

ssize_t write_some(int file, std::string_view text) {
  const NoSigpipe guard;
  return ::write(file, text.data(), text.size());
}

/// Kills a child that is still there when it goes out of scope, and what that has started.
class Child {
 public:
  /// Returns 0 or what is wrong, as errno has it.
  int start(const std::vector<std::string>& command, int in, int out, int err) {
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, in, 0);
    ::posix_spawn_file_actions_adddup2(&files, out, 1);
    ::posix_spawn_file_actions_adddup2(&files, err, 2);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes, &signals);
    ::sigaddset(&signals, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &signals);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    const int error = ::posix_spawnp(&pid_, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&files);
    if (error != 0) pid_ = -1;
    return error;
  }
  Child() = default;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  void signal(int which) const {
    if (pid_ > 0) ::kill(-pid_, which);
  }
  /// Whether it has ended; its status is then known.
  bool ended() {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      pid_ = -1;
    }
    return pid_ <= 0;
  }
  int status() const { return status_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
};

/// Asks a child to end with growing emphasis.
class Ending {
 public:
  Ending(Child& child, std::chrono::milliseconds patience) : child_(child), patience_(patience) {}
  bool begun() const { return begun_; }
  void begin() {
    if (!begun_) next_ = Clock::now() + patience_;
    begun_ = true;
  }
  /// Whether it was asked now.
  bool look() {
    if (!begun_ || Clock::now() < next_) return false;
    child_.signal(std::exchange(signal_, SIGKILL));
    next_ = Clock::now() + patience_;
    return true;
  }

 private:
  Child& child_;
  std::chrono::milliseconds patience_;
  bool begun_ = false;
  int signal_ = SIGTERM;
  Clock::time_point next_;
};

/// Appends what there is to read to `text` and closes the stream at its end; whether there was any.
bool read_some(Descriptor& stream, short events, std::string& text) {
  if (events == 0) return false;
  std::array<char, 1 << 16> buffer{};
  const ssize_t n = ::read(stream.get(), buffer.data(), buffer.size());
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (n <= 0)
    stream.close();
  else
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0;
}

/// What has come of a stream of lines.
class Lines {
 public:
  std::string& text() { return text_; }
  /// Hands whole lines on and takes them off; whether `on_line` wants no more.
  bool take(const std::function<bool(const std::string&)>& on_line) {
    std::size_t begin = 0;
    bool enough = false;
    for (std::size_t end; (end = text_.find('\n', std::max(begin, searched_))) != std::string::npos;
         begin = end + 1)
      enough = on_line(text_.substr(begin, end - begin)) || enough;
    text_.erase(0, begin);
    searched_ = text_.size();
    if (text_.size() > longest_line)
      throw Error(fmt::format("sent a line of more than {} MiB", longest_line >> 20));
    return enough;
  }

 private:
  std::string text_;
  std::size_t searched_ = 0;  ///< of it no line ends here
};

}  // namespace

ProcessEnd converse(const std::vector<std::string>& command, const Conversation& conversation) {
  Pipe in = new_pipe();
  Pipe out = new_pipe();
  Pipe err = new_pipe();
  Child child;
  if (const int error = child.start(command, in.read.get(), out.write.get(), err.write.get()))
    return {127, fmt::format("{}: cannot be run: {}", command[0], std::strerror(error))};
  in.read.close();
  out.write.close();
  err.write.close();
  ::fcntl(in.write.get(), F_SETFL, O_NONBLOCK);

  ProcessEnd end;
  std::string_view input = conversation.input;
  Lines lines;
  Ending ending(child, conversation.patience);
  while (true) {
    const bool ended = child.ended();  // before reading, so that all it wrote is read
    const bool silent = !out.read.open() && !err.read.open();
    if (ended || silent || (conversation.cancelled && conversation.cancelled())) {
      in.write.close();
      ending.begin();
    }
    const bool patient = !ending.look();
    pollfd fds[3] = {{out.read.get(), POLLIN, 0},
                     {err.read.get(), POLLIN, 0},
                     {input.empty() ? -1 : in.write.get(), POLLOUT, 0}};
    if (::poll(fds, 3, ending.begun() ? 10 : 200) < 0) continue;  // a signal
    if (fds[2].revents != 0) {
      const ssize_t n = write_some(in.write.get(), input);
      if (n > 0) input.remove_prefix(static_cast<std::size_t>(n));
      if (n < 0 && errno != EAGAIN && errno != EINTR) in.write.close();  // it reads no more
    }
    bool heard = read_some(out.read, fds[0].revents, lines.text());
    if (heard && lines.take(conversation.on_line)) {
      in.write.close();
      ending.begin();
    }
    heard = read_some(err.read, fds[1].revents, end.errors) || heard;
    if (end.errors.size() > most_errors) end.errors.erase(0, end.errors.size() - most_errors);
    // What it has started may hold its streams open, and is not waited for.
    if (ended && (!heard || !patient)) break;
  }
  end.status = child.status();
  return end;
}

std::string last_line(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  const auto last = text.find_last_not_of(blank);
  if (last == std::string_view::npos) return "";
  const auto before = text.find_last_of('\n', last);
  const auto begin = before == std::string_view::npos ? 0 : before + 1;
  return std::string(text.substr(begin, last + 1 - begin));
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write_some(file, text);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace cpubone
