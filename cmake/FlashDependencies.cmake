# Third-party libraries. liburing and LZ4 are linked statically and xxHash is used as a header, so
# that the module needs nothing but libc on the machine that loads it.

find_package(Threads REQUIRED)

# flash_static_library(<name> <library> <header>): imports lib<library>.a as flash_dep_<name>.
function(flash_static_library name library header)
  if(TARGET flash_dep_${name})
    return()
  endif()
  find_library(FLASH_${name}_LIBRARY NAMES "lib${library}.a" REQUIRED)
  find_path(FLASH_${name}_INCLUDE NAMES "${header}" REQUIRED)
  add_library(flash_dep_${name} STATIC IMPORTED GLOBAL)
  set_target_properties(flash_dep_${name} PROPERTIES
    IMPORTED_LOCATION "${FLASH_${name}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${FLASH_${name}_INCLUDE}")
endfunction()

flash_static_library(uring uring liburing.h)
flash_static_library(lz4 lz4 lz4.h)
flash_static_library(hiredis hiredis hiredis/hiredis.h)

find_path(FLASH_xxhash_INCLUDE NAMES xxhash.h REQUIRED)
add_library(flash_dep_xxhash INTERFACE)
target_include_directories(flash_dep_xxhash SYSTEM INTERFACE "${FLASH_xxhash_INCLUDE}")
target_compile_definitions(flash_dep_xxhash INTERFACE XXH_INLINE_ALL)

# valkeymodule.h defines its function pointers in every unit that includes it and relies on g++'s
# `common` attribute to merge them, which clang++ has not. C++17's inline variables merge in both.
if(NOT EXISTS "${FLASH_VALKEYMODULE_DIR}/valkeymodule.h")
  message(FATAL_ERROR "valkeymodule.h is not in ${FLASH_VALKEYMODULE_DIR}: run scripts/setup, or "
                      "set FLASH_VALKEYMODULE_DIR (docs/install.md)")
endif()
add_library(flash_dep_valkeymodule INTERFACE)
target_include_directories(flash_dep_valkeymodule SYSTEM INTERFACE "${FLASH_VALKEYMODULE_DIR}")
target_compile_definitions(flash_dep_valkeymodule INTERFACE
  VALKEYMODULE_API=inline VALKEYMODULE_ATTR=)
