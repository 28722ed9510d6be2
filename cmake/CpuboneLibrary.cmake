# What every target of this project is compiled with, never those of a consumer.
add_library(cpubone_options INTERFACE)
target_compile_options(cpubone_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  # Precompiled headers fill the memory after which GCC would look for garbage again and again.
  $<$<CXX_COMPILER_ID:GNU>:--param=ggc-min-heapsize=524288>)
if(CMAKE_UNITY_BUILD)
  # Sources that are compiled together see each other's names; alone, as in the preset dev, they have these warnings too.
  target_compile_options(cpubone_options INTERFACE -Wno-shadow $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
endif()
if(CPUBONE_WARNINGS_AS_ERRORS)
  target_compile_options(cpubone_options INTERFACE -Werror)
endif()

# cpubone_headers(<target> [OPTIONS ...] [HEADERS ...] [LINK ...]): headers of other projects, parsed once for all targets
# that are compiled with the same options; parsing them takes most of the time that a small source needs.
function(cpubone_headers name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "OPTIONS;HEADERS;LINK")
  add_library(${name} OBJECT "${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp")
  target_link_libraries(${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json Eigen3::Eigen ${arg_LINK} cpubone_options)
  target_compile_options(${name} PRIVATE ${arg_OPTIONS})
  target_precompile_headers(${name} PRIVATE
    <algorithm> <filesystem> <functional> <map> <random> <span> <string> <vector>
    <Eigen/Cholesky> <Eigen/QR> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp> ${arg_HEADERS})
endfunction()

# Libraries whose code is timed or does the search are OPTIMISED as the build type says. Everything else is for a short build.
set(cpubone_short_build $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
cpubone_headers(cpubone_headers_optimised)
cpubone_headers(cpubone_headers_short OPTIONS ${cpubone_short_build})

# cpubone_short_build(<target> [<headers>]): optimise less than the build type says.
function(cpubone_short_build target)
  target_compile_options(${target} PRIVATE ${cpubone_short_build})
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:cpubone_options>)
  set(headers ${ARGN})
  if(NOT headers)
    set(headers cpubone_headers_short)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${headers})
endfunction()

# cpubone_program(<target> [<headers>]): what all tools, tests and benchmarks are built with; they time what libraries do.
function(cpubone_program target)
  target_link_libraries(${target} PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  # As libraries are, for the headers' sake.
  set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${target} PRIVATE -fPIC)
  cpubone_short_build(${target} ${ARGN})
endfunction()

# cpubone_library(<folder> [OPTIMISED] SOURCES ... HEADERS ... LINK ...): the one library of a folder; static, unless
# BUILD_SHARED_LIBS says otherwise, as wheels do.
function(cpubone_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "OPTIMISED" "" "SOURCES;HEADERS;LINK;LINK_PRIVATE")
  set(target cpubone_${name})
  add_library(${target} ${arg_SOURCES})
  set_property(GLOBAL APPEND PROPERTY cpubone_libraries ${target})
  add_library(cpubone::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${arg_HEADERS})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_LINK}
                        PRIVATE ${arg_LINK_PRIVATE} $<BUILD_INTERFACE:cpubone_options>)
  # Precompiled headers know no macro of one library; symbols of an archive inside, such as XNNPACK's, stay inside, as the
  # process may have another version of it.
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} DEFINE_SYMBOL "")
  if(NOT APPLE)
    target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL)
  endif()
  if(arg_OPTIMISED)
    target_precompile_headers(${target} REUSE_FROM cpubone_headers_optimised)
  else()
    cpubone_short_build(${target})
  endif()
  install(TARGETS ${target} EXPORT cpubone
          FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/cpubone")
endfunction()
