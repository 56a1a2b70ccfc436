// The GPUs that the device can stand for: what it reports of each, and that the limits hold at load and launch.
#include "../cpu/loader_api.h"
#include "ptx.h"

namespace {
// CUDA C++ Programming Guide, "Technical Specifications per Compute Capability", and the data sheets' bandwidths.
struct Gpu {
  const char* name;
  int capability;
  int multiprocessors;
  int shared_opt_in;
  int shared_per_multiprocessor;
  int threads_per_multiprocessor;
  int blocks_per_multiprocessor;
  int gigabytes_per_second;
  bool clusters;
};
constexpr Gpu kGpus[] = {
    {"A100", 80, 108, 166912, 167936, 2048, 32, 2039, false},
    {"RTX 4090", 89, 128, 101376, 102400, 1536, 24, 1008, false},
    {"H100", 90, 132, 232448, 233472, 2048, 32, 3352, true},
    {"H200", 90, 132, 232448, 233472, 2048, 32, 4800, true},
    {"B200", 100, 148, 232448, 233472, 2048, 32, 8000, true},
};
int attribute(CUdevice_attribute a) {
  int value = -1;
  CHECK_STATUS(cuDeviceGetAttribute(&value, a, 0), CUDA_SUCCESS);
  return value;
}
std::string module_for(
    const char* target, const char* directives = "", const char* variables = "", const char* version = "8.4") {
  return std::string(".version ") + version + "\n.target " + target + "\n.address_size 64\n" + variables +
         ".visible .entry k()" + directives + "\n{\nret;\n}\n";
}
CUresult loads(const char* target, const char* version = "8.4") {
  CUmodule m = nullptr;
  const CUresult status = cuModuleLoadData(&m, module_for(target, "", "", version).c_str());
  if (!status)
    CU(cuModuleUnload(m));
  return status;
}
CUresult launches(const PtxModule& m, unsigned blocks, unsigned shared) {
  return cuLaunchKernel(m.get("k"), blocks, 1, 1, 32, 1, 1, shared, nullptr, nullptr, nullptr);
}

void reports(const Gpu& gpu) {
  const std::string name = gpu.name;
  char text[256];
  CHECK_STATUS(cuDeviceGetName(text, sizeof text, 0), CUDA_SUCCESS);
  check(std::string(text).find("CPU device as " + name + " (") != std::string::npos, name + " in: " + text);
  auto is = [&](CUdevice_attribute a, int wanted, const char* what) {
    check(attribute(a) == wanted, name + ", " + what + ": " + std::to_string(attribute(a)));
  };
  is(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, gpu.capability / 10, "major");
  is(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, gpu.capability % 10, "minor");
  is(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, gpu.multiprocessors, "multiprocessors");
  is(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 49152, "shared memory of a block");
  is(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, gpu.shared_opt_in, "shared memory at most");
  is(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR, gpu.shared_per_multiprocessor, "of a multiprocessor");
  is(CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK, 1024, "reserved");
  is(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK, 65536, "registers");
  is(CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR, 65536, "registers of a multiprocessor");
  is(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, gpu.threads_per_multiprocessor, "threads");
  is(CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR, gpu.blocks_per_multiprocessor, "blocks");
  is(CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, gpu.clusters, "clusters");
  const double bandwidth = 2e3 * attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE) *
                           attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH) / 8;
  check(std::abs(bandwidth / 1e9 / gpu.gigabytes_per_second - 1) < 0.001, name + ", bandwidth");
  size_t bytes = 0;
  CHECK_STATUS(cuDeviceTotalMem(&bytes, 0), CUDA_SUCCESS);
  CHECK(bytes > 0 && bytes <= (size_t(180) << 30));
}

void limits(const Gpu& gpu) {
  CHECK_STATUS(loads("sm_80"), CUDA_SUCCESS);
  CHECK_STATUS(loads("sm_89"), gpu.capability >= 89 ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK_STATUS(loads("sm_90a"), gpu.capability == 90 ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU);
  if (gpu.capability != 90)
    CHECK(std::strstr(spectralCpuLastError(), "sm_90a") && std::strstr(spectralCpuLastError(), gpu.name));
  const bool blackwell = gpu.capability == 100;
  for (const char* target : {"sm_100", "sm_100a", "sm_100f"})
    CHECK_STATUS(loads(target, "8.7"), blackwell ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU);
  for (const char* target : {"sm_101", "sm_103", "sm_103a", "sm_120", "sm_120a", "sm_121"})
    CHECK_STATUS(loads(target, "8.8"), CUDA_ERROR_NO_BINARY_FOR_GPU);
  const PtxModule plain(module_for("sm_80"));
  const auto most = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
  CHECK_STATUS(cuFuncSetAttribute(plain.get("k"), most, gpu.shared_opt_in + 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(launches(plain, 1, 49153), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuFuncSetAttribute(plain.get("k"), most, gpu.shared_opt_in), CUDA_SUCCESS);
  CHECK_STATUS(launches(plain, 1, unsigned(gpu.shared_opt_in)), CUDA_SUCCESS);
  const PtxModule pair(module_for("sm_80", " .reqnctapercluster 2"));
  CHECK_STATUS(launches(pair, 4, 0), gpu.clusters ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED);
  const PtxModule sixteen(module_for("sm_80", " .reqnctapercluster 16"));
  CHECK_STATUS(launches(sixteen, 16, 0), gpu.clusters ? CUDA_ERROR_INVALID_CLUSTER_SIZE : CUDA_ERROR_NOT_SUPPORTED);
}
// By hand from the limits of each: registers in 256 for a warp and whole warps in four partitions, 1 KiB of shared
// memory for the system.
struct Occupancy {
  long profile;
  int registers, threads, shared, blocks;
};
constexpr Occupancy kOccupancies[] = {
    {1, 32, 256, 0, 8},         // threads: 2048 / 256
    {1, 33, 256, 0, 6},         // 1280 registers a warp: 12 in each partition, 48 in all
    {1, 128, 256, 0, 2},        // 4096 a warp: 16 in all
    {1, 168, 384, 0, 1},        // 5376 a warp: 12 in all
    {1, 16, 32, 0, 32},         // blocks
    {1, 16, 64, 48 << 10, 3},   // 164 / 49
    {1, 0, 256, 0, 8},          // unknown registers are no limit
    {2, 32, 256, 0, 6},         // threads: 1536 / 256
    {2, 16, 32, 0, 24},
    {2, 16, 64, 48 << 10, 2},    // 100 / 49
    {2, 16, 64, 100 << 10, 0},   // more than a block may have
    {3, 16, 64, 48 << 10, 4},    // 228 / 49
    {3, 255, 256, 0, 1},
    {3, 255, 1024, 0, 0},   // 32 warps of 8192 registers: 8 at most
};
void occupancies() {
  for (const Occupancy& o : kOccupancies) {
    spectralCpuSetOption("profile", o.profile);
    const std::string report = o.registers ? "// ptxas: k " + std::to_string(o.registers) + " 0 0 0\n" : "";
    const PtxModule module(module_for("sm_80") + report);
    int registers = -1;
    CHECK_STATUS(cuFuncGetAttribute(&registers, CU_FUNC_ATTRIBUTE_NUM_REGS, module.get("k")), CUDA_SUCCESS);
    CHECK(registers == o.registers);
    int blocks = -1;
    CHECK_STATUS(
        cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, module.get("k"), o.threads, size_t(o.shared)),
        CUDA_SUCCESS);
    check(
        blocks == o.blocks,
        "profile " + std::to_string(o.profile) + ", " + std::to_string(o.registers) + " registers, " +
            std::to_string(o.threads) + " threads, " + std::to_string(o.shared) + " bytes: " + std::to_string(blocks));
  }
}
// The same limits the other way round.
size_t shared_of(int threads) { return threads > 256 ? 163 << 10 : 0; }
void choices() {
  spectralCpuSetOption("profile", 1);   // A100
  int grid = 0;
  int block = 0;
  size_t bytes = 0;
  const PtxModule module(module_for("sm_80") + "// ptxas: k 33 0 0 0\n");
  const CUfunction f = module.get("k");
  // 48 warps fit by their registers: twice 24, of 108 multiprocessors
  CHECK_STATUS(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, nullptr, 0, 0), CUDA_SUCCESS);
  CHECK(block == 768 && grid == 216);
  CHECK_STATUS(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, nullptr, 0, 500), CUDA_SUCCESS);
  CHECK(block == 384 && grid == 4 * 108);
  CHECK_STATUS(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, f, shared_of, 0, 0, 1), CUDA_SUCCESS);
  CHECK(block == 256 && grid == 6 * 108);
  CHECK_STATUS(cuOccupancyMaxPotentialBlockSizeWithFlags(&grid, &block, f, nullptr, 0, 0, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuOccupancyMaxPotentialBlockSize(&grid, &block, nullptr, nullptr, 0, 0), CUDA_ERROR_INVALID_HANDLE);
  // 164 KiB for three blocks: 55978 bytes, of which whole 128s and not the system's 1024
  CHECK_STATUS(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f, 3, 64), CUDA_SUCCESS);
  CHECK(bytes == 54912);
  CHECK_STATUS(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f, 1, 64), CUDA_SUCCESS);
  CHECK(bytes == 163 << 10);
  CHECK_STATUS(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f, 40, 64), CUDA_SUCCESS);
  CHECK(bytes == 0);
  CHECK_STATUS(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&block, f, 256, 0, 0), CUDA_SUCCESS);
  CHECK(block == 6);

  spectralCpuSetOption("profile", 3);   // H100: 132 multiprocessors
  const PtxModule plain(module_for("sm_80"));
  CUlaunchAttribute a{};
  a.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  a.value.clusterDim = {2, 2, 1};
  CUlaunchConfig c{4, 4, 1, 256, 1, 1, 0, nullptr, &a, 1};
  CHECK_STATUS(cuOccupancyMaxActiveClusters(&block, plain.get("k"), &c), CUDA_SUCCESS);
  CHECK(block == 8 * 132 / 4);
  CHECK_STATUS(cuOccupancyMaxPotentialClusterSize(&block, plain.get("k"), &c), CUDA_SUCCESS);
  CHECK(block == 8);
  c.numAttrs = 0;
  CHECK_STATUS(cuOccupancyMaxActiveClusters(&block, plain.get("k"), &c), CUDA_ERROR_INVALID_CLUSTER_SIZE);
  const PtxModule pair(module_for("sm_80", " .reqnctapercluster 2"));
  CHECK_STATUS(cuOccupancyMaxActiveClusters(&block, pair.get("k"), &c), CUDA_SUCCESS);
  CHECK(block == 8 * 132 / 2);
}
}   // namespace

TEST_GROUP(profiles) {
  const long before = spectralCpuGetOption("profile");
  long number = 0;
  for (const Gpu& gpu : kGpus) {
    spectralCpuSetOption("profile", ++number);
    reports(gpu);
    limits(gpu);
  }
  occupancies();
  choices();
  spectralCpuSetOption("profile", 5);
  spectralCpuSetOption("profile", 6);
  check(spectralCpuGetOption("profile") == 5, "a number that is no profile changes nothing");
  CHECK(spectralCpuGetOption("nothing") == -1);
  spectralCpuSetOption("profile", before);
}
