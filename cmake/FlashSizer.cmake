# flash-sizer, the program of tools/flash-sizer: one static binary for any Linux, and its tests.
# It shares headers of src/base with the module and nothing else. FLASH_SIZER=OFF leaves it out.

option(FLASH_SIZER "Build flash-sizer (needs hiredis, OpenSSL, CLI11, nlohmann-json)" ON)

# flash_sizer(): library flash_sizer_parts, program flash_sizer (file flash-sizer), sizer_test.
function(flash_sizer)
  if(NOT FLASH_SIZER)
    return()
  endif()
  flash_static_library(ssl ssl openssl/ssl.h)
  flash_static_library(crypto crypto openssl/crypto.h)
  find_package(CLI11 REQUIRED)
  find_package(nlohmann_json 3.9 REQUIRED)

  set(folder tools/flash-sizer)
  flash_sources(sources ${folder} *.cc)
  list(FILTER sources EXCLUDE REGEX "(_test|/main|/fake_server)\\.cc$")
  add_library(flash_sizer_parts STATIC ${sources})
  target_include_directories(flash_sizer_parts PUBLIC "${PROJECT_SOURCE_DIR}")
  target_link_libraries(flash_sizer_parts PUBLIC flash_flags
    flash_dep_hiredis flash_dep_ssl flash_dep_crypto CLI11::CLI11 nlohmann_json::nlohmann_json)

  add_executable(flash_sizer "${PROJECT_SOURCE_DIR}/${folder}/main.cc")
  set_target_properties(flash_sizer PROPERTIES OUTPUT_NAME flash-sizer)
  target_link_libraries(flash_sizer PRIVATE flash_sizer_parts)
  if(NOT FLASH_SANITIZE)
    # The linker warns of getaddrinfo(), which would load libraries of the machine's name service:
    # transport.cc restricts it to what is within libc.
    target_link_options(flash_sizer PRIVATE -static-pie "-Wl,--gc-sections")
  endif()

  if(BUILD_TESTING AND FLASH_UNIT_TESTS)
    flash_sources(tests ${folder} *_test.cc fake_server.cc)
    add_executable(sizer_test ${tests})
    target_compile_definitions(sizer_test PRIVATE
      FLASH_GOLDEN_DIR="${PROJECT_SOURCE_DIR}/tests/golden")
    target_link_libraries(sizer_test PRIVATE flash_sizer_parts flash_test_support GTest::gmock_main)
    add_test(NAME sizer COMMAND sizer_test --gtest_brief=1)
    set_tests_properties(sizer PROPERTIES TIMEOUT 300 LABELS unit)
  endif()
endfunction()
