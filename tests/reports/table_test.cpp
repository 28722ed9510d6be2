#include "reports/table.hpp"

#include <cmath>

#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("numbers have three digits and no exponent", "[reports]") {
  CHECK(short_number(0) == "0");
  CHECK(short_number(0.1234) == "0.123");
  CHECK(short_number(1.234) == "1.23");
  CHECK(short_number(9.996) == "10.0");
  CHECK(short_number(99.96) == "100");
  CHECK(short_number(1234.5) == "1234");
  CHECK(short_number(std::nan("")) == "–");
  CHECK(with_interval({10.25, 10.1, 10.4}) == "10.2 (10.1–10.4)");
  CHECK(with_interval({5, 5, 5}) == "5.00");
  // No more digits than the interval leaves.
  CHECK(with_interval({24.23, 15.1, 38.92}) == "24 (15–39)");
  CHECK(with_interval({0.7312, 0.552, 0.971}) == "0.73 (0.55–0.97)");
  CHECK(with_interval({0.01234, 0.0083, 0.0182}) == "0.012 (0.008–0.018)");
  CHECK(with_interval({199.8, 199.1, 200.6}) == "200 (199–201)");
  CHECK(with_interval({0.0052, 0.0005, 0.0521}) == "0.005 (0.0005–0.052)");
  CHECK(millions(10348488) == "10.3 M");
  CHECK(percent_text(0.0214) == "2.1 %");
  CHECK(probability_text(0.954) == "95 %");
  CHECK(probability_text(0.9999) == "over 99 %");
  CHECK(probability_text(0.0001) == "below 1 %");
}

TEST_CASE("each format escapes what it must", "[reports]") {
  CHECK(escape_html("<a href=\"x\">'&") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  CHECK(escape_markdown("a|b*c_`d`\n<i>") == "a\\|b\\*c\\_\\`d\\` &lt;i\\>");
  CHECK(escape_csv("plain") == "plain");
  CHECK(escape_csv("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(escape_csv("two\nlines") == "\"two\nlines\"");
  CHECK(escape_terminal("a\x1b[31m\n\x7f\xc2\x9bz é") == "a\\x1b[31m\\x0a\\x7f\\x9bz é");
  CHECK(escape_terminal(std::string_view("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("a text in CSV is never a formula, and a number stays one", "[reports]") {
  CHECK(escape_csv("=1+1") == "'=1+1");
  CHECK(escape_csv("@SUM(A1)") == "'@SUM(A1)");
  CHECK(escape_csv("-2+3,\"x\"") == "\"'-2+3,\"\"x\"\"\"");
  CHECK(escape_csv("+cmd") == "'+cmd");
  CHECK(escape_csv("-0.5") == "-0.5");
  CHECK(escape_csv("+1e3") == "+1e3");
  CHECK(escape_csv("") == "");
}

TEST_CASE("a table is the same in every format", "[reports]") {
  const Table table{"Nets", {{"Name"}, {"ms", true}}, {{"b0", "10"}, {"<b1>", "20"}}};
  CHECK(to_csv(table) == "Name,ms\nb0,10\n<b1>,20\n");
  CHECK(to_markdown(table) == "| Name | ms |\n|---|---:|\n| b0 | 10 |\n| &lt;b1\\> | 20 |\n");
  CHECK_THAT(to_html(table), ContainsSubstring("<caption>Nets</caption>"));
  CHECK_THAT(to_html(table),
             ContainsSubstring("<tr><th scope=\"row\">&lt;b1&gt;<td class=\"n\">20</table>"));
}
