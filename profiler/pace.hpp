#pragma once
#include <span>
#include <vector>

#include "profiler/sampler.hpp"
#include "records/profile.hpp"

namespace cpubone {

/// What samples would have been at one pace.
struct PacedSamples {
  std::vector<std::vector<double>> durations_ns;  ///< of each task
  std::vector<PaceRegime> paces;                  ///< seconds are those that were timed
};

/// Each task's samples as they would have been at the machine's typical pace, so that those of
/// tasks which were measured at different times can be compared.
///
/// Time is cut into windows of a quarter of a second or more. A window's pace is the mean of its
/// samples over their tasks' medians, shrunk towards the common mean by as much as it is uncertain,
/// and the pace that half of the measured time was below is typical. Within a window a sample is
/// corrected by what those around it tell of the moment: by nothing where pace changes too fast to
/// be followed. There a duration stands for the mean that many runs in a row take, which is what
/// operators of a network add up to: the quotient of mean and median is the same for all tasks
/// whose samples last about as long.
///
/// `samples` has a list for each task; `runs_per_sample` says how long each of its samples lasts.
PacedSamples at_typical_pace(std::span<const std::vector<Sample>> samples,
                             std::span<const int> runs_per_sample);

/// Whether an operator mostly moves data: it has less than a MAC for each byte of its activations.
/// A busy shared cache slows such operators by another factor than those that calculate.
bool moves_data(const Op& op);

/// Tasks that a run may repeat, so that its pace can be compared with that of the profile that it
/// adds to: places in `profile.ops` of operators that are known well and measured fast, as many of
/// those that move data as of others.
std::vector<std::size_t> anchors(const Profile& profile);

/// What a run compares its pace with a profile's by.
struct PacedTask {
  double known_ns = 0;      ///< what the profile knows of it; 0: it is new to it
  bool moves_data = false;  ///< as of its operator; of a network false
};

/// Brings a profile and what a run measured to the pace that is typical of the time that both took,
/// and adds the run's regimes to the profile's. What moves data has a pace of its own where that
/// surely differs: also what is measured in the same rounds leaves more or less of the shared cache
/// to it. `tasks` are the run's; where less than 5 are known the paces cannot be compared, and are
/// taken for equal. Only what is new stays in the report.
void bring_to_common_pace(Profile& profile, SampleReport& report, std::span<const PacedTask> tasks);

}  // namespace cpubone
