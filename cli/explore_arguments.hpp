#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/arguments.hpp"
#include "cli/device.hpp"
#include "cli/terminal.hpp"
#include "explorer/workflow.hpp"

namespace cpubone::cli {

/// Of `cpubone-explore`, as they were given.
struct ExploreArguments {
  std::string device = "host";
  std::string space = "default";
  std::string accuracy;
  std::string latency_ms;
  std::string params_m;
  std::string memory_mb;
  std::string macs_m;
  std::string top1;
  FormOptions form;
  std::vector<std::string> compare;
  std::string objectives = "latency,top1";
  std::string algorithm = "local";
  std::int64_t evaluations = 200'000;
  int proposals = 8;
  int next = 0;
  std::vector<std::string> studies;
  std::string budget = "140s";
  std::optional<int> threads;
  std::string cpus;
  std::string precision;
  bool co_executes = false;
  std::string seed = "1";
  bool resume = false;
  bool fresh = false;
  std::string output = "cpubone-out";
  std::string format = "table";
  bool quiet = false;
};

/// Throws std::invalid_argument for a seed that is no number.
std::uint64_t seed_of(const ExploreArguments& arguments);
/// Throws std::invalid_argument for CPUs or a precision that there are not.
Conditions conditions_of(const ExploreArguments& arguments);
/// What `--device` names: several by commas, but where a file is of that name.
std::vector<std::string> devices_of(const ExploreArguments& arguments);

/// A bar for each activity of the work.
WorkHooks hooks_of(const Terminal& terminal);

/// A device with what measures it, which is nothing where it is not this machine; and others that
/// the same networks are for. Of several, none is measured.
struct Subject {
  Target target;
  std::vector<Target> elsewhere;
  std::unique_ptr<Measurer> machine;
};

/// Says what will be done, but for studies; measures this machine where it has no profile yet.
/// Throws as `device_predictor` does.
Subject subject_of(const ExploreArguments& arguments, std::span<const Network> compared,
                   const Terminal& terminal);

void write_pages(std::span<const Result> results, const std::filesystem::path& folder,
                 const Terminal& terminal);
/// Where the report is.
std::string page(const ExploreArguments& arguments);

}  // namespace cpubone::cli
