// The parts of Adafactor (Shazeer, Stern: "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018) for a
// matrix whose second moments are the product of a mean for each row and one for each column, or for any array with
// second moments of its own.
//
// Formula        beta = 1 - t^-power;  g = clip gradient
//                adafactor_means: means[l] = beta means[l] + (1 - beta) (mean over line l of g^2 + 1e-30)
//                adafactor_direction: x = g / sqrt(rows[i] columns[j] lines / row_sum), or where v is given
//                  v = beta v + (1 - beta) (g^2 + 1e-30), x = g / sqrt(v)
//                adafactor_update: parameter = parameter (1 - rate learning_rate weight_decay)
//                  - rate learning_rate x / max(1, norm / (sqrt(count) threshold))
//                nothing when the state says skip
// Shapes         means [lines], each of a row or of a column of gradient [rows, columns]; parameter, gradient, v, x
//                [count]; row_sum, norm [1]; state one StepState; power, threshold, rate numbers
// Layout         contiguous, distinct arrays; entries of a line lie entry_stride apart
// Types          F32
// Accumulation   F32, means in 32 partial sums
// Grid/Block     one warp per line, 8 a block; one thread per 16-byte vector, 256 a block, twice
// Bytes          4 lines length + 8 lines; 8 count (16 count with v); 12 count
// Flops          3 lines length; 5 count; 3 count
// Deterministic  yes
#include "pieces.cuh"
#include "step_state.cuh"

struct AdafactorMeansArgs {
  const float* gradient;    // gradient; read, not clipped in place
  float* means;             // means of squares [lines], zeros at the start; updated
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t lines;            // rows or columns
  int64_t length;           // entries of one of them
  int64_t line_stride;      // elements from a line to the next
  int64_t entry_stride;     // elements from an entry of a line to the next
  float power;              // how fast beta tends to 1
};
SPECTRAL_LAYOUT(AdafactorMeansArgs, gradient, means, state, lines, length, line_stride, entry_stride, power)

struct AdafactorArgs {
  float* parameter;         // parameter [count]; updated by adafactor_update alone; 16-byte aligned for vectors
  const float* gradient;    // its gradient [count]; read by adafactor_direction alone; 16-byte aligned for vectors
  const float* rows;        // means of squares of the rows [lines]; null with v
  const float* columns;     // means of squares of the columns [width]; null with v
  const float* row_sum;     // sum of rows, one F32; null with v
  float* v;                 // second moments [count], zeros at the start; updated; null: rows and columns
  float* x;                 // direction of the step [count]; written, then read; 16-byte aligned for vectors
  const float* norm;        // norm of x, one F32; read by adafactor_update alone
  const StepState* state;   // one step state (device/step_state.cuh) that was advanced for this step; 8-byte aligned
  int64_t count;            // elements of the parameter
  int64_t width;            // elements of a row
  float power;              // how fast beta tends to 1
  float threshold;          // largest root mean square of the direction
  float rate;               // the parameter's own factor of the learning rate; 1 is the state's rate
};
SPECTRAL_LAYOUT(
    AdafactorArgs, parameter, gradient, rows, columns, row_sum, v, x, norm, state, count, width, power, threshold, rate)

namespace {
constexpr float kTiny = 1e-30f;   // keeps the moments of a gradient of zeros above 0

// 1 - beta, the share of this step in a mean.
__device__ __forceinline__ float share_of(const StepState& state, float power) {
  return powf(float(state.step), -power);
}
}   // namespace

SPECTRAL_KERNEL(adafactor_means_f32, AdafactorMeansArgs, kRowThreads) {
  const StepState& state = *args.state;
  const int64_t line = warp_row();
  if (state.skip || line >= args.lines)
    return;
  const float* entries = args.gradient + line * args.line_stride;
  float sum = 0;
  for (int64_t i = lane_id(); i < args.length; i += 32) {
    const float gradient = entries[i * args.entry_stride] * state.clip;
    sum += gradient * gradient;
  }
  sum = warp_sum(sum);
  if (lane_id() != 0)
    return;
  const float share = share_of(state, args.power);
  args.means[line] = (1 - share) * args.means[line] + share * (sum / float(args.length) + kTiny);
}

SPECTRAL_KERNEL_PLAIN(adafactor_direction_f32, AdafactorArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float share = args.v ? share_of(state, args.power) : 0;
  const float mean = args.v ? 0 : *args.row_sum * float(args.width) / float(args.count);
  by_piece<float>(args.count, is_aligned16(args.gradient, args.v, args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float g[kWidth], v[kWidth], x[kWidth];
    load_piece(args.gradient + at, g);
    if (args.v)
      load_piece(args.v + at, v);
    for (int i = 0; i < kWidth; ++i) {
      const float gradient = g[i] * state.clip;
      if (args.v) {
        v[i] = (1 - share) * v[i] + share * (gradient * gradient + kTiny);
        x[i] = gradient / sqrtf(v[i]);
      } else {
        // two roots: the product of two means near 1e-30 would leave the range of F32
        const int64_t row = (at + i) / args.width;
        x[i] = gradient / (sqrtf(args.rows[row] / mean) * sqrtf(args.columns[at + i - row * args.width]));
      }
    }
    if (args.v)
      store_piece(args.v + at, v);
    store_piece(args.x + at, x);
  });
}

SPECTRAL_KERNEL_PLAIN(adafactor_update_f32, AdafactorArgs, kFlatThreads) {
  const StepState& state = *args.state;
  if (state.skip)
    return;
  const float decay = decay_of(state, args.rate);
  const float excess = *args.norm / (sqrtf(float(args.count)) * args.threshold);
  const float step_size = learning_rate_of(state, args.rate) / fmaxf(1.0f, excess);
  by_piece<float>(args.count, is_aligned16(args.parameter, args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float p[kWidth], x[kWidth];
    load_piece(args.parameter + at, p);
    load_piece(args.x + at, x);
    for (int i = 0; i < kWidth; ++i)
      p[i] = p[i] * decay - step_size * x[i];
    store_piece(args.parameter + at, p);
  });
}
