#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "profiler/sampler.hpp"

namespace cpubone {

/// What an interrupted run has measured so far, as JSON lines: a header that says what is measured
/// and where, then a line a round. Whatever kills the run leaves whole lines and at most one torn
/// end, which the next run cuts off; a power cut takes the rounds of at most the last second too.
class Journal {
 public:
  /// Begins a journal at `path`, or continues the one that is there where `resume`. `header` needs
  /// "tasks", an array. Throws cpubone::Error where the file cannot be written, is no journal, or
  /// is of a run with another header, naming the key. An empty path: nothing is kept.
  Journal(const std::filesystem::path& path, const nlohmann::json& header, bool resume);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Samples of the interrupted run and the seconds that it took until its last whole round.
  const std::vector<Sample>& known() const { return known_; }
  double known_s() const { return known_s_; }

  /// Adds a round, `seconds` after this run's start.
  void append(std::span<const Sample> samples, double seconds);

 private:
  [[noreturn]] void fail() const;
  void append(const nlohmann::json& line);
  void sync();
  std::size_t read(const nlohmann::json& header);

  std::filesystem::path path_;
  int file_ = -1;
  std::vector<Sample> known_;
  double known_s_ = 0;
  double synced_s_ = 0;  ///< of this run
};

}  // namespace cpubone
