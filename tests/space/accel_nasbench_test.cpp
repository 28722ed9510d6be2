#include "space/accel_nasbench.hpp"

#include <fmt/format.h>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("tables of trained networks are read, and refused with their line", "[space]") {
  CHECK(accel_nasbench().size() == 300);
  constexpr const char* header =
      "id,e0,k0,l0,se0,e1,k1,l1,se1,e2,k2,l2,se2,e3,k3,l3,se3,e4,k4,l4,se4,e5,k5,l5,se5,e6,k6,l6,"
      "se6,top1,macs_m";
  const auto rows = read_accel_nasbench(
      fmt::format(
          "# source\n{}\n7,6,3,1,0,4,5,2,1,6,3,3,0,6,5,3,0,6,5,2,0,1,3,2,0,1,3,2,0,59.37,9\n",
          header),
      "own.csv");
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].config.name == "mnasnet-7");
  CHECK(rows[0].config.stages[1] == MnasnetStage{4, 5, 2, true});
  CHECK(rows[0].top1 == 59.37);
  CHECK_THROWS_WITH(read_accel_nasbench("id,top1\n", "own.csv"),
                    ContainsSubstring("own.csv:1: expected the columns id,e0,k0,l0,se0,e1"));
  CHECK_THROWS_WITH(read_accel_nasbench(fmt::format("{}\n0,6,x\n", header), "own.csv"),
                    ContainsSubstring("own.csv:2: expected a number, got \"x\""));
  CHECK_THROWS_WITH(read_accel_nasbench(header, "own.csv"),
                    ContainsSubstring("own.csv: no networks below the header"));
  CHECK_THROWS_WITH(load_accel_nasbench("/no/such.csv"), "/no/such.csv: cannot be read");
}
