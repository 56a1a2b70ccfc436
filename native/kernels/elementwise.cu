// Sums, scaling, conversion and bias, element by element.
//
// Formula        add y = a + b;  scale x = factor x;  cast y = x rounded to the other type;  add_bias y[i,j] += bias[j]
// Shapes         a, b, x, y [count]; add_bias: y [rows, columns], bias [columns]
// Layout         contiguous; y of add may be a or b
// Types          F32 or BF16, the same for all arguments (cast: one each)
// Accumulation   F32, one rounding
// Grid/Block     one thread per 16-byte vector (cast: per 8 elements), 256 a block; add_bias one warp per row, 8 a
//                block
// Bytes          add 3 size(T) count; scale 2 size(T); cast 6; add_bias 2 size(T)
// Flops          count (cast none)
// Deterministic  yes
#include "pieces.cuh"

struct AddArgs {
  const void* a;   // a [count], type of the entry; 16-byte aligned for vectors
  const void* b;   // b [count], type of the entry; 16-byte aligned for vectors
  void* y;         // y [count], type of the entry; written; may be a or b; 16-byte aligned for vectors
  int64_t count;   // elements of each array
};
SPECTRAL_LAYOUT(AddArgs, a, b, y, count)

struct ScaleArgs {
  void* x;         // x [count], type of the entry; updated; 16-byte aligned for vectors
  int64_t count;   // elements of x
  float factor;    // factor of every element
};
SPECTRAL_LAYOUT(ScaleArgs, x, count, factor)

struct CastArgs {
  const void* x;   // x [count], the type that the entry names first; 16-byte aligned for vectors
  void* y;         // y [count], the type that the entry names last; written; 16-byte aligned for vectors
  int64_t count;   // elements of x
};
SPECTRAL_LAYOUT(CastArgs, x, y, count)

struct AddBiasArgs {
  void* y;            // y [rows, columns], type of the entry; updated; 16-byte aligned for vectors
  const void* bias;   // bias [columns], type of the entry; 16-byte aligned for vectors
  int rows;           // rows of y
  int columns;        // columns of y
};
SPECTRAL_LAYOUT(AddBiasArgs, y, bias, rows, columns)

namespace {
template <class T>
__device__ __forceinline__ void add(const AddArgs& args) {
  by_piece<T>(args.count, is_aligned16(args.a, args.b, args.y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float a[kWidth], b[kWidth];
    load_piece(static_cast<const T*>(args.a) + at, a);
    load_piece(static_cast<const T*>(args.b) + at, b);
    for (int i = 0; i < kWidth; ++i)
      a[i] += b[i];
    store_piece(static_cast<T*>(args.y) + at, a);
  });
}

template <class T>
__device__ __forceinline__ void scale(const ScaleArgs& args) {
  by_piece<T>(args.count, is_aligned16(args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    T* x = static_cast<T*>(args.x) + at;
    float v[kWidth];
    load_piece(x, v);
    for (int i = 0; i < kWidth; ++i)
      v[i] *= args.factor;
    store_piece(x, v);
  });
}

template <class From, class To>
__device__ __forceinline__ void cast(const CastArgs& args) {
  by_piece<bf16>(args.count, is_aligned16(args.x, args.y), [&](auto width, int64_t at) {
    // Pieces of 8: one vector of bf16, two of F32.
    constexpr int kWidth = decltype(width)::value;
    float v[kWidth];
    load_piece(static_cast<const From*>(args.x) + at, v);
    store_piece(static_cast<To*>(args.y) + at, v);
  });
}

template <class T>
__device__ __forceinline__ void add_bias(const AddBiasArgs& args) {
  const int64_t row = warp_row();
  if (row >= args.rows)
    return;
  by_width<T>(args.columns, is_aligned16(args.y, args.bias), [&](auto width) {
    constexpr int kWidth = decltype(width)::value;
    for (int c = lane_id() * kWidth; c < args.columns; c += 32 * kWidth) {
      T* y = static_cast<T*>(args.y) + row * args.columns + c;
      float v[kWidth], b[kWidth];
      load_piece(y, v);
      load_piece(static_cast<const T*>(args.bias) + c, b);
      for (int i = 0; i < kWidth; ++i)
        v[i] += b[i];
      store_piece(y, v);
    }
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(add_f32, AddArgs, kFlatThreads) { add<float>(args); }
SPECTRAL_KERNEL_PLAIN(add_bf16, AddArgs, kFlatThreads) { add<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(scale_f32, ScaleArgs, kFlatThreads) { scale<float>(args); }
SPECTRAL_KERNEL_PLAIN(scale_bf16, ScaleArgs, kFlatThreads) { scale<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(cast_f32_bf16, CastArgs, kFlatThreads) { cast<float, bf16>(args); }
SPECTRAL_KERNEL_PLAIN(cast_bf16_f32, CastArgs, kFlatThreads) { cast<bf16, float>(args); }
SPECTRAL_KERNEL_PLAIN(add_bias_f32, AddBiasArgs, kRowThreads) { add_bias<float>(args); }
SPECTRAL_KERNEL_PLAIN(add_bias_bf16, AddBiasArgs, kRowThreads) { add_bias<bf16>(args); }
