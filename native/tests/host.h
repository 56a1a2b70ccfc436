// What the native tests share: counted checks, a module, buffers, launches, all through the driver interface.
#pragma once
#include "../cpu/cuda_api.h"
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

struct Tally {
  int passed = 0;
  int failed = 0;
};
extern Tally tally;
void check(bool ok, const std::string& what);   // counts; prints failures
void check_status(CUresult got, CUresult wanted, const std::string& what);
#define CHECK(condition) check(condition, std::string(__FILE__ ":") + std::to_string(__LINE__) + ": " #condition)
#define CHECK_STATUS(call, wanted) \
  check_status(call, wanted, std::string(__FILE__ ":") + std::to_string(__LINE__) + ": " #call)
// For calls a test cannot go on without.
#define CU(call)                                                                                             \
  do {                                                                                                       \
    if (CUresult r_ = (call)) {                                                                              \
      std::printf("%s:%d: %s: status %d, %s\n", __FILE__, __LINE__, #call, int(r_), spectralCpuLastError()); \
      std::exit(2);                                                                                          \
    }                                                                                                        \
  } while (0)

// A group of tests registers itself; main runs all of them.
struct TestGroup {
  TestGroup(const char* name, void (*run)());
  const char* name;
  void (*run)();
  TestGroup* next;
};
#define TEST_GROUP(name)                      \
  static void name();                         \
  static TestGroup group_##name(#name, name); \
  static void name()

extern CUmodule test_module;
extern std::string module_file;
CUfunction kernel(const char* name);

inline uint16_t to_bf16(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t h) {
  uint32_t u = uint32_t(h) << 16;
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}

template <class T>
struct Buffer {
  CUdeviceptr p = 0;
  size_t n;
  explicit Buffer(size_t count) : n(count) { CU(cuMemAlloc(&p, n * sizeof(T))); }
  explicit Buffer(const std::vector<T>& v) : Buffer(v.size()) { CU(cuMemcpyHtoD(p, v.data(), n * sizeof(T))); }
  Buffer(const Buffer&) = delete;
  ~Buffer() { cuMemFree(p); }
  T* device() const { return reinterpret_cast<T*>(p); }
  std::vector<T> get() const {
    std::vector<T> v(n);
    CU(cuMemcpyDtoH(v.data(), p, n * sizeof(T)));
    return v;
  }
};

struct Stream {
  CUstream s = nullptr;
  explicit Stream(unsigned flags = CU_STREAM_NON_BLOCKING) { CU(cuStreamCreate(&s, flags)); }
  ~Stream() { cuStreamDestroy(s); }
};
struct Event {
  CUevent e = nullptr;
  Event() { CU(cuEventCreate(&e, CU_EVENT_DEFAULT)); }
  ~Event() { cuEventDestroy(e); }
};

template <class Args>
CUresult launch(const char* name, Args args, unsigned gx, unsigned gy, unsigned block, unsigned smem = 0) {
  CUfunction f = kernel(name);
  if (smem > 48 << 10)
    CU(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, int(smem)));
  void* params[] = {&args};
  return cuLaunchKernel(f, gx, gy, 1, block, 1, 1, smem, nullptr, params, nullptr);
}

struct Rng {
  std::mt19937 g{1};
  std::vector<float> normal(size_t n) {
    std::normal_distribution<float> d;
    std::vector<float> v(n);
    for (auto& x : v)
      x = d(g);
    return v;
  }
  std::vector<uint16_t> bf(size_t n) {
    std::vector<uint16_t> v(n);
    auto f = normal(n);
    for (size_t i = 0; i < n; ++i)
      v[i] = to_bf16(f[i]);
    return v;
  }
};
