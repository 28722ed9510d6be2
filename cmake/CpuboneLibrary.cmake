# Warnings that every target of this project is built with, never those of a consumer.
add_library(cpubone_warnings INTERFACE)
target_compile_options(cpubone_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual)
if(CPUBONE_WARNINGS_AS_ERRORS)
  target_compile_options(cpubone_warnings INTERFACE -Werror)
endif()

# Most of the time that a source takes goes into headers of other projects: they are parsed once for all libraries, once for
# all programs (whose code is position-independent in another way).
function(cpubone_precompiled_headers name pic)
  add_library(${name} OBJECT "${PROJECT_SOURCE_DIR}/cmake/precompiled.cpp")
  target_link_libraries(${name} PRIVATE fmt::fmt nlohmann_json::nlohmann_json cpubone_warnings)
  target_precompile_headers(${name} PRIVATE
    <algorithm> <filesystem> <fmt/format.h> <fmt/ranges.h> <functional> <map> <nlohmann/json.hpp> <random> <span> <string>
    <vector>)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE ${pic})
endfunction()
cpubone_precompiled_headers(cpubone_library_headers -fPIC)
cpubone_precompiled_headers(cpubone_program_headers -fPIE)

# cpubone_program(<target>): what all tools, tests and benchmarks are built with.
function(cpubone_program target)
  target_link_libraries(${target} PRIVATE fmt::fmt nlohmann_json::nlohmann_json cpubone_warnings)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}")
  target_precompile_headers(${target} REUSE_FROM cpubone_program_headers)
endfunction()

# cpubone_library(<folder> SOURCES ... HEADERS ... LINK ...): the one library of a folder.
function(cpubone_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;HEADERS;LINK;LINK_PRIVATE")
  set(target cpubone_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(cpubone::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${arg_HEADERS})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_link_libraries(${target} PUBLIC ${arg_LINK}
                        PRIVATE ${arg_LINK_PRIVATE} $<BUILD_INTERFACE:cpubone_warnings>)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_precompile_headers(${target} REUSE_FROM cpubone_library_headers)
  install(TARGETS ${target} EXPORT cpubone
          FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/cpubone")
endfunction()
