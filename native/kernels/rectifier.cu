// ReLU between the factors of a low-rank layer, and its adjoint.
//
// Formula        rectify z = max(z, 0);  rectify_backward g = z > 0 ? g : 0
// Shapes         z, g [count]
// Layout         contiguous; in place
// Types          F32 or BF16; a NaN in z stays one
// Accumulation   none
// Grid/Block     one thread per 16-byte vector, 256 a block
// Bytes          rectify 2 size(T) count; rectify_backward 3 size(T) count
// Flops          count
// Deterministic  yes
#include "pieces.cuh"

struct RectifierArgs {
  const void* z;   // z after the ReLU [count], type of the entry; null in the forward pass; 16-byte aligned for vectors
  // what is updated [count], type of the entry: z forward, its gradient backward; 16-byte aligned for vectors
  void* x;
  int64_t count;   // elements of z
};
SPECTRAL_LAYOUT(RectifierArgs, z, x, count)

namespace {
template <class T>
__device__ __forceinline__ void rectify(const RectifierArgs& args) {
  by_piece<T>(args.count, is_aligned16(args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    T* x = static_cast<T*>(args.x) + at;
    float v[kWidth];
    load_piece(x, v);
    for (int i = 0; i < kWidth; ++i)
      v[i] = v[i] < 0 ? 0 : v[i];
    store_piece(x, v);
  });
}

template <class T>
__device__ __forceinline__ void rectify_backward(const RectifierArgs& args) {
  by_piece<T>(args.count, is_aligned16(args.z, args.x), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    T* x = static_cast<T*>(args.x) + at;
    float g[kWidth], z[kWidth];
    load_piece(x, g);
    load_piece(static_cast<const T*>(args.z) + at, z);
    for (int i = 0; i < kWidth; ++i)
      g[i] = z[i] > 0 ? g[i] : 0;
    store_piece(x, g);
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(rectify_f32, RectifierArgs, kFlatThreads) { rectify<float>(args); }
SPECTRAL_KERNEL_PLAIN(rectify_bf16, RectifierArgs, kFlatThreads) { rectify<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(rectify_backward_f32, RectifierArgs, kFlatThreads) { rectify_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(rectify_backward_bf16, RectifierArgs, kFlatThreads) { rectify_backward<bf16>(args); }
