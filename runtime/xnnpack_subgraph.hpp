#pragma once
#include <xnnpack.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/backend.hpp"
#include "runtime/xnnpack_library.hpp"

namespace cpubone {

/// Windows that are gathered before a subgraph runs, as pixels of a tensor that the caller holds.
struct GatheredWindows {
  Op op;
  int from = 0;  ///< tensors of the caller
  int to = 0;
};

/// Throws cpubone::Error unless the status is success.
void require(xnn_status status, std::string_view what);

/// Collects tensors and operators, then becomes a runtime of the library, which stays.
class XnnpackSubgraph {
 public:
  XnnpackSubgraph(const XnnpackLibrary& library, std::span<const int> external);
  /// Takes the operator's weights.
  void add(PartOp& op);
  xnn_runtime_t runtime(pthreadpool* pool);
  const std::vector<GatheredWindows>& gathered() const { return gathered_; }

 private:
  void checked(xnn_status status) const;
  std::uint32_t tensor(int value, const Tensor& of, std::uint32_t external_flag);
  std::uint32_t defined(const Tensor& of, std::uint32_t external_id, std::uint32_t flags);
  /// The input of a dynamic layer, as bytes with a scale and zero point of each pixel.
  std::uint32_t quantised_by_row(std::uint32_t input);
  std::uint32_t filter(std::vector<float>&& values, std::vector<std::size_t> dims,
                       std::size_t channel_dim);
  std::uint32_t constant(std::vector<float>&& values, std::span<const std::size_t> dims);
  /// The channels are the first dimension or the last.
  std::uint32_t quantised_filter(const std::vector<float>& values,
                                 std::span<const std::size_t> dims, std::size_t channel_dim);
  /// After the filter, whose scales an int8 bias shares.
  std::uint32_t bias();

  const XnnpackLibrary& library_;
  std::unique_ptr<xnn_subgraph, xnn_status (*)(xnn_subgraph_t)> subgraph_;
  std::unordered_map<int, std::uint32_t> external_;
  std::unordered_map<int, std::uint32_t> tensors_;
  std::unordered_set<int> written_;  ///< by operators that were added
  std::vector<GatheredWindows> gathered_;
  /// 2022-02 ends the process where an operator reads an output of a subgraph in f16: these are
  /// tensors of their own, which are copied, where nobody else reads them at no cost.
  struct Copied {
    std::uint32_t inner;
    std::uint32_t external;
    Tensor of;
  };
  std::vector<Copied> copied_;
  std::size_t ops_ = 0;
  bool half_ = false;
  // Packed when the runtime is made, then no longer needed.
  std::vector<std::vector<float>> floats_;
  std::vector<std::vector<float>> scales_;
  std::vector<std::vector<std::int8_t>> bytes_;
  std::vector<std::vector<std::int32_t>> integers_;
  const PartOp* node_ = nullptr;
  std::vector<float> weight_scales_;  ///< of `node_`, where it is int8
};

}  // namespace cpubone
