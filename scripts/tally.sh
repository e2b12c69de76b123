# tally.sh: runs test suites and adds up what they report; sourced by scripts/test and .ci/run.
#
# Counts are read from the machine-readable report of each suite (JUnit), never guessed. A suite
# that fails ends the caller (set -e); one that reports no test at all counts as failed.
# shellcheck shell=bash

tally_passed=0
tally_skipped=0
tally_unsteady=0

# count_junit <file>: the counts of one report, printed and as passed, skipped and failed.
count_junit() {
  local counts
  counts=$(/usr/bin/python3 scripts/junit_counts.py "$1")
  read -r passed skipped failed <<<"$counts"
  printf '   %s passed, %s skipped, %s failed\n' "$passed" "$skipped" "$failed"
}

# add_junit <file>: adds the counts of one report.
add_junit() {
  local passed skipped failed
  count_junit "$1"
  if [ "$failed" -ne 0 ] || [ "$passed" -eq 0 ]; then return 1; fi
  tally_passed=$((tally_passed + passed))
  tally_skipped=$((tally_skipped + skipped))
}

# The sanitizers' run-times of these compilers cannot place their shadow memory where the kernel
# randomises addresses by 32 bits; some containers forbid to switch that off, and need not.
steady=()
if setarch "$(uname -m)" --addr-no-randomize true 2>/dev/null; then
  steady=(setarch "$(uname -m)" --addr-no-randomize)
fi

# run_ctest <preset> [ctest arguments...]
run_ctest() {
  local preset=$1 report
  shift
  report="$PWD/build/$preset/ctest.xml"
  rm -f "$report"
  "${steady[@]}" ctest --test-dir "build/$preset" --output-on-failure --no-tests=error \
    --parallel "${JOBS:-$(nproc)}" --output-junit "$report" "$@"
  add_junit "$report"
}

# More tests than this that fail in one run are no accident.
unsteady_max=3

# run_pytest <report> <pytest argument...>: integration tests; conftest.py has the variables.
# A shared machine may hold up a server for longer than a test can stand: up to three tests that
# failed beside others are run again, one by one. If they pass now they are named as unsteady, here
# and at the end: each is a fault to look for, of the test or of what it tests.
run_pytest() {
  local report=$1 status=0
  shift
  local -a command=("${pytest_wrapper[@]}" /usr/bin/python3 -m pytest -q
    -o "cache_dir=$report.cache" "$@")
  rm -f "$report"
  "${command[@]}" -n "${JOBS:-$(nproc)}" --junit-xml="$report" || status=$?
  if [ "$status" -ne 1 ]; then
    add_junit "$report"
    return
  fi
  local passed skipped failed
  count_junit "$report"
  if [ "$failed" -gt "$unsteady_max" ]; then return 1; fi
  printf '== those that failed, again, one by one\n'
  "${command[@]}" --last-failed -n 0 --junit-xml="$report.again"
  add_junit "$report.again"
  tally_passed=$((tally_passed + passed))
  tally_skipped=$((tally_skipped + skipped))
  tally_unsteady=$((tally_unsteady + failed))
}

# run_suites [pytest arguments...]: what `make test` is. Calls `meanwhile`, if the caller has such a
# function, when all is compiled.
run_suites() {
  printf '== release library and sizer\n'
  scripts/build release valkey_flash flash_sizer flash_bench \
    valkey_flash_next_values valkey_flash_next_files
  scripts/check_module build/libvalkey_flash.so
  printf '== unit tests, simulator and structure (debug)\n'
  scripts/build debug
  run_ctest debug
  if declare -F meanwhile >/dev/null; then meanwhile; fi
  printf '== integration tests (release library)\n'
  local -a pytest_wrapper=()
  run_pytest "$PWD/build/release/pytest.xml" tests/integration "$@"
}

# run_other_servers: what may differ between generations of the server (replies, events, COMMAND
# facts, blocking, clusters), with the release library on the newer ones.
run_other_servers() {
  local codename part
  local -a files=() pytest_wrapper=()
  for part in load command_facts differential events strings_cluster hash list zset \
    blocking hash_order async_load slot_migration slot_migration_load migrate access recovery \
    durability_doors durability_safeguards failover replica_digest replica_tier link_queue \
    slot_migration_tierless slot_migration_cuts; do
    files+=("tests/integration/${part}_test.py")
  done
  for codename in trixie sid; do
    FLASH_SERVER="$PWD/third_party/servers/$codename/valkey-server" \
      FLASH_DIGEST_OPS="${FLASH_DIGEST_OPS:-2000}" \
      run_pytest "$PWD/build/release/pytest-$codename.xml" "${files[@]}"
  done
}

# run_sanitized_pytest: the integration tests with the library of the asan preset, without those
# that are about amounts of data, about programs of their own, or many alike.
run_sanitized_pytest() {
  local -a pytest_wrapper=("${steady[@]}" scripts/sanitized_server)
  local -a aside=()
  local part
  for part in flash_bench benchmarks clients sizer docs commands_page monitoring containers readme \
    systemd hardening maxmemory strings_options crash io_backend resharding_failures upgrade \
    failover_automatic failures replica_lag long_reads long_write long_write_memory large_write \
    full_tier room loading_bound eviction eviction_around arriving_large; do
    aside+=("--ignore=tests/integration/${part}_test.py")
  done
  FLASH_DIGEST_OPS="${FLASH_DIGEST_OPS:-1500}" \
    run_pytest "$PWD/build/asan/pytest.xml" tests/integration -m 'not slow' "${aside[@]}"
}

# run_fuzzers: each fuzzer for some seconds, if there are any yet.
run_fuzzers() {
  if compgen -G 'tests/fuzz/*_fuzzer.cc' >/dev/null; then
    run_ctest fuzz -L fuzz
  fi
}

# add_step: one check without a report of its own (a linter, say) that succeeded.
add_step() {
  tally_passed=$((tally_passed + 1))
}

# print_tally: the last line of a run; only reached when every suite passed.
print_tally() {
  printf '\n'
  if [ "$tally_skipped" -gt 0 ]; then printf '%s skipped\n' "$tally_skipped"; fi
  if [ "$tally_unsteady" -gt 0 ]; then
    printf '%s unsteady: failed beside others, passed alone (see above)\n' "$tally_unsteady"
  fi
  printf '%s passed, 0 failed\n' "$tally_passed"
}
