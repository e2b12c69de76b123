// chart.h: the charts of the HTML report as inline SVG, coloured by the page's CSS classes so that
// they follow light, dark and print.
//
// Knows coordinates and labels, not what they mean. Thread: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace flash::tools::sizer {

struct Tick {
  double at = 0;
  std::string label;
};

/// A line over x, with a band where points have one.
struct LineChart {
  struct Point {
    double x = 0;
    double y = 0;
    double low = 0;
    double high = 0;
    std::string title;  ///< Shown when the pointer rests on it.
    bool marked = false;
  };
  struct Level {
    double y = 0;
    std::string label;
  };

  std::string label;  ///< For those who do not see it.
  std::string x_title;
  std::string y_title;
  double x_min = 0;
  double x_max = 1;
  double y_max = 1;
  std::vector<Tick> x_ticks;
  std::vector<Tick> y_ticks;
  std::vector<Point> points;
  std::optional<Level> level;  ///< A dashed line across.
};

[[nodiscard]] std::string Svg(const LineChart& chart);

/// Horizontal bars of stacked parts.
struct BarChart {
  struct Part {
    double length = 0;
    std::string css_class;
    std::string title;
  };
  struct Bar {
    std::string label;
    std::string value;  ///< Written at its end.
    std::vector<Part> parts;
  };

  std::string label;
  std::vector<Bar> bars;
};

[[nodiscard]] std::string Svg(const BarChart& chart);

}  // namespace flash::tools::sizer
