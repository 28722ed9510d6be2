#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "records/result.hpp"

namespace cpubone {

/// The page: one HTML file that loads nothing. Several results stand side by side.
/// Throws std::invalid_argument without any result.
std::string report_html(std::span<const Result> results);

/// The same in Markdown. Names of charts among `images` (`charts/front.svg`) are shown, others are
/// left to their tables.
std::string report_markdown(std::span<const Result> results, std::span<const std::string> images);

/// The fronts of all results, one network a line.
std::string pareto_csv(std::span<const Result> results);

/// Versions of the scripts that this build has for the page, e.g. `vega 5.33.0, vega-lite 5.23.0,
/// vega-embed 6.29.0`; empty where it was built without npm: pages then show tables only.
std::string report_scripts();

/// What `write_report` wrote, and what it could not, as sentences for the user.
struct WrittenReport {
  std::vector<std::filesystem::path> files;
  std::vector<std::string> notes;
};

/// Writes `report.html`, `report.md`, `pareto.csv` and, where a `node` is found in PATH,
/// `charts/*.svg` (and `*.png` where an `rsvg-convert` is) into `folder`, which is created. Throws
/// cpubone::Error naming the file.
WrittenReport write_report(std::span<const Result> results, const std::filesystem::path& folder);

}  // namespace cpubone
