#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "graph/tensor.hpp"

namespace cpubone::onnx {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie");

/// A message in protocol buffers' wire format; fields are numbered as in onnx.proto.
class Message {
 public:
  void integer(int field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
  }
  void real(int field, float value) {
    key(field, 5);
    raw(&value, sizeof value);
  }
  void bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    data_.append(value);
  }
  void message(int field, const Message& value) { bytes(field, value.data_); }
  template <typename Value>
  void array(int field, const std::vector<Value>& values) {
    key(field, 2);
    varint(values.size() * sizeof(Value));
    raw(values.data(), values.size() * sizeof(Value));
  }
  const std::string& data() const { return data_; }

 private:
  void key(int field, unsigned wire_type) {
    varint(static_cast<std::uint64_t>(field) << 3 | wire_type);
  }
  void varint(std::uint64_t value) {
    for (; value >= 128; value >>= 7) data_.push_back(static_cast<char>(value | 128));
    data_.push_back(static_cast<char>(value));
  }
  void raw(const void* values, std::size_t size) {
    data_.append(static_cast<const char*>(values), size);
  }

  std::string data_;
};

using Ints = std::vector<std::int64_t>;

struct Attribute {
  std::string name;
  Message value;
};

inline Attribute attribute(const std::string& name, std::int64_t value) {
  Attribute a{name, {}};
  a.value.bytes(1, name);
  a.value.integer(3, value);
  a.value.integer(20, 2);
  return a;
}

inline Attribute attribute(const std::string& name, float value) {
  Attribute a{name, {}};
  a.value.bytes(1, name);
  a.value.real(2, value);
  a.value.integer(20, 1);
  return a;
}

inline Attribute attribute(const std::string& name, const char* value) {
  Attribute a{name, {}};
  a.value.bytes(1, name);
  a.value.bytes(4, value);
  a.value.integer(20, 3);
  return a;
}

inline Attribute attribute(const std::string& name, const Ints& values) {
  Attribute a{name, {}};
  a.value.bytes(1, name);
  for (const std::int64_t value : values) a.value.integer(8, value);
  a.value.integer(20, 7);
  return a;
}

inline Ints nchw(const Shape& s) {
  return {s.n, s.c, s.h, s.w};
}

using Names = std::vector<std::string>;
using Attributes = std::vector<Attribute>;

/// Collects nodes and initializers of a graph.
class Graph {
 public:
  /// Appends an operator with one output and returns the output's name.
  std::string add(const std::string& type, const Names& inputs, const std::string& output,
                  const Attributes& attributes = {}) {
    return add(type, inputs, Names{output}, attributes)[0];
  }

  Names add(const std::string& type, const Names& inputs, const Names& outputs,
            const Attributes& attributes) {
    Message node;
    for (const std::string& input : inputs) node.bytes(1, input);
    for (const std::string& output : outputs) node.bytes(2, output);
    node.bytes(3, outputs[0]);
    node.bytes(4, type);
    for (const Attribute& a : attributes) node.message(5, a.value);
    graph_.message(1, node);
    return outputs;
  }

  std::string tensor(const std::string& name, const Ints& dims, const std::vector<float>& values) {
    return initializer(name, dims, 1, values);
  }
  std::string tensor(const std::string& name, const Ints& values) {
    return initializer(name, {static_cast<std::int64_t>(values.size())}, 7, values);
  }

  void interface(int field, const std::string& name, const Ints& dims) {
    Message shape;
    for (const std::int64_t d : dims) {
      Message dim;
      dim.integer(1, d);
      shape.message(1, dim);
    }
    Message tensor_type;
    tensor_type.integer(1, 1);
    tensor_type.message(2, shape);
    Message type;
    type.message(1, tensor_type);
    Message value;
    value.bytes(1, name);
    value.message(2, type);
    graph_.message(field, value);
  }

  Message finish(const std::string& name) && {
    graph_.bytes(2, name);
    return std::move(graph_);
  }

 private:
  template <typename Value>
  std::string initializer(const std::string& name, const Ints& dims, std::int64_t type,
                          const std::vector<Value>& values) {
    Message tensor;
    for (const std::int64_t d : dims) tensor.integer(1, d);
    tensor.integer(2, type);
    tensor.bytes(8, name);
    tensor.array(9, values);
    graph_.message(5, tensor);
    return name;
  }

  Message graph_;
};

}  // namespace cpubone::onnx
