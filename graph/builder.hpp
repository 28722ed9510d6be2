#pragma once
#include <optional>
#include <span>
#include <string>

#include "graph/network.hpp"

namespace cpubone {

/// How a network is built.
enum class Form {
  inference,  ///< batch norms are part of the convolutions before them, parallel branches are one
  train,      ///< as it was trained, in evaluation mode
};

/// Attributes of a convolution; the input's shape comes from the builder.
struct Conv {
  int out_channels = 0;
  int kernel = 1;
  int stride = 1;
  int groups = 1;
  Activation activation = Activation::none;
  bool bias = true;
  std::optional<Padding> padding = std::nullopt;  ///< `same_padding(kernel)` where not given
  /// A batch norm `<name>.norm` follows and takes the activation; in inference form it is the bias.
  bool norm = false;
};

/// Appends operators to a network; each call returns the index of the new node. Shapes are
/// inferred. Every method throws std::invalid_argument naming the operator where the shapes do not
/// fit.
class NetworkBuilder {
 public:
  NetworkBuilder(std::string name, std::string family, Shape input, Form form = Form::inference);
  Form form() const { return form_; }

  /// Nodes that follow belong to the stage `stage<number>`, 0: `stem`; their names start with it.
  /// The last tensor of every stage but the stem becomes one of the network's features.
  void stage(int number);
  /// Nodes that follow belong to the head, which is no part of the backbone.
  void head();
  const Shape& shape(int node) const;

  int conv2d(int input, std::string_view name, const Conv& conv);
  /// conv2d with one group a channel; `conv.out_channels` and `conv.groups` are ignored.
  int depthwise(int input, std::string_view name, Conv conv);
  int conv_transpose2d(int input, std::string_view name, const Conv& conv);
  int partial_conv2d(int input, std::string_view name, int conv_channels, int kernel,
                     bool bias = false, PartialForm form = PartialForm::slicing);
  int linear(int input, std::string_view name, int out_channels, bool bias = true,
             Activation activation = Activation::none);
  int attention(int input, std::string_view name, int heads);
  int activation(int input, std::string_view name, Activation activation);
  int add(int a, int b, std::string_view name, Activation activation = Activation::none);
  int mul(int a, int b, std::string_view name);
  int group_norm(int input, std::string_view name);
  int batch_norm(int input, std::string_view name, Activation activation = Activation::none);
  int layer_norm(int input, std::string_view name, Activation activation = Activation::none);
  int rms_norm(int input, std::string_view name, Activation activation = Activation::none);
  int global_avg_pool(int input, std::string_view name);
  int max_pool2d(int input, std::string_view name, int kernel, int stride, Padding padding);
  int upsample_nearest(int input, std::string_view name, int factor);
  int slice(int input, std::string_view name, int begin, int channels);
  int concat(std::span<const int> inputs, std::string_view name);
  int channel_shuffle(int input, std::string_view name, int groups);

  /// The finished network with this output; takes it out of the builder. Checks it.
  Network finish(int output);

 private:
  int append(std::string_view name, Op op, std::span<const int> inputs);

  void end_stage();

  Network network_;
  Form form_;
  std::string stage_ = "stem";
  std::optional<std::size_t> stage_begin_;  ///< first node of the stage, within one
};

}  // namespace cpubone
