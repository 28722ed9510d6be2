# What libXNNPACK.a needs beside pthreadpool; kernels of KleidiAI are for Arm.
set(cpubone_xnnpack_parts xnnpack-microkernels-prod cpuinfo)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  list(INSERT cpubone_xnnpack_parts 1 kleidiai)
endif()

# cpubone_xnnpack_archives(<prefix>): XNNPACK::XNNPACK and XNNPACK::pthreadpool from the static libraries that were built from
# source and installed in a folder.
function(cpubone_xnnpack_archives prefix)
  find_package(Threads REQUIRED)
  add_library(XNNPACK::pthreadpool STATIC IMPORTED GLOBAL)
  set_target_properties(XNNPACK::pthreadpool PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libpthreadpool.a" INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  list(TRANSFORM cpubone_xnnpack_parts REPLACE "(.+)" "${prefix}/lib/lib\\1.a" OUTPUT_VARIABLE parts)
  add_library(XNNPACK::XNNPACK STATIC IMPORTED GLOBAL)
  set_target_properties(XNNPACK::XNNPACK PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libXNNPACK.a" INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
    INTERFACE_LINK_LIBRARIES "${parts};XNNPACK::pthreadpool;m")
endfunction()
