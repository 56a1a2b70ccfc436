// Copies between any two of host and device: a run of bytes, rows of a pitch, slices of rows. There is one address
// space, so a copy is told its sides' kinds only to check them.
#include "capture.h"
#include "memory.h"
#include <cstring>

using namespace spectral::cpu;

namespace {
// One side of a copy: the first byte, and the bytes from row to row and from slice to slice.
struct Side {
  uintptr_t start;
  size_t pitch, slice;
};
struct Box {
  size_t width, height, depth;   // bytes, rows, slices
  bool empty() const { return !width || !height || !depth; }
};

bool add(size_t* sum, size_t a, size_t b) {
  return !__builtin_mul_overflow(a, b, &a) && !__builtin_add_overflow(*sum, a, sum);
}
// Bytes from a side's first to its last; false beyond the address space.
bool span(const Side& s, const Box& b, size_t* bytes) {
  *bytes = b.width;
  return add(bytes, b.height - 1, s.pitch) && add(bytes, b.depth - 1, s.slice);
}
// The device's side lies inside one allocation; of a unified address the host's may also be unknown memory.
CUresult check_side(const Side& s, const Box& b, CUmemorytype type) {
  size_t bytes;
  if (!s.start || !span(s, b, &bytes) || bytes > SIZE_MAX - s.start)
    return CUDA_ERROR_INVALID_VALUE;
  Allocation a;
  const bool known = find_allocation(s.start, &a);
  if (type == CU_MEMORYTYPE_HOST || (type == CU_MEMORYTYPE_UNIFIED && !known))
    return CUDA_SUCCESS;
  return known && bytes <= a.size - (s.start - a.start) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
bool is_on_host(const Side& s) {
  Allocation a;
  return !find_allocation(s.start, &a) || a.on_host();
}
CUresult copy(const Side& to, const Side& from, const Box& b, CUstream stream) {
  SPECTRAL_TRY(verify_guards());
  const auto work = [=] {
    for (size_t z = 0; z < b.depth; ++z)
      for (size_t y = 0; y < b.height; ++y)
        std::memmove(
            reinterpret_cast<void*>(to.start + z * to.slice + y * to.pitch),
            reinterpret_cast<const void*>(from.start + z * from.slice + y * from.pitch),
            b.width);
    return CUDA_SUCCESS;
  };
  const Side& host = is_on_host(from) ? from : to;   // of a copy on the device, none: its memory is never asked about
  size_t bytes = 0;
  span(host, b, &bytes);
  return submit(stream, work, {reinterpret_cast<const void*>(host.start), bytes});
}
CUresult copy_run(
    CUdeviceptr to, CUmemorytype to_type, CUdeviceptr from, CUmemorytype from_type, size_t n, CUstream s) {
  SPECTRAL_TRY(check_stream(s));
  if (!n)
    return CUDA_SUCCESS;
  const Side d{uintptr_t(to), 0, 0};
  const Side f{uintptr_t(from), 0, 0};
  const Box b{n, 1, 1};
  SPECTRAL_TRY(check_side(d, b, to_type));
  SPECTRAL_TRY(check_side(f, b, from_type));
  return copy(d, f, b, s);
}

// A side as the caller's struct describes it: the start of the whole and what of it is meant.
struct Described {
  CUmemorytype type;
  const void* host;
  CUdeviceptr device;
  size_t x, y, z, pitch, height;   // bytes and rows; pitch and height of the whole
};
CUresult resolve(const Described& d, const Box& b, Side* side) {
  switch (d.type) {
    case CU_MEMORYTYPE_HOST: side->start = reinterpret_cast<uintptr_t>(d.host); break;
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED: side->start = uintptr_t(d.device); break;
    case CU_MEMORYTYPE_ARRAY: set_error("copy: the CPU device has no arrays"); return CUDA_ERROR_NOT_SUPPORTED;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
  size_t row = d.x;
  if (!side->start || !add(&row, b.width, 1) || (b.height * b.depth > 1 && d.pitch < row))
    return CUDA_ERROR_INVALID_VALUE;
  size_t rows = d.y;
  if (b.depth > 1 && (!add(&rows, b.height, 1) || d.height < rows))
    return CUDA_ERROR_INVALID_VALUE;
  size_t offset = d.x;
  size_t first = d.y;   // row
  side->pitch = d.pitch;
  side->slice = 0;
  if (!add(&first, d.z, d.height) || !add(&offset, first, d.pitch) || !add(&side->slice, d.pitch, d.height) ||
      offset > SIZE_MAX - side->start)
    return CUDA_ERROR_INVALID_VALUE;
  side->start += offset;
  return check_side(*side, b, d.type);
}
CUresult copy_described(const Described& to, const Described& from, const Box& b, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (b.empty())
    return CUDA_SUCCESS;
  Side d;
  Side f;
  SPECTRAL_TRY(resolve(to, b, &d));
  SPECTRAL_TRY(resolve(from, b, &f));
  return copy(d, f, b, stream);
}
CUresult copy_2d(const CUDA_MEMCPY2D* c, CUstream stream) {
  if (!c)
    return CUDA_ERROR_INVALID_VALUE;
  return copy_described(
      {c->dstMemoryType, c->dstHost, c->dstDevice, c->dstXInBytes, c->dstY, 0, c->dstPitch, 0},
      {c->srcMemoryType, c->srcHost, c->srcDevice, c->srcXInBytes, c->srcY, 0, c->srcPitch, 0},
      {c->WidthInBytes, c->Height, 1},
      stream);
}
template <class Copy>
CUresult copy_3d(const Copy* c, CUstream stream) {
  if (!c || c->srcLOD || c->dstLOD)
    return CUDA_ERROR_INVALID_VALUE;
  return copy_described(
      {c->dstMemoryType, c->dstHost, c->dstDevice, c->dstXInBytes, c->dstY, c->dstZ, c->dstPitch, c->dstHeight},
      {c->srcMemoryType, c->srcHost, c->srcDevice, c->srcXInBytes, c->srcY, c->srcZ, c->srcPitch, c->srcHeight},
      {c->WidthInBytes, c->Height, c->Depth},
      stream);
}
CUresult check_peers(CUcontext to, CUcontext from) {
  SPECTRAL_TRY(check_context());
  return is_live(to) && is_live(from) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}
CUresult copy_peer(const CUDA_MEMCPY3D_PEER* c, CUstream stream) {
  if (!c)
    return CUDA_ERROR_INVALID_VALUE;
  SPECTRAL_TRY(check_peers(c->dstContext, c->srcContext));
  return copy_3d(c, stream);
}
}   // namespace

extern "C" {
CUresult cuMemcpyAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream stream) {
  return copy_run(to, CU_MEMORYTYPE_UNIFIED, from, CU_MEMORYTYPE_UNIFIED, n, stream);
}
CUresult cuMemcpy(CUdeviceptr to, CUdeviceptr from, size_t n) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(cuMemcpyAsync(to, from, n, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpyPeerAsync(
    CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t n, CUstream stream) {
  SPECTRAL_TRY(check_peers(to_context, from_context));
  return copy_run(to, CU_MEMORYTYPE_DEVICE, from, CU_MEMORYTYPE_DEVICE, n, stream);
}
CUresult cuMemcpyPeer(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context, size_t n) {
  SPECTRAL_TRY(cuMemcpyPeerAsync(to, to_context, from, from_context, n, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpy2DAsync(const CUDA_MEMCPY2D* c, CUstream stream) { return copy_2d(c, stream); }
CUresult cuMemcpy2D(const CUDA_MEMCPY2D* c) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(copy_2d(c, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpy2DUnaligned(const CUDA_MEMCPY2D* c) { return cuMemcpy2D(c); }   // any pitch will do here
CUresult cuMemcpy3DAsync(const CUDA_MEMCPY3D* c, CUstream stream) { return copy_3d(c, stream); }
CUresult cuMemcpy3D(const CUDA_MEMCPY3D* c) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(copy_3d(c, nullptr));
  return finish(nullptr);
}
CUresult cuMemcpy3DPeerAsync(const CUDA_MEMCPY3D_PEER* c, CUstream stream) { return copy_peer(c, stream); }
CUresult cuMemcpy3DPeer(const CUDA_MEMCPY3D_PEER* c) {
  SPECTRAL_TRY(check_unsafe());
  SPECTRAL_TRY(copy_peer(c, nullptr));
  return finish(nullptr);
}
}
