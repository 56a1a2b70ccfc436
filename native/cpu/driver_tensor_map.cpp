// Tensor maps: the limits of the CUDA Driver API, "Tensor Map Object Management", each with its own refusal.
#include "capture.h"
#include "tensor_map.h"
#include <cstdarg>
#include <cstdio>
#include <cstring>

using namespace spectral::cpu;

namespace {
// Bytes of an element; 0 for types that are not imitated.
unsigned element_bytes(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8: return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32: return 4;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64:
    case CU_TENSOR_MAP_DATA_TYPE_INT64:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64: return 8;
    default: return 0;
  }
}
bool is_float(CUtensorMapDataType type) {
  return type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16 || type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 ||
         type == CU_TENSOR_MAP_DATA_TYPE_FLOAT32 || type == CU_TENSOR_MAP_DATA_TYPE_FLOAT64;
}

CUresult refuse(const char* format, ...) __attribute__((format(printf, 1, 2)));
CUresult refuse(const char* format, ...) {
  char reason[200];
  va_list values;
  va_start(values, format);
  vsnprintf(reason, sizeof reason, format, values);
  va_end(values);
  set_error(std::string("tensor map: ") + reason);
  return CUDA_ERROR_INVALID_VALUE;
}
using Wide = unsigned long long;

CUresult check_modes(
    CUtensorMapDataType type, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapFloatOOBfill fill) {
  if (!element_bytes(type))
    return refuse("data type %d is not supported by the CPU device", int(type));
  if (interleave != CU_TENSOR_MAP_INTERLEAVE_NONE)
    return refuse("interleaved layouts are not supported by the CPU device");
  if (swizzle < CU_TENSOR_MAP_SWIZZLE_NONE || swizzle > CU_TENSOR_MAP_SWIZZLE_128B)
    return refuse("swizzle mode %d is not supported by the CPU device", int(swizzle));
  if (fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA)
    return refuse("there is no fill mode %d", int(fill));
  if (fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE && !is_float(type))
    return refuse("only elements in floating point are filled with NaN");
  return CUDA_SUCCESS;
}
// Sizes from the innermost dimension on; strides are those of all but the innermost.
CUresult check_sizes(
    cuuint32_t rank, const cuuint64_t* dims, const cuuint64_t* strides, const cuuint32_t* box,
    const cuuint32_t* elem_strides) {
  constexpr Wide kMostElements = Wide(1) << 32;
  constexpr Wide kStrideEnd = Wide(1) << 40;
  for (cuuint32_t d = 0; d < rank; ++d) {
    if (dims[d] < 1 || dims[d] > kMostElements)
      return refuse("dimension %u has 1 to 2^32 elements, not %llu", d, Wide(dims[d]));
    if (box[d] < 1 || box[d] > 256)
      return refuse("a box has 1 to 256 elements in dimension %u, not %u", d, box[d]);
    if (elem_strides[d] != 1)
      return refuse("element stride %u of dimension %u: the CPU device copies only every element", elem_strides[d], d);
    if (d && (strides[d - 1] % 16 || strides[d - 1] >= kStrideEnd))
      return refuse(
          "the stride of dimension %u is a multiple of 16 below 2^40 bytes, not %llu", d, Wide(strides[d - 1]));
  }
  return CUDA_SUCCESS;
}
CUresult check_box(cuuint32_t rank, const cuuint32_t* box, unsigned elem, CUtensorMapSwizzle swizzle) {
  constexpr Wide kMostShared = Wide(228) << 10;   // bytes, of any GPU
  const cuuint32_t row_bytes = box[0] * elem;
  const unsigned span = 16u << int(swizzle);
  Wide bytes = swizzle ? span : row_bytes;   // of shared memory, up to 2^43
  for (cuuint32_t d = 1; d < rank; ++d)
    bytes *= box[d];
  if (bytes > kMostShared)
    return refuse("a box of %llu bytes is larger than shared memory", bytes);
  if (row_bytes % 16)
    return refuse("a row of the box has a multiple of 16 bytes, not %u", row_bytes);
  if (swizzle && row_bytes > span)
    return refuse("a row of the box has at most the %u bytes of the swizzle, not %u", span, row_bytes);
  return CUDA_SUCCESS;
}
}   // namespace

extern "C" CUresult cuTensorMapEncodeTiled(
    CUtensorMap* out, CUtensorMapDataType type, cuuint32_t rank, void* base, const cuuint64_t* dims,
    const cuuint64_t* strides, const cuuint32_t* box, const cuuint32_t* elem_strides, CUtensorMapInterleave interleave,
    CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  SPECTRAL_TRY(check_initialised());
  if (rank < 1 || rank > cuuint32_t(TensorMapCpu::kMaxRank))
    return refuse("a tensor has 1 to 5 dimensions, not %u", rank);
  if (!out || !base || !dims || (rank > 1 && !strides) || !box || !elem_strides)
    return refuse("an argument is null");
  if (reinterpret_cast<uintptr_t>(out) % 64)
    return refuse("the map lies at %p, which is not a multiple of 64", static_cast<void*>(out));
  if (reinterpret_cast<uintptr_t>(base) % 16)
    return refuse("the tensor lies at %p, which is not a multiple of 16", base);
  SPECTRAL_TRY(check_modes(type, interleave, swizzle, fill));
  SPECTRAL_TRY(check_sizes(rank, dims, strides, box, elem_strides));
  const unsigned elem = element_bytes(type);
  SPECTRAL_TRY(check_box(rank, box, elem, swizzle));
  TensorMapCpu map{};
  map.magic = TensorMapCpu::kMagic;
  map.base = static_cast<unsigned char*>(base);
  for (cuuint32_t d = 0; d < cuuint32_t(TensorMapCpu::kMaxRank); ++d) {
    map.dim[d] = d < rank ? dims[d] : 1;
    map.box[d] = d < rank ? uint16_t(box[d]) : uint16_t(1);
    if (d && d < rank)
      map.stride[d - 1] = int64_t(strides[d - 1]);
  }
  map.rank = uint8_t(rank);
  map.elem = uint8_t(elem);
  map.swizzle = uint8_t(swizzle);
  map.type = uint8_t(type);
  map.fills_nan = fill != CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;
  std::memset(out, 0, sizeof *out);
  std::memcpy(out, &map, sizeof map);
  return CUDA_SUCCESS;
}
extern "C" CUresult cuTensorMapReplaceAddress(CUtensorMap* map, void* base) {
  SPECTRAL_TRY(check_initialised());
  if (!map || !base)
    return refuse("an argument is null");
  TensorMapCpu known;
  std::memcpy(&known, map, sizeof known);
  if (known.magic != TensorMapCpu::kMagic)
    return refuse("the map was not encoded");
  if (reinterpret_cast<uintptr_t>(base) % 16)
    return refuse("the tensor lies at %p, which is not a multiple of 16", base);
  known.base = static_cast<unsigned char*>(base);
  std::memcpy(map, &known, sizeof known);
  return CUDA_SUCCESS;
}
