#include "space/accel_nasbench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "graph/error.hpp"

namespace cpubone {

extern const std::string_view accel_nasbench_csv;

namespace {

std::string header() {
  std::string text = "id";
  for (std::size_t i = 0; i < MnasnetConfig{}.stages.size(); ++i)
    text += fmt::format(",e{0},k{0},l{0},se{0}", i);
  return text + ",top1";
}

class Cells {
 public:
  Cells(std::string_view line, std::string where) : rest_(line), where_(std::move(where)) {}

  double next() {
    const auto comma = std::min(rest_.find(','), rest_.size());
    const std::string_view cell = rest_.substr(0, comma);
    double number = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
    if (error != std::errc{} || end != cell.data() + cell.size())
      throw Error(fmt::format("{}: expected a number, got \"{}\"", where_, cell));
    rest_.remove_prefix(std::min(comma + 1, rest_.size()));
    return number;
  }

 private:
  std::string_view rest_;
  std::string where_;
};

}  // namespace

std::vector<AccelNasbenchRow> read_accel_nasbench(std::string_view csv, std::string_view file) {
  std::vector<AccelNasbenchRow> rows;
  bool has_header = false;
  for (int number = 1; !csv.empty(); ++number) {
    const auto end = std::min(csv.find('\n'), csv.size());
    std::string_view line = csv.substr(0, end);
    csv.remove_prefix(std::min(end + 1, csv.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line[0] == '#') continue;
    const std::string where = fmt::format("{}:{}", file, number);
    if (!has_header) {
      if (!line.starts_with(header()))
        throw Error(fmt::format("{}: expected the columns {}, got {}", where, header(), line));
      has_header = true;
      continue;
    }
    Cells cells(line, where);
    AccelNasbenchRow row;
    row.config.name = fmt::format("mnasnet-{}", cells.next());
    for (MnasnetStage& stage : row.config.stages) {
      stage.expansion = cells.next();
      stage.kernel = static_cast<int>(cells.next());
      stage.layers = static_cast<int>(cells.next());
      stage.squeeze_excite = cells.next() != 0;
    }
    row.top1 = cells.next();
    rows.push_back(row);
  }
  if (rows.empty()) throw Error(fmt::format("{}: no networks below the header", file));
  return rows;
}

std::vector<AccelNasbenchRow> load_accel_nasbench(const std::filesystem::path& path) {
  std::ifstream in(path);
  if (!in) throw Error(fmt::format("{}: cannot be read", path.string()));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return read_accel_nasbench(text, path.string());
}

const std::vector<AccelNasbenchRow>& accel_nasbench() {
  static const auto rows = read_accel_nasbench(accel_nasbench_csv, "accel_nasbench.csv");
  return rows;
}

}  // namespace cpubone
