// Draws the rows of a matrix that stand for all of them in a product over rows (randomised matrix multiplication).
//
// Formula        index[k] = floor((k + u_k) rows / count), u_k uniform in [0, 1): one row from each of count strata of
//                equal length, so that every row is drawn count / rows times in the mean
// Shapes         index [count]; state one DropoutState
// Layout         contiguous
// Types          index I32; the product in F64
// Accumulation   none
// Grid/Block     one thread per index, 256 a block
// Bytes          4 count
// Flops          3 count, and about 60 integer operations each
// Deterministic  yes: u_k follows from (seed, micro-batch, stream, k) alone, as dropout's masks do
#include "pieces.cuh"
#include "philox.cuh"
#include "step_state.cuh"

struct SampleRowsArgs {
  const DropoutState* state;   // seed and number of the micro-batch
  int* index;                  // places of the rows [count]; written
  uint64_t stream;             // of the layer, below 2^32
  int rows;                    // rows to draw from
  int count;                   // rows to draw
};
SPECTRAL_LAYOUT(SampleRowsArgs, state, index, stream, rows, count)

SPECTRAL_KERNEL_PLAIN(sample_rows, SampleRowsArgs, kFlatThreads) {
  const int k = blockIdx.x * blockDim.x + threadIdx.x;
  if (k >= args.count)
    return;
  // The high half of the counter's first word tells the numbers from those of a dropout mask.
  const uint64_t seed = args.state->seed;
  const uint4 words = philox4x32_10(
      make_uint2(unsigned(seed), unsigned(seed >> 32)),
      make_uint4(unsigned(k), 0x80000000u, unsigned(args.stream), unsigned(args.state->offset)));
  const double place = (k + double(philox_uniform(words.x))) * args.rows / args.count;
  args.index[k] = min(int(place), args.rows - 1);
}
