#include "profiler/host.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "graph/error.hpp"
#include "profiler/system_files.hpp"
#include "runtime/huge_pages.hpp"
#include "runtime/system.hpp"
#include "runtime/xnnpack_backend.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

/// Value of a `key : value` line of /proc/cpuinfo or /proc/meminfo.
std::string proc_value(const char* file, std::string_view key) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

/// Arm cores name themselves by number only.
std::string arm_core_name() {
  const std::string part = proc_value("/proc/cpuinfo", "CPU part");
  static constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"0xd03", "Cortex-A53"}, {"0xd05", "Cortex-A55"},  {"0xd08", "Cortex-A72"},
      {"0xd0b", "Cortex-A76"}, {"0xd0c", "Neoverse-N1"}, {"0xd40", "Neoverse-V1"},
      {"0xd41", "Cortex-A78"}, {"0xd44", "Cortex-X1"},   {"0xd49", "Neoverse-N2"},
      {"0xd4f", "Neoverse-V2"}};
  for (const auto& [number, core] : known)
    if (part == number) return std::string(core);
  return part.empty() ? "" : "Arm part " + part;
}

std::string cpu_name() {
  const std::string board = read_line("/proc/device-tree/model");
  std::string cpu = proc_value("/proc/cpuinfo", "model name");
  if (cpu.empty()) cpu = arm_core_name();
  if (board.empty()) return cpu.empty() ? "unknown CPU" : cpu;
  return fmt::format("{} ({})", board, cpu);
}

#if defined(__x86_64__)
/// GCC 12 has no name to ask for it by.
bool has_avx512fp16() {
  constexpr unsigned leaf = 7;
  constexpr unsigned bit = 1U << 23U;  // in edx
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(leaf, 0, &a, &b, &c, &d) != 0 && (d & bit) != 0 &&
         __builtin_cpu_supports("avx512f");
}
#endif

/// Instruction sets that XNNPACK and the Eigen kernels choose by.
std::vector<std::string> cpu_features() {
  std::vector<std::string> features;
#if defined(__x86_64__)
  const auto add = [&](const char* name, bool has) {
    if (has) features.emplace_back(name);
  };
  add("avx", __builtin_cpu_supports("avx"));
  add("avx2", __builtin_cpu_supports("avx2"));
  add("avx512bw", __builtin_cpu_supports("avx512bw"));
  add("avx512f", __builtin_cpu_supports("avx512f"));
  add("avx512fp16", has_avx512fp16());
  add("avx512vl", __builtin_cpu_supports("avx512vl"));
  add("avx512vnni", __builtin_cpu_supports("avx512vnni"));
  add("fma", __builtin_cpu_supports("fma"));
#elif defined(__aarch64__)
  features = arm_features();
#endif
  std::sort(features.begin(), features.end());
  return features;
}

std::string file_hash(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  return stream ? hash_text(bytes.str()) : "";
}

/// Of the first library; empty where all is part of this build.
std::string runtime_hash(Backends backends) {
  for (const Backend* backend : backends) {
    std::string hash = backend == &xnnpack_backend() ? xnnpack_archives_hash() : "";
    if (hash.empty()) hash = file_hash(backend->library().string());
    if (!hash.empty()) return hash;
  }
  return "";
}

const char* architecture() {
#if defined(__x86_64__)
  return "x86_64";
#elif defined(__aarch64__)
  return "aarch64";
#else
  return "unknown";
#endif
}

std::string kernel_release() {
  utsname name{};
  ::uname(&name);
  return fmt::format("{} {}", name.sysname, name.release);
}

/// The Raspberry Pi firmware's file with its throttling word; empty elsewhere.
fs::path find_throttle_file() {
  std::error_code code;
  for (const auto& bus : fs::directory_iterator("/sys/devices/platform", code)) {
    const std::string name = bus.path().filename().string();
    if (name.rfind("soc", 0) != 0) continue;
    fs::path file = bus.path() / (name + ":firmware") / "get_throttled";
    if (fs::exists(file, code)) return file;
  }
  return {};
}

/// Bits: 0 under-voltage, 1 capped, 2 throttled, 3 hot, and 16 higher the same since boot.
unsigned long throttle_bits() {
  static const fs::path file = find_throttle_file();
  return file.empty() ? 0 : std::strtoul(read_line(file).c_str(), nullptr, 16);
}

/// The kernel's alarm of the Raspberry Pi's supply, which kernels without the firmware's file have.
bool supply_alarm() {
  std::error_code code;
  for (const auto& sensor : fs::directory_iterator("/sys/class/hwmon", code))
    if (read_line(sensor.path() / "name") == "rpi_volt")
      return read_number(sensor.path() / "in0_lcrit_alarm") > 0;
  return false;
}

double hottest_celsius() {
  double hottest = 0;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator("/sys/class/thermal", code))
    hottest = std::max(hottest, read_number(entry.path() / "temp") / 1000);
  return hottest;
}

/// CPUs that are online.
std::vector<int> online_cpus() {
  const std::string online = read_line("/sys/devices/system/cpu/online");
  if (!online.empty()) return parse_cpus(online);
  std::vector<int> cpus;
  for (unsigned cpu = 0; cpu < std::max(1U, std::thread::hardware_concurrency()); ++cpu)
    cpus.push_back(static_cast<int>(cpu));
  return cpus;
}

}  // namespace

std::string known_board(const Device& device) {
  // Model names of the firmware; Compute Modules and keyboards carry the same chips.
  static constexpr std::pair<std::string_view, std::string_view> boards[] = {
      {"Raspberry Pi 5", "pi5"},
      {"Raspberry Pi Compute Module 5", "pi5"},
      {"Raspberry Pi 4", "pi4"},
      {"Raspberry Pi Compute Module 4", "pi4"}};
  for (const auto& [model, board] : boards)
    if (device.cpu.rfind(model, 0) == 0) return std::string(board);
  return "";
}

Device describe_host(std::span<const int> cpus, Backends backends) {
  const std::vector<int> measuring =
      cpus.empty() ? online_cpus() : std::vector<int>(cpus.begin(), cpus.end());
  const fs::path cpufreq = cpu_folder(system_cpus, measuring.front()) / "cpufreq";
  Device device;
  device.name = "host";
  device.cpu = cpu_name();
  device.architecture = architecture();
  device.features = cpu_features();
  device.cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  const CacheSizes caches = read_cache_sizes(measuring);
  device.l1d_bytes = caches.l1d_bytes;
  device.l2_bytes = caches.l2_bytes;
  device.llc_bytes = caches.llc_bytes;
  device.memory_bytes = std::int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  device.page_bytes = static_cast<std::int64_t>(page_bytes());
  device.runtime = backend_identities(backends);
  device.runtime_hash = runtime_hash(backends);
  device.kernel = kernel_release();
  device.governor = read_line(cpufreq / "scaling_governor");
  device.frequency_mhz = read_number(cpufreq / "cpuinfo_max_freq") / 1000;
  if (device.frequency_mhz == 0) {
    const std::string mhz = proc_value("/proc/cpuinfo", "cpu MHz");
    std::from_chars(mhz.data(), mhz.data() + mhz.size(), device.frequency_mhz);
  }
#if defined(__clang__)
  device.compiler = "clang " __clang_version__;
#else
  device.compiler = "gcc " __VERSION__;
#endif
  return device;
}

bool is_emulated() {
  // qemu-user shows the host's own /proc/cpuinfo, whose architecture then differs from ours.
  const bool arm_cpu = !proc_value("/proc/cpuinfo", "CPU implementer").empty();
  const bool x86_cpu = !proc_value("/proc/cpuinfo", "vendor_id").empty();
#if defined(__aarch64__)
  if (!arm_cpu && x86_cpu) return true;
#elif defined(__x86_64__)
  if (arm_cpu && !x86_cpu) return true;
#endif
  return proc_value("/proc/cpuinfo", "model name").find("QEMU") != std::string::npos &&
         read_line("/sys/devices/virtual/dmi/id/sys_vendor").find("QEMU") != std::string::npos &&
         !fs::exists("/dev/kvm") &&
         proc_value("/proc/cpuinfo", "flags").find("hypervisor") == std::string::npos;
}

std::vector<Warning> host_warnings() {
  std::vector<Warning> warnings;
  if (is_emulated())
    warnings.push_back(
        {"this process runs under an emulator: its timings say nothing about the device",
         "run it on the device itself"});
  const std::string governor = read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  if (!governor.empty() && governor != "performance")
    warnings.push_back(
        {fmt::format("the CPU frequency governor is \"{}\": frequencies change while measuring",
                     governor),
         "sudo cpupower frequency-set -g performance"});
  if (const double celsius = hottest_celsius(); celsius > 80)
    warnings.push_back({fmt::format("the CPU is at {:.0f} °C and may throttle", celsius),
                        "improve cooling or let the device rest"});
  const unsigned long bits = throttle_bits();
  if ((bits & 0x10001UL) != 0 || supply_alarm())
    warnings.push_back(
        {"the board reports under-voltage", "use the official power supply and a short cable"});
  if ((bits & 0xE000EUL) != 0)
    warnings.push_back(
        {"the board reports throttling", "add a fan or heat sink and let it cool down"});
  return warnings;
}

Conditions read_conditions() {
  Conditions conditions;
  for (const int cpu : online_cpus()) {
    const double mhz =
        read_number(fmt::format("/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq", cpu)) /
        1000;
    if (mhz > 0 && (conditions.frequency_mhz == 0 || mhz < conditions.frequency_mhz))
      conditions.frequency_mhz = mhz;
  }
  conditions.celsius = hottest_celsius();
  conditions.throttled = (throttle_bits() & 0xEUL) != 0;
  return conditions;
}

std::vector<std::vector<int>> cpu_clusters() {
  std::map<double, std::vector<int>, std::greater<>> by_capacity;
  for (const int cpu : online_cpus()) {
    const fs::path folder = fmt::format("/sys/devices/system/cpu/cpu{}", cpu);
    double capacity = read_number(folder / "cpu_capacity");
    if (capacity == 0) capacity = read_number(folder / "cpufreq/cpuinfo_max_freq");
    by_capacity[capacity].push_back(cpu);
  }
  std::vector<std::vector<int>> clusters;
  for (auto& [capacity, cpus] : by_capacity) clusters.push_back(std::move(cpus));
  return clusters;
}

std::vector<int> parse_cpus(std::string_view text) {
  if (text == "all") return online_cpus();
  if (text == "big" || text == "little") {
    const auto clusters = cpu_clusters();
    if (clusters.size() < 2)
      throw std::invalid_argument(
          fmt::format("CPUs: got \"{}\", but all CPUs of this machine are alike; expected a list "
                      "such as 0-3,6",
                      text));
    return text == "big" ? clusters.front() : clusters.back();
  }
  std::set<int> cpus;
  const auto fail = [&](std::string_view part) {
    throw std::invalid_argument(
        fmt::format("CPUs: got \"{}\" in \"{}\", expected a list such as 0-3,6", part, text));
  };
  const auto number = [&](std::string_view part) {
    int value = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end != part.data() + part.size() || value < 0 || value >= 4096)
      fail(part);
    return value;
  };
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    const std::string_view part = rest.substr(0, comma);
    const auto dash = part.find('-');
    const int first = number(part.substr(0, dash));
    const int last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (last < first) fail(part);
    for (int cpu = first; cpu <= last; ++cpu) cpus.insert(cpu);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return {cpus.begin(), cpus.end()};
}

PinnedThread::PinnedThread(std::span<const int> cpus) {
  if (cpus.empty()) return;
  std::optional<std::vector<int>> before = thread_cpus();
  if (!before)
    throw Error(fmt::format("cannot pin to CPUs {}: this system does not let threads choose theirs",
                            fmt::join(cpus, ",")));
  for (const int cpu : cpus)
    if (!fs::exists(cpu_folder(system_cpus, cpu)))
      throw Error(fmt::format("cannot pin to CPU {}: this machine has CPUs {}", cpu,
                              read_line("/sys/devices/system/cpu/online")));
  if (!set_thread_cpus(cpus))
    throw Error(
        fmt::format("cannot pin to CPUs {}: {}", fmt::join(cpus, ","), std::strerror(errno)));
  before_ = std::move(before);
}

PinnedThread::~PinnedThread() {
  if (before_) set_thread_cpus(*before_);
}

std::string utc_now() {
  std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (const char* epoch = std::getenv("SOURCE_DATE_EPOCH"); epoch != nullptr) {
    const std::string_view text = epoch;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), now);
    if (code != std::errc{} || end != text.data() + text.size() || now < 0)
      throw Error(fmt::format(
          "SOURCE_DATE_EPOCH: expected seconds since 1970 as a whole number, got \"{}\"", text));
  }
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

}  // namespace cpubone
