#pragma once
#include <filesystem>
#include <string_view>
#include <vector>

#include "space/mnasnet.hpp"

namespace cpubone {

/// A network that Accel-NASBench (Ahmad and others, DAC 2024) trained on ImageNet-1k under a short
/// recipe: its order counts, not its level.
struct AccelNasbenchRow {
  MnasnetConfig config;
  double top1 = 0;  ///< percent
  bool operator==(const AccelNasbenchRow&) const = default;
};

/// 300 of them, drawn at random.
const std::vector<AccelNasbenchRow>& accel_nasbench();

/// Rows of CSV with the columns `id`, for stages 0 to 6 `e0,k0,l0,se0` and so on, `top1` and any
/// others; lines that begin with `#` are comments. Throws cpubone::Error naming file and line.
std::vector<AccelNasbenchRow> read_accel_nasbench(std::string_view csv, std::string_view file);
std::vector<AccelNasbenchRow> load_accel_nasbench(const std::filesystem::path& path);

}  // namespace cpubone
