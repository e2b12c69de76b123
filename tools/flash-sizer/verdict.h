// verdict.h: whether the tier is worth it, and the sentences that say why.
//
// Thread: any.
#pragma once

#include "tools/flash-sizer/report.h"

namespace flash::tools::sizer {

inline constexpr double kSavedShareMin = 0.2;                 ///< Less is not worth another layer.
inline constexpr double kRamBytesMin = 1024.0 * 1024 * 1024;  ///< Less fits into any machine.

/// Sets `verdict` and `reasons` of a report whose numbers are complete, and adds notes about what
/// makes them doubtful.
void Judge(Report& report);

}  // namespace flash::tools::sizer
