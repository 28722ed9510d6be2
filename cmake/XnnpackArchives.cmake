# cpubone_xnnpack_archives(<prefix>): XNNPACK::XNNPACK and XNNPACK::pthreadpool from the static libraries that were built from
# source and installed in a folder.
function(cpubone_xnnpack_archives prefix)
  find_package(Threads REQUIRED)
  add_library(XNNPACK::pthreadpool STATIC IMPORTED GLOBAL)
  set_target_properties(XNNPACK::pthreadpool PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libpthreadpool.a" INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
    INTERFACE_LINK_LIBRARIES Threads::Threads)
  add_library(XNNPACK::XNNPACK STATIC IMPORTED GLOBAL)
  set_target_properties(XNNPACK::XNNPACK PROPERTIES
    IMPORTED_LOCATION "${prefix}/lib/libXNNPACK.a" INTERFACE_INCLUDE_DIRECTORIES "${prefix}/include"
    INTERFACE_LINK_LIBRARIES
    "${prefix}/lib/libxnnpack-microkernels-prod.a;${prefix}/lib/libcpuinfo.a;XNNPACK::pthreadpool;m")
endfunction()
