#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/terminal.hpp"
#include "records/result.hpp"
#include "reports/comparison.hpp"
#include "reports/report.hpp"

using namespace cpubone;

namespace {

/// What changed for sure; the report has the whole tables.
void print_changes(const cli::Terminal& terminal, const Changes& found) {
  for (const std::string& sentence : found.sentences) terminal.line(sentence);
  Table latencies = found.latencies;
  latencies.rows.resize(found.latencies_changed);
  for (const Table& table : {latencies, found.conditions, found.proposals}) {
    if (table.rows.empty()) continue;
    terminal.line("");
    terminal.line(table.caption);
    terminal.print(table, cli::Format::table);
  }
  terminal.line("");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Write report.html, report.md, pareto.csv and charts/*.svg and *.png from what "
      "cpubone-explore found.\n"
      "Several results stand side by side; of two of one device it tells what changed, and what of "
      "that is more than noise.",
      "cpubone-report");
  std::vector<std::string> inputs;
  std::string folder = "cpubone-out";
  std::string format = "table";
  bool quiet = false;
  app.add_option("result", inputs, "result.json of cpubone-explore")->required();
  app.add_option("-o,--output", folder, "folder that is written")->capture_default_str();
  app.add_option("--format", format, "of the list of written files: table, json or csv")
      ->capture_default_str();
  app.add_flag("--quiet", quiet, "no notes, only warnings and errors");
  app.set_version_flag("--version", CPUBONE_VERSION);
  app.footer("Exit status: 0 done, 1 failed, 2 wrong usage.");
  return cli::run_tool(app, argc, argv, [&] {
    const cli::Format printed = cli::parse_format(format);
    const cli::Terminal terminal(quiet);
    std::vector<Result> results;
    for (const std::string& input : inputs) results.push_back(load_result(input));
    const WrittenReport report = write_report(results, folder);
    for (const std::string& note : report.notes) terminal.note(note);
    if (const auto found = changes(results); found && printed == cli::Format::table)
      print_changes(terminal, *found);
    Table table{"Written", {{"file"}, {"bytes", true}}, {}};
    for (const auto& file : report.files)
      table.rows.push_back({file.string(), fmt::to_string(std::filesystem::file_size(file))});
    terminal.print(table, printed);
  });
}
