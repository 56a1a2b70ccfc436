// Calls and memory of a thread: recursion, functions by address, virtual functions, tables of labels, arrays in local
// memory, tables in constant and device memory, printf.
#include <cstdint>
#include <cstdio>

__constant__ int kSquares[16] = {0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121, 144, 169, 196, 225};
__constant__ int settings[4];   // set by the host
__device__ int counter;
__device__ float table[64] = {1.5f, 2.5f, 3.5f};

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }
extern "C" __global__ void recursion(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = fibonacci(in[i] % 12);
}

__device__ __noinline__ int twice(int v) { return 2 * v; }
__device__ __noinline__ int plus_ten(int v) { return v + 10; }
__device__ __noinline__ int negated(int v) { return -v; }
using Function = int (*)(int);
__device__ Function functions[3] = {twice, plus_ten, negated};
extern "C" __global__ void function_pointers(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = functions[in[i] % 3](in[i]) + functions[i % 3](1);
}

struct Shape {
  __device__ virtual int area() const = 0;
};
struct Square : Shape {
  int side;
  __device__ explicit Square(int s) : side(s) {}
  __device__ int area() const override { return side * side; }
};
struct Rectangle : Shape {
  int width, height;
  __device__ Rectangle(int w, int h) : width(w), height(h) {}
  __device__ int area() const override { return width * height; }
};
extern "C" __global__ void virtual_functions(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Square square(in[i] % 50);
  Rectangle rectangle(in[i] % 50, 3);
  const Shape* shape = i % 2 ? static_cast<const Shape*>(&square) : &rectangle;
  out[i] = shape->area();
}

extern "C" __global__ void switches(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int v = in[i];
  for (int round = 0; round < 5; ++round)
    switch (v % 8) {
      case 0: v = v / 8 + 3; break;
      case 1: v = v * 3 + 1; break;
      case 2: v ^= 0x55; break;
      case 3: v += kSquares[v & 15]; break;
      case 4: v = v / 2; break;
      case 5: v = v - 7; break;
      case 6: v = v | 1; [[fallthrough]];
      default: v = v / 3; break;
    }
  out[i] = v;
}

// An insertion sort in local memory.
extern "C" __global__ void local_arrays(const int* in, int* out, int n) {
  constexpr int kCount = 16;
  const int first = (blockIdx.x * blockDim.x + threadIdx.x) * kCount;
  if (first + kCount > n)
    return;
  int values[kCount];
  for (int i = 0; i < kCount; ++i) {
    int at = i;
    for (; at > 0 && values[at - 1] > in[first + i]; --at)
      values[at] = values[at - 1];
    values[at] = in[first + i];
  }
  for (int i = 0; i < kCount; ++i)
    out[first + i] = values[i];
}

extern "C" __global__ void tables(const int* in, int* out, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  atomicAdd(&counter, 1);
  out[i] = kSquares[in[i] & 15] + settings[in[i] & 3] + int(2 * table[in[i] & 3]);
}

extern "C" __global__ void prints(const int* in, int*, int) {
  if (threadIdx.x < 2)
    printf("thread %d of %s: %5.2f %llx\n", int(threadIdx.x), "user", in[threadIdx.x] / 4.0, 0xabcdefabcdefULL);
}

// Dynamic shared memory of two types.
extern "C" __global__ void dynamic_shared(const int* in, int* out, int n) {
  extern __shared__ int memory[];
  auto* wide = reinterpret_cast<long long*>(memory + blockDim.x);
  const int t = threadIdx.x;
  memory[t] = in[t];
  wide[t] = (long long)in[t] << 32;
  __syncthreads();
  const int other = blockDim.x - 1 - t;
  out[t] = memory[other] + int(wide[other] >> 31);
}
