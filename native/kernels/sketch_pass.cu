// One pass of the randomized SVD over BF16 matrices: products with a few F32 vectors, at F32 accuracy, bound by reading
// the matrix.
//
// Formula        apply:            y[b, j, i] = sum_c x[b, j, c] W_b[i, c]
//                apply_transposed: y[b, j, c] = sum_i x[b, j, i] W_b[i, c]
//                reduce:           y = sum of the shares' partial results; status_b = max(status_b, bits of max |y_b|)
// Shapes         matrices [batch] addresses of W [rows, columns]; x as parts [batch, 3, vectors, depth], depth the
//                summed dimension; y [batch, vectors, other], or partial [shares, batch, vectors, other]
// Types          W bf16; x split into three bf16 (device/split.cuh), so that every product is exact; y, partial f32
// Accumulation   f32 on tensor cores (three products per element of W and x), then the shares in order
// Grid/Block     pass: x = 128 rows (transposed: columns) of W, y = shares of the depth and groups of kVectors vectors,
//                z = matrix; 256 threads, 4 x 2 warps over rows and vectors; kVectors 32, 96 or 160. Shares follow from
//                the shape alone, so a matrix gives the same bits in any batch. reduce: x = 1024 elements, y = matrix.
//                Shared memory: pass kPassShared below, dynamic; reduce 1 KB, static
// Bytes          2 rows columns (once per group of kVectors vectors) + 6 vectors depth other / 128 from L2
//                + 8 shares vectors other where shares > 1
// Flops          6 rows columns vectors
// Deterministic  yes (the only atomic is a maximum)
#include "split.cuh"
#include "tile.cuh"

struct SketchPassArgs {
  // addresses of the matrices [batch]; each [rows, columns] BF16; 16-byte aligned for vectors
  const bf16* const* matrices;
  // vectors split into three BF16 parts [batch, 3, vectors, summed dimension]; 16-byte aligned for vectors
  const bf16* parts;
  // result, or with more than one share the partial sums, [shares, batch, vectors, other dimension]; written
  float* y;
  long long y_stride;       // elements of y from one matrix to the next
  long long share_stride;   // elements of y from one share to the next
  int rows;                 // rows of a matrix
  int columns;              // columns of a matrix
  int vectors;              // vectors per matrix
  // parts that the summed dimension is divided into; grid y counts them times the groups of vectors
  int shares;
};
SPECTRAL_LAYOUT(SketchPassArgs, matrices, parts, y, y_stride, share_stride, rows, columns, vectors, shares)

struct SketchReduceArgs {
  const float* partial;   // partial sums
  float* y;               // sums [batch][count]; written
  // largest magnitude of each matrix, as the bits of an F32, status_stride apart; raised, never lowered; null: not
  // wanted
  int* status;
  long long partial_stride;   // elements of the partial sums from one matrix to the next
  long long share_stride;     // elements of the partial sums from one share to the next
  long long y_stride;         // elements of y from one matrix to the next
  int count;                  // elements of one result
  int shares;                 // partial sums per element
  int status_stride;          // words (4 bytes) from one matrix's status to the next
};
SPECTRAL_LAYOUT(
    SketchReduceArgs, partial, y, status, partial_stride, share_stride, y_stride, count, shares, status_stride)

namespace {
constexpr int kThreads = 256;
constexpr int kSide = 128;
constexpr int kDepth = 32;
constexpr int kWide = kSide * kDepth * 2;

// Stages of W and of the vectors' three parts: two where three would not fit the smallest supported GPU's block.
template <int kVectors>
constexpr int kPassShared = (kVectors > 96 ? 2 : 3) * (kWide + kSplitParts * kVectors * kDepth * 2);

template <int kVectors, bool kTransposed>
__device__ __forceinline__ void sketch_pass(const SketchPassArgs& args) {
  constexpr int kStages = kVectors > 96 ? 2 : 3;
  constexpr int kTilesN = kVectors / 16;
  constexpr int kPart = kVectors * kDepth * 2;
  constexpr int kStage = kWide + kSplitParts * kPart;
  constexpr int kWideRow = (kTransposed ? kSide : kDepth) * 2;
  constexpr int kPartRow = kDepth * 2;
  static_assert(
      kStages * kStage == kPassShared<kVectors> && kStages * kStage <= 99 * 1024, "fits any supported GPU's block");
  DYNAMIC_SHARED(shared);
  const int depth = kTransposed ? args.rows : args.columns;
  const int other = kTransposed ? args.columns : args.rows;
  const int side0 = blockIdx.x * kSide;
  const int share = blockIdx.y % args.shares;
  const int vector0 = blockIdx.y / args.shares * kVectors;
  const int b = blockIdx.z;
  const int steps = ceil_div(depth, kDepth);
  const int each = ceil_div(steps, args.shares);
  const int first = min(share * each, steps);
  const auto w = tile_source<bf16>(args.matrices[b], args.rows, args.columns, args.columns);
  const long long plane = (long long)args.vectors * depth;
  auto x = tile_source<bf16>(args.parts + b * kSplitParts * plane, args.vectors, depth, depth);
  x.vectors = x.vectors && plane % kVector<bf16> == 0;   // the same for all parts

  float d[2][kTilesN][4] = {};
  const int warp = threadIdx.x / 32;
  const int m = warp % 4 * 32;
  const int n = warp / 4 * (kVectors / 2);
  pipeline<kStages, 1>(
      min(each, steps - first),
      [&](int step) {
        unsigned char* stage = shared + step % kStages * kStage;
        const int k0 = (first + step) * kDepth;
        if (kTransposed)
          load_tile<bf16, kDepth, kSide, kThreads>(stage, w, k0, side0);
        else
          load_tile<bf16, kSide, kDepth, kThreads>(stage, w, side0, k0);
#pragma unroll
        for (int p = 0; p < kSplitParts; ++p)
          load_tile<bf16, kVectors, kDepth, kThreads>(
              stage + kWide + p * kPart,
              TileSource<bf16>{x.data + p * plane, depth, args.vectors, depth, x.vectors},
              vector0,
              k0);
      },
      [&](int step, int) {
        const unsigned char* stage = shared + step % kStages * kStage;
#pragma unroll
        for (int k = 0; k < kDepth; k += 16)
#pragma unroll
          for (int p = kSplitParts - 1; p >= 0; --p)   // small parts first
            TileProduct<bf16>::template add<kWideRow, kTransposed, kPartRow, false>(
                d, stage, m, stage + kWide + p * kPart, n, k);
      });

  float* y = args.y + share * args.share_stride + b * args.y_stride;
  const int lane = lane_id();
#pragma unroll
  for (int i = 0; i < 2; ++i)
#pragma unroll
    for (int j = 0; j < kTilesN; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) {
        const int row = side0 + m + 16 * i + lane / 4 + e / 2 * 8;
        const int vector = vector0 + n + 8 * j + lane % 4 * 2 + e % 2;
        if (row < other && vector < args.vectors)
          y[(long long)vector * other + row] = d[i][j][e];
      }
}
}   // namespace

SPECTRAL_KERNEL(sketch_apply_32, SketchPassArgs, 256) { sketch_pass<32, false>(args); }
SPECTRAL_KERNEL(sketch_apply_96, SketchPassArgs, 256) { sketch_pass<96, false>(args); }
SPECTRAL_KERNEL(sketch_apply_160, SketchPassArgs, 256) { sketch_pass<160, false>(args); }
SPECTRAL_KERNEL(sketch_apply_transposed_32, SketchPassArgs, 256) { sketch_pass<32, true>(args); }
SPECTRAL_KERNEL(sketch_apply_transposed_96, SketchPassArgs, 256) { sketch_pass<96, true>(args); }
SPECTRAL_KERNEL(sketch_apply_transposed_160, SketchPassArgs, 256) { sketch_pass<160, true>(args); }

SPECTRAL_SHARED(sketch_apply_32, kPassShared<32>)
SPECTRAL_SHARED(sketch_apply_96, kPassShared<96>)
SPECTRAL_SHARED(sketch_apply_160, kPassShared<160>)
SPECTRAL_SHARED(sketch_apply_transposed_32, kPassShared<32>)
SPECTRAL_SHARED(sketch_apply_transposed_96, kPassShared<96>)
SPECTRAL_SHARED(sketch_apply_transposed_160, kPassShared<160>)

SPECTRAL_KERNEL(sketch_reduce, SketchReduceArgs, 256) {
  const int b = blockIdx.y;
  const float* partial = args.partial + b * args.partial_stride;
  float* y = args.y + b * args.y_stride;
  unsigned most = 0;   // the bits of |y| order like |y|, with infinity and NaN above every number
  for (int e = 0; e < 4; ++e) {
    const int i = (blockIdx.x * 4 + e) * blockDim.x + threadIdx.x;
    if (i >= args.count)
      break;
    float sum = partial[i];
    for (int share = 1; share < args.shares; ++share)
      sum += partial[share * args.share_stride + i];
    y[i] = sum;
    most = max(most, __float_as_uint(sum) & 0x7fffffffu);
  }
  if (args.status == nullptr)   // the same for every thread
    return;
  const float largest = block_max(__uint_as_float(min(most, 0x7f800000u)));   // infinity stands for NaN too
  if (threadIdx.x == 0)
    atomicMax(args.status + b * args.status_stride, int(__float_as_uint(largest)));
}
SPECTRAL_STATIC_SHARED(sketch_reduce, kAlignedShared)   // of block_max
