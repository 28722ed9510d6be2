#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "reports/chart_parts.hpp"

namespace cpubone::chart {
namespace {

// Of the drawing, pixels. Labels that are apart in it are apart in every wider one.
constexpr double wide_px = 560;
constexpr double narrow_px = 270;
constexpr double height_px = 360;
constexpr double character_px = 6.2;  // of the label's font
constexpr double line_px = 13;
constexpr double mark_px = 5;

struct Place {
  double dx, dy;
  const char* align;
};
// Proposals first try the left above and published ones the right below: they are close.
constexpr std::array<Place, 8> places{{{-5, -9, "right"},
                                       {7, 9, "left"},
                                       {-9, 0, "right"},
                                       {9, 0, "left"},
                                       {7, -9, "left"},
                                       {-5, 9, "right"},
                                       {0, -13, "center"},
                                       {0, 14, "center"}}};

struct Box {
  double left, top, right, bottom;
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

Box around(double x, double y, double half_width, double half_height) {
  return {x - half_width, y - half_height, x + half_width, y + half_height};
}

Box label_box(double x, double y, double width, const Place& place) {
  const std::string_view align = place.align;
  const double middle = x + place.dx +
                        (align == "left"    ? width / 2
                         : align == "right" ? -width / 2
                                            : 0);
  return around(middle, y + place.dy, width / 2, line_px / 2);
}

/// Sets `field` of every labelled row to its place, or to null where there is none.
void place(const ChartFrame& frame, double width_px, const char* field, json& rows) {
  const auto x = [&](const json& row) {
    return width_px * std::log(row["latency"].get<double>() / frame.latency_low_ms) /
           std::log(frame.latency_high_ms / frame.latency_low_ms);
  };
  const auto y = [&](const json& row) {
    return height_px * (frame.top1_high - row["top1"].get<double>()) /
           (frame.top1_high - frame.top1_low);
  };
  std::vector<json*> labelled;
  std::vector<Box> marks;
  for (json& row : rows) {
    if (row["top1"].is_null()) continue;
    marks.push_back(around(x(row), y(row), mark_px, mark_px));
    if (row["label"] != "") labelled.push_back(&row);
  }
  // What a reader looks for first gets its place first.
  const auto rank = [](const json& row) {
    return row["origin"] == "proposal" ? 0 : row["front"].get<bool>() ? 1 : 2;
  };
  std::stable_sort(labelled.begin(), labelled.end(),
                   [&](const json* a, const json* b) { return rank(*a) < rank(*b); });
  const Box drawing{0, 0, width_px, height_px};
  std::vector<Box> taken;
  for (json* row : labelled) {
    const double width =
        character_px * static_cast<double>((*row)["label"].get<std::string>().size());
    std::array<Place, places.size()> tried = places;
    if (rank(*row) > 0) std::swap(tried[0], tried[1]);
    const Place* best = nullptr;
    Box best_box{};
    std::ptrdiff_t fewest = 2;  // marks under a label that still let it be read, and one more
    for (const Place& p : tried) {
      const Box box = label_box(x(*row), y(*row), width, p);
      const auto hides = [&](const Box& other) { return box.overlaps(other); };
      if (box.left < drawing.left || box.right > drawing.right || box.top < drawing.top ||
          box.bottom > drawing.bottom || std::any_of(taken.begin(), taken.end(), hides))
        continue;
      const std::ptrdiff_t hidden = std::count_if(marks.begin(), marks.end(), hides);
      if (hidden >= fewest) continue;
      fewest = hidden;
      best = &p;
      best_box = box;
      if (hidden == 0) break;
    }
    (*row)[field] = nullptr;
    if (!best) continue;
    taken.push_back(best_box);
    (*row)[field] = {{"dx", best->dx}, {"dy", best->dy}, {"align", best->align}};
  }
}

}  // namespace

void place_labels(const ChartFrame& frame, json& networks) {
  place(frame, wide_px, "label_at", networks);
  place(frame, narrow_px, "narrow_label_at", networks);
}

}  // namespace cpubone::chart
