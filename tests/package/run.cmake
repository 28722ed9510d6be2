# Makes the Debian package of what is built in BUILD, and looks into it: the four tools and the licence, and what they need.
foreach(variable BUILD WORK)
  if(NOT DEFINED ${variable})
    message(FATAL_ERROR "run.cmake needs -D${variable}=")
  endif()
endforeach()
file(REMOVE_RECURSE "${WORK}")
execute_process(COMMAND "${CMAKE_CPACK_COMMAND}" --config "${BUILD}/CPackConfig.cmake" -B "${WORK}" -D CPACK_DEBIAN_COMPRESSION_TYPE=none
                COMMAND_ERROR_IS_FATAL ANY)
file(GLOB packages "${WORK}/*.deb")
if(NOT packages MATCHES "/cpubone_[0-9.]+_[a-z0-9]+\\.deb$")
  message(FATAL_ERROR "expected one cpubone_<version>_<architecture>.deb, got '${packages}'")
endif()

execute_process(COMMAND dpkg-deb --contents "${packages}" OUTPUT_VARIABLE contents COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "/[^ \n]*[^/ \n]\n" files "${contents}")
list(TRANSFORM files STRIP)
list(SORT files)
set(expected /usr/bin/cpubone-explore /usr/bin/cpubone-predict /usr/bin/cpubone-profile /usr/bin/cpubone-report
    /usr/share/doc/cpubone/copyright)
if(NOT files STREQUAL expected)
  message(FATAL_ERROR "expected ${expected}, got ${files}")
endif()

execute_process(COMMAND dpkg-deb --field "${packages}" Depends OUTPUT_VARIABLE depends COMMAND_ERROR_IS_FATAL ANY)
if(NOT depends MATCHES "libc6 \\(>= .*libpagmo")
  message(FATAL_ERROR "expected libraries with their versions, libc6 and libpagmo among them, got '${depends}'")
endif()
