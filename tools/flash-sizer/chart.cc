// chart.cc: see chart.h.
//
// Sizes are in units of the view box; the page scales them. Thread: any.
#include "tools/flash-sizer/chart.h"

#include <algorithm>
#include <cmath>

#include "tools/common/text.h"

namespace flash::tools::sizer {
namespace {

constexpr double kLineWidth = 480;  // Two of them stand side by side.
constexpr double kBarWidth = 960;
constexpr double kLineHeight = 290;
constexpr double kLeft = 66;
constexpr double kRight = 26;
constexpr double kTop = 34;
constexpr double kBottom = 46;
constexpr double kBarStep = 26;
constexpr double kBarHeight = 16;
constexpr double kBarLeft = 150;
constexpr double kBarRight = 84;

std::string N(double number) { return Fixed(number, 1); }

std::string TextAt(double x, double y, const std::string& anchor, const std::string& text,
                   const std::string& css_class = "t") {
  return "<text class=\"" + css_class + "\" x=\"" + N(x) + "\" y=\"" + N(y) + "\" text-anchor=\"" +
         anchor + "\">" + HtmlEscaped(text) + "</text>\n";
}

std::string LineFrom(double x1, double y1, double x2, double y2, const std::string& css_class) {
  return "<line class=\"" + css_class + "\" x1=\"" + N(x1) + "\" y1=\"" + N(y1) + "\" x2=\"" +
         N(x2) + "\" y2=\"" + N(y2) + "\"/>\n";
}

std::string Begin(double width, double height, const std::string& label) {
  return "<svg viewBox=\"0 0 " + N(width) + " " + N(height) + "\" role=\"img\" aria-label=\"" +
         HtmlEscaped(label) + "\">\n";
}

class LinePlot {
 public:
  explicit LinePlot(const LineChart& chart) : chart_(chart) {}

  std::string Drawn() const {
    std::string svg = Begin(kLineWidth, kLineHeight, chart_.label);
    svg += Axes() + Band() + Level() + Line() + Points();
    return svg + "</svg>\n";
  }

 private:
  double X(double x) const {
    const double span = std::max(chart_.x_max - chart_.x_min, 1e-9);
    return kLeft + (x - chart_.x_min) / span * (kLineWidth - kLeft - kRight);
  }
  double Y(double y) const {
    const double share = std::clamp(y / std::max(chart_.y_max, 1e-9), 0.0, 1.0);
    return kLineHeight - kBottom - share * (kLineHeight - kTop - kBottom);
  }

  std::string Axes() const {
    std::string svg;
    for (const Tick& tick : chart_.y_ticks) {
      svg += LineFrom(kLeft, Y(tick.at), kLineWidth - kRight, Y(tick.at), "grid");
      svg += TextAt(kLeft - 8, Y(tick.at) + 4, "end", tick.label);
    }
    for (const Tick& tick : chart_.x_ticks) {
      svg += LineFrom(X(tick.at), Y(0), X(tick.at), Y(0) + 4, "axis");
      svg += TextAt(X(tick.at), Y(0) + 18, "middle", tick.label);
    }
    svg += LineFrom(kLeft, Y(0), kLineWidth - kRight, Y(0), "axis");
    svg +=
        TextAt((kLeft + kLineWidth - kRight) / 2, kLineHeight - 8, "middle", chart_.x_title, "t q");
    svg += TextAt(8, kTop - 18, "start", chart_.y_title, "t q");
    return svg;
  }

  std::string Band() const {
    std::string outline;
    for (const auto& point : chart_.points) {
      outline += (outline.empty() ? "M" : "L") + N(X(point.x)) + " " + N(Y(point.high));
    }
    for (auto point = chart_.points.rbegin(); point != chart_.points.rend(); ++point) {
      outline += "L" + N(X(point->x)) + " " + N(Y(point->low));
    }
    return "<path class=\"band\" d=\"" + outline + "Z\"/>\n";
  }

  std::string Level() const {
    if (!chart_.level) return "";
    const double y = Y(chart_.level->y);
    return LineFrom(kLeft, y, kLineWidth - kRight, y, "level") +
           TextAt(kLineWidth - kRight, y - 5, "end", chart_.level->label, "t q halo");
  }

  std::string Line() const {
    std::string path;
    for (const auto& point : chart_.points) {
      path += (path.empty() ? "M" : "L") + N(X(point.x)) + " " + N(Y(point.y));
    }
    return "<path class=\"line\" d=\"" + path + "\"/>\n";
  }

  std::string Points() const {
    std::string svg;
    for (const auto& point : chart_.points) {
      if (point.marked) svg += LineFrom(X(point.x), kTop, X(point.x), Y(0), "mark");
      svg += "<circle class=\"" + std::string(point.marked ? "dot marked" : "dot") + "\" cx=\"" +
             N(X(point.x)) + "\" cy=\"" + N(Y(point.y)) + "\" r=\"" + (point.marked ? "5" : "3") +
             "\"><title>" + HtmlEscaped(point.title) + "</title></circle>\n";
    }
    return svg;
  }

  const LineChart& chart_;
};

}  // namespace

std::string Svg(const LineChart& chart) { return LinePlot(chart).Drawn(); }

std::string Svg(const BarChart& chart) {
  double longest = 0;
  for (const auto& bar : chart.bars) {
    double length = 0;
    for (const auto& part : bar.parts) length += part.length;
    longest = std::max(longest, length);
  }
  std::string svg =
      Begin(kBarWidth, static_cast<double>(chart.bars.size()) * kBarStep + 6, chart.label);
  double y = 6;
  for (const auto& bar : chart.bars) {
    double x = kBarLeft;
    svg += TextAt(kBarLeft - 8, y + kBarHeight - 4, "end", bar.label);
    for (const auto& part : bar.parts) {
      const double width =
          longest > 0 ? part.length / longest * (kBarWidth - kBarLeft - kBarRight) : 0;
      if (width < 0.05) continue;
      svg += "<rect class=\"" + part.css_class + "\" x=\"" + N(x) + "\" y=\"" + N(y) +
             "\" width=\"" + N(width) + "\" height=\"" + N(kBarHeight) + "\"><title>" +
             HtmlEscaped(part.title) + "</title></rect>\n";
      x += width;
    }
    svg += TextAt(x + 6, y + kBarHeight - 4, "start", bar.value, "t q");
    y += kBarStep;
  }
  // On narrow screens it scrolls rather than shrink until labels cannot be read.
  return "<div class=\"scroll bars\">" + svg + "</svg></div>\n";
}

}  // namespace flash::tools::sizer
