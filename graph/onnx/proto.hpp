#pragma once
#include "cpubone_onnx.pb.h"

// Sources of this folder alone see protocol buffers.
namespace cpubone::onnx {
namespace proto = onnx_proto;
}
