// Hopper's instructions one by one against their formulas: what TMA lays down and takes up, the fragments of wgmma and
// stmatrix, clusters and multicast; then kernels with one line wrong, which must be found.
#include "product.h"
#include <algorithm>

namespace {
constexpr unsigned kProbeShared = 5 * 8192 + 1024;
struct ProbeArgs {
  CUtensorMap a, b;
  CUdeviceptr out;
  int x, y;
};

CUtensorMap tile_map(CUdeviceptr p, uint64_t rows, uint64_t columns) { return bf16_map(p, rows, columns, 64); }
std::vector<uint16_t> counting(size_t n, int from = 0) {
  std::vector<uint16_t> v(n);
  for (size_t i = 0; i < n; ++i)
    v[i] = uint16_t(from + int(i));
  return v;
}
std::vector<uint16_t> small_integers(size_t n, unsigned seed) {
  std::mt19937 g{seed};
  std::vector<uint16_t> v(n);
  for (auto& x : v)
    x = to_bf16(float(int(g() % 7) - 3));
  return v;
}
size_t swizzled(size_t byte) { return byte ^ (byte >> 3 & 0x70); }
CUresult probe(
    const char* name, const CUtensorMap& a, const CUtensorMap& b, CUdeviceptr out, int x, int y, unsigned blocks = 1) {
  return launch(name, ProbeArgs{a, b, out, x, y}, blocks, 1, 128, kProbeShared);
}

void loads_and_stores(int rows, int columns, int x, int y) {
  const std::string where = " of " + std::to_string(rows) + "x" + std::to_string(columns) + " at " + std::to_string(x) +
                            "," + std::to_string(y);
  const auto values = counting(size_t(rows) * columns, 1);
  Buffer<uint16_t> tensor(values), out(4096);
  const CUtensorMap map = tile_map(tensor.p, rows, columns);
  CU(probe("hopper_probe_load", map, map, out.p, x, y));
  const auto tile = out.get();
  int wrong = 0;
  auto inside = [&](int r, int c) { return y + r >= 0 && y + r < rows && x + c >= 0 && x + c < columns; };
  for (int r = 0; r < 64; ++r)
    for (int c = 0; c < 64; ++c)
      wrong +=
          tile[swizzled(size_t(r) * 128 + c * 2) / 2] != (inside(r, c) ? values[size_t(y + r) * columns + x + c] : 0);
  check(wrong == 0, "hopper_probe_load" + where);
  CU(probe("hopper_probe_store", map, map, 0, x, y));
  const auto stored = tensor.get();
  auto expected = values;
  for (int r = 0; r < 64; ++r)
    for (int c = 0; c < 64; ++c)
      if (inside(r, c))
        expected[size_t(y + r) * columns + x + c] = uint16_t(swizzled(size_t(r) * 128 + c * 2) / 2);
  check(stored == expected, "hopper_probe_store" + where);
}

void stmatrix() {
  Buffer<uint16_t> out(4096);
  const CUtensorMap unused = tile_map(out.p, 64, 64);
  CU(probe("hopper_probe_stmatrix", unused, unused, out.p, 0, 0));
  const auto tile = out.get();
  int wrong = 0;
  for (int r = 0; r < 64; ++r)
    for (int c = 0; c < 64; ++c) {
      const int i = c % 16 / 8 * 2 + r % 16 / 8;
      const int lane = r % 8 * 4 + c % 8 / 2;
      wrong += tile[swizzled(size_t(r) * 128 + c * 2) / 2] != 2 * (((r / 16 * 4 + c / 16) * 4 + i) * 32 + lane) + c % 2;
    }
  check(wrong == 0, "hopper_probe_stmatrix");
}

void products(bool depth_rows) {
  const auto a = small_integers(64 * 64, 1);
  const auto b = small_integers(256 * 64, 2);
  Buffer<uint16_t> da(a), db(b);
  Buffer<float> out(128 * 128);
  CU(probe(
      depth_rows ? "hopper_probe_product_depth_rows" : "hopper_probe_product",
      tile_map(da.p, 64, 64),
      depth_rows ? tile_map(db.p, 64, 256) : tile_map(db.p, 256, 64),
      out.p,
      0,
      0));
  const auto d = out.get();
  int wrong = 0;
  for (int t = 0; t < 128; ++t)
    for (int i = 0; i < 128; ++i) {
      const int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8;
      const int column = i / 4 * 8 + t % 4 * 2 + i % 2;
      float sum = 0;
      for (int k = 0; k < 64; ++k)
        sum += from_bf16(a[row * 64 + k]) * from_bf16(depth_rows ? b[k * 256 + column] : b[column * 64 + k]);
      wrong += d[size_t(t) * 128 + i] != sum;
    }
  check(wrong == 0, depth_rows ? "wgmma m64n256k16, depth rows" : "wgmma m64n256k16, K-major");
}

void multicast() {
  const auto values = counting(128 * 64);
  Buffer<uint16_t> tensor(values), out(2 * 8192);
  const CUtensorMap map = tile_map(tensor.p, 128, 64);
  CU(probe("hopper_probe_multicast", map, map, out.p, 0, 0, 2));
  const auto both = out.get();
  int wrong = 0;
  for (int rank = 0; rank < 2; ++rank)
    for (int r = 0; r < 128; ++r)
      for (int c = 0; c < 64; ++c)
        wrong += both[rank * 8192 + swizzled(size_t(r) * 128 + c * 2) / 2] != values[r * 64 + c];
  check(wrong == 0, "hopper_probe_multicast");
}

std::string reason;   // for the latest failed launch

CUresult failed(CUresult status, bool* right) {
  reason = spectralCpuLastError();
  spectralCpuSetOption("reset", 0);
  *right = false;
  return status;
}
CUresult run_store(int fault, bool* right) {
  Buffer<uint16_t> y(size_t(40) * 168);
  CU(cuMemsetD8(y.p, 0xff, y.n * 2));
  struct {
    alignas(64) CUtensorMap y;
    int tiles;
  } args{tile_map(y.p, 40, 168), 3};
  const CUresult status = launch(("store_sm90_fault" + std::to_string(fault)).c_str(), args, 1, 1, 128, 8192 + 64);
  if (status)
    return failed(status, right);
  const auto v = y.get();
  *right = true;
  for (int r = 0; r < 40; ++r)
    for (int c = 0; c < 168; ++c)
      *right &= v[r * 168 + c] == to_bf16(float(1 + c / 64 + r + c % 64));
  return status;
}
CUresult run_pair(int fault, bool* right) {
  constexpr int kSteps = 5;
  const auto x = small_integers(128 * 64 * kSteps, 3);
  const auto w = small_integers(128 * 64 * kSteps, 4);
  Buffer<uint16_t> dx(x), dw(w);
  Buffer<float> y(128 * 128);
  CU(cuMemsetD8(y.p, 0xff, y.n * 4));
  struct {
    CUtensorMap x, w;
    CUdeviceptr y;
    int steps;
  } args{tile_map(dx.p, 128, 64 * kSteps), tile_map(dw.p, 128, 64 * kSteps), y.p, kSteps};
  const CUresult status =
      launch(("pair_sm90_fault" + std::to_string(fault)).c_str(), args, 2, 1, 256, 2 * 3 * 8192 + 1024);
  if (status)
    return failed(status, right);
  const auto v = y.get();
  *right = true;
  for (int r = 0; r < 128; ++r)
    for (int c = 0; c < 128; ++c) {
      float sum = 0;
      for (int k = 0; k < 64 * kSteps; ++k)
        sum += from_bf16(x[r * 64 * kSteps + k]) * from_bf16(w[c * 64 * kSteps + k]);
      *right &= v[r * 128 + c] == sum;
    }
  return status;
}
// Right in every schedule; with a fault, some schedule finds it, and says `text` where one is given.
void sound(const char* name, CUresult (*run)(int, bool*)) {
  for (long seed : {-1, 0, 1, 2, 3, 4, 5}) {
    spectralCpuSetOption("seed", std::max(seed, 0l));
    spectralCpuSetOption("eager", seed == -1);
    bool right = false;
    const CUresult status = run(0, &right);
    check(!status && right, std::string(name) + " seed " + std::to_string(seed) + (status ? ": " + reason : ""));
  }
  spectralCpuSetOption("eager", 0);
}
[[maybe_unused]] void broken(const char* name, CUresult (*run)(int, bool*), int fault, const char* text) {
  bool found = false;
  bool said = !text;
  for (long seed : {0, 1, 2, 3, 4, 5}) {
    spectralCpuSetOption("seed", seed);
    bool right = false;
    const CUresult status = run(fault, &right);
    found |= status || !right;
    if (status && text && reason.find(text) != std::string::npos)
      said = true;
  }
  const std::string what = std::string(name) + " with fault " + std::to_string(fault);
  check(found, what + " is found");
  if (text)
    check(said, what + " says \"" + text + "\", not: " + reason);
}

// A map of more rows than there is memory for: the copy of the last ones is a fault.
[[maybe_unused]] void outside_the_allocation() {
  const std::vector<uint16_t> values(64 * 64);
  Buffer<uint16_t> tensor(values), out(4096);
  const CUtensorMap map = tile_map(tensor.p, 1 << 20, 64);
  for (const char* name : {"hopper_probe_load", "hopper_probe_store"}) {
    CHECK_STATUS(probe(name, map, map, out.p, 0, 0), CUDA_SUCCESS);
    CHECK_STATUS(probe(name, map, map, out.p, 0, 1 << 19), CUDA_ERROR_LAUNCH_FAILED);
    check(std::strstr(spectralCpuLastError(), "which no allocation has"), std::string(name) + " outside its memory");
    spectralCpuSetOption("reset", 0);
  }
}

void clusters() {
  Buffer<int> out(8 * 3 * 2);
  struct {
    CUdeviceptr out;
  } args{out.p};
  void* params[] = {&args};
  CHECK_STATUS(cuLaunchKernel(kernel("cluster_ranks"), 8, 3, 2, 32, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  const auto v = out.get();
  int wrong = 0;
  for (size_t i = 0; i < v.size(); ++i)
    wrong += v[i] != int(i % 4);
  CHECK(wrong == 0);
  CHECK_STATUS(
      cuLaunchKernel(kernel("cluster_ranks"), 6, 1, 1, 32, 1, 1, 0, nullptr, params, nullptr),
      CUDA_ERROR_INVALID_CLUSTER_SIZE);
#ifndef SPECTRAL_TSAN
  CHECK_STATUS(
      cuLaunchKernel(kernel("cluster_of_8192"), 16, 1, 1, 1024, 1, 1, 16, nullptr, params, nullptr), CUDA_SUCCESS);
  const auto sums = out.get();
  CHECK(std::count(sums.begin(), sums.begin() + 16, 1024) == 16);
  CHECK_STATUS(
      cuLaunchKernel(kernel("fault_static_in_cluster"), 2, 1, 1, 32, 1, 1, 0, nullptr, params, nullptr),
      CUDA_ERROR_LAUNCH_FAILED);
  CHECK(std::strstr(spectralCpuLastError(), "share one copy"));
  spectralCpuSetOption("reset", 0);
#endif
}
}   // namespace

TEST_GROUP(hopper) {
  spectralCpuSetOption("poison", 1);
  for (long seed : {0, 1, 2}) {
    spectralCpuSetOption("seed", seed);
    loads_and_stores(64, 64, 0, 0);
    loads_and_stores(100, 200, 64, 64);
    loads_and_stores(3, 8, 0, 0);
    loads_and_stores(70, 80, -8, -5);
    loads_and_stores(70, 72, 24, 9);
    stmatrix();
    products(false);
    products(true);
    multicast();
    clusters();
  }
  sound("store_sm90", run_store);
  sound("pair_sm90", run_pair);
#ifndef SPECTRAL_TSAN
  for (int fault : {1, 2, 3})
    broken("store_sm90", run_store, fault, "without a fence.proxy.async since");
  broken("store_sm90", run_store, 4, "may still be reading");
  broken("store_sm90", run_store, 5, "thread exits before this bulk store has read");
  broken("store_sm90", run_store, 6, nullptr);
  broken("store_sm90", run_store, 7, "may still be reading");
  broken("pair_sm90", run_pair, 1, "deadlock");
  broken("pair_sm90", run_pair, 2, "block 2 of a cluster of 2");
  broken("pair_sm90", run_pair, 3, "is not initialised");
  broken("pair_sm90", run_pair, 4, "has ended");
  broken("pair_sm90", run_pair, 5, nullptr);
  broken("pair_sm90", run_pair, 6, "deadlock");
  broken("pair_sm90", run_pair, 7, nullptr);
  broken("pair_sm90", run_pair, 8, "a second time without waiting");
  broken("pair_sm90", run_pair, 9, "without having arrived");
  broken("pair_sm90", run_pair, 10, "not in the block's dynamic shared memory");
  broken("pair_sm90", run_pair, 11, "without a wgmma.fence");
  broken("pair_sm90", run_pair, 12, "base offset");
  broken("pair_sm90", run_pair, 13, nullptr);
  broken("pair_sm90", run_pair, 14, "without a fence (mbar_init_fence) since");
  broken("pair_sm90", run_pair, 15, "accumulators were changed");
  broken("pair_sm90", run_pair, 16, "bits that must be zero");
  broken("pair_sm90", run_pair, 17, "counts up to 1048575 bytes");
  broken("pair_sm90", run_pair, 18, "tensor map was not encoded");
  outside_the_allocation();
#endif
  spectralCpuSetOption("seed", 0);
  spectralCpuSetOption("poison", 0);
}
