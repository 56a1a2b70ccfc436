// Single entries of a matrix, read and added to by their place: the values of a sparse change, and their sum with W.
//
// Formula        gather  values[k] = x[index[k]]
//                add     x[index[k]] = x[index[k]] + scale * values[k], one fma, rounded once
// Shapes         x [size], a matrix row by row; index [count] I32; values [count]
// Layout         contiguous; any size below 2^31
// Types          x F32 or BF16; values F32
// Accumulation   F32
// Grid/Block     one thread per entry, 256 a block. An ascending index makes neighbouring threads read neighbouring
//                lines
// Bytes          (8 + size(T)) count, twice size(T) to add; a sector of 32 bytes instead of size(T) where entries are
//                far apart
// Flops          2 count to add
// Deterministic  yes, if the indices are distinct
// Out of range   an index outside [0, size), such as -1 for a slot that is not in use: gather gives 0, add leaves it
//                out
#include "pieces.cuh"

struct EntriesArgs {
  void* x;            // x [size], type of the entry; read to gather, added to otherwise
  const int* index;   // place of each entry [count]; distinct to add
  float* values;      // values [count]; written to gather, read otherwise
  int size;           // elements of x
  int count;          // entries
  float scale;        // factor of the values to add; unused to gather
};
SPECTRAL_LAYOUT(EntriesArgs, x, index, values, size, count, scale)

namespace {
template <class T, bool kAdd>
__device__ __forceinline__ void visit_entry(const EntriesArgs& args) {
  const int64_t k = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (k >= args.count)
    return;
  const int at = args.index[k];
  const bool inside = at >= 0 && at < args.size;
  T* x = static_cast<T*>(args.x);
  if (!kAdd)
    args.values[k] = inside ? to_float<T>(x[at]) : 0.0f;
  else if (inside)
    x[at] = from_float<T>(fmaf(args.scale, args.values[k], to_float<T>(x[at])));
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(entries_gather_f32, EntriesArgs, kFlatThreads) { visit_entry<float, false>(args); }
SPECTRAL_KERNEL_PLAIN(entries_gather_bf16, EntriesArgs, kFlatThreads) { visit_entry<bf16, false>(args); }
SPECTRAL_KERNEL_PLAIN(entries_add_f32, EntriesArgs, kFlatThreads) { visit_entry<float, true>(args); }
SPECTRAL_KERNEL_PLAIN(entries_add_bf16, EntriesArgs, kFlatThreads) { visit_entry<bf16, true>(args); }
