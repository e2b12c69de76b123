# How a layer, its tests, the module, the simulator, fuzzers and benchmarks become targets. Sources
# are globbed: a new file needs no edit here. A folder without sources yet is an empty layer.

# flash_sources(<variable> <folder> <pattern>...): the sources of a folder, relative names.
function(flash_sources variable folder)
  set(patterns ${ARGN})
  list(TRANSFORM patterns PREPEND "${PROJECT_SOURCE_DIR}/${folder}/")
  file(GLOB found CONFIGURE_DEPENDS ${patterns})
  set(${variable} "${found}" PARENT_SCOPE)
endfunction()

# flash_headers(): the standard headers that most files read, read once per build. Only for builds
# that check something else (presets): in the others each file shows that it names what it needs.
function(flash_headers)
  if(NOT FLASH_PRECOMPILED_HEADERS)
    return()
  endif()
  file(WRITE "${PROJECT_BINARY_DIR}/headers.cc" "")
  add_library(flash_headers OBJECT "${PROJECT_BINARY_DIR}/headers.cc")
  target_link_libraries(flash_headers PRIVATE flash_flags Threads::Threads)
  target_precompile_headers(flash_headers PRIVATE <algorithm> <array> <chrono> <cstdint> <cstring>
    <deque> <functional> <map> <memory> <optional> <span> <string> <string_view> <unordered_map>
    <utility> <vector>)
endfunction()

# flash_layer(<name> [USES <layer>...] [NEEDS <dependency>...]): library flash_<name> of src/<name>.
function(flash_layer name)
  cmake_parse_arguments(ARG "" "" "USES;NEEDS" ${ARGN})
  flash_sources(sources "src/${name}" *.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  set(kind PUBLIC)
  if(sources)
    add_library(flash_${name} STATIC ${sources})
  else()
    add_library(flash_${name} INTERFACE)
    set(kind INTERFACE)
  endif()
  target_link_libraries(flash_${name} ${kind} flash_flags Threads::Threads)
  foreach(layer IN LISTS ARG_USES)
    target_link_libraries(flash_${name} ${kind} flash_${layer})
  endforeach()
  foreach(dependency IN LISTS ARG_NEEDS)
    target_link_libraries(flash_${name} ${kind} flash_dep_${dependency})
  endforeach()
  if(sources AND FLASH_PRECOMPILED_HEADERS)
    target_precompile_headers(flash_${name} REUSE_FROM flash_headers)
  endif()
  set_property(GLOBAL APPEND PROPERTY FLASH_LAYERS ${name})
endfunction()

# flash_module_library(<target> SOURCES <file>... USES <layer>...): lib<target>.so, exporting its
# entry points alone.
function(flash_module_library target)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  list(TRANSFORM ARG_USES PREPEND "flash_")
  list(TRANSFORM ARG_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/")
  set(exports "${PROJECT_SOURCE_DIR}/cmake/module.map")
  add_library(${target} MODULE ${ARG_SOURCES})
  target_link_libraries(${target} PRIVATE ${ARG_USES})
  target_link_options(${target} PRIVATE
    -static-libgcc "-Wl,-Bsymbolic" "-Wl,--exclude-libs,ALL" "-Wl,--gc-sections"
    "-Wl,--version-script=${exports}")
  if(NOT FLASH_SANITIZE)
    # A sanitizer's run-time comes from the server process (preloaded), with the shared libstdc++.
    target_link_options(${target} PRIVATE -static-libstdc++ "-Wl,-z,defs")
  endif()
  set_target_properties(${target} PROPERTIES LINK_DEPENDS "${exports}")
  add_custom_command(TARGET ${target} POST_BUILD COMMAND chmod +x "$<TARGET_FILE:${target}>")
endfunction()

# flash_next_module(<target> SOURCES <file>... USES <layer>...): the module as a next version may
# be, for upgrade_test.py: what these files write has a number that is one higher. Its own copies of
# them are taken instead of the library's. Only built when it is named.
function(flash_next_module target)
  flash_module_library(${target} ${ARGN})
  target_compile_definitions(${target} PRIVATE FLASH_FORMAT_AHEAD=1)
  set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL TRUE)
endfunction()

# flash_module(SOURCE <file> USES <layer>...): libvalkey_flash.so.
function(flash_module)
  cmake_parse_arguments(ARG "" "SOURCE" "USES" ${ARGN})
  flash_module_library(valkey_flash SOURCES ${ARG_SOURCE} USES ${ARG_USES})
  if(BUILD_TESTING AND NOT FLASH_SANITIZE AND NOT FLASH_COVERAGE)
    add_test(NAME module_symbols COMMAND
      "${PROJECT_SOURCE_DIR}/scripts/check_module" "$<TARGET_FILE:valkey_flash>")
  endif()
endfunction()

# flash_tests(): one GoogleTest executable <layer>_test for each layer that has tests, and the
# library of helpers in tests/support that all of them may use. The label `threads` marks the
# binaries that run threads of their own, which are the ones worth a run under TSan.
function(flash_tests)
  if(NOT BUILD_TESTING)
    return()
  endif()
  find_package(GTest REQUIRED)
  flash_sources(support tests/support *.cc)
  if(support)
    add_library(flash_test_support STATIC ${support})
    set(kind PUBLIC)
  else()
    add_library(flash_test_support INTERFACE)
    set(kind INTERFACE)
  endif()
  target_include_directories(flash_test_support ${kind} "${PROJECT_SOURCE_DIR}")
  target_link_libraries(flash_test_support ${kind} flash_blocks GTest::gtest GTest::gmock)

  if(NOT FLASH_UNIT_TESTS)
    return()
  endif()
  add_custom_target(threaded_tests)
  # GoogleTest's headers cost more to read than most tests: read them once per build.
  set(headers_main "${PROJECT_BINARY_DIR}/test_headers.cc")
  file(WRITE "${headers_main}" "int main() {}\n")
  add_executable(flash_test_headers "${headers_main}")
  target_link_libraries(flash_test_headers PRIVATE flash_test_support flash_values)
  target_precompile_headers(flash_test_headers PRIVATE <gmock/gmock.h> <gtest/gtest.h>
    <functional> <map> <memory> <string> <unordered_map> <vector>)
  get_property(layers GLOBAL PROPERTY FLASH_LAYERS)
  foreach(layer IN LISTS layers)
    flash_sources(tests "src/${layer}" *_test.cc)
    if(NOT tests)
      continue()
    endif()
    add_executable(${layer}_test ${tests})
    target_link_libraries(${layer}_test PRIVATE
      flash_${layer} flash_test_support GTest::gmock_main)
    target_precompile_headers(${layer}_test REUSE_FROM flash_test_headers)
    add_test(NAME ${layer} COMMAND ${layer}_test --gtest_brief=1)
    set_tests_properties(${layer} PROPERTIES TIMEOUT 300 LABELS unit)
    if(layer MATCHES "^(io|log|store|blocks)$")
      set_tests_properties(${layer} PROPERTIES LABELS "unit;threads")
      add_dependencies(threaded_tests ${layer}_test)
    endif()
  endforeach()

  add_test(NAME structure COMMAND /usr/bin/python3
    "${PROJECT_SOURCE_DIR}/tests/structure/structure_test.py")
  set_tests_properties(structure PROPERTIES LABELS structure)
endfunction()

# flash_simulator(): tests/sim becomes flash_sim; ctest runs it once with its short default. For
# each row that FLASH_BREAK_TRANSITION can break (src/blocks/block_state.cc) there is a simulator
# with that row broken, which must fail.
function(flash_simulator)
  flash_sources(sources tests/sim *.cc)
  if(NOT sources OR NOT BUILD_TESTING OR NOT FLASH_UNIT_TESTS)
    return()
  endif()
  add_library(flash_sim_objects OBJECT ${sources})
  target_link_libraries(flash_sim_objects PUBLIC flash_values flash_test_support)
  add_executable(flash_sim)
  target_link_libraries(flash_sim PRIVATE flash_sim_objects)
  add_test(NAME simulator COMMAND flash_sim)
  set_tests_properties(simulator PROPERTIES TIMEOUT 600 LABELS simulator)

  foreach(row RANGE 1 6)
    # The executable's own copy of the table is taken instead of the library's.
    add_executable(flash_sim_broken_${row} "${PROJECT_SOURCE_DIR}/src/blocks/block_state.cc")
    target_compile_definitions(flash_sim_broken_${row} PRIVATE FLASH_BREAK_TRANSITION=${row})
    target_link_libraries(flash_sim_broken_${row} PRIVATE flash_sim_objects)
    add_test(NAME simulator_catches_broken_row_${row} COMMAND ${CMAKE_COMMAND}
      "-DSIMULATOR=$<TARGET_FILE:flash_sim_broken_${row}>"
      -P "${PROJECT_SOURCE_DIR}/tests/sim/expect_caught.cmake")
    set_tests_properties(simulator_catches_broken_row_${row} PROPERTIES
      TIMEOUT 600 LABELS simulator)
  endforeach()
endfunction()

# flash_log_simulator(): tests/log_sim becomes flash_log_sim; ctest runs it with few cuts a seed.
# Two more are built wrong on purpose (no sync; checksums without their seed) and must fail.
function(flash_log_simulator)
  flash_sources(sources tests/log_sim *.cc)
  if(NOT sources OR NOT BUILD_TESTING OR NOT FLASH_UNIT_TESTS)
    return()
  endif()
  add_library(flash_log_sim_objects OBJECT ${sources})
  target_link_libraries(flash_log_sim_objects PUBLIC flash_log flash_test_support)
  add_executable(flash_log_sim)
  target_link_libraries(flash_log_sim PRIVATE flash_log_sim_objects)
  add_test(NAME log_simulator COMMAND flash_log_sim --cuts 5)
  set_tests_properties(log_simulator PROPERTIES TIMEOUT 600 LABELS simulator)

  foreach(broken IN ITEMS SYNC:transfers SEED:log_format)
    string(REPLACE ":" ";" pair "${broken}")
    list(GET pair 0 what)
    list(GET pair 1 file)
    string(TOLOWER "${what}" name)
    # The executable's own copy of the file is taken instead of the library's.
    add_executable(flash_log_sim_without_${name} "${PROJECT_SOURCE_DIR}/src/log/${file}.cc")
    target_compile_definitions(flash_log_sim_without_${name} PRIVATE FLASH_LOG_BREAK_${what})
    target_link_libraries(flash_log_sim_without_${name} PRIVATE flash_log_sim_objects)
    add_test(NAME log_simulator_catches_no_${name} COMMAND ${CMAKE_COMMAND}
      "-DSIMULATOR=$<TARGET_FILE:flash_log_sim_without_${name}>"
      -P "${PROJECT_SOURCE_DIR}/tests/sim/expect_caught.cmake")
    set_tests_properties(log_simulator_catches_no_${name} PROPERTIES
      TIMEOUT 600 LABELS simulator)
  endforeach()
endfunction()

# flash_fuzzers(): each tests/fuzz/<name>_fuzzer.cc becomes a libFuzzer executable.
function(flash_fuzzers)
  if(NOT FLASH_FUZZERS)
    return()
  endif()
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/found")
  flash_sources(sources tests/fuzz *_fuzzer.cc)
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(${name} "${source}")
    target_link_libraries(${name} PRIVATE flash_values flash_log flash_test_support)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    # New inputs go to the build folder; those worth keeping are copied into the corpus by hand.
    set(found "${PROJECT_BINARY_DIR}/found/${name}")
    set(corpus "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name}")
    file(MAKE_DIRECTORY "${found}")
    if(NOT IS_DIRECTORY "${corpus}")
      set(corpus "")
    endif()
    add_test(NAME ${name} COMMAND ${name} -runs=200000 -max_total_time=15
      "-artifact_prefix=${PROJECT_BINARY_DIR}/found/" "${found}" ${corpus})
    set_tests_properties(${name} PROPERTIES LABELS fuzz)
  endforeach()
endfunction()

# flash_benchmarks(): each bench/<name>.cc becomes bench_<name>, on Google Benchmark.
function(flash_benchmarks)
  if(NOT FLASH_BENCHMARKS)
    return()
  endif()
  find_package(benchmark REQUIRED)
  flash_sources(sources bench *.cc)
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME_WE)
    add_executable(bench_${name} "${source}")
    target_link_libraries(bench_${name} PRIVATE
      flash_values flash_test_support benchmark::benchmark_main)
  endforeach()
endfunction()

# flash_bare_module(): bench/bare, the module that the benchmarks compare ours with.
function(flash_bare_module)
  add_library(bare_module MODULE "${PROJECT_SOURCE_DIR}/bench/bare/bare_module.cc")
  target_link_libraries(bare_module PRIVATE flash_flags flash_dep_valkeymodule)
  if(NOT FLASH_SANITIZE)
    target_link_options(bare_module PRIVATE -static-libstdc++ -static-libgcc)
  endif()
  add_custom_command(TARGET bare_module POST_BUILD COMMAND chmod +x "$<TARGET_FILE:bare_module>")
endfunction()

# flash_sanitizer_support(): what a stock server needs preloaded, besides the sanitizer's run-time,
# to load a sanitized module, and a module that proves the run-time is at work there. Used by
# scripts/sanitized_server.
function(flash_sanitizer_support)
  if(NOT FLASH_SANITIZE MATCHES "address")
    return()
  endif()
  add_library(server_preload SHARED "${PROJECT_SOURCE_DIR}/tests/sanitizer/server_preload.cc")
  target_link_libraries(server_preload PRIVATE ${CMAKE_DL_LIBS})
  add_library(canary MODULE "${PROJECT_SOURCE_DIR}/tests/sanitizer/canary.cc")
  target_link_libraries(canary PRIVATE flash_flags)
  add_custom_command(TARGET canary POST_BUILD COMMAND chmod +x "$<TARGET_FILE:canary>")
endfunction()
