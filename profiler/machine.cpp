#include "profiler/machine.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profiler/host.hpp"
#include "profiler/steady_clock.hpp"

namespace cpubone {
namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::int64_t smallest_eviction = 8 << 20;  // where the cache's size is not known
constexpr double ns_per_switch =
    1e6;  // guess of what a lost CPU costs, where the kernel does not say

/// Sum of one float a cache line: reads everything, computes next to nothing.
float sweep(const std::vector<float>& data, std::size_t count) {
  float sums[4] = {};
  constexpr std::size_t step = line_bytes / sizeof(float);
  for (std::size_t i = 0; i + 4 * step <= count; i += 4 * step)
    for (std::size_t k = 0; k < 4; ++k) sums[k] += data[i + k * step];
  return sums[0] + sums[1] + sums[2] + sums[3];
}

/// Multiply-adds in independent lanes, so that they take all of a core's arithmetic. Every lane
/// starts from another value that is known at run time only, or the compiler would compute one.
float arithmetic(const float* start, float factor) {
  constexpr std::size_t lanes = 48;  // twelve vectors of four: their latency hides
  constexpr int repeats = 6000;
  float sums[lanes];
  for (std::size_t i = 0; i < lanes; ++i) sums[i] = start[i];
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (std::size_t i = 0; i < lanes; ++i) sums[i] = sums[i] * factor + 1.0F;
  float total = 0;
  for (const float sum : sums) total += sum;
  return total;
}

/// A file of the system that is read again and again.
class ProcFile {
 public:
  explicit ProcFile(const std::string& path) : file_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~ProcFile() {
    if (file_ >= 0) ::close(file_);
  }
  ProcFile(ProcFile&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  ProcFile& operator=(ProcFile&&) = delete;

  /// The beginning of the file; empty where there is none.
  std::string_view read() {
    if (file_ < 0) return {};
    const ssize_t size = ::pread(file_, buffer_.data(), buffer_.size(), 0);
    return {buffer_.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }

 private:
  int file_;
  std::array<char, 512> buffer_{};
};

/// The number at `index` among the words of a text; 0 where there is none.
double number_at(std::string_view text, int index) {
  for (;; --index) {
    const auto begin = text.find_first_not_of(" \n");
    if (begin == std::string_view::npos) return 0;
    text.remove_prefix(begin);
    if (index == 0) break;
    text.remove_prefix(std::min(text.size(), text.find_first_of(" \n")));
  }
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// /proc/self/task/<thread>/schedstat of every thread.
std::vector<ProcFile> thread_statistics() {
  std::vector<ProcFile> files;
  DIR* folder = ::opendir("/proc/self/task");
  if (folder == nullptr) return files;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    std::string path = "/proc/self/task/";
    path += entry->d_name;
    path += "/schedstat";
    files.emplace_back(path);
  }
  ::closedir(folder);
  return files;
}

class HostMachine : public Machine {
 public:
  explicit HostMachine(std::int64_t llc_bytes)
      : memory_(
            static_cast<std::size_t>(std::max(2 * llc_bytes, smallest_eviction)) / sizeof(float),
            1.0F),
        sweep_count_(
            static_cast<std::size_t>(std::clamp<std::int64_t>(llc_bytes / 4, 256 << 10, 2 << 20)) /
            sizeof(float)),
        threads_(thread_statistics()),
        stat_("/proc/stat"),
        load_("/proc/loadavg") {
    for (std::size_t i = 0; i < 64; ++i) memory_[i] = 1.0F + 1e-3F * static_cast<float>(i);
    for (ProcFile& thread : threads_) has_delays_ = has_delays_ || !thread.read().empty();
    sink_ = sweep(memory_, memory_.size());
  }

  double now_ns() override { return steady_now_ns(); }

  double lost_ns() override {
    if (!has_delays_) {
      rusage usage{};
      ::getrusage(RUSAGE_SELF, &usage);
      return static_cast<double>(usage.ru_nivcsw) * ns_per_switch;
    }
    // Each file has three numbers: time on a CPU, time waiting for one, and how often it got one.
    double total = 0;
    for (ProcFile& thread : threads_) total += number_at(thread.read(), 1);
    return total;
  }

  double stolen_ns() override {
    // `cpu user nice system idle iowait irq softirq steal`, in ticks.
    static const double ns_per_tick = 1e9 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    return number_at(stat_.read(), 8) * ns_per_tick;
  }

  double calibrate_ns() override {
    sink_ = sweep(memory_, sweep_count_);  // into the cache, where earlier work may have put it out
    const double begin = now_ns();
    const float sum = arithmetic(memory_.data(), 0.999F + 1e-12F * sink_);
    sink_ = 1e-9F * (sum + sweep(memory_, sweep_count_));
    return now_ns() - begin;
  }

  Conditions conditions() override {
    Conditions conditions = read_conditions();
    // The fourth word is `running/all`; what asks is one of those running.
    const std::string_view load = load_.read();
    conditions.competitors = std::max(0, static_cast<int>(number_at(load, 3)) - 1);
    return conditions;
  }

  void evict_caches() override { sink_ = sweep(memory_, memory_.size()); }
  std::int64_t eviction_bytes() const override {
    return static_cast<std::int64_t>(memory_.size() * sizeof(float));
  }

 private:
  std::vector<float> memory_;
  std::size_t sweep_count_;
  std::vector<ProcFile> threads_;
  ProcFile stat_;
  ProcFile load_;
  bool has_delays_ = false;
  volatile float sink_ = 0;
};

}  // namespace

std::unique_ptr<Machine> host_machine(std::int64_t llc_bytes) {
  return std::make_unique<HostMachine>(llc_bytes);
}

}  // namespace cpubone
