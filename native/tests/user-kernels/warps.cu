// What lanes of a warp tell each other. One row of results per thread.
#include <cstdint>

extern "C" __global__ void shuffles(const int* in, int* out, int) {
  const int t = threadIdx.x;
  const int v = in[t];
  int* row = out + 8 * t;
  row[0] = __shfl_sync(~0u, v, t + 5);
  row[1] = __shfl_up_sync(~0u, v, 3);
  row[2] = __shfl_down_sync(~0u, v, 3, 8);
  row[3] = __shfl_xor_sync(~0u, v, 9);
  row[4] = __shfl_sync(~0u, v, 2, 4);
  const long long wide = (long long)v << 33 | t;
  row[5] = int(__shfl_xor_sync(~0u, wide, 1) >> 33);
  row[6] = __float_as_int(__shfl_up_sync(~0u, __int_as_float(v), 1, 16));
  row[7] = t % 32 < 20 ? __shfl_sync(0xfffff, v, 19) : -1;   // some lanes
}

extern "C" __global__ void votes(const int* in, int* out, int) {
  const int t = threadIdx.x;
  const int v = in[t];
  int* row = out + 8 * t;
  row[0] = __any_sync(~0u, v % 7 == 0);
  row[1] = __all_sync(~0u, v >= 0);
  row[2] = int(__ballot_sync(~0u, v & 1));
  row[3] = t % 2 ? int(__activemask()) : 0;
  row[4] = __syncthreads_count(v & 1);
  row[5] = __syncthreads_and(v != 77);
  row[6] = __syncthreads_or(v == 77);
  const unsigned some = __ballot_sync(~0u, v % 3);
  row[7] = v % 3 ? __popc(__ballot_sync(some, v & 2)) : -1;
}

extern "C" __global__ void matches(const int* in, int* out, int) {
  const int t = threadIdx.x;
  int all = 0;
  out[3 * t] = int(__match_any_sync(~0u, in[t] % 5));
  out[3 * t + 1] = int(__match_all_sync(~0u, in[t] / 1000, &all));
  out[3 * t + 2] = all;
}

#if __CUDA_ARCH__ >= 800
extern "C" __global__ void warp_reductions(const int* in, int* out, int) {
  const int t = threadIdx.x;
  const unsigned u = unsigned(in[t]);
  int* row = out + 6 * t;
  row[0] = __reduce_add_sync(~0u, in[t]);
  row[1] = __reduce_min_sync(~0u, in[t]);
  row[2] = int(__reduce_max_sync(~0u, u));
  row[3] = int(__reduce_and_sync(~0u, u | 0xff00));
  row[4] = int(__reduce_or_sync(~0u, u));
  row[5] = int(__reduce_xor_sync(~0u, u));
}
#endif
