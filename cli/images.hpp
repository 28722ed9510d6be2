#pragma once
#include <filesystem>
#include <optional>
#include <vector>

#include "graph/op.hpp"

namespace cpubone::cli {

/// What is taken off a pixel's value in 0..1, and what it is divided by then, channel by channel.
struct Normalisation {
  std::vector<float> mean;
  std::vector<float> std;
};

/// Images for a tensor of 1 x h x w x c, NHWC: of an array of NumPy (.npy, uint8 or float32,
/// n x h x w x c or h x w x c), or of all arrays and images (PNG, JPEG, BMP, PPM) of a folder, by
/// name. Images are scaled to cover the tensor and cut to its middle. Pixels and bytes become
/// values of 0..1 and are normalised; floats are taken as they are where there is no normalisation.
/// Of a folder with more than `most` files as many are read, evenly spread. Throws cpubone::Error
/// naming the file and what is wrong, std::invalid_argument where pixels have no normalisation.
std::vector<std::vector<float>> read_images(const std::filesystem::path& path, const Shape& shape,
                                            const std::optional<Normalisation>& normalisation,
                                            std::size_t most = 256);

}  // namespace cpubone::cli
