#include "profiler/roofline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "profiler/statistics.hpp"
#include "runtime/arena.hpp"
#include "runtime/peak_kernels.hpp"
#include "runtime/thread_pool.hpp"

namespace cpubone {
namespace {

constexpr std::int64_t rounds = 20'000;        // some 50 us
constexpr std::size_t read_bytes = 4 << 20;    // at least, by a thread in a run
constexpr std::size_t window_bytes = 8 << 20;  // of memory that was not read for long

class Arithmetic : public Subject {
 public:
  explicit Arithmetic(const ThreadPool& pool) : pool_(&pool) {}
  void feed(int) override {}
  void run(int) override {
    pool_->on_all_threads([this] {
      // The sums approach 1: neither denormal nor infinite.
      sink_ = peak_kernels().multiply_add(rounds, 0.5F, 0.5F);
    });
  }

 private:
  const ThreadPool* pool_;
  std::atomic<float> sink_ = 0;
};

/// Each thread reads `pass_bytes` of its own memory again and again; where they are fewer than it
/// has, the next run reads those that follow.
class Reading : public Subject {
 public:
  Reading(const ThreadPool& pool, std::size_t bytes, std::size_t pass_bytes)
      : pool_(&pool), bytes_(bytes), pass_bytes_(pass_bytes) {
    for (int i = 0; i < pool.threads(); ++i) {
      memory_.push_back(std::make_unique<const Arena>(bytes));
      auto* values = reinterpret_cast<float*>(memory_.back()->data());
      std::fill_n(values, bytes / sizeof(float), 1.0F);
    }
  }
  void feed(int) override {}
  void run(int) override {
    std::atomic<std::size_t> next = 0;
    pool_->on_all_threads([&] {
      const auto* values = reinterpret_cast<const float*>(memory_[next++]->data() + offset_);
      const std::size_t passes = (read_bytes + pass_bytes_ - 1) / pass_bytes_;
      sink_ = peak_kernels().read(values, pass_bytes_ / sizeof(float), passes);
    });
    offset_ = offset_ + 2 * pass_bytes_ <= bytes_ ? offset_ + pass_bytes_ : 0;
  }

 private:
  const ThreadPool* pool_;
  std::size_t bytes_;
  std::size_t pass_bytes_;
  std::size_t offset_ = 0;
  std::vector<std::unique_ptr<const Arena>> memory_;
  std::atomic<float> sink_ = 0;
};

/// Down to whole steps of the kernel and lines of a cache.
std::size_t whole_steps(std::int64_t bytes) {
  const std::size_t step = peak_kernels().values_per_step * sizeof(float);
  return std::max<std::size_t>(1, static_cast<std::size_t>(bytes) / step) * step;
}

std::int64_t known(std::int64_t bytes, std::int64_t otherwise) {
  return bytes > 0 ? bytes : otherwise;
}

}  // namespace

std::vector<Ceiling> ceilings(const Device& device, const ThreadPool& pool) {
  const std::int64_t l1 = known(device.l1d_bytes, 32 << 10);
  const std::int64_t l2 = known(device.l2_bytes, 512 << 10);
  const std::int64_t llc = known(device.llc_bytes, 8 << 20);
  const double threads = pool.threads();
  std::vector<Ceiling> all;
  all.push_back(
      {"f32 arithmetic",
       &Roofline::f32_macps,
       threads * static_cast<double>(rounds * peak_kernels().macs_per_round),
       {0, 5e4, CacheMode::hot, [&pool](int) { return std::make_unique<Arithmetic>(pool); }}});
  const auto reading = [&](const char* name, double Roofline::*rate, std::int64_t bytes,
                           std::int64_t at_once) {
    const std::size_t pass = whole_steps(at_once);
    const std::size_t passes = (read_bytes + pass - 1) / pass;
    all.push_back({name,
                   rate,
                   threads * static_cast<double>(passes * pass),
                   {0, 2e5, CacheMode::hot, [&pool, bytes, pass](int) {
                      return std::make_unique<Reading>(pool, whole_steps(bytes), pass);
                    }}});
  };
  reading("reading L1", &Roofline::l1_bytes_per_s, l1 / 2, l1 / 2);
  reading("reading L2", &Roofline::l2_bytes_per_s, l2 / 2, l2 / 2);
  const std::int64_t of_llc = std::min(llc / 2, 8 * l2) / pool.threads();
  reading("reading the LLC", &Roofline::llc_bytes_per_s, of_llc, of_llc);
  // More than all caches, but not so much that a small machine has no room for it.
  const std::int64_t of_memory =
      std::min(2 * llc, known(device.memory_bytes, 1 << 30) / 8) / pool.threads();
  reading("reading memory", &Roofline::memory_bytes_per_s, of_memory,
          std::min<std::int64_t>(of_memory, window_bytes));
  return all;
}

Roofline roofline_of(std::span<const Ceiling> ceilings, std::span<const Timing> timings) {
  Roofline roofline;
  for (std::size_t i = 0; i < ceilings.size(); ++i)
    if (timings[i].median_ns > 0 && !timings[i].disturbed)
      roofline.*ceilings[i].rate = ceilings[i].work / (timings[i].median_ns * 1e-9);
  return roofline;
}

double convolution_share(const Profile& profile) {
  constexpr std::size_t fewest = 5;
  std::vector<double> shares;
  for (const OpRecord& record : profile.ops)
    if (!record.timing.disturbed && record.op.kind == OpKind::conv2d && record.op.groups == 1 &&
        data_allows_peak(profile.roofline, record.op))
      shares.push_back(share_of_peak(profile.roofline, record.op, record.timing.median_ns));
  return shares.size() < fewest ? 0 : median(shares);
}

std::optional<Warning> slow_runtime(const Profile& profile) {
  constexpr double slow = 0.6;
  const double share = convolution_share(profile);
  const Device& device = profile.device;
  const std::string& runtime = device.runtime;
  // The kernels that GCC compiles badly; a build by Clang says so in its version.
  const bool affected =
      device.has("fma") && !device.has("avx512f") && runtime.find("(clang ") == std::string::npos;
  if (share == 0 || share >= slow || !affected) return std::nullopt;
  return Warning{
      fmt::format("{} reaches {:.0f} % of this CPU's peak in convolutions",
                  runtime.substr(0, runtime.find(',')), 100 * share),
      "make explore XNNPACK=upstream: Clang's kernels reach about twice as much on such CPUs"};
}

}  // namespace cpubone
