# Runs a simulator that was built wrong on purpose (-DSIMULATOR=<path>) and demands that it fails
# with a report. A crash is a report too: the simulator prints its seed before it ends.
execute_process(COMMAND "${SIMULATOR}" --seeds 200
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE report)
if(NOT result EQUAL 1 OR NOT report MATCHES "repeat with: flash_(log_)?sim")
  message(FATAL_ERROR "not caught (exit ${result}):\n${output}${report}")
endif()
message(STATUS "caught:\n${report}")
