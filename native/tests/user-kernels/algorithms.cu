// Whole algorithms: reduction, scan, transposition, product, sorting, compaction, dynamic programming.
#include <cstdint>

// One sum per block, by warps.
extern "C" __global__ void sums(const float* in, float* out, int n) {
  __shared__ float part[8];
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    sum += in[i];
  for (int lanes = 16; lanes; lanes /= 2)
    sum += __shfl_down_sync(~0u, sum, lanes);
  if (threadIdx.x % 32 == 0)
    part[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0)
    for (unsigned w = 1; w < blockDim.x / 32; ++w)
      part[0] += part[w];
  if (threadIdx.x == 0)
    out[blockIdx.x] = part[0];
}

// Exclusive, of one block's elements, two for each thread, up and down a tree.
extern "C" __global__ void scan(const int* in, int* out, int n) {
  __shared__ int tree[512];
  const int t = threadIdx.x;
  tree[2 * t] = 2 * t < n ? in[2 * t] : 0;
  tree[2 * t + 1] = 2 * t + 1 < n ? in[2 * t + 1] : 0;
  int step = 1;
  for (int width = blockDim.x; width > 0; width /= 2, step *= 2) {
    __syncthreads();
    if (t < width)
      tree[step * (2 * t + 2) - 1] += tree[step * (2 * t + 1) - 1];
  }
  if (t == 0)
    tree[2 * blockDim.x - 1] = 0;
  for (int width = 1; width <= int(blockDim.x); width *= 2) {
    step /= 2;
    __syncthreads();
    if (t < width) {
      const int low = step * (2 * t + 1) - 1;
      const int high = step * (2 * t + 2) - 1;
      const int kept = tree[low];
      tree[low] = tree[high];
      tree[high] += kept;
    }
  }
  __syncthreads();
  for (int i = t; i < n; i += blockDim.x)
    out[i] = tree[i];
}

// [n, n] by tiles of 32 x 32, padded against bank conflicts.
extern "C" __global__ void transposition(const float* in, float* out, int n) {
  __shared__ float tile[32][33];
  for (int y = threadIdx.y; y < 32; y += blockDim.y)
    if (blockIdx.y * 32 + y < n && blockIdx.x * 32 + threadIdx.x < n)
      tile[y][threadIdx.x] = in[(blockIdx.y * 32 + y) * n + blockIdx.x * 32 + threadIdx.x];
  __syncthreads();
  for (int y = threadIdx.y; y < 32; y += blockDim.y)
    if (blockIdx.x * 32 + y < n && blockIdx.y * 32 + threadIdx.x < n)
      out[(blockIdx.x * 32 + y) * n + blockIdx.y * 32 + threadIdx.x] = tile[threadIdx.x][y];
}

// out = a b, [n, n] each, one after the other in `in`; float4 loads where rows allow.
template <int kTile>
__device__ void multiply(const float* a, const float* b, float* out, int n) {
  __shared__ float left[kTile][kTile], right[kTile][kTile];
  const int row = blockIdx.y * kTile + threadIdx.y;
  const int column = blockIdx.x * kTile + threadIdx.x;
  float sum = 0;
  for (int k = 0; k < n; k += kTile) {
    left[threadIdx.y][threadIdx.x] = row < n && k + threadIdx.x < n ? a[row * n + k + threadIdx.x] : 0;
    right[threadIdx.y][threadIdx.x] = column < n && k + threadIdx.y < n ? b[(k + threadIdx.y) * n + column] : 0;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kTile; ++i)
      sum += left[threadIdx.y][i] * right[i][threadIdx.x];
    __syncthreads();
  }
  if (row < n && column < n)
    out[row * n + column] = sum;
}
extern "C" __global__ void tiled_product(const float* in, float* out, int n) { multiply<16>(in, in + n * n, out, n); }

// Of one block, a power of two.
extern "C" __global__ void bitonic_sort(const uint32_t* in, uint32_t* out, int n) {
  extern __shared__ uint32_t keys[];
  const unsigned t = threadIdx.x;
  keys[t] = in[t];
  for (unsigned size = 2; size <= unsigned(n); size *= 2)
    for (unsigned stride = size / 2; stride > 0; stride /= 2) {
      __syncthreads();
      const unsigned other = t ^ stride;
      if (other > t) {
        const bool up = (t & size) == 0;
        if (keys[t] > keys[other] == up) {
          const uint32_t kept = keys[t];
          keys[t] = keys[other];
          keys[other] = kept;
        }
      }
    }
  __syncthreads();
  out[t] = keys[t];
}

// The odd values of one block, in order, and behind them how many they are.
extern "C" __global__ void compaction(const int* in, int* out, int n) {
  __shared__ int counts[32];
  const int t = threadIdx.x;
  const bool keeps = t < n && in[t] % 2;
  const unsigned kept = __ballot_sync(~0u, keeps);
  if (t % 32 == 0)
    counts[t / 32] = __popc(kept);
  __syncthreads();
  int at = __popc(kept & ((1u << t % 32) - 1));
  int total = 0;
  for (int w = 0; w < int(blockDim.x) / 32; ++w) {
    at += w < t / 32 ? counts[w] : 0;
    total += counts[w];
  }
  if (keeps)
    out[at] = in[t];
  if (t == 0)
    out[n] = total;
}

// The length of the longest common subsequence of the two halves of `in`, by antidiagonals.
extern "C" __global__ void common_subsequence(const int* in, int* out, int n) {
  __shared__ int lengths[3][129];
  const int half = n / 2;
  const int t = threadIdx.x;   // a row of the table; blockDim.x == half
  for (int d = 0; d < 3; ++d) {
    lengths[d][t] = 0;
    lengths[d][half] = 0;
  }
  __syncthreads();
  for (int diagonal = 0; diagonal < 2 * half - 1; ++diagonal) {
    const int column = diagonal - t;
    const int now = diagonal % 3;
    const int one = (diagonal + 2) % 3;
    const int two = (diagonal + 1) % 3;
    if (column >= 0 && column < half) {
      const int above = t ? lengths[one][t - 1] : 0;
      const int left = column ? lengths[one][t] : 0;
      const int corner = t && column ? lengths[two][t - 1] : 0;
      lengths[now][t] = in[t] == in[half + column] ? corner + 1 : max(above, left);
    }
    __syncthreads();
  }
  if (t == half - 1)
    out[0] = lengths[(2 * half - 2) % 3][t];
}

// Vectors of every width, and structures.
struct Particle {
  float3 position;
  float mass;
};
extern "C" __global__ void vectors(const float4* in, float4* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Particle p = {{in[i].x, in[i].y, in[i].z}, in[i].w};
  for (int step = 0; step < 3; ++step) {
    p.position.x += p.mass * 0.5f;
    p.position.y -= p.position.x;
    p.position.z *= 2;
  }
  const float2 low = reinterpret_cast<const float2*>(in)[2 * i];
  out[i] = make_float4(p.position.x, p.position.y, p.position.z, low.x + low.y);
}
