# cmake -DNODE= -DNPM= -DCHROMIUM= -DREPORT= -DEXAMPLE= -DSOURCE= -DWORK= -P run.cmake
# Runs the browser tests. Prints "SKIPPED: why" where the machine has no Chromium, node or npm, or the
# build has no scripts for the page.
foreach(program CHROMIUM NODE NPM)
  if(NOT ${program})
    message("SKIPPED: the browser tests need Chromium, node and npm; ${program} was not found")
    return()
  endif()
endforeach()
if(NOT EXISTS "${SCRIPTS}")
  message("SKIPPED: this build has no vega, vega-lite and vega-embed (npm did not give them)")
  return()
endif()
file(COPY "${SOURCE}/package.json" "${SOURCE}/package-lock.json" "${SOURCE}/report.test.js" DESTINATION "${WORK}")
file(SHA256 "${SOURCE}/package-lock.json" lock)
if(NOT EXISTS "${WORK}/${lock}.installed")
  execute_process(COMMAND "${NPM}" ci --ignore-scripts --no-audit --no-fund --loglevel=error
    WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE failed OUTPUT_QUIET ERROR_VARIABLE reason)
  if(failed)
    message("SKIPPED: npm did not give playwright-core: ${reason}")
    return()
  endif()
  file(TOUCH "${WORK}/${lock}.installed")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" -E env "CHROMIUM=${CHROMIUM}" "REPORT=${REPORT}" "EXAMPLE=${EXAMPLE}"
    "OUT=${WORK}/screenshots" "${NODE}" --test "${WORK}/report.test.js"
  WORKING_DIRECTORY "${WORK}" RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "browser tests failed; pages and screenshots are in ${WORK}/screenshots")
endif()
