// plot.h: lines over time or over percentiles as inline SVG, coloured by the page's CSS.
//
// Knows coordinates and labels, not what they mean. Thread: any.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace flash::tools::bench {

struct Plot {
  struct Line {
    std::string label;
    std::vector<std::pair<double, double>> points;
  };
  struct Tick {
    double at = 0;
    std::string label;
  };

  std::string title;
  std::string x_title;
  std::vector<Line> lines;    ///< At most six.
  std::vector<Tick> x_ticks;  ///< Empty: round numbers.
  std::string (*y_text)(double) = nullptr;
  bool logarithmic = false;  ///< The y axis; values below 1 are drawn at 1.
};

/// A figure with its title and legend.
[[nodiscard]] std::string Svg(const Plot& plot);

}  // namespace flash::tools::bench
