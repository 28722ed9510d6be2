#pragma once
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/network.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// What measures on this machine, with the settings of the profiles that it makes. All end early,
/// with what they have or with an error, where the user wants to stop.
class Measurer {
 public:
  using Progress = std::function<void(double fraction, const std::string& detail)>;

  Measurer() = default;
  Measurer(const Measurer&) = delete;
  Measurer& operator=(const Measurer&) = delete;
  virtual ~Measurer() = default;

  /// Where the machine's profile is kept.
  virtual std::filesystem::path profile_file() const = 0;
  /// Measures what a predictor of this machine is fitted to and keeps it in `profile_file()`. Goes
  /// on where an earlier call was interrupted, unless `afresh`.
  virtual Profile profile(double budget_s, bool afresh, const Progress& progress) = 0;
  /// Adds to `profile` those of these networks that the budget allows.
  virtual void networks(std::span<const Network> networks, double budget_s,
                        const Progress& progress, Profile& profile) = 0;
  /// Adds to `profile` those of these operators that the budget allows.
  virtual void ops(std::span<const Op> ops, double budget_s, Profile& profile) = 0;
  /// Timings of all these networks in the order given, measured in the same rounds on so many
  /// threads; `profile` is what is known of the machine.
  virtual std::vector<Timing> timings(std::span<const Network> networks, int threads,
                                      double budget_s, const Profile& profile) = 0;
};

}  // namespace cpubone
