// The fused product of the tensor-core test kernels: y = x wᵀ + z qᵀ, bf16 in, f32 out.
#pragma once
#include "host.h"
#include <algorithm>

inline CUtensorMap bf16_map(CUdeviceptr p, uint64_t rows, uint64_t columns, cuuint32_t box_rows = 128) {
  CUtensorMap t;
  cuuint64_t dims[] = {columns, rows};
  cuuint64_t strides[] = {columns * 2};
  cuuint32_t box[] = {64, box_rows};
  cuuint32_t one[] = {1, 1};
  CU(cuTensorMapEncodeTiled(
      &t,
      CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
      2,
      reinterpret_cast<void*>(p),
      dims,
      strides,
      box,
      one,
      CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B,
      CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  return t;
}

struct Product {
  int m, n, k, r;
  Buffer<uint16_t> x, w, z, q;
  Buffer<float> y;
  Product(int m, int n, int k, int r, Rng& g)
      : m(m),
        n(n),
        k(k),
        r(r),
        x(g.bf(size_t(m) * k)),
        w(g.bf(size_t(n) * k)),
        z(g.bf(size_t(m) * r)),
        q(g.bf(size_t(n) * r)),
        y(size_t(m) * n) {}
  static std::string entry(bool hopper, int fault) {
    return std::string(hopper ? "gemm_sm90" : "gemm_sm80") + (fault ? "_fault" + std::to_string(fault) : "");
  }
  std::string name(bool hopper, int fault) const {
    return entry(hopper, fault) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + "+" +
           std::to_string(r);
  }
  CUresult run(bool hopper, int fault) const {
    const unsigned gx = unsigned(n + 127) / 128;
    const unsigned gy = unsigned(m + 127) / 128;
    if (!hopper) {
      struct {
        CUdeviceptr x, w, z, q, y;
        int m, n, k, r;
      } args{x.p, w.p, z.p, q.p, y.p, m, n, k, r};
      return launch(entry(false, fault).c_str(), args, gx, gy, 256, 2 * 32768);
    }
    struct {
      CUtensorMap x, w, z, q;
      CUdeviceptr y;
      int m, n, k, r;
    } args{bf16_map(x.p, m, k), bf16_map(w.p, n, k), bf16_map(z.p, m, r), bf16_map(q.p, n, r), y.p, m, n, k, r};
    return launch(entry(true, fault).c_str(), args, gx, gy, 384, 4 * 32768 + 1024);
  }
  double error() const {   // largest |difference| / sqrt(k + r) from a product in double; NaN counts as infinite
    const auto hx = x.get();
    const auto hw = w.get();
    const auto hz = z.get();
    const auto hq = q.get();
    const auto hy = y.get();
    double worst = 0;
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        double s = 0;
        for (int l = 0; l < k; ++l)
          s += double(from_bf16(hx[size_t(i) * k + l])) * from_bf16(hw[size_t(j) * k + l]);
        for (int l = 0; l < r; ++l)
          s += double(from_bf16(hz[size_t(i) * r + l])) * from_bf16(hq[size_t(j) * r + l]);
        const double e = std::abs(s - hy[size_t(i) * n + j]) / std::sqrt(double(k + r));
        if (!(e <= worst))
          worst = std::isnan(e) ? INFINITY : e;
      }
    return worst;
  }
};
