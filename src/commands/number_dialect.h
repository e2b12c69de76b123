// number_dialect.h: asks the server which texts it takes for doubles.
//
// Versions differ (parse_number.h); what the server itself does is the rule. Thread: main, at load.
#pragma once

namespace flash::commands {

/// Once, at load.
void FollowNumberDialect();

}  // namespace flash::commands
