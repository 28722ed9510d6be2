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
#include "profiler/statistics.hpp"
#include "runtime/steady_clock.hpp"

namespace cpubone {
namespace {

constexpr std::size_t line_bytes = 64;
constexpr std::int64_t smallest_eviction = 8 << 20;  // where the cache's size is not known
// What a network of some 10 M parameters reads in an inference. A server's last-level cache holds
// hundreds of MiB: weights are still there when a network reads them again.
constexpr std::int64_t largest_eviction = 64 << 20;
constexpr int calibration_repeats = 300;  // about 0.1 ms
constexpr double ns_per_switch =
    1e6;  // guess of what a lost CPU costs, where the kernel does not say

/// Sum of one float a cache line: reads everything, computes next to nothing.
float sweep(const std::vector<float>& data) {
  float sums[4] = {};
  constexpr std::size_t step = line_bytes / sizeof(float);
  for (std::size_t i = 0; i + 4 * step <= data.size(); i += 4 * step)
    for (std::size_t k = 0; k < 4; ++k) sums[k] += data[i + k * step];
  return sums[0] + sums[1] + sums[2] + sums[3];
}

/// A tile of a matrix product, again and again, as convolutions calculate. Its data is in L1 and as
/// many sums are independent as keep all of a core's arithmetic busy: what shares the core with it,
/// another hardware thread above all, slows it down most.
class Product {
 public:
  Product() {
    for (std::size_t i = 0; i < left_.size(); ++i) left_[i] = 1e-3F * static_cast<float>(i % 7);
    for (std::size_t i = 0; i < right_.size(); ++i) right_[i] = 1e-3F * static_cast<float>(i % 5);
  }

  float run(int repeats) const {
    float total = 0;
    for (int repeat = 0; repeat < repeats; ++repeat) {
      float tile[rows][columns] = {};
      for (std::size_t k = 0; k < depth; ++k)
        for (std::size_t r = 0; r < rows; ++r)
          for (std::size_t c = 0; c < columns; ++c)
            tile[r][c] += left_[k * rows + r] * right_[k * columns + c];
      const auto any = static_cast<std::size_t>(repeat);  // so that all of the tile is needed
      total += tile[any % rows][any % columns];
    }
    return total;
  }

 private:
  static constexpr std::size_t rows = 4;
  static constexpr std::size_t columns = 8;
  static constexpr std::size_t depth = 256;
  std::array<float, rows * depth> left_{};
  std::array<float, columns * depth> right_{};
};

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

/// /proc/self/task/<thread>/<name> of every thread.
std::vector<ProcFile> thread_files(std::string_view name) {
  std::vector<ProcFile> files;
  DIR* folder = ::opendir("/proc/self/task");
  if (folder == nullptr) return files;
  while (const dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] == '.') continue;
    std::string path = "/proc/self/task/";
    path += entry->d_name;
    path += '/';
    path += name;
    files.emplace_back(path);
  }
  ::closedir(folder);
  return files;
}

class HostMachine : public Machine {
 public:
  HostMachine(std::int64_t llc_bytes, OnAllThreads on_all_threads)
      : on_all_threads_(std::move(on_all_threads)),
        llc_bytes_(std::max(llc_bytes, smallest_eviction / 2)),
        memory_(static_cast<std::size_t>(
                    std::clamp(2 * llc_bytes, smallest_eviction, largest_eviction)) /
                    sizeof(float),
                1.0F),
        threads_(thread_files("schedstat")),
        states_(thread_files("stat")),
        stat_("/proc/stat"),
        load_("/proc/loadavg") {
    for (ProcFile& thread : threads_) has_delays_ = has_delays_ || !thread.read().empty();
    sink_ = sweep(memory_);
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
    on_all_threads_([this] { run_product(1); });  // into the caches
    const double begin = now_ns();
    on_all_threads_([this] { run_product(calibration_repeats); });
    return now_ns() - begin;
  }

  Conditions conditions() override {
    Conditions conditions = read_conditions();
    // `thread (name) state ...`; the fourth word of the load is `running/all`.
    int own = 0;
    for (ProcFile& file : states_) {
      const std::string_view stat = file.read();
      const auto state = stat.rfind(')') + 2;
      own += state < stat.size() && stat[state] == 'R' ? 1 : 0;
    }
    const std::string_view load = load_.read();
    conditions.competitors = std::max(0, static_cast<int>(number_at(load, 3)) - own);
    return conditions;
  }

  void evict_caches() override { sink_ = sweep(memory_); }
  std::int64_t eviction_bytes() const override {
    return static_cast<std::int64_t>(memory_.size() * sizeof(float));
  }
  std::int64_t llc_bytes() const override { return llc_bytes_; }

 private:
  void run_product(int repeats) {
    const float result = product_.run(repeats);
    if (result < 0) sink_ = result;  // never, which the compiler cannot know
  }

  OnAllThreads on_all_threads_;
  std::int64_t llc_bytes_;
  std::vector<float> memory_;
  Product product_;
  std::vector<ProcFile> threads_;
  std::vector<ProcFile> states_;
  ProcFile stat_;
  ProcFile load_;
  bool has_delays_ = false;
  volatile float sink_ = 0;
};

}  // namespace

double clock_cost_ns(Machine& machine) {
  std::vector<double> costs;
  for (int i = 0; i < 101; ++i) {
    const double begin = machine.now_ns();
    costs.push_back(machine.now_ns() - begin);
  }
  return median(costs);
}

std::unique_ptr<Machine> host_machine(std::int64_t llc_bytes, OnAllThreads on_all_threads) {
  return std::make_unique<HostMachine>(llc_bytes, std::move(on_all_threads));
}

}  // namespace cpubone
