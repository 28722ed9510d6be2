#include "explorer/accuracy_table.hpp"

#include <filesystem>
#include <fstream>

#include "graph/network.hpp"
#include "graph/passes.hpp"
#include "space/cpubone.hpp"
#include "tests/catch.hpp"
#include "tests/temporary_folder.hpp"

using namespace cpubone;

namespace {

std::vector<AccuracyTableRow> rows_of(const std::string& csv,
                                      const std::string& name = "cpubone_accuracy_table.csv") {
  const auto path = scratch_path(name);
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << csv;
  return load_accuracy_table(path);
}

std::string message(const std::string& csv) {
  try {
    rows_of(csv);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a table of trained networks is read", "[explorer]") {
  const auto rows = rows_of(
      "network,params_m,macs_m,head_params_m,top1\n"
      "a,6,200,4,60\r\n"
      "\"b, wide\", 9,400,,64\n\n"
      "CPUBone_B0,10.3,520,,70\n");
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].own.network == "a");
  CHECK(rows[0].trained.totals_only);
  CHECK(rows[0].trained.terms.body_params == Approx(2e6));
  CHECK(rows[1].own.network == "b, wide");
  CHECK(rows[1].trained.terms.body_params == Approx(9e6 - 1.28e6));
  CHECK(rows[2].own.zoo_name == "cpubone-b0");
  CHECK(rows[2].own.params == Approx(10.3e6));
  CHECK(rows[2].trained.terms == accuracy_terms(build(cpubone_config("b0"))));
  for (const AccuracyTableRow& row : rows) CHECK(row.trained.proxy);
}

TEST_CASE("what timm and W&B write is read as it is", "[explorer]") {
  // A row an epoch; the best counts, the folder names the network.
  const auto run = rows_of(
      "epoch,train_loss,eval_loss,eval_top1,eval_top5,lr\n"
      "0,6.1,5.2,11.0,30.1,0.001\n"
      "1,4.1,3.2,71.5,90.1,0.001\n"
      "2,4.0,3.3,71.2,90.0,0.001\n",
      "20260131-120000-cpubone_s0-224/summary.csv");
  REQUIRE(run.size() == 1);
  CHECK(run[0].own.zoo_name == "cpubone-s0");
  CHECK(run[0].own.top1 == 71.5);
  // timm's results, which know parameters in millions.
  const auto results = rows_of(
      "model,img_size,top1,top1_err,param_count,gmacs\n"
      "mine,224,70.5,29.5,6.0,0.4\n");
  CHECK(results[0].own.params == Approx(6e6));
  CHECK(results[0].own.macs == Approx(4e8));
  // An export of W&B; one run failed.
  const auto runs = rows_of(
      "\"Name\",\"State\",\"model\",\"eval_top1\"\n"
      "\"wise-sun-1\",\"finished\",\"cpubone_b0\",\"77.1\"\n"
      "\"odd-moon-2\",\"failed\",\"cpubone_b1\",\"\"\n");
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].own.network == "cpubone-b0");
}

TEST_CASE("a network file beside the table says what was trained", "[explorer]") {
  Network network = build(cpubone_config("nano"));
  network.name = "proposal-1";
  save_network(network, scratch_path("proposal-1.json"));
  const auto rows = rows_of("network,top1\nproposal-1.json,71\n");
  CHECK(rows[0].own.network == "proposal-1");
  CHECK(rows[0].own.macs == Approx(static_cast<double>(macs(network))));
  CHECK(rows[0].trained.terms == accuracy_terms(network));
}

TEST_CASE("a wrong table is refused with its line", "[explorer]") {
  CHECK_THAT(message("network,params_m\n"), ContainsSubstring(":1: missing column \"top1\""));
  CHECK_THAT(message("lr,eval_top1\n"), ContainsSubstring(":1: missing column \"network\""));
  CHECK_THAT(message("network,top1,params_m,macs_m,speed\n"),
             ContainsSubstring(":1: unknown column \"speed\", expected among network"));
  CHECK_THAT(message("network,top1,top1\n"),
             ContainsSubstring(":1: column \"top1\" is there twice"));
  CHECK_THAT(
      message("network,top1,params_m\na,70,5\n"),
      ContainsSubstring(":2: \"a\" is no network that is known, expected one of "
                        "cpubone-predict --list, a network file (.json) or a column macs_m"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,70,5\n"),
             ContainsSubstring(":2: got 3 cells, expected 4"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,170,5,300\n"),
             ContainsSubstring(":2: top1 must be a number between 0 and 100, got \"170\""));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,nan,5,300\n"),
             ContainsSubstring(":2: top1 must be a number"));
  CHECK_THAT(message("network,top1,params_m,macs_m\na,70,-5,300\n"),
             ContainsSubstring(":2: params_m must be a number between 0"));
  CHECK_THAT(message("network,top1,params_m,macs_m\n"),
             ContainsSubstring("no networks below the header"));
  CHECK_THROWS_WITH(load_accuracy_table("/no/such.csv"), "/no/such.csv: cannot be read");
}
