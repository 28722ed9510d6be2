// Kernels over NHWC tensors. A work item computes 4 channels of 4 pixels; sizes of work groups are the
// host's choice, so that items past the end return. Weights are packed by blocks of 4 channels, filled up with zeros.
// With HALF tensors and weights are f16 in memory, which every device can read and write, and f32 in registers, so that
// sums are as exact as in f32. With HALF_ARITHMETIC, for devices of cl_khr_fp16, matrix products multiply in f16 and add up
// TERMS products so, and these sums in f32: the error of a sum does not grow with its length.
#ifdef HALF_ARITHMETIC
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define TERMS 16
#endif
#ifdef HALF
#define STORED half
#define AT(p, i) vload_half(i, p)
#define AT4(i, p) vload_half4(i, p)
#define PUT(x, i, p) vstore_half_rte(x, i, p)
#define PUT4(x, p) vstore_half4_rte(x, 0, p)
#else
#define STORED float
#define AT(p, i) (p)[i]
#define AT4(i, p) vload4(i, p)
#define PUT(x, i, p) (p)[i] = x
#define PUT4(x, p) vstore4(x, 0, p)
#endif

float act(float x, int activation) {
  switch (activation) {  // as enum Activation
    case 1: return fmax(x, 0.0f);
    case 2: return clamp(x, 0.0f, 6.0f);
    case 3: return x * clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f;
    case 4: return clamp(x + 3.0f, 0.0f, 6.0f) / 6.0f;
    case 5: return 1.0f / (1.0f + exp(-x));
    case 6: return x / (1.0f + exp(-x));
    case 7: return 0.5f * x * (1.0f + erf(x * 0.70710678f));
    case 8: return 0.5f * x * (1.0f + tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    case 9: return tanh(x);
    case 10: return x > 0.0f ? x : expm1(x);
    case 11: return fmax(x, 0.0f) + log1p(exp(-fabs(x)));
    case 12: return x * tanh(fmax(x, 0.0f) + log1p(exp(-fabs(x))));
    case 13: return exp(x);
    case 14: return log(x);
    case 15: return sqrt(x);
    case 16: return 1.0f / x;
    case 17: return erf(x);
    case 18: return fabs(x);
    case 19: return -x;
    default: return x;
  }
}

// The first `count` of 4 channels.
void put(global STORED* out, float4 sum, int count, int activation) {
  if (activation == 1)  // what convolutions and linear layers apply at once: whole vectors
    sum = fmax(sum, 0.0f);
  else if (activation == 2)
    sum = clamp(sum, 0.0f, 6.0f);
  else if (activation != 0)
    sum = (float4)(act(sum.x, activation), act(sum.y, activation), act(sum.z, activation), act(sum.w, activation));
  if (count >= 4) {
    PUT4(sum, out);
  } else {
    PUT(sum.x, 0, out);
    if (count > 1) PUT(sum.y, 1, out);
    if (count > 2) PUT(sum.z, 2, out);
  }
}

// Pointwise convolutions without step or padding, and linear layers.
kernel void matrix_product(global const STORED* in, global const STORED* weights, global const STORED* bias,
                           global STORED* out, int rows, int depth, int channels, int in_stride, int out_stride,
                           int activation) {
  const int block = get_global_id(0);
  const int row = get_global_id(1) * 4;
  if (block * 4 >= channels || row >= rows) return;
  const global STORED* a[4];
  for (int r = 0; r < 4; ++r) a[r] = in + (size_t)min(row + r, rows - 1) * in_stride;
  const global STORED* w = weights + (size_t)block * depth * 4;
  const float4 start = AT4(block, bias);
  float4 s0 = start, s1 = start, s2 = start, s3 = start;
#ifdef HALF_ARITHMETIC
  for (int begin = 0; begin < depth; begin += TERMS) {
    const int end = min(begin + TERMS, depth);
    half4 t0 = (half4)(0), t1 = t0, t2 = t0, t3 = t0;
    for (int k = begin; k < end; ++k) {
      const half4 v = vload4(k, w);
      t0 = fma((half4)(a[0][k]), v, t0);
      t1 = fma((half4)(a[1][k]), v, t1);
      t2 = fma((half4)(a[2][k]), v, t2);
      t3 = fma((half4)(a[3][k]), v, t3);
    }
    s0 += convert_float4(t0);
    s1 += convert_float4(t1);
    s2 += convert_float4(t2);
    s3 += convert_float4(t3);
  }
#else
  for (int k = 0; k < depth; ++k) {
    const float4 v = AT4(k, w);
    s0 = fma((float4)(AT(a[0], k)), v, s0);
    s1 = fma((float4)(AT(a[1], k)), v, s1);
    s2 = fma((float4)(AT(a[2], k)), v, s2);
    s3 = fma((float4)(AT(a[3], k)), v, s3);
  }
#endif
  const int count = channels - block * 4;
  global STORED* o = out + (size_t)row * out_stride + block * 4;
  put(o, s0, count, activation);
  if (row + 1 < rows) put(o + out_stride, s1, count, activation);
  if (row + 2 < rows) put(o + 2 * (size_t)out_stride, s2, count, activation);
  if (row + 3 < rows) put(o + 3 * (size_t)out_stride, s3, count, activation);
}

// What the windows of a convolution need to know.
#define WINDOW_ARGUMENTS                                                                                       \
  int in_h, int in_w, int out_h, int out_w, int kernel_h, int kernel_w, int stride_h, int stride_w, int dilation_h, \
      int dilation_w, int top, int left

// Dense and grouped convolutions: blocks of channels do not cross groups. 4 pixels of one row.
kernel void convolution(global const STORED* in, global const STORED* weights, global const STORED* bias,
                        global STORED* out, int images, int group_in, int group_out, int groups, int in_stride,
                        int out_stride, int activation, WINDOW_ARGUMENTS) {
  const int blocks = (group_out + 3) / 4;
  const int across = (out_w + 3) / 4;
  const int block = get_global_id(0);
  const int quad = get_global_id(1);
  if (block >= blocks * groups || quad >= images * out_h * across) return;
  const int group = block / blocks;
  const int channel = block % blocks * 4;
  const int line = quad / across;
  const int image = line / out_h;
  const int y = line % out_h;
  const int x = quad % across * 4;
  const global STORED* base = in + (size_t)image * in_h * in_w * in_stride + group * group_in;
  const global STORED* w = weights + (size_t)block * kernel_h * kernel_w * group_in * 4;
  const float4 start = AT4(block, bias);
  float4 sum[4] = {start, start, start, start};
  for (int ky = 0; ky < kernel_h; ++ky) {
    const int iy = y * stride_h + ky * dilation_h - top;
    if (iy < 0 || iy >= in_h) {
      w += (size_t)kernel_w * group_in * 4;
      continue;
    }
    for (int kx = 0; kx < kernel_w; ++kx) {
      const global STORED* a[4];
      float inside[4];
      for (int p = 0; p < 4; ++p) {
        const int ix = (x + p) * stride_w + kx * dilation_w - left;
        inside[p] = ix >= 0 && ix < in_w ? 1.0f : 0.0f;
        a[p] = base + ((size_t)iy * in_w + clamp(ix, 0, in_w - 1)) * in_stride;
      }
#ifdef HALF_ARITHMETIC
      for (int begin = 0; begin < group_in; begin += TERMS) {
        const int end = min(begin + TERMS, group_in);
        half4 terms[4] = {(half4)(0), (half4)(0), (half4)(0), (half4)(0)};
        for (int k = begin; k < end; ++k, w += 4) {
          const half4 v = vload4(0, w);
          for (int p = 0; p < 4; ++p) terms[p] = fma((half4)(a[p][k]), v, terms[p]);
        }
        for (int p = 0; p < 4; ++p)
          if (inside[p] != 0.0f) sum[p] += convert_float4(terms[p]);
      }
#else
      for (int k = 0; k < group_in; ++k, w += 4) {
        const float4 v = AT4(0, w);
        for (int p = 0; p < 4; ++p)
          sum[p] = fma((float4)(inside[p] != 0.0f ? AT(a[p], k) : 0.0f), v, sum[p]);
      }
#endif
    }
  }
  global STORED* o = out + ((size_t)line * out_w + x) * out_stride + group * group_out + channel;
  for (int p = 0; p < 4; ++p)
    if (x + p < out_w) put(o + (size_t)p * out_stride, sum[p], group_out - channel, activation);
}

// Depthwise: 4 channels of 4 pixels of one row. Up to 3 values past the last channel are read and not used.
kernel void depthwise(global const STORED* in, global const STORED* weights, global const STORED* bias,
                      global STORED* out, int images, int channels, int in_stride, int out_stride, int activation,
                      WINDOW_ARGUMENTS) {
  const int across = (out_w + 3) / 4;
  const int block = get_global_id(0);
  const int quad = get_global_id(1);
  if (block * 4 >= channels || quad >= images * out_h * across) return;
  const int line = quad / across;
  const int image = line / out_h;
  const int y = line % out_h;
  const int x = quad % across * 4;
  const global STORED* base = in + (size_t)image * in_h * in_w * in_stride + block * 4;
  const global STORED* w = weights + (size_t)block * kernel_h * kernel_w * 4;
  const float4 start = AT4(block, bias);
  float4 sum[4] = {start, start, start, start};
  for (int ky = 0; ky < kernel_h; ++ky) {
    const int iy = y * stride_h + ky * dilation_h - top;
    if (iy < 0 || iy >= in_h) continue;
    for (int kx = 0; kx < kernel_w; ++kx) {
      const float4 v = AT4(ky * kernel_w + kx, w);
      for (int p = 0; p < 4; ++p) {
        const int ix = (x + p) * stride_w + kx * dilation_w - left;
        if (ix >= 0 && ix < in_w) sum[p] = fma(AT4(0, base + ((size_t)iy * in_w + ix) * in_stride), v, sum[p]);
      }
    }
  }
  global STORED* o = out + ((size_t)line * out_w + x) * out_stride + block * 4;
  for (int p = 0; p < 4; ++p)
    if (x + p < out_w) put(o + (size_t)p * out_stride, sum[p], channels - block * 4, activation);
}

kernel void activation(global const STORED* in, global STORED* out, int count, int activation) {
  const int i = get_global_id(0);
  if (i < count) PUT(act(AT(in, i), activation), i, out);
}

// Of two tensors whose elements are so far apart along h, w and c; 0 where one is repeated.
kernel void elementwise(global const STORED* a, global const STORED* b, global STORED* out, int count, int h, int w,
                        int c, int an, int ah, int aw, int ac, int bn, int bh, int bw, int bc, int operation,
                        int activation) {
  const int i = get_global_id(0);
  if (i >= count) return;
  const int z = i % c;
  const int x = i / c % w;
  const int y = i / c / w % h;
  const int n = i / c / w / h;
  const float p = AT(a, n * an + y * ah + x * aw + z * ac);
  const float q = AT(b, n * bn + y * bh + x * bw + z * bc);
  float r;
  switch (operation) {
    case 0: r = p + q; break;
    case 1: r = p * q; break;
    case 2: r = p - q; break;
    case 3: r = p / q; break;
    case 4: r = fmax(p, q); break;
    default: r = fmin(p, q); break;
  }
  PUT(act(r, activation), i, out);
}

// Tells the host that all before it is done. Kernels of OpenCL C 1.2 have no order of memory; the fence and the exchange are
// what it has, and such a device is used by flags only where it is the CPU itself.
kernel void tell(volatile global int* flag, int number) {
#if defined(__opencl_c_atomic_scope_all_devices) || (__OPENCL_C_VERSION__ >= 200 && __OPENCL_C_VERSION__ < 300)
  atomic_store_explicit((volatile global atomic_int*)flag, number, memory_order_release, memory_scope_all_svm_devices);
#else
  mem_fence(CLK_GLOBAL_MEM_FENCE);
  atomic_xchg(flag, number);
#endif
}
