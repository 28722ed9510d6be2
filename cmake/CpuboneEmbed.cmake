# cpubone_embed(<target> <name> <file>): the file's bytes as `extern const std::string_view <name>` in namespace cpubone.
# Run as a script (cmake -P) it writes the source.
if(CMAKE_SCRIPT_MODE_FILE)
  file(READ "${INPUT}" content)
  # A string literal has a length limit in some compilers, so pieces are concatenated.
  string(REGEX REPLACE "(\n)" "\\1)embedded\"\nR\"embedded(" content "${content}")
  file(WRITE "${OUTPUT}" "#include <string_view>\nnamespace cpubone {\nextern const std::string_view ${NAME};\n"
       "const std::string_view ${NAME} =\nR\"embedded(${content})embedded\";\n}\n")
  return()
endif()

set(cpubone_embed_script "${CMAKE_CURRENT_LIST_FILE}")
function(cpubone_embed target name file)
  set(source "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  cmake_path(ABSOLUTE_PATH file)
  add_custom_command(OUTPUT "${source}"
    COMMAND "${CMAKE_COMMAND}" "-DINPUT=${file}" "-DOUTPUT=${source}" "-DNAME=${name}" -P "${cpubone_embed_script}"
    DEPENDS "${file}" "${cpubone_embed_script}" VERBATIM)
  target_sources(${target} PRIVATE "${source}")
  set_source_files_properties("${source}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endfunction()
