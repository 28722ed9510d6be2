#include "records/device_file.hpp"

#include "records/tables.hpp"

namespace cpubone {
namespace {

void check_device(const DeviceFile& device, const JsonReader& json) {
  if (device.clusters.empty()) json.at("clusters").fail("at least one cluster of cores");
  int cores = 0;
  for (const CoreCluster& cluster : device.clusters) cores += cluster.count;
  static_cast<void>(json.at("threads").integer(1, cores));
  if (device.precision != DType::f32) json.at("precision").fail("\"f32\"");
  if (device.coprocessor && device.coprocessor->operators.empty())
    json.at("coprocessor").at("operators").fail("at least one operator");
}

}  // namespace

namespace records {

constexpr Range cache_bytes{1, static_cast<double>(std::int64_t{1} << 40)};

template <>
const Table<CoreCluster>& table<CoreCluster>() {
  using T = CoreCluster;
  static const Table<T> cluster{
      "cluster",
      {field<&T::core>("core", "e.g. `Cortex-A76`"), field<&T::count>("count", "", {1, 4096}),
       field<&T::mhz>("mhz", "the highest that they sustain", {1, 1e5}),
       field<&T::macs_per_cycle>("macs_per_cycle",
                                 "f32 multiply-accumulates of one core at its peak", {0.1, 4096})}};
  return cluster;
}

template <>
const Table<SourcedFact>& table<SourcedFact>() {
  static const Table<SourcedFact> fact{"fact",
                                       {field<&SourcedFact::fact>("fact", ""),
                                        field<&SourcedFact::source>("source", "where it is from")}};
  return fact;
}

template <>
const Table<PublishedSelection>& table<PublishedSelection>() {
  using T = PublishedSelection;
  static const Table<T> selection{
      "rows",
      {field<&T::device>("device", "as published"), field<&T::runtimes>("runtimes", "any of these"),
       field<&T::threads>("threads", "any of these"),
       field<&T::precisions>("precisions", "any of these")}};
  return selection;
}

template <>
const Table<DeviceLatency>& table<DeviceLatency>() {
  using T = DeviceLatency;
  static const Table<T> latency{
      "latency",
      {field<&T::network>("network", "of `cpubone-predict --list`"),
       field<&T::latency_ms>("latency_ms", "", {1e-3, 1e6}), field<&T::runtime>("runtime", ""),
       field<&T::threads>("threads", "as published"), field<&T::precision>("precision", ""),
       field<&T::source>("source", "")}};
  return latency;
}

template <>
const Table<PublishedOperator>& table<PublishedOperator>() {
  using T = PublishedOperator;
  static const Table<T> op{
      "published operator",
      {field<&T::op>("op", ""), field<&T::latency_us>("latency_us", "", {1e-3, 1e9})}};
  return op;
}

template <>
const Table<DeviceCoprocessor>& table<DeviceCoprocessor>() {
  using T = DeviceCoprocessor;
  static const Table<T> coprocessor{
      "coprocessor",
      {field<&T::name>("name", "e.g. `Adreno 640`"),
       field<&T::runtime>("runtime", "that the latencies were measured with"),
       field<&T::wait_us>(
           "wait_us",
           "to start an operator and to wait for it, where the latencies do not have "
           "that",
           {0, 1e6}),
       field<&T::wait_source>("wait_source", "where that is from, or that it is assumed"),
       field<&T::source>("source", "of the latencies"),
       field<&T::note>("note", "what to know about them, such as their precision"),
       field<&T::operators>("operators", "those of a class that has none stay on the CPU")}};
  return coprocessor;
}

template <>
const Table<DeviceFile>& table<DeviceFile>() {
  using T = DeviceFile;
  static const Table<T> device{
      .name = "device",
      .fields = {field<&T::name>("name", "e.g. `pi5`"),
                 field<&T::title>("title", "e.g. `Raspberry Pi 5`"),
                 field<&T::cpu>("cpu", "e.g. `Cortex-A76`"),
                 field<&T::architecture>("architecture", "`aarch64` or `x86_64`"),
                 field<&T::features>(
                     "features",
                     "instruction sets that kernels choose by: `asimd`, `fphp`, `avx2`, "
                     "`fma`, `avx512f`, …"),
                 field<&T::clusters>("clusters", "of equal cores"),
                 field<&T::l1d_bytes>("l1d_bytes", "of one core", cache_bytes),
                 field<&T::l2_bytes>("l2_bytes", "of one core", cache_bytes),
                 field<&T::llc_bytes>("llc_bytes", "last level", cache_bytes),
                 field<&T::memory_bytes_per_s>("memory_bytes_per_s", "peak bandwidth", {1e6, 1e15}),
                 field<&T::facts>("facts", "where all of these are from"),
                 field<&T::runtime>("runtime", "that the latencies were measured with"),
                 field<&T::threads>("threads", "of the latencies, at most the cores"),
                 field<&T::precision>("precision", "of the latencies; `f32` only"),
                 field<&T::note>("note", "what to know about the latencies, such as assumptions"),
                 optional<&T::published>("published",
                                         "which of `space/data/published_latency.json` are of it"),
                 field<&T::latencies>("latencies", "more of them"),
                 optional<&T::coprocessor>(
                     "coprocessor", "for `--co-execution`: what it takes, as it was published")},
      .check = check_device,
      .schema = "device"};
  return device;
}

}  // namespace records

DeviceFile read_device_file(const JsonReader& json) {
  return records::read_record<DeviceFile>(json);
}

std::string describe_device_file() {
  using namespace records;
  return describe_all<DeviceFile, CoreCluster, SourcedFact, PublishedSelection, DeviceLatency,
                      DeviceCoprocessor, PublishedOperator>();
}

}  // namespace cpubone
