# Warnings that every target of this project is built with, never those of a consumer.
add_library(cpubone_warnings INTERFACE)
target_compile_options(cpubone_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual)
if(CPUBONE_WARNINGS_AS_ERRORS)
  target_compile_options(cpubone_warnings INTERFACE -Werror)
endif()

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
  install(TARGETS ${target} EXPORT cpubone
          FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/cpubone")
endfunction()
