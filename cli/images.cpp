#include "cli/images.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "graph/error.hpp"
#include "graph/json_file.hpp"
#include "graph/size.hpp"
#ifdef CPUBONE_STB_IMAGE
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop
#endif

namespace cpubone::cli {
namespace {

namespace fs = std::filesystem;
using Values = std::vector<float>;

constexpr float brightest = 255;

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
  throw Error(fmt::format("{}: {}", path.string(), why));
}

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return extension;
}

bool is_array(const fs::path& path) {
  return lower_extension(path) == ".npy";
}

bool is_picture(const fs::path& path) {
  constexpr std::string_view known[] = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm"};
  return std::find(std::begin(known), std::end(known), lower_extension(path)) != std::end(known);
}

void normalise(Values& values, const Normalisation& by) {
  const std::size_t channels = by.mean.size();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = (values[i] - by.mean[i % channels]) / by.std[i % channels];
}

Values of_pixels(const std::uint8_t* pixels, std::size_t count, const Normalisation& by) {
  Values values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(pixels[i]) / brightest;
  normalise(values, by);
  return values;
}

const Normalisation& of_bytes(const fs::path& path, const std::optional<Normalisation>& by) {
  if (!by)
    throw std::invalid_argument(fmt::format(
        "{}: pixels are bytes, got no --mean and --std; expected those that the network was "
        "trained with, of pixels in 0..1 (torchvision's: --mean 0.485,0.456,0.406 --std "
        "0.229,0.224,0.225)",
        path.string()));
  return *by;
}

/// What stands behind `'key':` in the header of an array.
std::string_view entry(std::string_view header, std::string_view key, const fs::path& path) {
  const std::string quoted = fmt::format("'{}':", key);
  const std::size_t at = header.find(quoted);
  if (at == std::string_view::npos)
    refuse(path, fmt::format("not an array of NumPy: its header has no {}", quoted));
  std::string_view rest = header.substr(at + quoted.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  return rest;
}

std::vector<std::size_t> dims_of(std::string_view text, const fs::path& path) {
  std::vector<std::size_t> dims;
  const std::size_t end = text.find(')');
  if (text.empty() || text.front() != '(' || end == std::string_view::npos)
    refuse(path, "not an array of NumPy: its header has no shape");
  text = text.substr(1, end - 1);
  while (!text.empty()) {
    std::size_t dim = 0;
    const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), dim);
    if (code != std::errc())
      refuse(path, "not an array of NumPy: its header has a malformed shape");
    dims.push_back(dim);
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    text.remove_prefix(std::min(text.find_first_not_of(", "), text.size()));
  }
  return dims;
}

void read_array(const fs::path& path, const Shape& shape, const std::optional<Normalisation>& by,
                std::vector<Values>& images) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::string_view magic = "\x93NUMPY";
  const std::string file = read_text_file(path);
  const auto byte = [&](std::size_t at) {
    return at < file.size() ? std::size_t{static_cast<unsigned char>(file[at])} : std::size_t{0};
  };
  constexpr std::size_t version_at = 6;
  constexpr std::size_t length_at = 8;
  const bool wide = byte(version_at) > 1;  // four bytes of length instead of two
  const std::size_t begin = length_at + (wide ? 4 : 2);
  std::size_t length = byte(length_at) | byte(length_at + 1) << 8U;
  if (wide) length |= byte(length_at + 2) << 16U | byte(length_at + 3) << 24U;
  if (!std::string_view(file).starts_with(magic) || file.size() < begin + length)
    refuse(path, "not an array of NumPy: expected a file of numpy.save");
  const std::string_view header = std::string_view(file).substr(begin, length);
  const std::string_view type = entry(header, "descr", path);
  const bool bytes = type.starts_with("'|u1'");
  if (!bytes && !type.starts_with("'<f4'"))
    refuse(path, fmt::format("an array of type {}; expected uint8 or float32",
                             type.substr(0, type.find(','))));
  if (!entry(header, "fortran_order", path).starts_with("False"))
    refuse(path, "an array in Fortran's order; expected numpy.ascontiguousarray of it");

  const std::vector<std::size_t> dims = dims_of(entry(header, "shape", path), path);
  const std::vector<std::size_t> one{z(shape.h), z(shape.w), z(shape.c)};
  const bool several = dims.size() == 4;
  if ((!several && dims.size() != 3) || !std::equal(one.begin(), one.end(), dims.end() - 3))
    refuse(path, fmt::format("an array of {}; expected n x {} x {} x {}, as the network's input",
                             fmt::join(dims, " x "), shape.h, shape.w, shape.c));
  const std::size_t size = z(shape.h) * z(shape.w) * z(shape.c);
  const std::size_t item = bytes ? 1 : sizeof(float);
  const std::size_t held = (file.size() - begin - length) / (size * item);
  const std::size_t count = several ? dims[0] : 1;
  if (held < count) refuse(path, fmt::format("cut off: it has {} of its {} images", held, count));
  const char* data = file.data() + begin + length;
  for (std::size_t i = 0; i < count; ++i, data += size * item) {
    if (bytes) {
      images.push_back(
          of_pixels(reinterpret_cast<const std::uint8_t*>(data), size, of_bytes(path, by)));
    } else {
      Values& values = images.emplace_back(size);
      std::memcpy(values.data(), data, size * item);
      if (by) normalise(values, *by);
    }
    for (const float value : images.back())
      if (!std::isfinite(value))
        refuse(path, fmt::format("image {} has a value that is not a finite number", i));
  }
}

#ifdef CPUBONE_STB_IMAGE
/// The middle of a picture, scaled so that it covers the shape: each pixel is the mean of those
/// that it covers.
std::vector<std::uint8_t> scaled(const std::uint8_t* in, int in_h, int in_w, const Shape& shape) {
  const double scale = std::min(double(in_h) / shape.h, double(in_w) / shape.w);
  const double top = (in_h - scale * shape.h) / 2;
  const double left = (in_w - scale * shape.w) / 2;
  // At least one pixel, from `first` until before `second`.
  const auto covered = [scale](double offset, int at, int limit) {
    const int first = std::clamp(static_cast<int>(offset + scale * at), 0, limit - 1);
    return std::pair(first,
                     std::clamp(static_cast<int>(offset + scale * (at + 1)), first + 1, limit));
  };
  std::vector<std::uint8_t> out;
  out.reserve(z(shape.h) * z(shape.w) * z(shape.c));
  for (int y = 0; y < shape.h; ++y)
    for (int x = 0; x < shape.w; ++x)
      for (int c = 0; c < shape.c; ++c) {
        const auto [y0, y1] = covered(top, y, in_h);
        const auto [x0, x1] = covered(left, x, in_w);
        std::uint64_t sum = 0;
        for (int v = y0; v < y1; ++v)
          for (int u = x0; u < x1; ++u) sum += in[(z(v) * z(in_w) + z(u)) * z(shape.c) + z(c)];
        const auto count = z(y1 - y0) * z(x1 - x0);
        out.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
      }
  return out;
}

Values read_picture(const fs::path& path, const Shape& shape, const Normalisation& by) {
  if (shape.c != 1 && shape.c != 3)
    refuse(path, fmt::format("pictures have 1 or 3 channels, the network's input {}", shape.c));
  int width = 0;
  int height = 0;
  int channels = 0;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load(path.c_str(), &width, &height, &channels, shape.c), stbi_image_free);
  if (!pixels) refuse(path, fmt::format("cannot be read as a picture: {}", stbi_failure_reason()));
  const std::vector<std::uint8_t> fitting = scaled(pixels.get(), height, width, shape);
  return of_pixels(fitting.data(), fitting.size(), by);
}
#else
Values read_picture(const fs::path& path, const Shape&, const Normalisation&) {
  refuse(
      path,
      "this build reads no pictures: build it with libstb-dev (scripts/install-dependencies), or "
      "save an array by numpy.save");
}
#endif

}  // namespace

std::vector<Values> read_images(const fs::path& path, const Shape& shape,
                                const std::optional<Normalisation>& normalisation,
                                std::size_t most) {
  if (normalisation &&
      (normalisation->mean.size() != z(shape.c) || normalisation->std.size() != z(shape.c)))
    throw std::invalid_argument(
        fmt::format("--mean and --std: got {} and {} values, expected one for each of {} channels",
                    normalisation->mean.size(), normalisation->std.size(), shape.c));
  std::vector<fs::path> files;
  std::error_code code;
  if (fs::is_directory(path, code)) {
    for (const fs::directory_entry& file : fs::directory_iterator(path))
      if (is_array(file.path()) || is_picture(file.path())) files.push_back(file.path());
    if (files.empty())
      refuse(path, "no image in it; expected files .npy, .png, .jpg, .bmp or .ppm");
    std::sort(files.begin(), files.end());
  } else {
    if (!is_array(path) && !is_picture(path))
      refuse(path, "expected a folder, an array of NumPy (.npy), or a picture");
    files = {path};
  }
  const std::size_t read = std::min(files.size(), most);
  std::vector<Values> images;
  for (std::size_t i = 0; i < read; ++i) {
    const fs::path& file = files[i * files.size() / read];
    if (is_array(file))
      read_array(file, shape, normalisation, images);
    else
      images.push_back(read_picture(file, shape, of_bytes(file, normalisation)));
  }
  if (images.empty()) refuse(path, "no image in it");
  return images;
}

}  // namespace cpubone::cli
