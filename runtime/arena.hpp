#pragma once
#include <cstddef>
#include <memory>

namespace cpubone {

/// Memory for activations, aligned to 64 bytes and cleared.
class Arena {
 public:
  static constexpr std::size_t alignment = 64;

  explicit Arena(std::size_t bytes);
  /// Memory of a device's, which must be aligned and have that many bytes.
  Arena(std::shared_ptr<std::byte> memory, std::size_t bytes);
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::shared_ptr<std::byte> data_;
  std::size_t size_;
};

}  // namespace cpubone
