# cmake -DARCHIVES= -DOUTPUT= -P XnnpackHash.cmake: a source with the hash of static libraries, which says what sources,
# compiler and flags made them.
set(hashes "")
foreach(archive IN LISTS ARCHIVES)
  file(SHA256 "${archive}" hash)
  string(APPEND hashes "${hash}")
endforeach()
string(SHA256 hash "${hashes}")
string(SUBSTRING "${hash}" 0 16 hash)
file(WRITE "${OUTPUT}" "namespace cpubone {\nextern const char* const xnnpack_hash_of_archives;\n"
     "const char* const xnnpack_hash_of_archives = \"${hash}\";\n}\n")
