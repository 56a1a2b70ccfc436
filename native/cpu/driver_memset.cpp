// Filling memory with a value, in a run of elements or in rows of a pitch.
#include "capture.h"
#include "memory.h"
#include <algorithm>

using namespace spectral::cpu;

namespace {
template <class T>
CUresult fill_rows(CUdeviceptr to, size_t pitch, T value, size_t width, size_t height, CUstream stream) {
  SPECTRAL_TRY(check_stream(stream));
  if (!width || !height)
    return CUDA_SUCCESS;
  if (to % sizeof(T) || width > SIZE_MAX / sizeof(T))
    return CUDA_ERROR_INVALID_VALUE;
  const size_t row = width * sizeof(T);
  if (height > 1 && (pitch % sizeof(T) || pitch < row || height - 1 > (SIZE_MAX - row) / pitch))
    return CUDA_ERROR_INVALID_VALUE;
  if (!inside_allocation(uintptr_t(to), (height - 1) * pitch + row))
    return CUDA_ERROR_INVALID_VALUE;
  return submit(stream, [=] {
    for (size_t i = 0; i < height; ++i)
      std::fill_n(reinterpret_cast<T*>(to + i * pitch), width, value);
    return CUDA_SUCCESS;
  });
}
template <class T>
CUresult fill(CUdeviceptr to, T value, size_t n, CUstream stream) {
  return fill_rows(to, 0, value, n, 1, stream);
}
}   // namespace

extern "C" {
CUresult cuMemsetD8(CUdeviceptr p, unsigned char v, size_t n) { return fill(p, v, n, nullptr); }
CUresult cuMemsetD16(CUdeviceptr p, unsigned short v, size_t n) { return fill(p, v, n, nullptr); }
CUresult cuMemsetD32(CUdeviceptr p, unsigned v, size_t n) { return fill(p, v, n, nullptr); }
CUresult cuMemsetD8Async(CUdeviceptr p, unsigned char v, size_t n, CUstream s) { return fill(p, v, n, s); }
CUresult cuMemsetD16Async(CUdeviceptr p, unsigned short v, size_t n, CUstream s) { return fill(p, v, n, s); }
CUresult cuMemsetD32Async(CUdeviceptr p, unsigned v, size_t n, CUstream s) { return fill(p, v, n, s); }

CUresult cuMemsetD2D8(CUdeviceptr p, size_t pitch, unsigned char v, size_t width, size_t height) {
  return fill_rows(p, pitch, v, width, height, nullptr);
}
CUresult cuMemsetD2D16(CUdeviceptr p, size_t pitch, unsigned short v, size_t width, size_t height) {
  return fill_rows(p, pitch, v, width, height, nullptr);
}
CUresult cuMemsetD2D32(CUdeviceptr p, size_t pitch, unsigned v, size_t width, size_t height) {
  return fill_rows(p, pitch, v, width, height, nullptr);
}
CUresult cuMemsetD2D8Async(CUdeviceptr p, size_t pitch, unsigned char v, size_t width, size_t height, CUstream s) {
  return fill_rows(p, pitch, v, width, height, s);
}
CUresult cuMemsetD2D16Async(CUdeviceptr p, size_t pitch, unsigned short v, size_t width, size_t height, CUstream s) {
  return fill_rows(p, pitch, v, width, height, s);
}
CUresult cuMemsetD2D32Async(CUdeviceptr p, size_t pitch, unsigned v, size_t width, size_t height, CUstream s) {
  return fill_rows(p, pitch, v, width, height, s);
}
}
