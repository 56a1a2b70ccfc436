// Copies and fills in rows and slices, and between contexts: what lands where, and what is refused.
#include "../cpu/loader_api.h"
#include "host.h"
#include <numeric>

namespace {
std::vector<unsigned char> counted(size_t n) {
  std::vector<unsigned char> v(n);
  std::iota(v.begin(), v.end(), static_cast<unsigned char>(1));
  return v;
}

void pitched() {
  CUdeviceptr p = 0;
  size_t pitch = 0;
  size_t size = 0;
  CHECK_STATUS(cuMemAllocPitch(&p, &pitch, 100, 5, 3), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocPitch(&p, &pitch, 0, 5, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemAllocPitch(&p, &pitch, 100, SIZE_MAX / 256, 4), CUDA_ERROR_OUT_OF_MEMORY);
  CHECK_STATUS(cuMemAllocPitch(&p, &pitch, 100, 5, 4), CUDA_SUCCESS);
  CHECK(pitch >= 100 && pitch % 512 == 0);
  CHECK_STATUS(cuMemGetAddressRange(nullptr, &size, p), CUDA_SUCCESS);
  CHECK(size == 5 * pitch);
  CHECK_STATUS(cuMemFree(p), CUDA_SUCCESS);
}

void rows() {
  const auto host = counted(60);   // 6 rows of 10
  std::vector<unsigned char> back(60);
  Buffer<unsigned char> device(6 * 16);
  CHECK_STATUS(cuMemsetD8(device.p, 0, 96), CUDA_SUCCESS);
  CUDA_MEMCPY2D c{};
  c.srcMemoryType = CU_MEMORYTYPE_HOST;
  c.srcHost = host.data();
  c.srcPitch = 10;
  c.srcXInBytes = 2;
  c.srcY = 1;
  c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  c.dstDevice = device.p;
  c.dstPitch = 16;
  c.dstXInBytes = 5;
  c.dstY = 2;
  c.WidthInBytes = 4;
  c.Height = 3;
  CHECK_STATUS(cuMemcpy2D(&c), CUDA_SUCCESS);
  const auto now = device.get();
  int wrong = 0;
  for (size_t y = 0; y < 6; ++y)
    for (size_t x = 0; x < 16; ++x) {
      const bool inside = y >= 2 && y < 5 && x >= 5 && x < 9;
      wrong += now[y * 16 + x] != (inside ? host[(y - 1) * 10 + x - 3] : 0);
    }
  CHECK(wrong == 0);

  CUDA_MEMCPY2D d{};   // back, tight rows, asynchronously, unaligned pitches and a unified address
  d.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
  d.srcDevice = device.p;
  d.srcPitch = 16;
  d.srcXInBytes = 5;
  d.srcY = 2;
  d.dstMemoryType = CU_MEMORYTYPE_HOST;
  d.dstHost = back.data();
  d.dstPitch = 4;
  d.WidthInBytes = 4;
  d.Height = 3;
  CHECK_STATUS(cuMemcpy2DAsync(&d, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK(back[0] == host[12] && back[4] == host[22] && back[11] == host[35] && back[12] == 0);
  CHECK_STATUS(cuMemcpy2DUnaligned(&d), CUDA_SUCCESS);

  const auto with = [&](size_t CUDA_MEMCPY2D::*field, size_t value) {
    CUDA_MEMCPY2D changed = c;
    changed.*field = value;
    return cuMemcpy2D(&changed);
  };
  CHECK_STATUS(cuMemcpy2D(nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(with(&CUDA_MEMCPY2D::Height, 0), CUDA_SUCCESS);
  CHECK_STATUS(with(&CUDA_MEMCPY2D::Height, 5), CUDA_ERROR_INVALID_VALUE);   // beyond the allocation
  CHECK_STATUS(with(&CUDA_MEMCPY2D::dstY, 4), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(with(&CUDA_MEMCPY2D::dstPitch, 8), CUDA_ERROR_INVALID_VALUE);   // rows would overlap
  CHECK_STATUS(with(&CUDA_MEMCPY2D::srcPitch, 5), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(with(&CUDA_MEMCPY2D::dstXInBytes, SIZE_MAX - 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(with(&CUDA_MEMCPY2D::dstY, SIZE_MAX / 8), CUDA_ERROR_INVALID_VALUE);
  c.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  CHECK_STATUS(cuMemcpy2D(&c), CUDA_ERROR_NOT_SUPPORTED);
  CHECK(std::strstr(spectralCpuLastError(), "no arrays"));
  c.srcMemoryType = CUmemorytype(9);
  CHECK_STATUS(cuMemcpy2D(&c), CUDA_ERROR_INVALID_VALUE);
}

void slices() {
  const auto host = counted(2 * 3 * 4);   // 2 slices of 3 rows of 4
  Buffer<unsigned char> device(4 * 5 * 8);
  CHECK_STATUS(cuMemsetD8(device.p, 0, 160), CUDA_SUCCESS);
  CUDA_MEMCPY3D c{};
  c.srcMemoryType = CU_MEMORYTYPE_HOST;
  c.srcHost = host.data();
  c.srcPitch = 4;
  c.srcHeight = 3;
  c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  c.dstDevice = device.p;
  c.dstPitch = 8;
  c.dstHeight = 5;
  c.dstXInBytes = 1;
  c.dstY = 2;
  c.dstZ = 1;
  c.WidthInBytes = 4;
  c.Height = 3;
  c.Depth = 2;
  CHECK_STATUS(cuMemcpy3D(&c), CUDA_SUCCESS);
  const auto now = device.get();
  int wrong = 0;
  for (size_t z = 0; z < 4; ++z)
    for (size_t y = 0; y < 5; ++y)
      for (size_t x = 0; x < 8; ++x) {
        const bool inside = (z == 1 || z == 2) && y >= 2 && x >= 1 && x < 5;
        wrong += now[(z * 5 + y) * 8 + x] != (inside ? host[((z - 1) * 3 + y - 2) * 4 + x - 1] : 0);
      }
  CHECK(wrong == 0);
  CHECK_STATUS(cuMemcpy3DAsync(&c, nullptr), CUDA_SUCCESS);
  c.dstZ = 3;
  CHECK_STATUS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
  c.dstZ = 0;
  c.dstHeight = 4;   // fewer rows to a slice than are written
  CHECK_STATUS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
  c.dstHeight = 5;
  c.srcLOD = 1;
  CHECK_STATUS(cuMemcpy3D(&c), CUDA_ERROR_INVALID_VALUE);
}

void addresses_and_peers() {
  CUcontext now = nullptr;
  CUcontext other = nullptr;
  CUdeviceptr theirs = 0;
  const auto host = counted(64);
  std::vector<unsigned char> back(64);
  Buffer<unsigned char> ours(64);
  CHECK_STATUS(cuCtxGetCurrent(&now), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxCreate(&other, 0, 0), CUDA_SUCCESS);
  CHECK_STATUS(cuMemAlloc(&theirs, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuCtxPopCurrent(nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpy(ours.p, CUdeviceptr(host.data()), 64), CUDA_SUCCESS);   // which is which, the address says
  CHECK_STATUS(cuMemcpyPeer(theirs, other, ours.p, now, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpyAsync(CUdeviceptr(back.data()), theirs, 64, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuStreamSynchronize(nullptr), CUDA_SUCCESS);
  CHECK(back == host);
  CHECK_STATUS(cuMemcpy(ours.p + 1, CUdeviceptr(host.data()), 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpy(ours.p, 0, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyPeer(theirs, other, CUdeviceptr(host.data()), now, 64), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemcpyPeerAsync(theirs, nullptr, ours.p, now, 64, nullptr), CUDA_ERROR_INVALID_CONTEXT);
  CUDA_MEMCPY3D_PEER c{};
  c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  c.srcDevice = theirs;
  c.srcContext = other;
  c.srcPitch = 8;
  c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  c.dstDevice = ours.p;
  c.dstContext = now;
  c.dstPitch = 8;
  c.WidthInBytes = 2;
  c.Height = 8;
  c.Depth = 1;
  CHECK_STATUS(cuMemsetD8(ours.p, 0, 64), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpy3DPeer(&c), CUDA_SUCCESS);
  back = ours.get();
  CHECK(back[1] == 2 && back[2] == 0 && back[57] == 58);
  CHECK_STATUS(cuCtxDestroy(other), CUDA_SUCCESS);
  CHECK_STATUS(cuMemcpy3DPeerAsync(&c, nullptr), CUDA_ERROR_INVALID_CONTEXT);
}

void fills() {
  Buffer<uint16_t> b(4 * 8);   // rows of 16 bytes
  CHECK_STATUS(cuMemsetD16(b.p, 0x1111, 32), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD2D16(b.p + 4, 16, 0x2222, 3, 4), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD2D8Async(b.p, 16, 0x33, 1, 2, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuMemsetD2D32(b.p + 12, 16, 0x44445555, 1, 4), CUDA_SUCCESS);
  const auto v = b.get();
  CHECK(v[0] == 0x1133 && v[8] == 0x1133 && v[16] == 0x1111);
  CHECK(v[1] == 0x1111 && v[2] == 0x2222 && v[4] == 0x2222 && v[5] == 0x1111 && v[28] == 0x2222);
  CHECK(v[30] == 0x5555 && v[31] == 0x4444);
  CHECK_STATUS(cuMemsetD16(b.p + 1, 1, 2), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemsetD16Async(b.p, 1, 33, nullptr), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuMemsetD2D32(b.p, 15, 1, 1, 2), CUDA_ERROR_INVALID_VALUE);   // the pitch is of whole elements
  CHECK_STATUS(cuMemsetD2D32(b.p, 16, 1, 5, 2), CUDA_ERROR_INVALID_VALUE);   // wider than the pitch
  CHECK_STATUS(cuMemsetD2D8(b.p, 16, 1, 16, 5), CUDA_ERROR_INVALID_VALUE);   // beyond the allocation
  CHECK_STATUS(cuMemsetD2D16Async(b.p, 16, 1, 0, 9, nullptr), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(loader_copies) {
  pitched();
  rows();
  slices();
  addresses_and_peers();
  fills();
}
