# cpubone_onnx_proto: protocol buffer classes made from the description that the onnx package ships, in a package of their
# own and for the lite runtime: they register nothing, so that the Python module can share a process with other libraries
# that bring ONNX (onnx, torch, onnxruntime), and the onnx library itself is not linked.
find_file(CPUBONE_ONNX_PROTO onnx/onnx.proto REQUIRED DOC "Description of the ONNX format, of libonnx-dev")
mark_as_advanced(CPUBONE_ONNX_PROTO)

set(onnx_proto_folder "${CMAKE_CURRENT_BINARY_DIR}/onnx_proto")
file(READ "${CPUBONE_ONNX_PROTO}" onnx_proto_text)
string(REPLACE "\npackage onnx;" "\npackage cpubone.onnx_proto;" onnx_proto_text "${onnx_proto_text}")
file(CONFIGURE OUTPUT "${onnx_proto_folder}/cpubone_onnx.proto" CONTENT "${onnx_proto_text}" @ONLY)
add_custom_command(
  OUTPUT "${onnx_proto_folder}/cpubone_onnx.pb.cc" "${onnx_proto_folder}/cpubone_onnx.pb.h"
  COMMAND protobuf::protoc "--cpp_out=${onnx_proto_folder}" "--proto_path=${onnx_proto_folder}" cpubone_onnx.proto
  DEPENDS "${onnx_proto_folder}/cpubone_onnx.proto" VERBATIM)
add_library(cpubone_onnx_proto OBJECT "${onnx_proto_folder}/cpubone_onnx.pb.cc" "${onnx_proto_folder}/cpubone_onnx.pb.h")
target_include_directories(cpubone_onnx_proto SYSTEM PUBLIC "${onnx_proto_folder}")
target_link_libraries(cpubone_onnx_proto PUBLIC protobuf::libprotobuf-lite)
set_target_properties(cpubone_onnx_proto PROPERTIES CXX_VISIBILITY_PRESET hidden)
