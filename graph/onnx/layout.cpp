#include "graph/onnx/layout.hpp"

#include <algorithm>
#include <numeric>

#include "graph/size.hpp"

namespace cpubone::onnx {
namespace {

/// Cuts factor `f` into an outer one and one of extent `inner`, which lie together.
void cut(Layout& layout, int f, std::int64_t inner) {
  layout.factors[z(f)] /= inner;
  layout.factors.insert(layout.factors.begin() + f + 1, inner);
  for (std::vector<int>& dim : layout.dims) {
    for (int& other : dim)
      if (other > f) ++other;
    const auto at = std::find(dim.begin(), dim.end(), f);
    if (at != dim.end()) dim.insert(at + 1, f + 1);
  }
}

}  // namespace

Layout row_major(const Dims& dims) {
  std::vector<int> order(dims.size());
  std::iota(order.begin(), order.end(), 0);
  return stored(dims, order);
}

Layout stored(const Dims& dims, const std::vector<int>& order) {
  Layout layout;
  layout.dims.resize(dims.size());
  for (const int d : order)
    if (dims[z(d)] > 1) {
      layout.dims[z(d)] = {static_cast<int>(layout.factors.size())};
      layout.factors.push_back(dims[z(d)]);
    }
  return layout;
}

Dims dims_of(const Layout& layout) {
  Dims dims;
  for (const std::vector<int>& dim : layout.dims) {
    dims.push_back(1);
    for (const int f : dim) dims.back() *= layout.factors[z(f)];
  }
  return dims;
}

Layout permuted(const Layout& layout, const std::vector<int>& order) {
  Layout result{layout.factors, {}};
  for (const int d : order) result.dims.push_back(layout.dims[z(d)]);
  return result;
}

std::optional<Layout> reshaped(const Layout& layout, const Dims& dims) {
  // One dimension of all factors, which is then cut where the new dimensions end.
  Layout flat{layout.factors, {{}}};
  for (const std::vector<int>& dim : layout.dims)
    flat.dims[0].insert(flat.dims[0].end(), dim.begin(), dim.end());
  std::vector<std::size_t> ends;
  std::size_t next = 0;
  for (const std::int64_t d : dims) {
    std::int64_t rest = d;
    while (rest > 1) {
      if (next == flat.dims[0].size()) return std::nullopt;
      const int f = flat.dims[0][next];
      const std::int64_t extent = flat.factors[z(f)];
      if (rest % extent != 0) {
        if (extent % rest != 0) return std::nullopt;
        cut(flat, f, extent / rest);
      }
      rest /= flat.factors[z(f)];
      ++next;
    }
    ends.push_back(next);
  }
  if (next != flat.dims[0].size()) return std::nullopt;
  Layout result{flat.factors, {}};
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    result.dims.emplace_back(flat.dims[0].begin() + static_cast<std::ptrdiff_t>(begin),
                             flat.dims[0].begin() + static_cast<std::ptrdiff_t>(end));
    begin = end;
  }
  return joined(result);
}

Layout joined(const Layout& layout) {
  // Whether a factor follows the one that lies before it within the same dimension.
  std::vector<bool> follows(layout.factors.size(), false);
  for (const std::vector<int>& dim : layout.dims)
    for (std::size_t i = 1; i < dim.size(); ++i)
      if (dim[i] == dim[i - 1] + 1) follows[z(dim[i])] = true;
  std::vector<int> moved(layout.factors.size());
  Layout result;
  result.dims.resize(layout.dims.size());
  for (std::size_t f = 0; f < layout.factors.size(); ++f) {
    if (follows[f])
      result.factors.back() *= layout.factors[f];
    else
      result.factors.push_back(layout.factors[f]);
    moved[f] = static_cast<int>(result.factors.size()) - 1;
  }
  for (std::size_t d = 0; d < layout.dims.size(); ++d)
    for (const int f : layout.dims[d])
      if (!follows[z(f)]) result.dims[d].push_back(moved[z(f)]);
  return result;
}

std::optional<Layout> cut_like(const Layout& layout, const Layout& like) {
  Layout result = layout;
  for (std::size_t d = 0; d < like.dims.size(); ++d) {
    if (result.dims[d].empty()) continue;  // extent 1, which is repeated
    for (std::size_t i = 0; i < like.dims[d].size(); ++i) {
      if (i >= result.dims[d].size()) return std::nullopt;
      const std::int64_t wanted = like.factors[z(like.dims[d][i])];
      const std::int64_t extent = result.factors[z(result.dims[d][i])];
      if (extent % wanted != 0) return std::nullopt;
      if (extent != wanted) cut(result, result.dims[d][i], extent / wanted);
    }
    if (result.dims[d].size() != like.dims[d].size()) return std::nullopt;
  }
  return result;
}

std::vector<int> factors_in_order(const Layout& layout, const std::vector<int>& dim_order) {
  std::vector<int> order;
  for (const int d : dim_order)
    order.insert(order.end(), layout.dims[z(d)].begin(), layout.dims[z(d)].end());
  return order;
}

Layout rearranged(const Layout& layout, const std::vector<int>& factor_order) {
  Layout result = layout;
  std::vector<int> moved(factor_order.size());
  for (std::size_t i = 0; i < factor_order.size(); ++i) {
    result.factors[i] = layout.factors[z(factor_order[i])];
    moved[z(factor_order[i])] = static_cast<int>(i);
  }
  for (std::vector<int>& dim : result.dims)
    for (int& f : dim) f = moved[z(f)];
  return result;
}

std::vector<float> arranged(const std::vector<float>& values, const Layout& layout) {
  // Steps of each factor within the row-major array.
  std::vector<std::size_t> step(layout.factors.size());
  std::size_t size = 1;
  for (std::size_t d = layout.dims.size(); d-- > 0;)
    for (std::size_t i = layout.dims[d].size(); i-- > 0;) {
      step[z(layout.dims[d][i])] = size;
      size *= static_cast<std::size_t>(layout.factors[z(layout.dims[d][i])]);
    }
  std::vector<float> result(values.size());
  std::vector<std::int64_t> at(layout.factors.size(), 0);
  std::size_t from = 0;
  for (float& value : result) {
    value = values[from];
    for (std::size_t f = at.size(); f-- > 0;) {
      from += step[f];
      if (++at[f] < layout.factors[f]) break;
      from -= step[f] * static_cast<std::size_t>(layout.factors[f]);
      at[f] = 0;
    }
  }
  return result;
}

}  // namespace cpubone::onnx
