#include "cli/host_measurer.hpp"

#include <fmt/format.h>

#include <utility>

#include "cli/arguments.hpp"
#include "predictor/predictor.hpp"
#include "profiler/host_profile.hpp"
#include "profiler/measure.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

class HostMeasurer : public Measurer {
 public:
  HostMeasurer(MeasureSettings settings, std::uint64_t seed, std::function<bool()> cancelled)
      : settings_(std::move(settings)), seed_(seed), cancelled_(std::move(cancelled)) {}

  fs::path profile_file() const override { return host_profile_path(settings_); }

  Profile profile(double budget_s, bool afresh, const Progress& progress) override {
    const fs::path file = profile_file();
    fs::create_directories(file.parent_path());
    cli::require_writable(file);
    MeasureOptions options = options_of(budget_s, progress);
    options.journal = file.string() + ".journal";
    options.resume = !afresh;
    Profile profile = measure_host_profile(options, spread_of);
    if (cancelled_()) return profile;  // the journals have it
    save_profile(profile, file);
    for (const char* part : journal_parts) fs::remove(options.journal.string() + part);
    return profile;
  }

  void networks(std::span<const Network> networks, double budget_s, const Progress& progress,
                Profile& profile) override {
    measure_networks(networks, options_of(budget_s, progress), profile);
  }

  void ops(std::span<const Op> ops, double budget_s, Profile& profile) override {
    measure_ops(ops, options_of(budget_s, {}), profile);
  }

  std::vector<Timing> timings(std::span<const Network> networks, int threads, double budget_s,
                              const Profile& profile) override {
    MeasureOptions options = options_of(budget_s, {});
    options.settings.threads = threads;
    options.calibration_ns = best_calibration_ns(profile);
    return measure_timings(networks, options);
  }

 private:
  MeasureOptions options_of(double budget_s, const Progress& progress) const {
    MeasureOptions options;
    options.settings = settings_;
    options.budget_s = budget_s;
    options.details = false;
    options.seed = seed_;
    options.cancelled = cancelled_;
    if (progress)
      options.on_progress = [progress](const SampleProgress& p) {
        progress(p.fraction, fmt::format("{} of {}", p.done, p.tasks));
      };
    return options;
  }

  MeasureSettings settings_;
  std::uint64_t seed_;
  std::function<bool()> cancelled_;
};

}  // namespace

std::unique_ptr<Measurer> host_measurer(const MeasureSettings& settings, std::uint64_t seed,
                                        std::function<bool()> cancelled) {
  return std::make_unique<HostMeasurer>(settings, seed, std::move(cancelled));
}

}  // namespace cpubone
