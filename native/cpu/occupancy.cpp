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
}
