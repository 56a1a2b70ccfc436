// Singular value decompositions of small matrices, each in one block, by one-sided Jacobi rotations
// (Hestenes; Demmel, Veselic 1992).
//
// Formula        A = left diag(values) right, values descending; A V is rotated until its columns are orthogonal
// Shapes         of each matrix of a batch: a [n, n]; left [n, n] (column c: left vector c); right [n, n]
//                (row c: right vector c); values [n]; rotations [n, n], scratch: V, one column per row; status [1]:
//                sweeps used, or -1 when 30 were not enough. values and status lie report_stride words apart
// Types          a f32; rotations and arithmetic f64; results f32
// Accumulation   f64
// Grid/Block     one block of 512 threads per matrix, a pair of columns per 8 lanes, round-robin pairs; n <= 144;
//                (n s + 4n + 1) 8 bytes of dynamic shared memory, s: n up to the next number that is 8 more
//                than a multiple of 16
// Bytes          4 n^2 read, 8 n^2 written, and per sweep 16 n^2 of rotations through the caches
// Flops          about 10 n^3 per sweep, 6 to 10 sweeps
// Deterministic  yes
//
// Columns that are zero to the precision of F32 get value 0, and left vectors that complete the others to an
// orthonormal basis.
#include "spectral.cuh"

constexpr int kMostSweeps = 30;
constexpr int kPairLanes = 8;   // lanes that share a pair of columns: what all do alike, roots above all, is done less
constexpr int kWarpPairs = 32 / kPairLanes;
constexpr int kHeld = 12;               // numbers of each column that a lane holds: all of up to 96
constexpr double kOrthogonal = 1e-11;   // cosine that counts as 0; convergence is quadratic, so the last is far smaller
constexpr double kNegligible =
    0x1p-25;   // norm of a column that counts as 0, over that of A: half its entries' rounding

struct JacobiSvdArgs {
  const float* a;      // matrices [batch, n, n]
  double* rotations;   // scratch memory [batch, n, n]
  float* left;         // left vectors [batch, n, n], one per column; written
  float* values;       // singular values [n] per matrix, descending, report_stride apart; written
  float* right;        // right vectors [batch, n, n], one per row; written
  int* status;         // sweeps used, one I32 per matrix, report_stride apart; -1: 30 were not enough; written
  int n;               // order of the matrices, at most 144
  int report_stride;   // words (4 bytes) from one matrix's values, and status, to the next's
};
SPECTRAL_LAYOUT(JacobiSvdArgs, a, rotations, left, values, right, status, n, report_stride)

__device__ __forceinline__ double warp_dot(const double* x, const double* y, int n) {
  double sum = 0;
  for (int i = lane_id(); i < n; i += 32)
    sum += x[i] * y[i];
  return warp_sum(sum);
}

// The two columns that pair k rotates in round r of a round robin. `players` is even: with an odd number of columns the
// second one may be the missing column n.
__device__ __forceinline__ void round_robin_pair(int players, int r, int k, int& first, int& second) {
  const int others = players - 1;
  const int a = k == 0 ? others : (r + k) % others;
  const int b = k == 0 ? r : (r - k + others) % others;
  first = min(a, b);
  second = max(a, b);
}

// One rotation that makes columns x and y orthogonal, applied to u and v too; false when they already are. By the lanes
// of a pair; those of pairs that do not `exist` only take part in the sums.
__device__ __forceinline__ bool rotate(
    bool exists, double* x, double* y, double* u, double* v, int n, double negligible) {
  const int lane = lane_id() % kPairLanes;
  const int count = exists ? n : 0;
  double xs[kHeld];   // shared memory is what bounds the kernel
  double ys[kHeld];
  double dots[3] = {};
  auto add = [&](double xi, double yi) {
    dots[0] += xi * xi;
    dots[1] += yi * yi;
    dots[2] += xi * yi;
  };
#pragma unroll
  for (int e = 0; e < kHeld; ++e) {
    const int i = lane + e * kPairLanes;
    if (i >= count)
      continue;
    xs[e] = x[i];
    ys[e] = y[i];
    add(xs[e], ys[e]);
  }
  for (int i = lane + kHeld * kPairLanes; i < count; i += kPairLanes)
    add(x[i], y[i]);
  warp_sum<kPairLanes>(dots);
  if (!exists || min(dots[0], dots[1]) <= negligible ||
      dots[2] * dots[2] <= kOrthogonal * kOrthogonal * (dots[0] * dots[1]))
    return false;
  // The smaller root of t^2 + 2 zeta t = 1 with zeta = apart / twice.
  const double apart = dots[1] - dots[0];
  const double twice = 2 * dots[2];
  const double tangent = copysign(twice, apart * twice) / (fabs(apart) + sqrt(apart * apart + twice * twice));
  const double cosine = 1 / sqrt(1 + tangent * tangent);
  const double sine = cosine * tangent;
  auto turn = [&](int i, double xi, double yi) {
    x[i] = cosine * xi - sine * yi;
    y[i] = sine * xi + cosine * yi;
    const double ui = u[i];
    const double vi = v[i];
    u[i] = cosine * ui - sine * vi;
    v[i] = sine * ui + cosine * vi;
  };
#pragma unroll
  for (int e = 0; e < kHeld; ++e)
    if (lane + e * kPairLanes < n)
      turn(lane + e * kPairLanes, xs[e], ys[e]);
  for (int i = lane + kHeld * kPairLanes; i < n; i += kPairLanes)
    turn(i, x[i], y[i]);
  return true;
}

// Makes column c a unit vector orthogonal to the columns that are done: takes the coordinate axis that they cover least
// and projects them out of it. At least 1 / n of its square is left, so the error of a single projection, 1e-9 with
// columns as orthogonal as kOrthogonal makes them, lies far below the rounding to F32.
__device__ void complete(double* t, int stride, int n, int c, const double* done, double* covered, double* rest) {
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    double sum = 0;
    for (int d = 0; d < n; ++d)
      if (done[d] != 0)
        sum += t[d * stride + i] * t[d * stride + i];
    covered[i] = sum;
  }
  __syncthreads();
  int axis = 0;
  for (int i = 1; i < n; ++i)
    if (covered[i] < covered[axis])
      axis = i;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    double x = i == axis ? 1.0 : 0.0;
    for (int d = 0; d < n; ++d)
      if (done[d] != 0)
        x -= t[d * stride + axis] * t[d * stride + i];
    rest[i] = x;
  }
  __syncthreads();
  double norm = 0;
  for (int i = 0; i < n; ++i)
    norm += rest[i] * rest[i];
  norm = sqrt(norm);
  for (int i = threadIdx.x; i < n; i += blockDim.x)
    t[c * stride + i] = rest[i] / norm;
}

SPECTRAL_KERNEL(jacobi_svd, JacobiSvdArgs, 512) {
  DYNAMIC_SHARED(memory);
  const int n = args.n;
  const int stride = (n + 7) / 16 * 16 + 8;   // pairs next to one another then have columns in different banks
  const int warp = threadIdx.x / 32;
  const int warps = blockDim.x / 32;
  double* t = reinterpret_cast<double*>(memory);   // [n, stride], one column of the rotated matrix per row
  double* norm = t + n * stride;
  double* done = norm + n;
  double* covered = done + n;
  double* rest = covered + n;   // [n] each
  int* rotated = reinterpret_cast<int*>(rest + n);
  const long long square = (long long)blockIdx.x * n * n;
  const float* a = args.a + square;
  double* rotations = args.rotations + square;
  int* status = args.status + blockIdx.x * args.report_stride;

  double squares = 0;
  for (int index = threadIdx.x; index < n * n; index += blockDim.x) {
    const double value = a[index];
    t[index % n * stride + index / n] = value;
    rotations[index] = index / n == index % n ? 1.0 : 0.0;
    squares += value * value;
  }
  if (threadIdx.x == 0)
    *rotated = 0;
  const double negligible = block_sum(squares) * kNegligible * kNegligible;

  const int players = n + (n & 1);
  int sweep = 0;
  for (bool busy = n > 1; busy && sweep < kMostSweeps; ++sweep) {
    for (int r = 0; r < players - 1; ++r) {
      for (int first = warp * kWarpPairs; first < players / 2; first += warps * kWarpPairs) {
        const int k = first + lane_id() / kPairLanes;
        int p = 0;
        int q = n;
        if (k < players / 2)
          round_robin_pair(players, r, k, p, q);
        const bool exists = q < n;
        if (!exists)
          q = p;
        if (rotate(exists, t + p * stride, t + q * stride, rotations + p * n, rotations + q * n, n, negligible) &&
            lane_id() % kPairLanes == 0)
          atomicMax(rotated, 1);
      }
      __syncthreads();
    }
    busy = *rotated != 0;
    __syncthreads();
    if (threadIdx.x == 0)
      *rotated = 0;
    __syncthreads();
    if (busy && sweep + 1 == kMostSweeps && threadIdx.x == 0)
      *status = -1;
    else if (!busy && threadIdx.x == 0)
      *status = sweep + 1;
  }

  for (int c = warp; c < n; c += warps) {
    const double square = warp_dot(t + c * stride, t + c * stride, n);   // the same in every lane
    const double length = square > negligible ? sqrt(square) : 0.0;
    if (lane_id() == 0) {
      norm[c] = length;
      done[c] = length > 0 ? 1.0 : 0.0;
    }
    if (length > 0)
      for (int i = lane_id(); i < n; i += 32)
        t[c * stride + i] /= length;
  }
  __syncthreads();
  for (int c = 0; c < n; ++c) {
    if (done[c] != 0)
      continue;   // the same for every thread
    complete(t, stride, n, c, done, covered, rest);
    if (threadIdx.x == 0)
      done[c] = 1;
    __syncthreads();
  }

  for (int c = warp; c < n; c += warps) {
    int place = 0;   // equal values keep the order of the columns
    for (int d = 0; d < n; ++d)
      place += norm[d] > norm[c] || (norm[d] == norm[c] && d < c);
    for (int i = lane_id(); i < n; i += 32) {
      args.left[square + i * n + place] = float(t[c * stride + i]);
      args.right[square + place * n + i] = float(rotations[c * n + i]);
    }
    if (lane_id() == 0)
      args.values[blockIdx.x * args.report_stride + place] = float(norm[c]);
  }
}

SPECTRAL_SHARED(jacobi_svd, kSharedByArguments)
SPECTRAL_STATIC_SHARED(jacobi_svd, kAlignedShared)   // of block_sum
