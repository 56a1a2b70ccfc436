// Launches and tensor maps.
#include "capture.h"
#include "tensor_map.h"
#include <cstring>

using namespace spectral::cpu;

namespace {
constexpr size_t kMaxArgs = 4096;
struct alignas(64) Args {
  unsigned char bytes[kMaxArgs];
};

CUresult run(CUfunction f, dim3 grid, dim3 block, unsigned smem, Args& args) {
  const unsigned cluster = f->info.cluster;
  Launch l{
      &f->info,
      f->module->statics,
      args.bytes,
      grid,
      block,
      smem,
      cluster,
      uint64_t(grid.x) / cluster * grid.y * grid.z,
      {0},
      {false}};
  launch(l);
  if (l.failed)
    current_context()->failed = true;
  return l.failed ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}
}   // namespace

extern "C" {
CUresult cuLaunchKernel(
    CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem,
    CUstream stream, void** params, void** extra) {
  SPECTRAL_TRY(check_stream(stream));
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  const bool grid = gx && gy && gz && gx <= 0x7fffffff && gy <= 65535 && gz <= 65535;
  const bool block = bx && by && bz && bx <= kMaxThreads && by <= kMaxThreads && bz <= 64 &&
                     uint64_t(bx) * by * bz <= f->info.max_threads;
  if (!grid || !block || smem > unsigned(f->max_dynamic_shared) || extra || !params || !params[0] ||
      f->info.args_size > kMaxArgs)
    return CUDA_ERROR_INVALID_VALUE;
  const unsigned cluster = f->info.cluster;
  if (gx % cluster || cluster * bx * by * bz > kMaxThreads)
    return CUDA_ERROR_INVALID_CLUSTER_SIZE;   // the latter is this device's own limit
  bool kept;
  SPECTRAL_TRY(check_work(stream, &kept));
  Args args;   // the caller's copy need not be aligned
  std::memcpy(args.bytes, params[0], f->info.args_size);
  const dim3 grid_size{gx, gy, gz}, block_size{bx, by, bz};
  if (!kept)
    return run(f, grid_size, block_size, smem, args);
  keep(stream, [=, copy = std::make_shared<Args>(args)] {
    return functions.has(f) ? run(f, grid_size, block_size, smem, *copy) : CUDA_ERROR_INVALID_HANDLE;
  });
  return CUDA_SUCCESS;
}

CUresult cuTensorMapEncodeTiled(
    CUtensorMap* out, CUtensorMapDataType type, cuuint32_t rank, void* base, const cuuint64_t* dims,
    const cuuint64_t* strides, const cuuint32_t* box, const cuuint32_t* elem_strides, CUtensorMapInterleave interleave,
    CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  SPECTRAL_TRY(check_initialised());
  if (!out || !base || !dims || !strides || !box || !elem_strides)
    return CUDA_ERROR_INVALID_VALUE;
  const unsigned elem = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 ? 2
                        : type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32                                           ? 4
                        : type == CU_TENSOR_MAP_DATA_TYPE_UINT8                                             ? 1
                                                                                                            : 0;
  const bool swizzled = swizzle == CU_TENSOR_MAP_SWIZZLE_128B;
  const bool ok = elem && rank == 2 && interleave == CU_TENSOR_MAP_INTERLEAVE_NONE &&
                  fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && (swizzle == CU_TENSOR_MAP_SWIZZLE_NONE || swizzled) &&
                  reinterpret_cast<uintptr_t>(base) % 16 == 0 && reinterpret_cast<uintptr_t>(out) % 64 == 0 &&
                  strides[0] % 16 == 0 && dims[0] && dims[1] && box[0] && box[1] && box[0] <= 256 && box[1] <= 256 &&
                  box[0] * elem % 16 == 0 && elem_strides[0] == 1 && elem_strides[1] == 1 &&
                  (!swizzled || box[0] * elem == 128);   // narrower boxes are legal on a GPU, but not imitated
  if (!ok)
    return CUDA_ERROR_INVALID_VALUE;
  const TensorMapCpu map{
      TensorMapCpu::kMagic,
      static_cast<unsigned char*>(base),
      {dims[0], dims[1]},
      int64_t(strides[0]),
      {box[0], box[1]},
      elem,
      swizzled};
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &map, sizeof map);
  return CUDA_SUCCESS;
}
}
