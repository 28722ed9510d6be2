#pragma once
#include <filesystem>
#include <vector>

#include "explorer/known_accuracies.hpp"

namespace cpubone {

/// A row of a table of trained networks.
struct AccuracyTableRow {
  OwnTop1 own;
  TrainedNetwork trained;  ///< of a family that is nobody else's
};

/// Reads a table of trained networks (docs/file-formats.md, "accuracy table"). Throws
/// cpubone::Error naming path, line and column, got and expected.
std::vector<AccuracyTableRow> load_accuracy_table(const std::filesystem::path& path);

}  // namespace cpubone
