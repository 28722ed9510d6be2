#include "explorer/accuracy_table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <map>
#include <optional>

#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "space/zoo.hpp"

namespace cpubone {
namespace {

namespace fs = std::filesystem;

/// Cells of a line of CSV, without blanks around them; quotes hold commas, and two of them a quote.
std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == '"' && quoted && i + 1 < line.size() && line[i + 1] == '"')
      cells.back() += line[++i];
    else if (c == '"')
      quoted = !quoted;
    else if (c == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += c;
  }
  for (std::string& cell : cells) {
    const auto first = cell.find_first_not_of(" \t\r");
    const auto last = cell.find_last_not_of(" \t\r");
    cell = first == std::string::npos ? "" : cell.substr(first, last - first + 1);
  }
  return cells;
}

/// How a column of ours is called elsewhere, the first that is there: by timm's tools, and as its
/// train script logs to W&B.
struct Alias {
  std::string_view column;
  std::string_view name;
  double unit = 1;  ///< of the alias, in ours
};
constexpr std::array<Alias, 11> aliases{{{"network", "model"},
                                         {"network", "name"},
                                         {"network", "Name"},
                                         {"top1", "eval_top1"},
                                         {"top1", "best_metric"},
                                         {"params_m", "param_count"},
                                         {"params_m", "infer_param_count"},
                                         {"macs_m", "gmacs", 1e3},
                                         {"macs_m", "infer_gmacs", 1e3},
                                         {"macs_m", "macs"},
                                         {"epoch", "epoch"}}};
constexpr std::array<std::string_view, 6> own_columns{"network", "params_m",      "macs_m",
                                                      "top1",    "head_params_m", "family"};

struct Column {
  std::size_t at = 0;
  double unit = 1;
};

/// Parameters of the linear layer that most networks end in.
double usual_head_m(double params_m) {
  return std::min(1.28, params_m / 3);
}

class Table {
 public:
  explicit Table(const fs::path& path) : path_(path), in_(path) {
    if (!in_) throw Error(fmt::format("{}: cannot be read", path.string()));
    std::string line;
    std::getline(in_, line);
    header_ = split(line);
    for (std::size_t k = 0; k < header_.size(); ++k)
      if (std::count(header_.begin(), header_.end(), header_[k]) > 1)
        throw Error(fmt::format("{}:1: column \"{}\" is there twice", path.string(), header_[k]));
    for (const std::string_view name : own_columns) find(name, name, 1);
    if (!has("network") || !has("top1"))  // an export, which has columns of all kinds
      for (const Alias& alias : aliases) find(alias.column, alias.name, alias.unit);
    else
      check_own();
    // timm's train script writes a row an epoch, and the network's name in none.
    if (has("epoch") && !has("network")) run_ = name_of_run();
    if (!run_ && !has("network")) missing("network");
    if (!has("top1")) missing("top1");
  }

  std::vector<AccuracyTableRow> rows() {
    std::vector<AccuracyTableRow> all;
    std::string line;
    for (line_ = 2; std::getline(in_, line); ++line_) {
      if (line.empty() || line == "\r") continue;
      cells_ = split(line);
      if (cells_.size() != header_.size())
        throw Error(fmt::format("{}:{}: got {} cells, expected {}", path_.string(), line_,
                                cells_.size(), header_.size()));
      // Runs of an export that failed have no result.
      if (!is_own_ && cells_[columns_.at("top1").at].empty()) continue;
      AccuracyTableRow row = read();
      if (run_ && !all.empty()) {
        if (row.own.top1 > all[0].own.top1) all[0] = std::move(row);
      } else {
        all.push_back(std::move(row));
      }
    }
    if (all.empty()) throw Error(fmt::format("{}: no networks below the header", path_.string()));
    return all;
  }

 private:
  bool has(std::string_view name) const { return columns_.contains(name); }
  void find(std::string_view column, std::string_view name, double unit) {
    const auto at = std::find(header_.begin(), header_.end(), name);
    if (at != header_.end())
      columns_.try_emplace(std::string(column),
                           Column{static_cast<std::size_t>(at - header_.begin()), unit});
  }
  [[noreturn]] void missing(std::string_view column) const {
    throw Error(fmt::format(
        "{}:1: missing column \"{}\", expected network,params_m,macs_m,top1, or a table of timm or "
        "W&B with model and eval_top1 or top1",
        path_.string(), column));
  }
  void check_own() {
    is_own_ = true;
    for (const std::string& name : header_)
      if (std::find(own_columns.begin(), own_columns.end(), name) == own_columns.end())
        throw Error(fmt::format("{}:1: unknown column \"{}\", expected among {}", path_.string(),
                                name, fmt::join(own_columns, ", ")));
  }

  /// The folder of a run is called `20260131-120000-cpubone_b0-224`, unless it was given a name.
  std::string name_of_run() const {
    const std::string folder = fs::absolute(path_).parent_path().filename().string();
    std::string name = folder;
    if (name.size() > 16 && name[8] == '-' && name[15] == '-') name = name.substr(16);
    if (const auto dash = name.rfind('-');
        dash != std::string::npos && !zoo_name(name.substr(0, dash)).empty())
      name = name.substr(0, dash);
    return name;
  }

  double number(const std::string& name, double low, double high) const {
    const Column& column = columns_.at(name);
    const std::string& cell = cells_[column.at];
    double v = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
    v *= column.unit;
    if (error != std::errc() || end != cell.data() + cell.size() || !(v > low && v < high))
      throw Error(fmt::format("{}:{}: {} must be a number between {} and {}, got \"{}\"",
                              path_.string(), line_, header_[column.at], low, high, cell));
    return v;
  }
  bool is_given(std::string_view name) const {
    return has(name) && !cells_[columns_.find(name)->second.at].empty();
  }

  AccuracyTableRow read() const {
    AccuracyTableRow row;
    OwnTop1& own = row.own;
    TrainedNetwork& trained = row.trained;
    own.network = run_ ? *run_ : cells_[columns_.at("network").at];
    own.top1 = trained.top1 = number("top1", 0, 100);
    const std::string family = is_given("family") ? cells_[columns_.at("family").at] : "own";
    trained.family = "own: " + family;
    trained.proxy = true;
    own.zoo_name = zoo_name(own.network);
    if (const auto network = known(own)) {
      trained.terms = accuracy_terms(*network);
      own.params = static_cast<double>(params(*network));
      own.macs = static_cast<double>(macs(*network));
      own.network = network->name;
    } else {
      for (const char* needed : {"params_m", "macs_m"})
        if (!has(needed))
          throw Error(fmt::format(
              "{}:{}: \"{}\" is no network that is known, expected one of cpubone-predict --list, "
              "a network file (.json) or a column {}",
              path_.string(), line_, own.network, needed));
      const double params_m = number("params_m", 0, 1e5);
      trained.totals_only = true;
      trained.terms.macs = number("macs_m", 0, 1e6) * 1e6;
      trained.terms.body_params =
          1e6 * (params_m - (is_given("head_params_m") ? number("head_params_m", -1e-9, params_m)
                                                       : usual_head_m(params_m)));
      own.macs = trained.terms.macs;
    }
    if (is_given("params_m")) own.params = 1e6 * number("params_m", 0, 1e5);
    if (is_given("macs_m")) own.macs = 1e6 * number("macs_m", 0, 1e6);
    trained.network = own.network;
    return row;
  }

  /// A network of the zoo, or of a file beside the table.
  std::optional<Network> known(const OwnTop1& own) const {
    if (!own.zoo_name.empty()) return find_network(own.zoo_name);
    if (!own.network.ends_with(".json")) return std::nullopt;
    return load_network(path_.parent_path() / own.network);
  }

  fs::path path_;
  std::ifstream in_;
  std::vector<std::string> header_;
  std::map<std::string, Column, std::less<>> columns_;
  bool is_own_ = false;
  std::optional<std::string> run_;  ///< all rows are epochs of its training
  std::vector<std::string> cells_;
  int line_ = 1;
};

}  // namespace

std::vector<AccuracyTableRow> load_accuracy_table(const fs::path& path) {
  return Table(path).rows();
}

}  // namespace cpubone
