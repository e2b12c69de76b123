// scale.cc: see scale.h.
//
// Thread: any.
#include "tools/common/scale.h"

#include <cmath>

namespace flash::tools {

std::vector<double> RoundSteps(double max) {
  if (max <= 0) return {0, 1};
  const double rough = max / 4;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> steps;
  for (double at = 0; at < max + step * 0.999; at += step) steps.push_back(at);
  return steps;
}

}  // namespace flash::tools
