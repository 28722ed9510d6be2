#pragma once

// The functions of XNNPACK that are used here, but for those of parts of layers
// (xnnpack_channels.cpp): they are the same in all supported versions, and so are flags, types and
// status codes, so that one header does for the library that is linked and for any that is loaded.
// clang-format off
#define CPUBONE_XNNPACK_FUNCTIONS(function)            \
  function(initialize)                                 \
  function(create_subgraph)                            \
  function(delete_subgraph)                            \
  function(create_runtime_v2)                          \
  function(delete_runtime)                             \
  function(setup_runtime)                              \
  function(invoke_runtime)                             \
  function(define_tensor_value)                        \
  function(define_quantized_tensor_value)              \
  function(define_channelwise_quantized_tensor_value)  \
  function(define_add2)                                \
  function(define_average_pooling_2d)                  \
  function(define_clamp)                               \
  function(define_convert)                             \
  function(define_convolution_2d)                      \
  function(define_deconvolution_2d)                    \
  function(define_depthwise_convolution_2d)            \
  function(define_divide)                              \
  function(define_fully_connected)                     \
  function(define_global_average_pooling_2d)           \
  function(define_hardswish)                           \
  function(define_max_pooling_2d)                      \
  function(define_maximum2)                            \
  function(define_minimum2)                            \
  function(define_multiply2)                           \
  function(define_sigmoid)                             \
  function(define_softmax)                             \
  function(define_static_resize_bilinear_2d)           \
  function(define_subtract)
// clang-format on
