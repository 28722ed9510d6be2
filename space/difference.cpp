#include "space/difference.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <string_view>
#include <vector>

namespace cpubone {

std::string difference(const CpuboneConfig& config, const CpuboneConfig& from) {
  std::vector<std::string> parts;
  std::vector<std::string> here;
  const auto compare = [&](std::string_view what, const auto& now, const auto& before) {
    if (now != before) here.push_back(fmt::format("{} {} -> {}", what, before, now));
  };
  const auto close = [&](std::string_view where) {
    if (!here.empty()) parts.push_back(fmt::format("{}{}", where, fmt::join(here, ", ")));
    here.clear();
  };
  compare("input", config.resolution, from.resolution);
  close("");
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    const CpuboneStage& a = config.stages[i];
    const CpuboneStage& b = from.stages[i];
    compare("width", a.width, b.width);
    compare("blocks", a.blocks, b.blocks);
    if (i > 0 || (a.blocks > 0 && b.blocks > 0)) compare("groups", a.groups, b.groups);
    if (i > 0) {
      compare("strided expansion", a.down_expansion, b.down_expansion);
      compare("strided kernel", a.down_kernel, b.down_kernel);
      const auto fused = [](bool yes) { return yes ? "fused" : "unfused"; };
      compare("strided block", fused(a.down_fused), fused(b.down_fused));
    }
    if (a.blocks > 0 && b.blocks > 0) {
      compare("expansion", a.expansion, b.expansion);
      compare("kernel", a.kernel, b.kernel);
      const auto fused = [](bool yes) { return yes ? "fused" : "unfused"; };
      compare("blocks are", fused(a.fused), fused(b.fused));
      const auto with = [](bool yes) { return yes ? "with" : "without"; };
      compare("attention", with(a.attention), with(b.attention));
      if (a.attention && b.attention) {
        compare("attention kernel", a.attention_kernel, b.attention_kernel);
        compare("attention stride", a.attention_stride, b.attention_stride);
      }
    }
    close(i == 0 ? std::string("stem: ") : fmt::format("stage {}: ", i));
  }
  compare("MLP expansion", config.mlp_expansion, from.mlp_expansion);
  compare("upsampling", name(config.upsampling), name(from.upsampling));
  compare("activation", name(config.activation), name(from.activation));
  compare("MLP activation", name(config.mlp_activation), name(from.mlp_activation));
  compare("head", fmt::format("{}-{}", config.head_channels, config.head_features),
          fmt::format("{}-{}", from.head_channels, from.head_features));
  close("");
  return fmt::format("{}", fmt::join(parts, "; "));
}

}  // namespace cpubone
