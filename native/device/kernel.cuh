// How a kernel is declared. One argument struct by value, described once for the layout test. Comments of its fields
// say what they are, shape and alignment; "16-byte aligned for vectors": other addresses work, element by element.
//
//   struct AddArgs { const void* a; const void* b; void* y; long count; };
//   SPECTRAL_LAYOUT(AddArgs, a, b, y, count)
//   SPECTRAL_KERNEL_PLAIN(add_f32, AddArgs, 256) { add<float>(args); }
//
// SPECTRAL_KERNEL(name, Args, threads): `threads` is the largest block it may be launched with.
// SPECTRAL_KERNEL_OCCUPANCY(name, Args, threads, blocks): an SM is to hold that many blocks at once, which caps the
// registers.
// SPECTRAL_KERNEL_CLUSTER(name, Args, threads, blocks): that many neighbours along x run together and reach each
// other's shared memory; the block has an SM to itself (a register cap, without which setmaxnreg is ignored). All
// shared memory is dynamic.
// SPECTRAL_KERNEL_PLAIN promises that no thread waits for another (no barrier, shuffle, mma), so the
// CPU device runs a block as one loop; breaking the promise is a reported fault there.
// SPECTRAL_KERNEL_ROWS: threads wait for one another on a GPU alone (SharedRow, WarpRow); the CPU device runs a loop.
// DYNAMIC_SHARED(name): the block's dynamic shared memory, 1024-byte aligned.
// SPECTRAL_SHARED(name, bytes), after the kernel: how many bytes of it a launch must bring. Without it none.
// SPECTRAL_STATIC_SHARED(name, bytes), likewise: bytes of its __shared__ variables, those of functions that it calls
// too, which count towards what a block may have. g++ does not know them per kernel; a test compares them with the PTX.
#pragma once
#include <cstdint>

// Same size and alignment as the driver's CUtensorMap; argument structs carry it first.
struct alignas(64) TensorMap {
  uint64_t opaque[16];
};

constexpr int kSharedByArguments = -1;   // of SPECTRAL_SHARED: the caller computes the bytes from the arguments
// Of SPECTRAL_STATIC_SHARED: up to 1024 bytes, in a file that uses dynamic shared memory, which begins behind them.
constexpr int kAlignedShared = 1024;

#ifdef __CUDACC__
#include <cuda_bf16.h>

#define SPECTRAL_LAYOUT(Args, ...)
#define SPECTRAL_KERNEL(name, Args, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const __grid_constant__ Args args)
#define SPECTRAL_KERNEL_PLAIN(name, Args, threads) SPECTRAL_KERNEL(name, Args, threads)
#define SPECTRAL_KERNEL_ROWS(name, Args, threads) SPECTRAL_KERNEL(name, Args, threads)
#define SPECTRAL_KERNEL_OCCUPANCY(name, Args, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Args args)
#define SPECTRAL_KERNEL_CLUSTER(name, Args, threads, blocks)                              \
  extern "C" __global__ void __cluster_dims__(blocks, 1, 1) __launch_bounds__(threads, 1) \
      name(const __grid_constant__ Args args)
#define SPECTRAL_SHARED(name, bytes) static_assert((bytes) >= kSharedByArguments, #name);
#define SPECTRAL_STATIC_SHARED(name, bytes) static_assert((bytes) > 0, #name);
#define DYNAMIC_SHARED(name) extern __shared__ __align__(1024) unsigned char name[]

#else
#include "cuda_on_cpu.cuh"
#include <cstddef>
#include <string>
#include <string_view>

namespace spectral::cpu {
using CallFn = void (*)(const void* args);   // one thread, or with SPECTRAL_KERNEL_PLAIN a whole block
struct KernelInfo {
  const char* name;
  CallFn call, loop;   // loop: null unless plain
  size_t args_size;
  unsigned max_threads, cluster;
  std::string layout;       // "sizeof;field:offset:size;..."
  bool hopper = false;      // of a file for sm_90a alone
  int dynamic_shared = 0;   // bytes that a launch must bring, or kSharedByArguments
  int static_shared = 0;    // bytes of __shared__ variables
};
constexpr bool is_hopper_file(std::string_view path) { return path.ends_with("_sm90.cu"); }
// Into the module whose initialisers are running.
void register_kernel(KernelInfo&&);
enum class SharedKind { Dynamic, Static };
void register_shared(const char* kernel, SharedKind, int bytes);

inline void layout_field(std::string& text, const char* name, size_t offset, size_t size) {
  text.append(name).append(":").append(std::to_string(offset)).append(":").append(std::to_string(size)).append(";");
}

template <auto kBody, class Args>
void call_thread(const void* args) {
  kBody(*static_cast<const Args*>(args));
}
// The arguments are a local copy, so that the compiler knows no store of the kernel can change them.
template <auto kBody, class Args>
void loop_block(const void* args) {
  const Args local = *static_cast<const Args*>(args);
  Thread& thread = *spectral_self;
  const dim3 size = thread.grid->block_size;
  unsigned linear = 0;
  for (unsigned z = 0; z < size.z; ++z)
    for (unsigned y = 0; y < size.y; ++y)
      for (unsigned x = 0; x < size.x; ++x) {
        thread.index = {x, y, z};
        thread.linear = linear++;
        kBody(local);
      }
}
struct Registration {
  explicit Registration(KernelInfo&& info) { register_kernel(std::move(info)); }
  Registration(const char* kernel, SharedKind kind, int bytes) { register_shared(kernel, kind, bytes); }
};
}   // namespace spectral::cpu

#define SPECTRAL_KERNEL_(kernel, Args, threads, blocks, loop)                                 \
  static inline __attribute__((always_inline)) void spectral_body_##kernel(const Args& args); \
  static const spectral::cpu::Registration spectral_registration_##kernel(                    \
      {#kernel,                                                                               \
       &spectral::cpu::call_thread<&spectral_body_##kernel, Args>,                            \
       loop,                                                                                  \
       sizeof(Args),                                                                          \
       threads,                                                                               \
       blocks,                                                                                \
       spectral_layout(static_cast<const Args*>(nullptr)),                                    \
       spectral::cpu::is_hopper_file(__FILE__)});                                             \
  static inline __attribute__((always_inline)) void spectral_body_##kernel([[maybe_unused]] const Args& args)
#define SPECTRAL_KERNEL(name, Args, threads) SPECTRAL_KERNEL_(name, Args, threads, 1, nullptr)
#define SPECTRAL_KERNEL_OCCUPANCY(name, Args, threads, blocks) SPECTRAL_KERNEL(name, Args, threads)
#define SPECTRAL_KERNEL_CLUSTER(name, Args, threads, blocks) SPECTRAL_KERNEL_(name, Args, threads, blocks, nullptr)
#define SPECTRAL_KERNEL_PLAIN(name, Args, threads) \
  SPECTRAL_KERNEL_(name, Args, threads, 1, (&spectral::cpu::loop_block<&spectral_body_##name, Args>))
#define SPECTRAL_KERNEL_ROWS(name, Args, threads) SPECTRAL_KERNEL_PLAIN(name, Args, threads)

// One layout_field call per field; the recursion rescans often enough for 80 fields.
#define SPECTRAL_LAYOUT(Args, ...)                                   \
  [[maybe_unused]] static std::string spectral_layout(const Args*) { \
    using Layout_ = Args;                                            \
    std::string text_ = std::to_string(sizeof(Layout_)) + ";";       \
    __VA_OPT__(SPECTRAL_RESCAN_(SPECTRAL_FIELDS_(__VA_ARGS__)))      \
    return text_;                                                    \
  }
#define SPECTRAL_PAREN_ ()
#define SPECTRAL_RESCAN_(...) SPECTRAL_RESCAN3_(SPECTRAL_RESCAN3_(SPECTRAL_RESCAN3_(__VA_ARGS__)))
#define SPECTRAL_RESCAN3_(...) SPECTRAL_RESCAN2_(SPECTRAL_RESCAN2_(SPECTRAL_RESCAN2_(__VA_ARGS__)))
#define SPECTRAL_RESCAN2_(...) SPECTRAL_RESCAN1_(SPECTRAL_RESCAN1_(SPECTRAL_RESCAN1_(__VA_ARGS__)))
#define SPECTRAL_RESCAN1_(...) SPECTRAL_RESCAN0_(SPECTRAL_RESCAN0_(SPECTRAL_RESCAN0_(__VA_ARGS__)))
#define SPECTRAL_RESCAN0_(...) __VA_ARGS__
#define SPECTRAL_FIELDS_(field, ...)                                                            \
  spectral::cpu::layout_field(text_, #field, offsetof(Layout_, field), sizeof(Layout_::field)); \
  __VA_OPT__(SPECTRAL_FIELDS_AGAIN_ SPECTRAL_PAREN_(__VA_ARGS__))
#define SPECTRAL_FIELDS_AGAIN_() SPECTRAL_FIELDS_

#define SPECTRAL_SHARED(name, bytes) \
  static const spectral::cpu::Registration spectral_shared_##name(#name, spectral::cpu::SharedKind::Dynamic, bytes);
#define SPECTRAL_STATIC_SHARED(name, bytes)                               \
  static const spectral::cpu::Registration spectral_static_shared_##name( \
      #name, spectral::cpu::SharedKind::Static, bytes);
#define DYNAMIC_SHARED(name) unsigned char* const name = spectral::cpu::dynamic_shared()
#endif
