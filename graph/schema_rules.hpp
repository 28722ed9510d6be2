#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "graph/op.hpp"

// What rows of the operators' table share: shapes of outputs, counts, and what is wrong with an
// operator (empty where nothing is).
namespace cpubone::rules {

using Outputs = std::vector<Shape>;

Shape windows(const Op& op);
Outputs same(const Op& op);
/// The input's, with the output's own number of channels, which are an attribute.
Outputs own_channels(Shape out, const Op& op);
Outputs one_pixel(const Op& op);
/// As numpy broadcasts.
Outputs broadcast(const Op& op);
std::int64_t window(const Op& op);
std::int64_t biases(const Op& op);
std::int64_t convolution_params(const Op& op);
std::int64_t scale_and_shift(const Op& op);
std::string groups_wrong(const Op& op);
std::string window_wrong(const Op& op);
std::string conv_wrong(const Op& op);
std::string partial_wrong(const Op& op);
std::string linear_wrong(const Op& op);
std::string attention_wrong(const Op& op);
std::string broadcast_wrong(const Op& op);
std::string matmul_wrong(const Op& op);
std::string concat_wrong(const Op& op);
std::string slice_wrong(const Op& op);
std::string split_wrong(const Op& op);
std::string reshape_wrong(const Op& op);
std::string cast_wrong(const Op& op);
std::string quantise_wrong(const Op& op);
std::string activation_wrong(const Op& op);

}  // namespace cpubone::rules
