// Launches.
#include "capture.h"
#include "profiles.h"
#include "ptx/loaded_module.h"
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace spectral::cpu;

namespace {
constexpr unsigned kMaxDepth = 64;          // threads of a block along z
constexpr size_t kArgumentAlignment = 64;   // of tensor maps, which are read where they are

CUresult refuse(CUresult status, const char* format, ...) __attribute__((format(printf, 2, 3)));
CUresult refuse(CUresult status, const char* format, ...) {
  char reason[200];
  va_list values;
  va_start(values, format);
  vsnprintf(reason, sizeof reason, format, values);
  va_end(values);
  set_error(reason);
  return status;
}
// The cluster that the kernel was compiled for, or else that of the launch. PTX ISA, "Cluster Dimension Directives".
CUresult settle_cluster(const CUfunc_st& f, LaunchShape& shape) {
  const unsigned compiled[3] = {f.info.cluster > 1 ? f.info.cluster : 0, 1, 1};   // of a kernel from source
  const unsigned* fixed = f.program ? f.program->cluster : compiled;
  const dim3 c = shape.cluster;
  if (fixed[0]) {
    if (shape.is_cluster_stated && (c.x != fixed[0] || c.y != fixed[1] || c.z != fixed[2]))
      return refuse(
          CUDA_ERROR_INVALID_CLUSTER_SIZE,
          "the kernel was compiled for clusters of %u x %u x %u blocks, not %u x %u x %u",
          fixed[0],
          fixed[1],
          fixed[2],
          c.x,
          c.y,
          c.z);
    shape.cluster = {fixed[0], fixed[1], fixed[2]};
    shape.is_cluster_stated = true;
    return CUDA_SUCCESS;
  }
  if (f.program && f.program->needs_cluster && !shape.is_cluster_stated)
    return refuse(
        CUDA_ERROR_INVALID_CLUSTER_SIZE, "the kernel is .explicitcluster: its launch says the cluster's size");
  if (!f.program && count_of(c) > 1)
    return refuse(
        CUDA_ERROR_NOT_SUPPORTED, "a kernel compiled from source takes its clusters from there, not from a launch");
  return CUDA_SUCCESS;
}
CUresult check_cluster(const CUfunc_st& f, const LaunchShape& shape) {
  constexpr unsigned kMostBlocks = 16;
  const Profile& gpu = profile();
  const dim3 c = shape.cluster;
  const uint64_t blocks = std::max({c.x, c.y, c.z}) > kMostBlocks ? UINT64_MAX : count_of(c);
  if (!blocks)
    return refuse(CUDA_ERROR_INVALID_CLUSTER_SIZE, "a cluster has no side of 0 blocks");
  if (blocks > 1 && !gpu.runs_clusters())
    return refuse(
        CUDA_ERROR_NOT_SUPPORTED,
        "the kernel runs in clusters of %u x %u x %u blocks, which need compute capability 9.0; %s has %d.%d",
        c.x,
        c.y,
        c.z,
        gpu.shown(),
        gpu.major,
        gpu.minor);
  unsigned most = f.may_exceed_portable_cluster ? kMostBlocks : unsigned(gpu.cluster_blocks);
  if (f.program && f.program->max_cluster)
    most = std::min(most, f.program->max_cluster);
  if (blocks > most)
    return refuse(
        CUDA_ERROR_INVALID_CLUSTER_SIZE, "a cluster has up to %u blocks, not %u x %u x %u", most, c.x, c.y, c.z);
  const dim3 grid = shape.grid;
  if (grid.x % c.x || grid.y % c.y || grid.z % c.z)
    return refuse(
        CUDA_ERROR_INVALID_CLUSTER_SIZE,
        "the sides of the grid are multiples of those of the cluster, %u x %u x %u, not %u x %u x %u",
        c.x,
        c.y,
        c.z,
        grid.x,
        grid.y,
        grid.z);
  return CUDA_SUCCESS;
}
CUresult check_shape(const CUfunc_st& f, const LaunchShape& shape) {
  const auto& [grid, block, cluster, stated, smem] = shape;
  const uint64_t threads = count_of(block);
  const int needed = f.info.dynamic_shared;
  if (!grid.x || !grid.y || !grid.z || grid.x > 0x7fffffff || grid.y > 65535 || grid.z > 65535)
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "a grid has 1 to 2147483647 x 65535 x 65535 blocks, not %u x %u x %u",
        grid.x,
        grid.y,
        grid.z);
  if (block.x > kMaxThreads || block.y > kMaxThreads || block.z > kMaxDepth)
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "a block has up to %u x %u x %u threads, not %u x %u x %u",
        kMaxThreads,
        kMaxThreads,
        kMaxDepth,
        block.x,
        block.y,
        block.z);
  if (!threads || threads > f.info.max_threads)
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "the kernel takes 1 to %u threads per block, not %u x %u x %u",
        f.info.max_threads,
        block.x,
        block.y,
        block.z);
  if (const unsigned* n = f.program ? f.program->required_threads : nullptr;
      n && n[0] && (block.x != n[0] || block.y != n[1] || block.z != n[2]))
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "the kernel takes blocks of %u x %u x %u threads, not %u x %u x %u",
        n[0],
        n[1],
        n[2],
        block.x,
        block.y,
        block.z);
  const Profile& gpu = profile();
  if (f.info.hopper && !gpu.is_hopper())
    return refuse(
        CUDA_ERROR_NO_BINARY_FOR_GPU,
        "kernel %s is for sm_90a alone, which compute capability %d.%d (%s) does not run",
        f.info.name,
        gpu.major,
        gpu.minor,
        gpu.shown());
  if (const int fixed = f.info.static_shared; uint64_t(fixed) + smem > uint64_t(gpu.shared_opt_in))
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "a block has %d bytes of shared memory, not %d static and %u dynamic",
        gpu.shared_opt_in,
        fixed,
        smem);
  if (smem > unsigned(f.max_dynamic_shared))
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "%d bytes of dynamic shared memory are allowed for the kernel, not %u",
        f.max_dynamic_shared,
        smem);
  if (needed > 0 && smem < unsigned(needed))
    return refuse(CUDA_ERROR_INVALID_VALUE, "the kernel needs %d bytes of dynamic shared memory, not %u", needed, smem);
  return check_cluster(f, shape);
}

// The buffer that `extra` leads to: the values of all parameters, each at its offset.
CUresult read_extra(const CUfunc_st& f, void** extra, const void** buffer) {
  const size_t* size = nullptr;
  *buffer = nullptr;
  // Each key stands once, with its value behind it.
  for (int key = 0; key < 2 && *extra != CU_LAUNCH_PARAM_END; ++key, extra += 2) {
    if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
      *buffer = extra[1];
    else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
      size = static_cast<const size_t*>(extra[1]);
    else
      return refuse(CUDA_ERROR_INVALID_VALUE, "extra has a key that is not CU_LAUNCH_PARAM_BUFFER_POINTER or _SIZE");
  }
  if (*extra != CU_LAUNCH_PARAM_END || !*buffer || !size)
    return refuse(CUDA_ERROR_INVALID_VALUE, "extra has a buffer, its size and CU_LAUNCH_PARAM_END");
  if (*size < f.info.args_size)
    return refuse(
        CUDA_ERROR_INVALID_VALUE, "the kernel takes %zu bytes of arguments, not %zu", f.info.args_size, *size);
  return CUDA_SUCCESS;
}
// From `params`, a pointer to each parameter, or from `extra`; a kernel of a library has one parameter, its struct.
CUresult read_arguments(const CUfunc_st& f, void** params, void** extra, unsigned char* args) {
  const size_t n = f.program ? f.program->parameters.size() : 1;
  if (params && extra)
    return refuse(CUDA_ERROR_INVALID_VALUE, "arguments are passed in params or in extra, not in both");
  if (f.info.args_size > ptx::kMaxParameters)
    return refuse(
        CUDA_ERROR_INVALID_VALUE,
        "a kernel takes up to %zu bytes of arguments, this one %zu",
        ptx::kMaxParameters,
        f.info.args_size);
  if (extra) {
    const void* buffer;
    SPECTRAL_TRY(read_extra(f, extra, &buffer));
    std::memcpy(args, buffer, f.info.args_size);
    return CUDA_SUCCESS;
  }
  for (size_t i = 0; i < n; ++i) {
    if (!params || !params[i])
      return refuse(CUDA_ERROR_INVALID_VALUE, "argument %zu of %zu is missing in params", i, n);
    const size_t offset = f.program ? f.program->parameters[i].offset : 0;
    const size_t bytes = f.program ? f.program->parameters[i].bytes : f.info.args_size;
    std::memcpy(args + offset, params[i], bytes);
  }
  return CUDA_SUCCESS;
}
std::shared_ptr<unsigned char> copy_arguments(const unsigned char* args, size_t size) {
  constexpr std::align_val_t kAlignment{kArgumentAlignment};
  auto* copy = static_cast<unsigned char*>(::operator new(size, kAlignment));
  std::memcpy(copy, args, size);
  return {copy, [](unsigned char* bytes) { ::operator delete(bytes, kAlignment); }};
}
CUresult run(CUfunction f, const LaunchShape& shape, const unsigned char* args) {
  if (f->program) {
    std::string reason;
    CUcontext context = current_context();
    if (f->program->uses_heap)
      SPECTRAL_TRY(context->heap.prepare(context->limits.heap));
    const CUresult status = ptx::launch(*f->program, shape, context->heap, args, &reason);
    return status ? fail_context(context, status, reason) : CUDA_SUCCESS;
  }
  const auto cluster = unsigned(count_of(shape.cluster));
  Launch l{
      &f->info,
      f->module->statics,
      args,
      shape.grid,
      shape.block,
      shape.dynamic_shared,
      cluster,
      count_of(shape.grid) / cluster,
      {0},
      {false},
      {false}};
  launch(l);
  if (!l.failed)
    return CUDA_SUCCESS;
  return fail_context(current_context(), l.illegal ? CUDA_ERROR_ILLEGAL_ADDRESS : CUDA_ERROR_LAUNCH_FAILED, l.reason);
}
}   // namespace

CUresult spectral::cpu::launch_kernel(CUfunction f, LaunchShape shape, CUstream stream, void** params, void** extra) {
  SPECTRAL_TRY(check_stream(stream));
  f = launched(f);
  if (!functions.has(f))
    return CUDA_ERROR_INVALID_HANDLE;
  SPECTRAL_TRY(settle_cluster(*f, shape));
  if (f->program && f->program->counts_clusters) {
    // Its sides stay below 2^36: a cluster has up to 16 blocks.
    const dim3 clusters = shape.grid;
    const dim3 c = shape.cluster;
    if (uint64_t(clusters.x) * c.x > UINT32_MAX || uint64_t(clusters.y) * c.y > UINT32_MAX ||
        uint64_t(clusters.z) * c.z > UINT32_MAX)
      return refuse(CUDA_ERROR_INVALID_VALUE, "the grid of clusters has too many blocks");
    shape.grid = {clusters.x * c.x, clusters.y * c.y, clusters.z * c.z};
  }
  SPECTRAL_TRY(check_shape(*f, shape));
  alignas(kArgumentAlignment) unsigned char args[ptx::kMaxParameters];   // the caller's copy need not be aligned
  SPECTRAL_TRY(read_arguments(*f, params, extra, args));
  bool kept;
  SPECTRAL_TRY(check_work(stream, &kept));
  if (!kept)
    return run(f, shape, args);
  keep(stream, [=, copy = copy_arguments(args, f->info.args_size)] {
    return functions.has(f) ? run(f, shape, copy.get()) : CUDA_ERROR_INVALID_HANDLE;
  });
  return CUDA_SUCCESS;
}

extern "C" CUresult cuLaunchKernel(
    CUfunction f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned smem,
    CUstream stream, void** params, void** extra) {
  return launch_kernel(f, {{gx, gy, gz}, {bx, by, bz}, {}, false, smem}, stream, params, extra);
}
