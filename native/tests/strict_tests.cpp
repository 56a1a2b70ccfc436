// Kernels compiled from source that a GPU may run and need not: each is tried right and wrong. Those of PTX are in
// ptx_strict_tests.cpp.
#ifndef SPECTRAL_TSAN   // only kernels that are right run there
#include "product.h"
#include <algorithm>

namespace {
constexpr unsigned kTile = 64 * 128;
constexpr unsigned kShared = 3 * kTile;
const std::string kUnfenced = "without a fence.proxy.async since";

// The text of the fault; "" if there is none.
std::string fault_of(CUresult status) {
  if (!status)
    return "";
  check(status == CUDA_ERROR_LAUNCH_FAILED, "status " + std::to_string(int(status)));
  const std::string said = spectralCpuLastError();
  spectralCpuSetOption("reset", 0);
  return said;
}
void check_fault(const std::string& name, const std::string& said, const std::vector<std::string>& parts) {
  check(parts.empty() ? said.empty() : !said.empty(), name + " says: " + said);
  for (const std::string& part : parts)
    check(said.find(part) != std::string::npos, name + " should say \"" + part + "\", says: " + said);
}

// Without parts the launch is right.
void tile(const std::string& name, const std::vector<std::string>& parts) {
  std::vector<uint16_t> values(kTile / 2);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = i % 2 ? 0 : uint16_t(i / 2);   // as little-endian words, i
  const Buffer<uint16_t> source(values), y(kTile / 2);
  struct {
    alignas(64) CUtensorMap y;
    CUdeviceptr source;
  } args{bf16_map(y.p, 64, 64, 64), source.p};
  const std::string said = fault_of(launch(name.c_str(), args, 1, 1, 128, kShared));
  check_fault(name, said, parts);
  if (parts.empty())
    check(y.get() == values, name + " stores the tile");
}
// The sums of a product that is right are all 16.
std::string product(const std::string& name, int* wrong) {
  const Buffer<float> sums(128 * 64);
  struct {
    CUdeviceptr sums;
  } args{sums.p};
  const std::string said = fault_of(launch(name.c_str(), args, 1, 1, 128, kShared));
  const std::vector<float> got = said.empty() ? sums.get() : std::vector<float>();
  *wrong = int(std::count_if(got.begin(), got.end(), [](float v) { return !(v == 16); }));
  return said;
}
void products() {
  int wrong = 0;
  check_fault("strict_product_0", product("strict_product_0", &wrong), {});
  check(wrong == 0, "a product from plain stores");
  check_fault("strict_product_1", product("strict_product_1", &wrong), {"wgmma reads", "written by", kUnfenced});
  check_fault("strict_product_2", product("strict_product_2", &wrong), {});
  check(wrong == 128 * 64, "a sum that is read before the wait is NaN");
  check_fault("strict_product_3", product("strict_product_3", &wrong), {"were written before the wait"});
  check_fault("strict_product_4", product("strict_product_4", &wrong), {});
  check(wrong == 128 * 64, "a sum of a group that is not waited for is NaN");
  check_fault("strict_product_5", product("strict_product_5", &wrong), {"wgmma of another shape"});
}

void barriers(const std::string& name, unsigned blocks, unsigned threads, const std::vector<std::string>& parts) {
  struct {
    CUdeviceptr sums;
  } args{};
  check_fault(name, fault_of(launch(name.c_str(), args, blocks, 1, threads, 1024)), parts);
}

// Static and dynamic memory share what a block may have.
void static_shared() {
  constexpr int kStatic = 4000;
  const Buffer<int> out(32);
  struct {
    CUdeviceptr out;
    int at;
  } args{out.p, 7};
  const CUfunction f = kernel("static_shared");
  const auto most = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
  int bytes = 0;
  CHECK_STATUS(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f), CUDA_SUCCESS);
  CHECK(bytes == kStatic);
  CHECK_STATUS(cuFuncGetAttribute(&bytes, most, f), CUDA_SUCCESS);
  CHECK(bytes == 49152 - kStatic);
  void* params[] = {&args};
  auto start = [&](int dynamic) {
    return cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, unsigned(dynamic), nullptr, params, nullptr);
  };
  CHECK_STATUS(start(49152 - kStatic), CUDA_SUCCESS);
  CHECK_STATUS(start(49153 - kStatic), CUDA_ERROR_INVALID_VALUE);
  const long before = spectralCpuGetOption("profile");
  spectralCpuSetOption("profile", 2);   // RTX 4090
  CHECK_STATUS(cuFuncSetAttribute(f, most, 101377 - kStatic), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetAttribute(f, most, 101376 - kStatic), CUDA_SUCCESS);
  CHECK_STATUS(start(101376 - kStatic), CUDA_SUCCESS);
  spectralCpuSetOption("profile", 3);   // H100
  CHECK_STATUS(cuFuncSetAttribute(f, most, 232448 - kStatic), CUDA_SUCCESS);
  spectralCpuSetOption("profile", 2);   // allowed for another GPU
  CHECK_STATUS(start(101377 - kStatic), CUDA_ERROR_INVALID_VALUE);
  CHECK(std::strstr(spectralCpuLastError(), "not 4000 static and 97377 dynamic"));
  spectralCpuSetOption("profile", before);
}

// A kernel of sm_90a runs where the compute capability is 9.0 alone.
void other_gpus() {
  const long before = spectralCpuGetOption("profile");
  struct {
    CUdeviceptr sums;
  } args{};
  for (long profile : {1, 2, 3, 4, 5}) {
    spectralCpuSetOption("profile", profile);
    const bool runs = profile == 3 || profile == 4;   // H100, H200
    CHECK_STATUS(launch("strict_half_0", args, 1, 1, 32, 1024), runs ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU);
    if (!runs)
      CHECK(std::strstr(spectralCpuLastError(), "kernel strict_half_0 is for sm_90a alone"));
  }
  spectralCpuSetOption("profile", before);
}
}   // namespace

TEST_GROUP(strict) {
  for (long seed : {0, 1, 2, 3}) {
    spectralCpuSetOption("seed", seed);
    tile("strict_store_0", {});
    tile("strict_store_1", {"TMA: store of shared offset", "written by", kUnfenced});
    tile("strict_store_2", {"TMA: store of shared offset", "written by", kUnfenced});
    tile("strict_store_3", {"TMA: store of shared offset", "written by", kUnfenced});
    tile("strict_store_4", {"TMA: load over shared offset", "written by", kUnfenced});
    tile("strict_copied_0", {});
    tile("strict_copied_1", {"TMA: store of shared offset", "written by", kUnfenced});
    products();
    barriers("strict_remote_0", 2, 32, {});
    barriers("strict_remote_1", 2, 32, {"was initialised by thread 0 without a fence (mbar_init_fence) since"});
    barriers("strict_half_0", 1, 32, {});
    barriers("strict_half_1", 1, 32, {"did not take the same ldmatrix, stmatrix and setmaxnreg"});
    barriers("strict_half_2", 1, 32, {"did not take the same ldmatrix, stmatrix and setmaxnreg"});
  }
  spectralCpuSetOption("seed", 0);
  // in order, where the store is late and the wait begins first
  tile("strict_store_5", {"has written shared offset", "which this bulk store may still be reading"});
  barriers("strict_phases_0", 1, 64, {});
  barriers("strict_phases_1", 1, 64, {"completes another phase before this wait has seen the last one"});
  static_shared();
  other_gpus();
}
#endif
