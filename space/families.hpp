#pragma once
#include <span>
#include <string>
#include <vector>

#include "space/blocks.hpp"
#include "space/zoo.hpp"

namespace cpubone {

/// The families of the zoo, one source file each.
std::vector<ZooEntry> lowformer_family();
std::vector<ZooEntry> mobileone_family();
std::vector<ZooEntry> fasternet_family();
std::vector<ZooEntry> repvit_family();
std::vector<ZooEntry> mobilenet_family();
std::vector<ZooEntry> efficientnet_family();
std::vector<ZooEntry> shufflenet_family();
std::vector<ZooEntry> ghostnet_family();
std::vector<ZooEntry> resnet_family();

/// A backbone under construction: its last node and the stage that it is in. Stage n has a
/// resolution of 1 / 2^(n + 1); what comes before stage 1 is the stem.
class Backbone {
 public:
  Backbone(std::string name, std::string family, Form form = Form::inference);

  /// Name of the next block; one with a stride begins the next stage.
  std::string next_block(int stride = 1);
  void begin_stage();
  int channels() const { return b.shape(x).c; }
  /// Pooling and one linear layer.
  Network classify() &&;

  NetworkBuilder b;
  int x = network_input;

 private:
  int stage_ = 0;
  int block_ = 0;
};

/// Equal inverted bottlenecks in a row; the first takes the stride.
struct InvertedStage {
  int expansion = 6;  ///< 1: no expansion
  int channels = 0;
  int repeats = 1;
  int stride = 1;
  int kernel = 3;
  double squeeze_ratio = 0;  ///< squeezed channels over the block's input; 0: no squeeze-excite
};

void append(Backbone& net, std::span<const InvertedStage> stages, Activation activation,
            Activation squeeze_activation = Activation::relu);

}  // namespace cpubone
