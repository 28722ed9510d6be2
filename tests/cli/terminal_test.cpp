#include "cli/terminal.hpp"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

#include "cli/arguments.hpp"
#include "graph/error.hpp"
#include "tests/catch.hpp"

using namespace cpubone;
using namespace cpubone::cli;

TEST_CASE("control characters of a cell do not reach the terminal", "[cli]") {
  const Table table{"Nets", {{"name"}, {"ms", true}}, {{"b0\x1b[2J\n", "1"}}};
  CHECK(aligned(table, false) ==
        "name           ms\n"
        "b0\\x1b[2J\\x0a   1\n");
}

TEST_CASE("control characters of a message do not reach the terminal", "[cli]") {
  CHECK_THAT(progress_line("profile", 25, 100, 10, "\x1b[2J", 80), ContainsSubstring("\\x1b[2J"));
}

TEST_CASE("columns are aligned by code points, numbers on the right", "[cli]") {
  const Table table{
      "", {{"name"}, {"ms", true}, {"note"}}, {{"b0 ≈", "9.5", "x"}, {"b", "10", ""}}};
  CHECK(aligned(table, false) ==
        "name   ms  note\n"
        "b0 ≈  9.5  x\n"
        "b      10  \n");
  CHECK(aligned(table, true).substr(0, 5) == "\x1b[2mn");
  CHECK(to_json(table)[1]["ms"] == "10");
}

TEST_CASE("a resolution is a number or height x width", "[cli]") {
  CHECK(parse_resolution("--resolution", "192") == std::pair(192, 192));
  CHECK(parse_resolution("--resolution", "288x512") == std::pair(288, 512));
  for (const char* text :
       {"", "x", "0", "224x", "x224", "224x0", "224X224", "-1", "65537", "1x2x3"})
    CHECK_THROWS_WITH(
        parse_resolution("--resolution", text),
        fmt::format("--resolution: got \"{}\", expected pixels such as 224, or height "
                    "x width such as 288x512",
                    text));
}

TEST_CASE("a limit is a number above 0, a seed a whole number that results can hold", "[cli]") {
  CHECK(parse_number("--params-m", "2.5") == 2.5);
  for (const char* text : {"", "nan", "inf", "0", "-1", "1e999", "10,20", "10 "})
    CHECK_THROWS_WITH(parse_number("--params-m", text),
                      fmt::format("--params-m: got \"{}\", expected a number above 0", text));
  CHECK(parse_seed("--seed", "9223372036854775807") == 9223372036854775807u);
  for (const char* text :
       {"", "-1", "1.5", "0x1", "9223372036854775808", "12345678901234567890123"})
    CHECK_THROWS_WITH(parse_seed("--seed", text),
                      fmt::format("--seed: got \"{}\", expected a whole number from 0 to "
                                  "9223372036854775807",
                                  text));
}

TEST_CASE("times are minutes and seconds, hours where there are any", "[cli]") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(64.2) == "1:05");
  CHECK(clock_text(3723) == "1:02:03");
  CHECK(clock_text(-1) == "0:00");
}

TEST_CASE("a progress line tells share and remaining time and fits the terminal", "[cli]") {
  CHECK_THAT(progress_line("profile", 25, 100, 10, "conv2d", 80),
             ContainsSubstring("25 %  0:30 left  conv2d"));
  CHECK_THAT(progress_line("profile", 0, 0, 10, "", 80), ContainsSubstring("0 %"));
  CHECK(width(progress_line("profile", 25, 100, 10, "a long operator", 30)) == 30);
}

TEST_CASE("formats are table, json and csv", "[cli]") {
  CHECK(parse_format("csv") == Format::csv);
  CHECK_THROWS_WITH(parse_format("xml"), "--format: expected table, json or csv, got \"xml\"");
}

TEST_CASE("errors become exit codes: 1 failed, 2 wrong usage", "[cli]") {
  CHECK(run("tool", [] {}) == 0);
  CHECK(run("tool", [] { throw Error("no such file"); }) == 1);
  CHECK(run("tool", [] { throw std::invalid_argument("wrong flag"); }) == 2);
}
