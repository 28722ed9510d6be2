#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "graph/onnx/onnx.hpp"

namespace cpubone {

/// A model with inputs and the outputs that it must give, laid out as ONNX's own test cases:
/// `model.onnx` (or the only other .onnx file) and `test_data_set_0/{input,output}_<i>.pb`.
struct OnnxCase {
  std::string name;  ///< of the folder
  std::filesystem::path model;
  std::vector<OnnxValues> inputs;  ///< as values; empty: there is no data
  std::vector<OnnxValues> outputs;
  /// Relative L2 distance of the outputs from the same in float32 elsewhere, where
  /// `test_data_set_0/rounding.txt` tells: some networks make much of the last bits.
  double rounding = 0;
};

/// Cases in the folders of a folder, and models in itself, by name.
std::vector<std::filesystem::path> case_folders(const std::filesystem::path& folder);
/// Throws cpubone::Error where a file is not what it must be.
OnnxCase load_case(const std::filesystem::path& path);

struct OnnxVerdict {
  enum class Outcome { passed, failed, refused };
  Outcome outcome = Outcome::refused;
  std::string why;       ///< of a refusal or a failure
  double error = 0;      ///< largest relative L2 distance of an output
  double tolerance = 0;  ///< up to which it passes
  double import_s = 0;
  Network network{};  ///< as imported, unless it is refused
};
/// Imports the model and compares what it computes, up to `tolerance`, or three times the case's
/// rounding where that is more. Inputs behind the first are known before it
/// runs where it is refused otherwise: cases of single operators give even weights as inputs.
OnnxVerdict judge(const OnnxCase& one, double tolerance = 1e-4);

}  // namespace cpubone
