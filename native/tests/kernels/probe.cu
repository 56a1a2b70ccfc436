// Small kernels that exercise one feature of the device each.
#include "spectral.cuh"

struct NothingArgs {
  int unused;
};
SPECTRAL_LAYOUT(NothingArgs, unused)
SPECTRAL_KERNEL(nothing, NothingArgs, 1024) {}

struct SwitchesArgs {
  int rounds;
};
SPECTRAL_LAYOUT(SwitchesArgs, rounds)
SPECTRAL_KERNEL(switches, SwitchesArgs, 1024) {   // 32 switches of a warp per round
  for (int i = 0; i < args.rounds; ++i)
    __syncwarp();
}

struct AxpyArgs {
  const float* x;
  float* y;
  int n;
  float a;
};
SPECTRAL_LAYOUT(AxpyArgs, x, y, n, a)
__device__ __forceinline__ void axpy(const AxpyArgs& args) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
  if (i + 4 <= args.n) {
    float x[4], y[4];
    load_piece(args.x + i, x);
    load_piece(args.y + i, y);
#pragma unroll
    for (int k = 0; k < 4; ++k)
      y[k] = args.a * x[k] + y[k];
    store_piece(args.y + i, y);
  } else {
    for (int k = i; k < args.n; ++k)
      args.y[k] = args.a * args.x[k] + args.y[k];
  }
}
SPECTRAL_KERNEL(axpy_f32, AxpyArgs, 256) { axpy(args); }
SPECTRAL_KERNEL_PLAIN(axpy_plain_f32, AxpyArgs, 256) { axpy(args); }
SPECTRAL_KERNEL(axpy_barrier_f32, AxpyArgs, 256) {   // a needless barrier: every thread becomes a fiber
  __syncthreads();
  axpy(args);
}

// Reverses each block of 256 through shared memory. Without the barrier it is wrong in some orders only.
struct ReverseArgs {
  const int* in;
  int* out;
};
SPECTRAL_LAYOUT(ReverseArgs, in, out)
template <bool kBarrier>
__device__ __forceinline__ void reverse(const ReverseArgs& args) {
  __shared__ int s[256];
  s[threadIdx.x] = args.in[blockIdx.x * 256 + threadIdx.x];
  if (kBarrier)
    __syncthreads();
  args.out[blockIdx.x * 256 + threadIdx.x] = s[255 - threadIdx.x];
}
SPECTRAL_KERNEL(reverse_block, ReverseArgs, 256) { reverse<true>(args); }
SPECTRAL_KERNEL(reverse_no_barrier, ReverseArgs, 256) { reverse<false>(args); }

// Warp 0 produces, warp 1 consumes, over two named barriers.
struct NamedArgs {
  int* out;
  int rounds;
};
SPECTRAL_LAYOUT(NamedArgs, out, rounds)
SPECTRAL_KERNEL(named_barriers, NamedArgs, 64) {
  __shared__ int v[32];
  const int lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    for (int i = 0; i < args.rounds; ++i) {
      bar_sync(1, 64);   // empty
      v[31 - lane] = i * 32 + lane;
      bar_arrive(2, 64);   // full
    }
  } else {
    int sum = 0;
    for (int i = 0; i < args.rounds; ++i) {
      bar_arrive(1, 64);
      bar_sync(2, 64);
      sum += v[lane] * (i + 1);
    }
    args.out[lane] = sum;
  }
}

// Ballot, shuffles, atomics, early exit.
struct WarpsArgs {
  unsigned* out;
  unsigned* total;
};
SPECTRAL_LAYOUT(WarpsArgs, out, total)
SPECTRAL_KERNEL(warps, WarpsArgs, 96) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned b = __ballot_sync(~0u, i % 3 == 0);
  const unsigned s = __shfl_sync(~0u, i, 5);
  const unsigned d = __shfl_down_sync(~0u, i, 4);
  args.out[i] = b ^ s * 7 ^ d * 13;
  if (threadIdx.x % 2)
    return;
  atomicAdd(args.total, i);
  __syncthreads();   // only the live half
  atomicAdd(args.total, 1u);
}

// Every reduction of warp.cuh over one block: out[thread] = {sum, max, online-softmax max, online-softmax sum} of block
// and warp.
struct ReduceArgs {
  const float* x;
  float* out;
  double* exact;
};
SPECTRAL_LAYOUT(ReduceArgs, x, out, exact)
SPECTRAL_KERNEL(reduce, ReduceArgs, 256) {
  const float x = args.x[threadIdx.x];
  float* out = args.out + threadIdx.x * 10;
  out[0] = warp_sum(x);
  out[1] = warp_max(x);
  const MaxSum w = warp_max_sum(x, 1.0f);
  out[2] = w.max;
  out[3] = w.sum;
  out[4] = block_sum(x);
  out[5] = block_max(x);
  const MaxSum b = block_max_sum(x, 1.0f);
  out[6] = b.max;
  out[7] = b.sum;
  float pair[2] = {x, 2 * x};
  warp_sum(pair);
  out[8] = pair[0];
  out[9] = pair[1];
  args.exact[threadIdx.x] = block_sum(double(x));
}

// bits[i] = Philox words of counter i; values[i] = {uniform, normal, normal}
struct RandomArgs {
  unsigned* bits;
  float* values;
  int n;
  unsigned key0, key1;
};
SPECTRAL_LAYOUT(RandomArgs, bits, values, n, key0, key1)
SPECTRAL_KERNEL_PLAIN(philox_probe, RandomArgs, 128) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= args.n)
    return;
  const uint4 r = philox4x32_10(make_uint2(args.key0, args.key1), make_uint4(i, 0, 0, 0));
  args.bits[i * 4] = r.x;
  args.bits[i * 4 + 1] = r.y;
  args.bits[i * 4 + 2] = r.z;
  args.bits[i * 4 + 3] = r.w;
  const float2 normal = philox_normal(r.x, r.y);
  args.values[i * 3] = philox_uniform(r.z);
  args.values[i * 3 + 1] = normal.x;
  args.values[i * 3 + 2] = normal.y;
}

// Conversions and 16-byte vectors both ways.
struct ConvertArgs {
  const float* x;
  bf16* half;
  float* back;
  int n;
};
SPECTRAL_LAYOUT(ConvertArgs, x, half, back, n)
SPECTRAL_KERNEL_PLAIN(convert, ConvertArgs, 128) {
  const int i = (blockIdx.x * blockDim.x + threadIdx.x) * 8;
  if (i + 8 > args.n)
    return;
  float lo[4], hi[4], all[8];
  load_piece(args.x + i, lo);
  load_piece(args.x + i + 4, hi);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    all[k] = lo[k];
    all[4 + k] = hi[k];
  }
  store_piece(args.half + i, all);
  load_piece(args.half + i, all);
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    lo[k] = all[k];
    hi[k] = all[4 + k];
  }
  store_piece(args.back + i, lo);
  store_piece(args.back + i + 4, hi);
}

// A layout with holes, and the transposed ldmatrix.
struct alignas(64) OddArgs {
  TensorMap map;
  unsigned char* out;
  short a;
  int b;
  char c;
};
SPECTRAL_LAYOUT(OddArgs, map, out, a, b, c)
SPECTRAL_KERNEL(odd, OddArgs, 32) {
  if (threadIdx.x == 0)
    args.out[0] = args.c;
}
struct TransposeArgs {
  const bf16* in;
  unsigned* out;
};
SPECTRAL_LAYOUT(TransposeArgs, in, out)
SPECTRAL_KERNEL(ldmatrix_transposed, TransposeArgs, 32) {
  __shared__ __align__(16) bf16 tile[32 * 8];
  for (int i = threadIdx.x; i < 256; i += 32)
    tile[i] = args.in[i];
  __syncwarp();
  unsigned r[4];
  ldmatrix_x4_transposed(r, [&](int l) { return tile + l * 8; });
  for (int i = 0; i < 4; ++i)
    args.out[threadIdx.x * 4 + i] = r[i];
}
