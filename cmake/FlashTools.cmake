# flash-sizer and flash-bench, the programs of tools: static binaries for any Linux, and their
# tests. They share headers of src/base with the module, tools/common with each other, and nothing
# else. FLASH_SIZER=OFF leaves them out.

option(FLASH_SIZER "Build the tools (need hiredis, OpenSSL, CLI11, nlohmann-json)" ON)

# flash_tool(<name>): library flash_<name>_parts, program flash_<name> (file flash-<name>) and
# <name>_test of tools/flash-<name>.
function(flash_tool name)
  set(folder tools/flash-${name})
  flash_sources(sources ${folder} *.cc)
  list(FILTER sources EXCLUDE REGEX "(_test|/main|/fake_server)\\.cc$")
  add_library(flash_${name}_parts STATIC ${sources})
  target_link_libraries(flash_${name}_parts PUBLIC flash_tools_common)

  add_executable(flash_${name} "${PROJECT_SOURCE_DIR}/${folder}/main.cc")
  set_target_properties(flash_${name} PROPERTIES OUTPUT_NAME flash-${name})
  target_link_libraries(flash_${name} PRIVATE flash_${name}_parts)
  if(NOT FLASH_SANITIZE)
    # The linker warns of getaddrinfo(), which would load libraries of the machine's name service:
    # transport.cc restricts it to what is within libc.
    target_link_options(flash_${name} PRIVATE -static-pie "-Wl,--gc-sections")
  endif()

  if(BUILD_TESTING AND FLASH_UNIT_TESTS)
    flash_sources(tests ${folder} *_test.cc fake_server.cc)
    add_executable(${name}_test ${tests})
    target_compile_definitions(${name}_test PRIVATE
      FLASH_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden")
    target_link_libraries(${name}_test PRIVATE
      flash_${name}_parts flash_test_support GTest::gmock_main)
    add_test(NAME ${name} COMMAND ${name}_test --gtest_brief=1)
    set_tests_properties(${name} PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
endfunction()

# flash_tools(): all of them, over library flash_tools_common.
function(flash_tools)
  if(NOT FLASH_SIZER)
    return()
  endif()
  flash_static_library(ssl ssl openssl/ssl.h)
  flash_static_library(crypto crypto openssl/crypto.h)
  if(CMAKE_CROSSCOMPILING)
    # Debian keeps this one header beside the others, where only its own compiler looks.
    find_path(FLASH_opensslconf_INCLUDE NAMES openssl/opensslconf.h REQUIRED
      PATH_SUFFIXES "${CMAKE_LIBRARY_ARCHITECTURE}")
    target_include_directories(flash_dep_ssl SYSTEM INTERFACE "${FLASH_opensslconf_INCLUDE}")
  endif()
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json 3.9 REQUIRED)
  find_package(Threads REQUIRED)

  flash_sources(sources tools/common *.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  add_library(flash_tools_common STATIC ${sources})
  target_include_directories(flash_tools_common PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(flash_tools_common PUBLIC flash_flags flash_dep_hiredis flash_dep_ssl
    flash_dep_crypto CLI11::CLI11 nlohmann_json::nlohmann_json Threads::Threads)
  flash_tool(sizer)
  flash_tool(bench)
endfunction()

# flash_client_programs(): the C client of tests/integration/clients_test.py.
function(flash_client_programs)
  if(NOT BUILD_TESTING OR NOT FLASH_SIZER OR CMAKE_CROSSCOMPILING)
    return()
  endif()
  add_executable(hiredis_client "${PROJECT_SOURCE_DIR}/tests/clients/hiredis_client.cc")
  target_link_libraries(hiredis_client PRIVATE
    flash_flags flash_dep_hiredis nlohmann_json::nlohmann_json)
endfunction()
