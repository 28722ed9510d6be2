#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/op.hpp"
#include "graph/tensor.hpp"

namespace cpubone {

class JsonReader;

/// Equal cores of a CPU.
struct CoreCluster {
  std::string core;
  int count = 0;
  double mhz = 0;             ///< highest that they sustain
  double macs_per_cycle = 0;  ///< f32 multiply-accumulates of one core at its peak
  bool operator==(const CoreCluster&) const = default;
};

/// A fact and where it is from.
struct SourcedFact {
  std::string fact;
  std::string source;
  bool operator==(const SourcedFact&) const = default;
};

/// Which rows of the published latencies are of a device.
struct PublishedSelection {
  std::string device;
  std::vector<std::string> runtimes;
  std::vector<std::string> threads;
  std::vector<std::string> precisions;
  bool operator==(const PublishedSelection&) const = default;
};

/// A latency that stands in the device's own file.
struct DeviceLatency {
  std::string network;
  double latency_ms = 0;
  std::string runtime;
  std::string threads;
  std::string precision;
  std::string source;
  bool operator==(const DeviceLatency&) const = default;
};

/// An operator's latency on a coprocessor, as it was published.
struct PublishedOperator {
  Op op;
  double latency_us = 0;
  bool operator==(const PublishedOperator&) const = default;
};

/// What computes beside the CPU, on one memory with it, such as a GPU.
struct DeviceCoprocessor {
  std::string name;
  std::string runtime;      ///< that the latencies were measured with
  double wait_us = 0;       ///< to start an operator and to wait for it, beyond these latencies
  std::string wait_source;  ///< where that is from, or that it is assumed
  std::string source;       ///< of the latencies
  std::string note;         ///< what to know about them
  std::vector<PublishedOperator> operators;
  bool operator==(const DeviceCoprocessor&) const = default;
};

/// A device that need not be at hand, as its file in devices/ has it (docs/file-formats.md).
struct DeviceFile {
  std::string name;
  std::string title;
  std::string cpu;
  std::string architecture;
  std::vector<std::string> features;
  std::vector<CoreCluster> clusters;
  std::int64_t l1d_bytes = 0;
  std::int64_t l2_bytes = 0;
  std::int64_t llc_bytes = 0;
  double memory_bytes_per_s = 0;
  std::vector<SourcedFact> facts;
  std::string runtime;
  int threads = 1;
  DType precision = DType::f32;
  std::string note;
  std::optional<PublishedSelection> published;
  std::vector<DeviceLatency> latencies;
  std::optional<DeviceCoprocessor> coprocessor;
  bool operator==(const DeviceFile&) const = default;
};

/// Throws cpubone::Error naming the JSON pointer.
DeviceFile read_device_file(const JsonReader& json);
/// The fields of such a file in Markdown, as docs/file-formats.md has them.
std::string describe_device_file();

}  // namespace cpubone
