#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cpubone {

/// What a paper or a repository says about a network's accuracy on ImageNet-1k.
struct PublishedAccuracyRow {
  std::string network;   ///< as published
  std::string zoo_name;  ///< name in the zoo; empty where the zoo has no such network
  std::string family;
  double params_m =
      0;               ///< millions, as published (with batch norms where a train form was counted)
  double macs_m = 0;   ///< millions, as published
  double top1 = 0;     ///< percent
  int resolution = 0;  ///< pixels
  std::string source;
  std::string note;
  std::string
      exclusion_reason;  ///< why it should stay out of fits; empty where nothing speaks against it
};

/// A change to a network that was trained, as a paper published it.
struct PublishedAblation {
  std::string network;   ///< for people
  std::string zoo_name;  ///< of the network that was changed; empty where only totals are known
  std::string family;
  int resolution = 224;            ///< pixels
  std::optional<int> groups;       ///< of all stages, where that was the change
  std::optional<double> params_m;  ///< millions, where only totals are known
  std::optional<double> macs_m;
  double top1 = 0;  ///< percent
  std::string source;
  std::string note;  ///< `second-hand` where not read at its source
};

/// A published latency at batch 1.
struct PublishedLatencyRow {
  std::string network;   ///< as published
  std::string zoo_name;  ///< name in the zoo; empty where the zoo has no such network
  std::optional<double> params_m;
  std::optional<double> macs_m;
  std::optional<double> top1;
  int resolution = 0;  ///< pixels; 0: unstated
  std::string device;
  std::string runtime;
  std::string threads;  ///< a number, or what the source says instead
  std::string precision;
  double latency_ms = 0;
  std::string statistic;   ///< e.g. `min of 10`; empty where unstated
  bool digitised = false;  ///< read off a figure
  std::string source;
  std::string note;
  std::string
      exclusion_reason;  ///< why it should stay out of fits; empty where nothing speaks against it
};

/// A published latency of what a study times (`cpubone-explore --study`).
struct PublishedStudyRow {
  std::string study;
  std::string subject;  ///< the labels of its row, joined by commas
  std::string device;
  double latency_ms = 0;
  std::string source;
};

/// All of them, by family and MACs.
const std::vector<PublishedAccuracyRow>& published_accuracies();
const std::vector<PublishedLatencyRow>& published_latencies();
const std::vector<PublishedAblation>& published_ablations();
const std::vector<PublishedStudyRow>& published_studies();

/// Published accuracy of a network of the zoo, by any name that `zoo_name` reads.
std::optional<PublishedAccuracyRow> published_accuracy(std::string_view name);
/// Published latencies of a network of the zoo, those excluded from fits included.
std::vector<PublishedLatencyRow> published_latencies(std::string_view name);

}  // namespace cpubone
