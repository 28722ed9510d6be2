#pragma once
#include <memory>
#include <vector>

#include "runtime/channel_part.hpp"

namespace cpubone {

class ThreadPool;

/// Some output channels of a convolution or linear layer on XNNPACK, written between the others'.
/// XNNPACK's graphs know dense tensors only, so this is one of its operators, whose functions
/// differ by version.
class XnnpackChannels {
 public:
  /// `pool` may be null: one thread. Throws cpubone::Error naming the operator that XNNPACK
  /// refuses.
  XnnpackChannels(ChannelPart part, const ThreadPool* pool);
  ~XnnpackChannels();
  XnnpackChannels(XnnpackChannels&&) noexcept;
  XnnpackChannels& operator=(XnnpackChannels&&) noexcept;

  /// Where the whole tensors are from now on; 64 readable bytes follow the input.
  void bind(const float* input, float* output);
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cpubone
