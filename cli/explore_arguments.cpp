#include "cli/explore_arguments.hpp"

#include <fmt/format.h>

#include "cli/host_measurer.hpp"
#include "profiler/host.hpp"
#include "reports/report.hpp"

namespace cpubone::cli {

namespace fs = std::filesystem;

std::uint64_t seed_of(const ExploreArguments& arguments) {
  return parse_seed("--seed", arguments.seed);
}

Conditions conditions_of(const ExploreArguments& arguments) {
  Conditions conditions;
  conditions.threads = arguments.threads;
  if (!arguments.cpus.empty()) conditions.cpus = parse_cpus(arguments.cpus);
  if (!arguments.precision.empty()) conditions.precision = parse_dtype(arguments.precision);
  return conditions;
}

WorkHooks hooks_of(const Terminal& terminal) {
  WorkHooks hooks;
  hooks.cancel = &interrupted();
  struct Bar {
    std::string activity;
    std::optional<Progress> progress;
  };
  hooks.progress = [&terminal, bar = std::make_shared<Bar>()](
                       std::string_view activity, double fraction, const std::string& detail) {
    if (bar->activity != activity) {
      bar->activity = activity;
      bar->progress.emplace(terminal, bar->activity);
    }
    bar->progress->update(fraction, 1, detail);
  };
  return hooks;
}

std::vector<std::string> devices_of(const ExploreArguments& arguments) {
  if (fs::is_regular_file(arguments.device)) return {arguments.device};
  return parse_list("--device", arguments.device);
}

namespace {

/// What an exploration will do, how long it takes, and what it writes.
std::string announcement(const ExploreArguments& arguments, double budget_s,
                         const Measurer* machine) {
  const std::string written =
      fmt::format("writes {}: result.json, report.html, report.md, pareto.csv, networks/",
                  (fs::path(arguments.output) / "").string());
  if (machine == nullptr)
    return fmt::format(
        "Searches {} networks, of which nothing is measured, for {:.0f} s at most; {}.",
        arguments.evaluations, budget_s, written);
  const fs::path profile = machine->profile_file();
  const bool is_known = !arguments.fresh && fs::exists(profile);
  const Budget budget = share_out(budget_s, is_known);
  if (is_known)
    return fmt::format(
        "Searches, and measures what it proposes, for {:.0f} s or little more, with the profile of "
        "this machine {}; {}. Ctrl-C stops.",
        budget.explore_s, profile.string(), written);
  return fmt::format(
      "Measures this machine's operators for {:.0f} s and published networks for {:.0f} s, then "
      "searches and measures what it proposes for {:.0f} s; {}, and keeps the machine's profile in "
      "{}. Ctrl-C stops, and the same command goes on; an idle machine is measured best.",
      budget.profile_s, budget.published_s, budget.explore_s, written, profile.string());
}

Subject subjects_of(const ExploreArguments& arguments, const std::vector<std::string>& devices,
                    const Terminal& terminal) {
  const std::vector<std::string> names = device_names(devices, most_devices);
  std::vector<Target> targets;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    targets.push_back(
        predicted_target(device_predictor(devices[i], conditions_of(arguments), terminal)));
    targets.back().name = names[i];
  }
  return {targets.front(), {targets.begin() + 1, targets.end()}, nullptr};
}

}  // namespace

Subject subject_of(const ExploreArguments& arguments, std::span<const Network> compared,
                   const Terminal& terminal) {
  const std::vector<std::string> devices = devices_of(arguments);
  const Conditions conditions = conditions_of(arguments);
  const double budget_s = parse_seconds("--budget", arguments.budget);
  const bool announces = arguments.studies.empty();
  if (devices.size() > 1) {
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subjects_of(arguments, devices, terminal);
  }
  Subject subject;
  if (arguments.co_executes) {
    subject.target =
        predicted_target(co_execution_predictor(arguments.device, conditions, terminal));
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subject;
  }
  if (arguments.device != "host") {
    subject.target = predicted_target(device_predictor(arguments.device, conditions, terminal));
    if (announces) terminal.note(announcement(arguments, budget_s, nullptr));
    return subject;
  }
  subject.machine = host_measurer(settings_of(conditions), seed_of(arguments),
                                  [] { return interrupted().load(); });
  if (announces) terminal.note(announcement(arguments, budget_s, subject.machine.get()));
  subject.target =
      machine_target(*subject.machine, budget_s, arguments.fresh, hooks_of(terminal), compared);
  const Profile& profile = subject.target.profile;
  if (subject.target.is_known)
    terminal.note(fmt::format("profile of this machine: {} ({} operators, {})",
                              subject.target.file.string(), profile.ops.size(), profile.created));
  return subject;
}

void write_pages(std::span<const Result> results, const fs::path& folder,
                 const Terminal& terminal) {
  const WrittenReport report = write_report(results, folder);
  for (const std::string& note : report.notes) terminal.note(note);
}

std::string page(const ExploreArguments& arguments) {
  return fs::absolute(fs::path(arguments.output) / "report.html").lexically_normal().string();
}

}  // namespace cpubone::cli
