// What an algorithm must know about a matrix before it starts: its norm, its largest element, whether all are finite.
//
// Formula        out[0] = sum of x_i^2, out[1] = max |x_i|, infinite when any x_i is NaN or infinite
// Shapes         x [count]; partial_sum, partial_max [threads]; out [2]
// Types          x f32 or bf16; sums f64, so that squares of 1e30 do not overflow
// Accumulation   f64; in 8 sums per thread, then over threads in blocks of 256
// Grid/Block     scan: 64 threads, each takes `steps` runs of 128 bytes; finish: one block of 256,
//                static shared memory 384 bytes
// Bytes          count * sizeof(T) read once
// Flops          2 count
// Deterministic  yes
#include "spectral.cuh"

// A thread reads 128 bytes at a time: whole cache lines on the GPU, sequential streams on the CPU.
template <class T>
constexpr int kRun = 128 / int(sizeof(T));

struct MatrixScanArgs {
  const void* x;         // x [count], type of the entry; 16-byte aligned for vectors
  double* partial_sum;   // sum of squares of each thread, F64; written
  float* partial_max;    // largest magnitude of each thread; written
  long long count;       // elements of x
  int steps;             // runs of 128 bytes that a thread reads
};
SPECTRAL_LAYOUT(MatrixScanArgs, x, partial_sum, partial_max, count, steps)

struct MatrixScanFinishArgs {
  const double* partial_sum;   // sums of squares [partials]
  const float* partial_max;    // largest magnitudes [partials]
  double* out;                 // result, two F64: the sum of squares and the largest magnitude; written
  int partials;                // number of threads of the first stage
};
SPECTRAL_LAYOUT(MatrixScanFinishArgs, partial_sum, partial_max, out, partials)

// kRun<T> consecutive elements into the running maximum and sums.
template <class T>
__device__ __forceinline__ void scan_run(const T* x, unsigned& most, double (&sums)[8]) {
  constexpr int kWidth = kVector<T>;
#pragma unroll
  for (int vector = 0; vector < kRun<T>; vector += kWidth) {
    float v[kWidth];
    load_piece(x + vector, v);
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      most = max(most, __float_as_uint(v[e]) & 0x7fffffffu);
#pragma unroll
    for (int e = 0; e < kWidth; ++e)
      sums[(vector + e) % 8] += double(v[e]) * double(v[e]);
  }
}

template <class T>
__device__ __forceinline__ void matrix_scan(const MatrixScanArgs& args) {
  const T* x = static_cast<const T*>(args.x);
  const bool aligned = is_aligned16(x);
  const long long block = (long long)blockDim.x * kRun<T>;   // elements the block's threads take in one step
  const long long start = blockIdx.x * block * args.steps + threadIdx.x * kRun<T>;
  unsigned most = 0;   // the bits of |x| order like |x|, with infinity and NaN above every number
  double sums[8] = {};
  for (int step = 0; step < args.steps; ++step) {
    const long long i = start + step * block;
    if (aligned && i + kRun<T> <= args.count) {
      scan_run<T>(x + i, most, sums);
    } else {
      for (int e = 0; e < kRun<T> && i + e < args.count; ++e) {
        const float v = to_float<T>(x[i + e]);
        most = max(most, __float_as_uint(v) & 0x7fffffffu);
        sums[0] += double(v) * double(v);
      }
    }
  }
  double sum = 0;
#pragma unroll
  for (int e = 0; e < 8; ++e)
    sum += sums[e];
  const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  args.partial_sum[thread] = sum;
  args.partial_max[thread] = __uint_as_float(min(most, 0x7f800000u));
}

SPECTRAL_KERNEL_PLAIN(matrix_scan_f32, MatrixScanArgs, 64) { matrix_scan<float>(args); }
SPECTRAL_KERNEL_PLAIN(matrix_scan_bf16, MatrixScanArgs, 64) { matrix_scan<bf16>(args); }

SPECTRAL_KERNEL(matrix_scan_finish, MatrixScanFinishArgs, 256) {
  double sum = 0;
  float most = 0;
  for (int i = threadIdx.x; i < args.partials; i += blockDim.x) {
    sum += args.partial_sum[i];
    most = fmaxf(most, args.partial_max[i]);
  }
  sum = block_sum(sum);
  most = block_max(most);
  if (threadIdx.x == 0) {
    args.out[0] = sum;
    args.out[1] = most;
  }
}
SPECTRAL_STATIC_SHARED(matrix_scan_finish, kBlockSumShared<double> + kBlockMaxShared)
