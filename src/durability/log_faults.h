// log_faults.h: a device of the log that fails when a test says so, in a running server.
//
// With FLASH_TEST_LOG_FAULT=<folder> in the server's environment, writes and syncs of the log's
// devices fail with EIO while a file `error` is in that folder, with ENOSPC while there is one
// `nospace`, and do not end while there is one `hang`. Reads go on. Knows no log. Thread: Wrap any;
// each device its owner's.
#pragma once

#include <memory>

#include "io/device.h"

namespace flash::durability {

/// `device` itself where no test asks for faults.
[[nodiscard]] std::unique_ptr<io::Device> WithLogFaults(std::unique_ptr<io::Device> device);

}  // namespace flash::durability
