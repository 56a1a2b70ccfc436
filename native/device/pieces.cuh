// How kernels walk memory: in pieces of kWidth elements, which is a whole 16-byte vector where addresses allow it and 1
// otherwise. Row kernels give each row to a warp, whose lane l takes the pieces l, l + 32, ...; flat kernels give each
// thread one vector. Neighbouring lanes touch neighbouring vectors, and the CPU device's compiler vectorises the loops
// over kWidth elements.
#pragma once
#include "spectral.cuh"

constexpr int kRowThreads = 256;    // 8 rows per block
constexpr int kFlatThreads = 256;   // 4 KiB of the array per block

// The row of this warp; the kernel returns when it is past the last one (a whole warp leaves together).
__device__ __forceinline__ int64_t warp_row() { return int64_t(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32; }

// A row for each group of kLanes lanes. On a short row most of a warp would be idle, and on the CPU device one
// rendezvous then serves 32 / kLanes rows. A group past the last row has columns = 0 and only takes part in the
// reductions; pass by_width the argument's columns instead, so that the lanes of a warp do not diverge there.
template <int kLanes>
struct GroupRow {
  int64_t row;
  int lane, columns;
  __device__ __forceinline__ GroupRow(int64_t rows, int row_columns)
      : row((int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kLanes),
        lane(lane_id() % kLanes),
        columns(row < rows ? row_columns : 0) {}
};

// Rows whose lanes do nothing together but sum up what each has found of its own pieces. On the CPU device the first
// lane takes the whole row, by wider pieces, and the others take no part: nobody waits, and the kernel is
// SPECTRAL_KERNEL_ROWS.
template <int kLanes>
struct SharedRow : GroupRow<kLanes> {
  using GroupRow<kLanes>::GroupRow;
#ifdef __CUDACC__
  static constexpr int kSharing = kLanes;   // lanes that share a row
  __device__ __forceinline__ bool takes_part() const { return true; }
#else
  static constexpr int kSharing = 1;
  bool takes_part() const { return this->lane == 0 && this->columns != 0; }
#endif
};

// The same of a row for each warp: lanes take elements lane(), lane() + kSharing, ...
struct WarpRow {
#ifdef __CUDACC__
  static constexpr int kSharing = 32;
  static __device__ __forceinline__ bool takes_part() { return true; }
  static __device__ __forceinline__ int lane() { return lane_id(); }
  static __device__ __forceinline__ float sum(float v) { return warp_sum(v); }
  static __device__ __forceinline__ float max(float v) { return warp_max(v); }
#else
  static constexpr int kSharing = 1;
  static bool takes_part() { return lane_id() == 0; }
  static int lane() { return 0; }
  static float sum(float v) { return v; }
  static float max(float v) { return v; }
#endif
};

template <int kWidth>
struct Width {
  static constexpr int value = kWidth;
};

// Calls body(Width<kVector<T>>) where every row of `columns` elements starts on a 16-byte boundary, else
// body(Width<1>). `aligned` says that the first rows do. A vector's length is a power of two, so `a | b` stands for
// rows of a columns that lie b elements apart.
template <class T, class Body>
__device__ __forceinline__ void by_width(int columns, bool aligned, Body body) {
  if (columns % kVector<T> == 0 && aligned)
    body(Width<kVector<T>>());
  else
    body(Width<1>());
}

// The same for the pieces of a SharedRow or a WarpRow: on the CPU device up to kJoinedLanes vectors are one.
constexpr int kJoinedLanes = 8;
template <class T, class Body>
__device__ __forceinline__ void by_row_width(int columns, bool aligned, Body body) {
#ifndef __CUDACC__
  constexpr int kWhole = kJoinedLanes * kVector<T>;
  if (aligned && columns % kWhole == 0)
    return body(Width<kWhole>());
  if (aligned && columns % (kWhole / 2) == 0)
    return body(Width<kWhole / 2>());
#endif
  by_width<T>(columns, aligned, body);
}

// The sum of a lane's kWidth partial sums, which are spent. On the CPU device, where they stand for vectors of lanes,
// it adds as eight lanes of a GPU would.
template <class T, int kWidth>
__device__ __forceinline__ float own_sum(float (&parts)[kWidth]) {
#ifdef __CUDACC__
  float sum = 0;
  for (int i = 0; i < kWidth; ++i)
    sum += parts[i];
  return sum;
#else
  constexpr int kPart = kWidth < kVector<T> ? kWidth : kVector<T>;
  float lanes[kWidth / kPart];
  for (int l = 0; l < kWidth / kPart; ++l) {
    lanes[l] = 0;
    for (int i = 0; i < kPart; ++i)
      lanes[l] += parts[l * kPart + i];
  }
  for (int m = kWidth / kPart / 2; m; m /= 2)
    for (int l = 0; l < m; ++l)
      lanes[l] += lanes[l + m];
  return lanes[0];
#endif
}
// The sum over the lanes of a SharedRow and over their partial sums.
template <class T, int kLanes, int kWidth>
__device__ __forceinline__ float row_sum(float (&parts)[kWidth]) {
  const float sum = own_sum<T>(parts);
#ifdef __CUDACC__
  return warp_sum<kLanes>(sum);
#else
  return sum;
#endif
}

// Calls body(Width<kWidth>, offset) for this thread's vector in block number `block` of a row, or of an array without
// rows: once with the whole vector, or element by element at the ragged end and where the arrays are not `aligned`.
template <class T, class Body>
__device__ __forceinline__ void by_vector_of(unsigned block, int64_t count, bool aligned, Body body) {
  const int64_t begin = (int64_t(block) * blockDim.x + threadIdx.x) * kVector<T>;
  if (begin + kVector<T> <= count && aligned) {
    body(Width<kVector<T>>(), begin);
  } else {
    const int64_t end = min(begin + kVector<T>, count);
    for (int64_t i = begin; i < end; ++i)
      body(Width<1>(), i);
  }
}

// The same for work that is each element's own. On the CPU device the first of kJoined threads takes the vectors of
// all: loops over four elements fill half of an AVX register.
template <class T, class Body>
__device__ __forceinline__ void by_piece_of(unsigned block, int64_t count, bool aligned, Body body) {
#ifndef __CUDACC__
  constexpr unsigned kJoined = 4;
  const unsigned first = threadIdx.x / kJoined * kJoined;
  const int64_t begin = (int64_t(block) * blockDim.x + first) * kVector<T>;
  if (aligned && begin + kJoined * kVector<T> <= count && first + kJoined <= blockDim.x) {
    if (threadIdx.x == first)
      body(Width<kJoined * kVector<T>>(), begin);
    return;
  }
#endif
  by_vector_of<T>(block, count, aligned, body);
}
template <class T, class Body>
__device__ __forceinline__ void by_piece(int64_t count, bool aligned, Body body) {
  by_piece_of<T>(blockIdx.x, count, aligned, body);
}

// Joins what the lanes of a SharedRow have seen.
template <int kLanes>
__device__ __forceinline__ MaxSum row_max_sum(MaxSum part) {
#ifdef __CUDACC__
  part = warp_max_sum<kLanes>(part.max, part.sum);
#endif
  return part;
}

// Joins kWidth more scores into a lane's running maximum and sum of exponentials (online softmax); v is spent.
template <int kWidth>
__device__ __forceinline__ void join_max_sum(MaxSum& part, float (&v)[kWidth]) {
  float top = v[0];
  float sum = 0;
  for (int i = 1; i < kWidth; ++i)
    top = v[i] < top ? top : v[i];
  if (!(top <= part.max)) {
    part.sum *= part.sum > 0 ? exp_f32(part.max - top) : 0.0f;
    part.max = top;
  }
  if (part.max ==
      -INFINITY) {   // nothing but -inf so far, for which -inf - -inf would be wrong, and NaN, which must not be lost
    for (int i = 0; i < kWidth; ++i)
      part.sum += v[i] == -INFINITY ? 0.0f : v[i];
    return;
  }
  for (int i = 0; i < kWidth; ++i)
    v[i] = exp_f32(v[i] - part.max);
  if constexpr (kWidth > 8) {   // of the CPU device: by halves, which are vectors
    for (int m = kWidth / 2; m; m /= 2)
      for (int i = 0; i < m; ++i)
        v[i] += v[i + m];
    sum = v[0];
  } else {
    for (int i = 0; i < kWidth; ++i)
      sum += v[i];
  }
  part.sum += sum;
}
