// Gated unit with the swish function (Shazeer: "GLU variants improve transformer", 2020).
//
// Formula        y = silu(gate) up, silu(g) = g a, a = 1 / (1 + exp(-g))
//                dGate = dy up a (1 + g (1 - a));  dUp = dy silu(g)
// Shapes         all [rows, columns]; where nothing is strided, all elements are one row
// Layout         row-major; all but dy may be columns of wider matrices (strides); outputs may be any of the inputs
// Types          F32 or BF16
// Accumulation   F32, one rounding
// Grid/Block     one thread per 16-byte vector of a row, 256 a block, row by row
// Bytes          forward 3 size(T) rows columns; backward 5
// Flops          forward 5 rows columns, one an exponential; backward 10
// Deterministic  yes
#include "exponential.cuh"
#include "pieces.cuh"

struct SwiGluForwardArgs {
  const void* gate;   // gate [rows, columns], type of the entry, rows gate_stride apart; 16-byte aligned for vectors
  // up projection [rows, columns], type of the entry, rows up_stride apart; 16-byte aligned for vectors
  const void* up;
  // y [rows, columns], type of the entry, rows y_stride apart; written; may be an input; 16-byte aligned for vectors
  void* y;
  int64_t columns;   // elements of a row
  unsigned blocks;   // thread blocks per row
  int gate_stride;   // elements from one row of the gate to the next
  int up_stride;     // elements from one row of the up projection to the next
  int y_stride;      // elements from one row of y to the next
};
SPECTRAL_LAYOUT(SwiGluForwardArgs, gate, up, y, columns, blocks, gate_stride, up_stride, y_stride)

struct SwiGluBackwardArgs {
  const void* gate;   // gate [rows, columns], type of the entry, rows gate_stride apart; 16-byte aligned for vectors
  // up projection [rows, columns], type of the entry, rows up_stride apart; 16-byte aligned for vectors
  const void* up;
  const void* dy;   // dy [rows, columns], type of the entry, contiguous; 16-byte aligned for vectors
  // gradient of the gate, type of the entry, rows d_gate_stride apart; written; may be an input; 16-byte aligned for
  // vectors
  void* d_gate;
  // gradient of the up projection, type of the entry, rows d_up_stride apart; written; may be an input; 16-byte
  // aligned for vectors
  void* d_up;
  int64_t columns;     // elements of a row
  unsigned blocks;     // thread blocks per row
  int gate_stride;     // elements from one row of the gate to the next
  int up_stride;       // elements from one row of the up projection to the next
  int d_gate_stride;   // elements from one row of the gate's gradient to the next
  int d_up_stride;     // elements from one row of the up projection's gradient to the next
};
SPECTRAL_LAYOUT(
    SwiGluBackwardArgs, gate, up, dy, d_gate, d_up, columns, blocks, gate_stride, up_stride, d_gate_stride, d_up_stride)

namespace {
template <class T>
__device__ __forceinline__ void swiglu_forward(const SwiGluForwardArgs& args) {
  const int64_t row = blockIdx.x / args.blocks;
  const T* gate = static_cast<const T*>(args.gate) + row * args.gate_stride;
  const T* up = static_cast<const T*>(args.up) + row * args.up_stride;
  T* y = static_cast<T*>(args.y) + row * args.y_stride;
  by_piece_of<T>(blockIdx.x % args.blocks, args.columns, is_aligned16(gate, up, y), [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float g[kWidth], u[kWidth];
    load_piece(gate + at, g);
    load_piece(up + at, u);
    for (int i = 0; i < kWidth; ++i)
      g[i] = g[i] * sigmoid(g[i]) * u[i];
    store_global(y + at, g);
  });
}

template <class T>
__device__ __forceinline__ void swiglu_backward(const SwiGluBackwardArgs& args) {
  const int64_t row = blockIdx.x / args.blocks;
  const T* gate = static_cast<const T*>(args.gate) + row * args.gate_stride;
  const T* up = static_cast<const T*>(args.up) + row * args.up_stride;
  const T* dy = static_cast<const T*>(args.dy) + row * args.columns;
  T* d_gate = static_cast<T*>(args.d_gate) + row * args.d_gate_stride;
  T* d_up = static_cast<T*>(args.d_up) + row * args.d_up_stride;
  const bool aligned = is_aligned16(gate, up, dy, d_gate, d_up);
  by_piece_of<T>(blockIdx.x % args.blocks, args.columns, aligned, [&](auto width, int64_t at) {
    constexpr int kWidth = decltype(width)::value;
    float g[kWidth], u[kWidth], d[kWidth];
    load_piece(gate + at, g);
    load_piece(up + at, u);
    load_piece(dy + at, d);
    for (int i = 0; i < kWidth; ++i) {
      const float a = sigmoid(g[i]);
      const float silu = g[i] * a;
      u[i] = d[i] * u[i] * (a + silu * (1.0f - a));
      g[i] = d[i] * silu;
    }
    store_global(d_gate + at, u);
    store_global(d_up + at, g);
  });
}
}   // namespace

SPECTRAL_KERNEL_PLAIN(swiglu_forward_f32, SwiGluForwardArgs, kFlatThreads) { swiglu_forward<float>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_forward_bf16, SwiGluForwardArgs, kFlatThreads) { swiglu_forward<bf16>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_backward_f32, SwiGluBackwardArgs, kFlatThreads) { swiglu_backward<float>(args); }
SPECTRAL_KERNEL_PLAIN(swiglu_backward_bf16, SwiGluBackwardArgs, kFlatThreads) { swiglu_backward<bf16>(args); }
