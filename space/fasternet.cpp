#include "space/fasternet.hpp"

#include "space/families.hpp"

namespace cpubone {
namespace {

constexpr std::array sizes{FasterNetSize{"fasternet-t0", 40, {1, 2, 8, 2}, Activation::gelu},
                           FasterNetSize{"fasternet-t1", 64, {1, 2, 8, 2}, Activation::gelu},
                           FasterNetSize{"fasternet-t2", 96, {1, 2, 8, 2}, Activation::relu},
                           FasterNetSize{"fasternet-s", 128, {1, 2, 13, 2}, Activation::relu},
                           FasterNetSize{"fasternet-m", 144, {3, 4, 18, 3}, Activation::relu},
                           FasterNetSize{"fasternet-l", 192, {3, 4, 18, 3}, Activation::relu}};

constexpr int head_channels = 1280;

}  // namespace

std::span<const FasterNetSize> fasternet_sizes() {
  return sizes;
}

Network build(const FasterNetSize& size, PartialForm partial, Form form) {
  Backbone net(size.name, "FasterNet", form);
  const auto patches = [&](std::string_view name, int channels, int patch) {
    net.x = net.b.conv2d(net.x, name,
                         {.out_channels = channels,
                          .kernel = patch,
                          .stride = patch,
                          .bias = false,
                          .padding = Padding{},
                          .norm = true});
  };
  patches("embed", size.width, 4);
  for (std::size_t stage = 0; stage < size.blocks.size(); ++stage) {
    net.begin_stage();
    if (stage > 0) patches("merge", size.width << stage, 2);
    for (int i = 0; i < size.blocks[stage]; ++i)
      net.x = partial_block(net.b, net.x, net.next_block(),
                            {.activation = size.activation, .form = partial});
  }
  net.b.head();
  net.x = net.b.global_avg_pool(net.x, "pool");
  net.x = net.b.conv2d(
      net.x, "conv", {.out_channels = head_channels, .activation = size.activation, .bias = false});
  return net.b.finish(net.b.linear(net.x, "classes", 1000));
}

std::vector<ZooEntry> fasternet_family() {
  std::vector<ZooEntry> entries;
  for (const FasterNetSize& size : sizes)
    entries.push_back({size.name, "FasterNet", "FasterNet, arXiv 2303.03667",
                       [&size] { return build(size); },
                       [&size] { return build(size, PartialForm::slicing, Form::train); }});
  return entries;
}

}  // namespace cpubone
