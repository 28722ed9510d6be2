#include "runtime/opencl/opencl.hpp"

#include <fmt/format.h>

#include "graph/error.hpp"
#include "graph/passes.hpp"
#include "graph/schema.hpp"
#include "runtime/xnnpack_channels.hpp"
#include "space/zoo.hpp"
#include "tests/catch.hpp"
#include "tests/runtime/co_execution.hpp"

using namespace cpubone;
using cpubone::test::error_of;
using cpubone::test::relative_error;

namespace {

/// Index of a device that co-execution can use; nothing, and a word that it is missing.
std::optional<int> usable_device() {
  const std::vector<OpenClDevice> devices = opencl_devices();
  for (std::size_t i = 0; i < devices.size(); ++i)
    if (devices[i].fine_grained_svm) return static_cast<int>(i);
  WARN("no OpenCL device: install pocl-opencl-icd");
  return {};
}

std::shared_ptr<const Coprocessor> coprocessor(Synchronisation by = Synchronisation::flags) {
  static const std::optional<int> device = usable_device();
  if (!device) return nullptr;
  return opencl_coprocessor({.device = *device, .synchronisation = by});
}

/// That multiplies in f16, or does not; null where the device cannot.
std::shared_ptr<const Coprocessor> coprocessor_of_half(bool arithmetic) {
  const int device = *usable_device();
  if (arithmetic && !opencl_devices()[static_cast<std::size_t>(device)].half_arithmetic) return {};
  return opencl_coprocessor({.device = device, .half_arithmetic = arithmetic});
}

}  // namespace

TEST_CASE("OpenCL runs some, or all, channels of every kind of layer", "[opencl]") {
  for (const Synchronisation by : {Synchronisation::flags, Synchronisation::finish}) {
    const auto device = coprocessor(by);
    if (!device) return;
    for (const Op& op : test::layers())
      for (const int channels : test::splits(op, 5)) {
        CAPTURE(text(op), channels);
        const CoExecution co(device, [channels](const Op&) { return channels; });
        CHECK(error_of(op, co) < 2e-6);
      }
  }
}

TEST_CASE("OpenCL runs some, or all, channels of layers in f16", "[opencl]") {
  if (!coprocessor()) return;
  for (const bool arithmetic : {false, true}) {
    const auto device = coprocessor_of_half(arithmetic);
    if (!device) continue;
    for (const Op& layer : test::layers()) {
      const Op op = test::in_f16(layer);
      for (const int channels : test::splits(op, 3)) {
        if (channels > 0 && !channels_run_in_f16()) continue;
        CAPTURE(text(op), channels, arithmetic);
        const CoExecution co(device, [channels](const Op&) { return channels; });
        REQUIRE(co.supports(op));
        const double error = error_of(op, co);
        CHECK(error < 2e-3);
        CHECK(error > 1e-5);  // else it was f32
      }
    }
  }
}

TEST_CASE("the error of arithmetic in f16 does not grow with a layer's depth", "[opencl]") {
  if (!coprocessor()) return;
  const auto device = coprocessor_of_half(true);
  if (!device) return;
  const CoExecution co(device, [](const Op&) { return 0; });
  for (const char* line : {"linear 1x1x4x64->1x1x4x32 f16", "linear 1x1x4x4096->1x1x4x32 f16",
                           "conv2d 1x5x5x512->1x5x5x16 k3x3 s1 p1,1,1,1 g1 f16"}) {
    CAPTURE(line);
    CHECK(error_of(parse_op(line), co) < 1.5e-3);
  }
}

TEST_CASE("arithmetic in f16 is refused where the device has none", "[opencl]") {
  const std::optional<int> device = usable_device();
  if (!device || opencl_devices()[static_cast<std::size_t>(*device)].half_arithmetic) return;
  const auto asked = opencl_coprocessor({.device = *device, .half_arithmetic = true});
  const CoExecution co(asked, [](const Op&) { return 0; });
  CHECK_THROWS_WITH(error_of(parse_op("linear 1x1x1x40->1x1x1x30 f16"), co),
                    ContainsSubstring("it has no arithmetic in f16 (cl_khr_fp16)"));
}

TEST_CASE("OpenCL runs elementwise operators as numpy broadcasts", "[opencl]") {
  const auto device = coprocessor();
  if (!device) return;
  const CoExecution co(device, [](const Op&) { return 0; });
  std::vector<std::string> lines{
      "add 1x5x5x8,1x5x5x8->1x5x5x8 act=relu f32",  "add 1x5x5x8,1x1x1x8->1x5x5x8 f32",
      "add 1x5x1x8,1x1x7x1->1x5x7x8 f32",           "mul 1x5x5x1,1x5x5x8->1x5x5x8 f32",
      "sub 1x1x1x8,1x5x5x1->1x5x5x8 act=relu6 f32", "div 1x5x5x8,1x5x1x8->1x5x5x8 f32",
      "maximum 1x5x5x8,1x1x1x1->1x5x5x8 f32",       "minimum 1x1x5x8,1x5x5x8->1x5x5x8 f32"};
  for (const std::string_view activation : activation_names().subspan(1))
    lines.push_back(fmt::format("activation 1x5x5x7->1x5x5x7 act={} f32", activation));
  for (const std::string& line : lines) {
    CAPTURE(line);
    const Op op = parse_op(line);
    CHECK(co.supports(op));
    CHECK(error_of(op, co) < 5e-6);
    CHECK(error_of(test::in_f16(op), co) < 2e-3);
  }
}

TEST_CASE("a whole network on OpenCL, and shared with it, computes what the CPU computes",
          "[opencl]") {
  const auto device = coprocessor();
  if (!device) return;
  const Network net = find_network("mobileone-s0");
  const Network half_net = with_dtype(net, DType::f16);
  Executor alone(net, random_parameters(), nullptr);
  test::fill(alone.input(), 3);
  alone.run();
  for (const bool shared : {false, true}) {
    const CoExecution co(device, [shared](const Op& op) {
      if (!has_channel_parts(op) || !shared) return 0;
      return op.output().c / channel_step(op) / 2 * channel_step(op);
    });
    Executor executor = co_executor(net, co, random_parameters(), nullptr);
    test::fill(executor.input(), 3);
    for (int run = 0; run < 2; ++run) {
      executor.run();
      CHECK(relative_error(executor.output(), alone.output()) < 1e-4);
    }
    if (shared && !channels_run_in_f16()) continue;
    Executor half = co_executor(half_net, co, random_parameters(), nullptr);
    test::fill(half.input(), 3);
    half.run();
    CHECK(relative_error(half.output(), alone.output()) < 0.02);
  }
}

TEST_CASE("a size of work groups is chosen, and told", "[opencl]") {
  const auto device = coprocessor();
  if (!device) return;
  const auto kernel = [](const Coprocessor& on, const char* line) {
    const Op op = parse_op(line);
    const Parameters p = random_parameters()(network_of(op).nodes[0]);
    return on.compile(channel_part(op, p, 0, op.output().c))->kernel();
  };
  CHECK(kernel(*device, "linear 1x1x1x40->1x1x1x30 f32") == "matrix_product 8x8");
  CHECK(kernel(*coprocessor_of_half(false), "linear 1x1x1x40->1x1x1x30 f16") ==
        "matrix_product 8x8 f16");
  if (const auto multiplies = coprocessor_of_half(true)) {
    CHECK(kernel(*multiplies, "linear 1x1x1x40->1x1x1x30 f16") ==
          "matrix_product 8x8 f16 arithmetic");
    CHECK(kernel(*multiplies, "conv2d 1x8x8x64->1x8x8x64 k3x3 s1 p1,1,1,1 g64 f16") ==
          "depthwise 16x4 f16");
  }
  CHECK(kernel(*device, "conv2d 1x8x8x4->1x8x8x8 k3x3 s1 p1,1,1,1 g1 f32") == "convolution 1x64");
  CHECK(kernel(*device, "conv2d 1x8x8x64->1x8x8x64 k3x3 s1 p1,1,1,1 g64 f32") == "depthwise 16x4");
  OpenClOptions tuning;
  tuning.tune = true;
  CHECK_THAT(kernel(*opencl_coprocessor(tuning), "linear 1x8x8x40->1x8x8x64 f32"),
             Catch::Matchers::Matches("matrix_product (16x4|8x8|4x16|1x64)"));
}

TEST_CASE("memory that the device does not share is refused", "[opencl]") {
  const auto device = coprocessor();
  if (!device) return;
  const Op op = parse_op("linear 1x1x1x40->1x1x1x30 f32");
  const auto task =
      device->compile(channel_part(op, random_parameters()(network_of(op).nodes[0]), 0, 30));
  std::vector<float> values(100);
  const std::array<const void*, 1> inputs{values.data()};
  CHECK_THROWS_WITH(task->bind(inputs, values.data()),
                    "OpenCL: a tensor of matrix_product is not in memory that the device shares");
}
