#include "space/difference.hpp"

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("a difference names what changed and nothing else", "[space]") {
  CpuboneConfig config = cpubone_config("b0");
  CHECK(difference(config, cpubone_config("b0")).empty());
  config.stages[3].blocks = 5;
  config.stages[3].groups = 1;
  config.resolution = 192;
  config.stages[4].attention = false;
  CHECK(difference(config, cpubone_config("b0")) ==
        "input 224 -> 192; stage 3: blocks 3 -> 5, groups 2 -> 1; stage 4: attention with -> "
        "without");
  config = cpubone_config("b0");
  config.stages[1].down_fused = false;
  config.stages[4].fused = true;
  CHECK(difference(config, cpubone_config("b0")) ==
        "stage 1: strided block fused -> unfused; stage 4: blocks are unfused -> fused");
}
