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

  /// Where the whole tensors are from now on, of f16 numbers of 16 bits; 64 readable bytes follow
  /// the input.
  void bind(const void* input, void* output);
  void run();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether XNNPACK calculates convolutions in f16 on this CPU.
bool channels_run_in_f16();

}  // namespace cpubone
