// scale.h: where the lines of a chart's axis lie.
//
// Thread: any.
#pragma once

#include <vector>

namespace flash::tools {

/// Round numbers from 0 to at least `max`, about five.
[[nodiscard]] std::vector<double> RoundSteps(double max);

}  // namespace flash::tools
