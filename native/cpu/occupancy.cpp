// How many blocks of a kernel a multiprocessor holds at once. CUDA C++ Best Practices Guide, "Calculating Occupancy",
// with the granularities of compute capability 8.0 to 10.0: registers come in 256 for a warp, a multiprocessor has four
// partitions that each take whole warps, shared memory comes in 128 bytes.
#include "occupancy.h"
#include "driver.h"
#include "profiles.h"
#include <algorithm>

using namespace spectral::cpu;

namespace {
constexpr int kRegisterUnit = 256;
constexpr int kPartitions = 4;
constexpr int kSharedUnit = 128;
int round_up(int n, int to) { return (n + to - 1) / to * to; }

int blocks_by_registers(const Profile& gpu, int registers, int warps) {
  if (!registers)   // of a kernel from source, and of PTX whose build had no ptxas
    return gpu.blocks_per_multiprocessor;
  const int of_warp = round_up(32 * registers, kRegisterUnit);
  return gpu.registers_per_multiprocessor / kPartitions / of_warp * kPartitions / warps;
}
int attribute_of(CUfunction f, CUfunction_attribute a) {
  int value = 0;
  cuFuncGetAttribute(&value, a, f);
  return value;
}
int multiprocessors() {
  int count = 0;
  profile_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &count);
  return count;
}
CUresult check_flags(unsigned flags) {
  return flags <= CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
// Blocks of the cluster that the launch or the kernel asks for; 0: neither says.
uint64_t cluster_of(CUfunction f, const CUlaunchConfig& c) {
  for (unsigned i = 0; i < c.numAttrs; ++i)
    if (const CUlaunchAttributeValue& v = c.attrs[i].value; c.attrs[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      return uint64_t(v.clusterDim.x) * v.clusterDim.y * v.clusterDim.z;
  return uint64_t(attribute_of(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH)) *
         uint64_t(attribute_of(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT)) *
         uint64_t(attribute_of(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH));
}
// Blocks of the launch's size that the GPU holds at once.
CUresult count_resident(CUfunction f, const CUlaunchConfig* c, uint64_t* blocks) {
  SPECTRAL_TRY(check_context());
  if (!c || (c->numAttrs && !c->attrs))
    return CUDA_ERROR_INVALID_VALUE;
  int each = 0;
  SPECTRAL_TRY(cuOccupancyMaxActiveBlocksPerMultiprocessor(
      &each, f, int(c->blockDimX * c->blockDimY * c->blockDimZ), c->sharedMemBytes));
  *blocks = uint64_t(each) * uint64_t(multiprocessors());
  return CUDA_SUCCESS;
}
}   // namespace

int spectral::cpu::resident_blocks(const Profile& gpu, int threads, int registers, size_t shared) {
  const int warps = (threads + 31) / 32;
  return std::min(
      {gpu.blocks_per_multiprocessor,
       gpu.threads_per_multiprocessor / (32 * warps),
       gpu.shared_per_multiprocessor / round_up(int(shared) + gpu.shared_reserved, kSharedUnit),
       blocks_by_registers(gpu, registers, warps)});
}

extern "C" {
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction f, int threads, size_t dynamic_shared) {
  SPECTRAL_TRY(check_context());
  if (!blocks || threads <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  *blocks = 0;
  const int fixed = attribute_of(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  if (threads > attribute_of(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK) ||
      dynamic_shared > size_t(profile().shared_opt_in - fixed))
    return CUDA_SUCCESS;
  *blocks =
      resident_blocks(profile(), threads, attribute_of(f, CU_FUNC_ATTRIBUTE_NUM_REGS), size_t(fixed) + dynamic_shared);
  return CUDA_SUCCESS;
}
// The flag concerns caches that have nothing to do with a block's resources here.
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
    int* blocks, CUfunction f, int threads, size_t dynamic_shared, unsigned flags) {
  SPECTRAL_TRY(check_flags(flags));
  return cuOccupancyMaxActiveBlocksPerMultiprocessor(blocks, f, threads, dynamic_shared);
}
// The largest block, in whole warps, with which most threads are resident; and the grid that fills the GPU with it.
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(
    int* grid, int* block, CUfunction f, CUoccupancyB2DSize shared_of, size_t dynamic_shared, int limit,
    unsigned flags) {
  SPECTRAL_TRY(check_context());
  SPECTRAL_TRY(check_flags(flags));
  if (!grid || !block || limit < 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (!functions.has(f = launched(f)))
    return CUDA_ERROR_INVALID_HANDLE;
  int most = attribute_of(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  if (limit)
    most = std::min(most, limit);
  int best = 0;   // resident threads
  *grid = *block = 0;
  for (int warps = (most + 31) / 32; warps; --warps) {
    const int threads = std::min(32 * warps, most);
    int blocks = 0;
    SPECTRAL_TRY(cuOccupancyMaxActiveBlocksPerMultiprocessor(
        &blocks, f, threads, shared_of ? shared_of(threads) : dynamic_shared));
    if (blocks * threads <= best)
      continue;
    best = blocks * threads;
    *block = threads;
    *grid = blocks * multiprocessors();
  }
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxPotentialBlockSize(
    int* grid, int* block, CUfunction f, CUoccupancyB2DSize shared_of, size_t dynamic_shared, int limit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(grid, block, f, shared_of, dynamic_shared, limit, 0);
}
// Dynamic shared memory with which so many blocks still are resident; 0 where they are not even without.
CUresult cuOccupancyAvailableDynamicSMemPerBlock(size_t* bytes, CUfunction f, int blocks, int threads) {
  SPECTRAL_TRY(check_context());
  if (!bytes || blocks <= 0)
    return CUDA_ERROR_INVALID_VALUE;
  int most = 0;
  SPECTRAL_TRY(cuOccupancyMaxActiveBlocksPerMultiprocessor(&most, f, threads, 0));
  *bytes = 0;
  if (blocks > most)
    return CUDA_SUCCESS;
  const Profile& gpu = profile();
  const int fixed = attribute_of(f, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  const int each = gpu.shared_per_multiprocessor / blocks / kSharedUnit * kSharedUnit - gpu.shared_reserved;
  *bytes = size_t(std::max(0, std::min(each, gpu.shared_opt_in) - fixed));
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction f, const CUlaunchConfig* c) {
  uint64_t blocks = 0;
  SPECTRAL_TRY(count_resident(f = launched(f), c, &blocks));
  if (!clusters)
    return CUDA_ERROR_INVALID_VALUE;
  const uint64_t size = cluster_of(f, *c);
  if (!size)
    return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  *clusters = int(blocks / size);
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxPotentialClusterSize(int* size, CUfunction f, const CUlaunchConfig* c) {
  constexpr int kMostBlocks = 16;
  uint64_t blocks = 0;
  SPECTRAL_TRY(count_resident(f = launched(f), c, &blocks));
  if (!size)
    return CUDA_ERROR_INVALID_VALUE;
  const bool beyond = attribute_of(f, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
  *size = int(std::min<uint64_t>(beyond ? kMostBlocks : uint64_t(profile().cluster_blocks), blocks));
  return CUDA_SUCCESS;
}
}
