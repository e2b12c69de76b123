// format_ahead.h: by how much the numbers of what is written are ahead of the released ones: 0.
//
// 1 in the libraries that tests take for the next version (flash_next_module in
// cmake/FlashTargets.cmake), whose bytes are the same: N, N + 1 and N again, upgrade_test.py.
// A macro, and used in .cc files alone: the same constant may not differ between files.
#pragma once

#ifndef FLASH_FORMAT_AHEAD
#define FLASH_FORMAT_AHEAD 0
#endif
