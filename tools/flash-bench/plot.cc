// plot.cc: see plot.h.
//
// Sizes are in units of the view box; the page scales them. Thread: any.
#include "tools/flash-bench/plot.h"

#include <algorithm>
#include <cmath>

#include "tools/common/scale.h"
#include "tools/common/text.h"

namespace flash::tools::bench {
namespace {

constexpr double kWidth = 520;
constexpr double kHeight = 240;
constexpr double kLeft = 72;
constexpr double kRight = 26;
constexpr double kTop = 10;
constexpr double kBottom = 40;

std::string N(double number) { return Fixed(number, 1); }

std::string TextAt(double x, double y, const char* anchor, const std::string& text) {
  return "<text x=\"" + N(x) + "\" y=\"" + N(y) + "\" text-anchor=\"" + anchor + "\">" +
         HtmlEscaped(text) + "</text>";
}

class Drawing {
 public:
  explicit Drawing(const Plot& plot) : plot_(plot) {
    for (const Plot::Line& line : plot.lines) {
      for (const auto& [x, y] : line.points) {
        x_max_ = std::max(x_max_, x);
        y_max_ = std::max(y_max_, y);
      }
    }
    if (plot.logarithmic) {
      y_steps_ = {1, 10};
      while (y_steps_.back() < y_max_) y_steps_.push_back(y_steps_.back() * 10);
    } else {
      y_steps_ = RoundSteps(y_max_);
    }
    y_max_ = std::max(y_steps_.back(), 1e-9);
    for (const Plot::Tick& tick : plot.x_ticks) x_max_ = std::max(x_max_, tick.at);
  }

  std::string Drawn() const {
    std::string svg = "<svg viewBox=\"0 0 " + N(kWidth) + " " + N(kHeight) +
                      "\" role=\"img\" aria-label=\"" + HtmlEscaped(plot_.title) + "\">\n" + Axes();
    for (size_t i = 0; i < plot_.lines.size(); ++i) svg += Line(i);
    return svg + "</svg>\n";
  }

 private:
  double X(double x) const { return kLeft + x / x_max_ * (kWidth - kLeft - kRight); }
  double Y(double y) const {
    double part = y / y_max_;
    if (plot_.logarithmic) part = std::log10(std::max(y, 1.0)) / std::max(std::log10(y_max_), 1e-9);
    return kHeight - kBottom - std::clamp(part, 0.0, 1.0) * (kHeight - kTop - kBottom);
  }

  std::string Axes() const {
    std::string svg;
    for (const double at : y_steps_) {
      svg += "<line class=\"grid\" x1=\"" + N(kLeft) + "\" x2=\"" + N(kWidth - kRight) +
             "\" y1=\"" + N(Y(at)) + "\" y2=\"" + N(Y(at)) + "\"/>";
      svg += TextAt(kLeft - 6, Y(at) + 4, "end", plot_.y_text(at));
    }
    std::vector<Plot::Tick> ticks = plot_.x_ticks;
    if (ticks.empty()) {
      for (const double at : RoundSteps(x_max_)) {
        if (at <= x_max_ * 1.001) ticks.push_back({at, Fixed(at, at == std::floor(at) ? 0 : 1)});
      }
    }
    for (const Plot::Tick& tick : ticks) {
      svg += TextAt(X(tick.at), kHeight - kBottom + 16, "middle", tick.label);
    }
    return svg + TextAt((kLeft + kWidth - kRight) / 2, kHeight - 6, "middle", plot_.x_title) + "\n";
  }

  std::string Line(size_t i) const {
    std::string points;
    for (const auto& [x, y] : plot_.lines[i].points) points += N(X(x)) + "," + N(Y(y)) + " ";
    return "<polyline class=\"line c" + std::to_string(i) + "\" points=\"" + points + "\"/>\n";
  }

  const Plot& plot_;
  double x_max_ = 1e-9;
  double y_max_ = 0;
  std::vector<double> y_steps_;
};

}  // namespace

std::string Svg(const Plot& plot) {
  std::string html = "<figure>\n<figcaption>" + HtmlEscaped(plot.title) + "</figcaption>\n";
  html += Drawing(plot).Drawn() + "<div class=\"legend\">";
  for (size_t i = 0; i < plot.lines.size(); ++i) {
    html += "<span><i class=\"c" + std::to_string(i) + "\"></i>" +
            HtmlEscaped(plot.lines[i].label) + "</span>";
  }
  return html + "</div>\n</figure>\n";
}

}  // namespace flash::tools::bench
