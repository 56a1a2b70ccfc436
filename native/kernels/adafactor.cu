// The parts of Adafactor (Shazeer, Stern: "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018) for
// matrices whose second moments are the product of a mean for each row and one for each column, or for any array with
// second moments of its own. The gradient is read three times: for the means, for the length of the direction that they
// give, and for the step. The direction itself is not stored.
//
// Formula        adafactor_advance: share = 1 - beta = t^-power
//                adafactor_squares: sums of g^2, g = clip gradient, over the rows and the columns of each tile
//                adafactor_means: mean = (1 - share) mean + share (sum of the parts / length + 1e-30), of each row and
//                  column; the first of its parts becomes 1 / sqrt(mean)
//                adafactor_norm: x = g / (sqrt(rows[i]) sqrt(columns[j])), or where v is given
//                  v = (1 - share) v + share (g^2 + 1e-30), x = g / sqrt(v); the sum of x^2 of each tile
//                adafactor_finish: s = sqrt(mean of rows), 1 with v;
//                  factor = rate learning_rate s / max(1, s norm(x) / (sqrt(count) threshold))
//                adafactor_update: parameter = parameter (1 - rate learning_rate weight_decay) - factor x
//                nothing when the state says skip
// Shapes         parameter, gradient, v [batch, height, width], where the last row may be shorter with v;
//                rows [batch, height]; columns [batch, width]; share [1]; factors [batch]; state one StepState
// Layout         matrices row-major, stride elements apart; distinct arrays
// Types          F32, norm_parts F64
// Accumulation   squares F32 within a tile, F64 over the tiles
// Grid/Block     one thread; one thread per tile of 16 columns and chunk rows, 64 a block, matrices along y; one thread
//                per row and column; one warp per matrix
// Bytes          per element 4, 4 (12 with v), 12; parts 4 / 16 + 4 / chunk more, written and read
// Flops          per element 3, 5, 5
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct AdafactorArgs {
  float* parameter;         // parameters [batch, height, width]; updated by adafactor_update alone
  const float* gradient;    // their gradients [batch, height, width]; read, not clipped in place
  float* rows;              // means of squares of the rows [batch, height], zeros at the start; updated; null with v
  float* columns;           // means of squares of the columns [batch, width], likewise
  float* v;                 // second moments [count], zeros at the start; updated; null: rows and columns
  float* row_parts;         // sums over tiles [batch, tiles of a row, height]; scratch; null with v
  float* column_parts;      // sums over tiles [batch, tiles of a column, width]; scratch; null with v
  double* norm_parts;       // sums over tiles [batch, tiles]; scratch
  float* factors;           // factors of the directions [batch]; scratch
  float* share;             // one F32; written by adafactor_advance alone
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t stride;           // elements from a matrix to the next
  int64_t count;            // elements of a matrix
  int height;               // rows
  int width;                // elements of a row
  int chunk;                // rows of a tile
  float power;              // how fast beta tends to 1
  float threshold;          // largest root mean square of the direction
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(
    AdafactorArgs, parameter, gradient, rows, columns, v, row_parts, column_parts, norm_parts, factors, share, state,
    stride, count, height, width, chunk, power, threshold, rate)

namespace {
constexpr float kTiny = 1e-30f;   // keeps the moments of a gradient of zeros above 0
constexpr int kTileThreads = 64;
constexpr int kTileColumns = 16;   // 64 bytes of a row

// This thread's tile: chunk rows of 16 columns, less at the ends.
struct Tile {
  int64_t matrix;
  int blocks, parts, block, part;   // of columns and of rows: how many, and which
  int column, row, end;

  __device__ __forceinline__ explicit Tile(const AdafactorArgs& args)
      : matrix(blockIdx.y), blocks(ceil_div(args.width, kTileColumns)), parts(ceil_div(args.height, args.chunk)) {
    const int index = int(blockIdx.x * blockDim.x + threadIdx.x);
    part = index / blocks;
    block = index % blocks;
    column = block * kTileColumns;
    row = part * args.chunk;
    end = min(row + args.chunk, args.height);
  }
  __device__ __forceinline__ bool is_empty() const { return part >= parts; }
};

// Elements from the beginning of a row of the tile to the end of that row, or of an array that ends in it.
__device__ __forceinline__ int64_t left_of(const AdafactorArgs& args, const Tile& tile, int64_t at) {
  return min(int64_t(args.width - tile.column), args.count - at);
}
// Up to `left` elements; zeros take the place of what is missing.
__device__ __forceinline__ void load_part(const float* from, int64_t left, float (&to)[kTileColumns]) {
  if (left >= kTileColumns && is_aligned16(from)) {
    load_piece(from, to);
    return;
  }
  for (int k = 0; k < kTileColumns; ++k)
    to[k] = k < left ? from[k] : 0.0f;
}
__device__ __forceinline__ void store_part(float* to, int64_t left, const float (&from)[kTileColumns]) {
  if (left >= kTileColumns && is_aligned16(to)) {
    store_piece(to, from);
    return;
  }
  for (int k = 0; k < kTileColumns; ++k)
    if (k < left)
      to[k] = from[k];
}
// Halves the number of sums until one is left; v is spent.
__device__ __forceinline__ float sum_of(float (&v)[kTileColumns]) {
  for (int half = kTileColumns / 2; half; half /= 2)
    for (int k = 0; k < half; ++k)
      v[k] += v[k + half];
  return v[0];
}

// The columns' factors of a tile.
__device__ __forceinline__ void load_column_factors(
    const AdafactorArgs& args, const Tile& tile, float (&factors)[kTileColumns]) {
  if (!args.v)
    load_part(
        args.column_parts + tile.matrix * tile.parts * args.width + tile.column, args.width - tile.column, factors);
}
// The direction x from gradient and moments, for the elements of a row from `at` on; kMoves: v is updated first.
template <bool kMoves>
__device__ __forceinline__ void direction(
    const AdafactorArgs& args, const Tile& tile, int row, int64_t at, int64_t left,
    const float (&column_factors)[kTileColumns], float (&x)[kTileColumns]) {
  const float clip = args.state->clip;
  load_part(args.gradient + tile.matrix * args.stride + at, left, x);
  if (args.v) {
    float v[kTileColumns];
    load_part(args.v + at, left, v);
    const float share = *args.share;
    for (int k = 0; k < kTileColumns; ++k) {
      const float gradient = x[k] * clip;
      if (kMoves)
        v[k] = (1 - share) * v[k] + share * (gradient * gradient + kTiny);
      x[k] = k < left ? gradient / sqrtf(v[k]) : 0.0f;
    }
    if (kMoves)
      store_part(args.v + at, left, v);
    return;
  }
  const float row_factor = args.row_parts[tile.matrix * tile.blocks * args.height + row];
  // one factor after the other: the product of two roots near 1e-30 would leave the range of F32
  for (int k = 0; k < kTileColumns; ++k)
    x[k] = x[k] * clip * row_factor * column_factors[k];
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(adafactor_advance, AdafactorArgs, 32) {
  if (threadIdx.x == 0 && !args.state->skip)
    *args.share = powf(float(args.state->step), -args.power);
}

SPECTRAL_KERNEL_PLAIN(adafactor_squares_f32, AdafactorArgs, kTileThreads) {
  const Tile tile(args);
  if (args.state->skip || tile.is_empty())
    return;
  const float clip = args.state->clip;
  const int left = args.width - tile.column;
  float columns[kTileColumns] = {};
  for (int row = tile.row; row < tile.end; ++row) {
    float g[kTileColumns];
    load_part(args.gradient + tile.matrix * args.stride + int64_t(row) * args.width + tile.column, left, g);
    for (int k = 0; k < kTileColumns; ++k) {
      g[k] *= clip;
      g[k] *= g[k];
      columns[k] += g[k];
    }
    args.row_parts[(tile.matrix * tile.blocks + tile.block) * args.height + row] = sum_of(g);
  }
  store_part(args.column_parts + (tile.matrix * tile.parts + tile.part) * args.width + tile.column, left, columns);
}

SPECTRAL_KERNEL_PLAIN(adafactor_means_f32, AdafactorArgs, kFlatThreads) {
  const int line = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (args.state->skip || line >= args.height + args.width)
    return;
  const bool is_row = line < args.height;
  const int at = is_row ? line : line - args.height;
  const int lines = is_row ? args.height : args.width;
  const int length = is_row ? args.width : args.height;
  const int parts = is_row ? ceil_div(args.width, kTileColumns) : ceil_div(args.height, args.chunk);
  float* sums = (is_row ? args.row_parts : args.column_parts) + int64_t(blockIdx.y) * parts * lines + at;
  float* mean = (is_row ? args.rows : args.columns) + int64_t(blockIdx.y) * lines + at;
  double sum = 0;
  for (int part = 0; part < parts; ++part)
    sum += sums[int64_t(part) * lines];
  const float share = *args.share;
  *mean = (1 - share) * *mean + share * (float(sum / length) + kTiny);
  *sums = 1 / sqrtf(*mean);
}

SPECTRAL_KERNEL_PLAIN(adafactor_norm_f32, AdafactorArgs, kTileThreads) {
  const Tile tile(args);
  if (args.state->skip || tile.is_empty())
    return;
  float column_factors[kTileColumns] = {};
  load_column_factors(args, tile, column_factors);
  float sums[kTileColumns] = {};
  for (int row = tile.row; row < tile.end; ++row) {
    const int64_t at = int64_t(row) * args.width + tile.column;
    float x[kTileColumns];
    direction<true>(args, tile, row, at, left_of(args, tile, at), column_factors, x);
    for (int k = 0; k < kTileColumns; ++k)
      sums[k] += x[k] * x[k];
  }
  args.norm_parts[tile.matrix * tile.blocks * tile.parts + int64_t(tile.part) * tile.blocks + tile.block] =
      sum_of(sums);
}

SPECTRAL_KERNEL(adafactor_finish, AdafactorArgs, 32) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const int64_t matrix = blockIdx.x;
  const int tiles = ceil_div(args.width, kTileColumns) * ceil_div(args.height, args.chunk);
  double sums[2] = {};
  for (int i = lane_id(); i < tiles; i += 32)
    sums[0] += args.norm_parts[matrix * tiles + i];
  for (int i = lane_id(); !args.v && i < args.height; i += 32)
    sums[1] += args.rows[matrix * args.height + i];
  warp_sum(sums);
  if (lane_id() != 0)
    return;
  const double scale = args.v ? 1 : sqrt(sums[1] / args.height);
  const double excess = scale * sqrt(sums[0] / double(args.count)) / args.threshold;
  args.factors[matrix] = float(args.rate * state.learning_rate * scale / fmax(1.0, excess));
}

SPECTRAL_KERNEL_PLAIN(adafactor_update_f32, AdafactorArgs, kTileThreads) {
  const Tile tile(args);
  const StepState& state = *args.state;
  if (state.skip || tile.is_empty())
    return;
  const float decay = decay_of(state, args.rate);
  const float factor = args.factors[tile.matrix];
  float column_factors[kTileColumns] = {};
  load_column_factors(args, tile, column_factors);
  for (int row = tile.row; row < tile.end; ++row) {
    const int64_t at = int64_t(row) * args.width + tile.column;
    const int64_t left = left_of(args, tile, at);
    float p[kTileColumns], x[kTileColumns];
    direction<false>(args, tile, row, at, left, column_factors, x);
    float* parameter = args.parameter + tile.matrix * args.stride + at;
    load_part(parameter, left, p);
    descend(p, x, decay, factor);
    store_part(parameter, left, p);
  }
}
