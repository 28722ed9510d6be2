#include "space/published.hpp"

#include <algorithm>
#include <set>

#include "space/zoo.hpp"
#include "tests/catch.hpp"

using namespace cpubone;

TEST_CASE("published accuracies are found by any spelling of a network", "[space]") {
  const auto b2 = published_accuracy("b15");
  REQUIRE(b2);
  CHECK(b2->network == "CPUBone-B2");
  CHECK(b2->zoo_name == "cpubone-b2");
  CHECK(b2->top1 == 80.3);
  CHECK(b2->params_m == 23.9);
  CHECK(b2->macs_m == 1354);
  CHECK(b2->source == "CPUBone README (github.com/altair199797/CPUBone, ceabbf5)");
  CHECK_FALSE(published_accuracy("vgg16"));
  CHECK_FALSE(published_accuracy(""));
}

TEST_CASE("published latencies of B0 are those of CPUBone's README", "[space]") {
  const auto rows = published_latencies("b0");
  const auto on = [&](std::string_view device) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const PublishedLatencyRow& r) {
      return r.device.find(device) != std::string::npos;
    });
    return row == rows.end() ? 0 : row->latency_ms;
  };
  CHECK(on("Raspberry Pi 5") == 24.2);
  CHECK(on("Pixel 7 Pro") == 13.8);
  CHECK(on("Xeon W-2125") == 6.9);
}

TEST_CASE("published data is complete and names only networks of the zoo", "[space]") {
  CHECK(published_accuracies().size() == 77);
  CHECK(published_latencies().size() == 537);
  for (const PublishedAccuracyRow& row : published_accuracies()) {
    INFO(row.network);
    CHECK((row.zoo_name.empty() || zoo_name(row.zoo_name) == row.zoo_name));
    CHECK((row.top1 > 50 && row.top1 < 90));
    CHECK((row.params_m > 0.5 && row.macs_m > 20 && row.resolution >= 224));
    CHECK_FALSE(row.source.empty());
  }
  for (const PublishedLatencyRow& row : published_latencies()) {
    INFO(row.network);
    CHECK((row.zoo_name.empty() || zoo_name(row.zoo_name) == row.zoo_name));
    CHECK(row.latency_ms > 0);
    CHECK_FALSE(row.source.empty());
    CHECK_FALSE(row.device.empty());
    CHECK_FALSE(row.precision.empty());
  }
}

TEST_CASE("each network has one published accuracy", "[space]") {
  std::set<std::string> names;
  for (const PublishedAccuracyRow& row : published_accuracies())
    if (!row.zoo_name.empty()) CHECK(names.insert(row.zoo_name).second);
}

TEST_CASE("rows that would mislead a fit say so", "[space]") {
  // A point of a figure that contradicts its own family, and networks timed with unmerged branches.
  int misplotted = 0;
  int train_form = 0;
  for (const PublishedLatencyRow& row : published_latencies()) {
    if (row.exclusion_reason.empty()) continue;
    misplotted += row.zoo_name == "fasternet-t1" && row.digitised;
    train_form += row.exclusion_reason.find("branches were not merged") != std::string::npos;
  }
  CHECK(misplotted == 1);
  CHECK(train_form > 0);
}
