#pragma once
#include <array>
#include <span>

#include "graph/builder.hpp"

namespace cpubone {

/// A size of FasterNet (arXiv 2303.03667, Table 9 of its appendix).
struct FasterNetSize {
  const char* name;
  int width;                  ///< channels of stage 1, doubled in every stage
  std::array<int, 4> blocks;  ///< of stages 1 to 4
  Activation activation;
};

/// T0, T1, T2, S, M, L.
std::span<const FasterNetSize> fasternet_sizes();

/// The network; partial convolutions in this form.
Network build(const FasterNetSize& size, PartialForm partial = PartialForm::slicing,
              Form form = Form::inference);

}  // namespace cpubone
