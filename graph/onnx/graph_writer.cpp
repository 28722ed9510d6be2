#include "graph/onnx/graph_writer.hpp"

#include <bit>

namespace cpubone::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie");

void set(proto::AttributeProto& to, std::int64_t value) {
  to.set_type(proto::AttributeProto::INT);
  to.set_i(value);
}
void set(proto::AttributeProto& to, float value) {
  to.set_type(proto::AttributeProto::FLOAT);
  to.set_f(value);
}
void set(proto::AttributeProto& to, const std::string& value) {
  to.set_type(proto::AttributeProto::STRING);
  to.set_s(value);
}
void set(proto::AttributeProto& to, const Ints& values) {
  to.set_type(proto::AttributeProto::INTS);
  to.mutable_ints()->Assign(values.begin(), values.end());
}

template <typename Value>
void fill(proto::TensorProto& tensor, const std::string& name, const Ints& dims, int type,
          const std::vector<Value>& values) {
  tensor.mutable_dims()->Assign(dims.begin(), dims.end());
  tensor.set_data_type(type);
  tensor.set_name(name);
  tensor.set_raw_data(values.data(), values.size() * sizeof(Value));
}

void describe(proto::ValueInfoProto& value, const std::string& name, const Ints& dims,
              DType dtype) {
  value.set_name(name);
  proto::TypeProto::Tensor& type = *value.mutable_type()->mutable_tensor_type();
  type.set_elem_type(dtype == DType::qs8 ? proto::TensorProto::INT8 : proto::TensorProto::FLOAT);
  for (const std::int64_t d : dims) type.mutable_shape()->add_dim()->set_dim_value(d);
}

}  // namespace

std::string GraphWriter::add(const std::string& type, const Names& inputs,
                             const std::string& output, const WrittenAttributes& attributes,
                             const std::string& name) {
  return add(type, inputs, Names{output}, attributes, name)[0];
}

Names GraphWriter::add(const std::string& type, const Names& inputs, const Names& outputs,
                       const WrittenAttributes& attributes, const std::string& name) {
  proto::NodeProto& node = *graph_.add_node();
  node.set_op_type(type);
  node.set_name(name.empty() ? outputs[0] : name);
  for (const std::string& input : inputs) node.add_input(input);
  for (const std::string& output : outputs) node.add_output(output);
  for (const WrittenAttribute& attribute : attributes) {
    proto::AttributeProto& to = *node.add_attribute();
    to.set_name(attribute.name);
    std::visit([&](const auto& value) { set(to, value); }, attribute.value);
  }
  return outputs;
}

void GraphWriter::set_domain(const char* domain) {
  graph_.mutable_node()->rbegin()->set_domain(domain);
}

std::string GraphWriter::tensor(const std::string& name, const Ints& dims,
                                const std::vector<float>& values) {
  fill(*graph_.add_initializer(), name, dims, proto::TensorProto::FLOAT, values);
  return name;
}

std::string GraphWriter::tensor(const std::string& name, const Ints& values) {
  fill(*graph_.add_initializer(), name, {static_cast<std::int64_t>(values.size())},
       proto::TensorProto::INT64, values);
  return name;
}

std::string GraphWriter::int8_tensor(const std::string& name, const Ints& dims,
                                     const std::vector<std::int8_t>& values) {
  fill(*graph_.add_initializer(), name, dims, proto::TensorProto::INT8, values);
  return name;
}

std::string GraphWriter::int32_tensor(const std::string& name, const Ints& dims,
                                      const std::vector<std::int32_t>& values) {
  fill(*graph_.add_initializer(), name, dims, proto::TensorProto::INT32, values);
  return name;
}

void GraphWriter::input(const std::string& name, const Ints& dims, DType dtype) {
  describe(*graph_.add_input(), name, dims, dtype);
}

void GraphWriter::output(const std::string& name, const Ints& dims, DType dtype) {
  describe(*graph_.add_output(), name, dims, dtype);
}

}  // namespace cpubone::onnx
