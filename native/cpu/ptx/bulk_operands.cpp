#include "bulk_operands.h"
#include <algorithm>

namespace spectral::cpu::ptx {
TensorMapCpu read_map(Warp& w, const Step& s, unsigned lane, uint64_t address) {
  const uint64_t parameters = reinterpret_cast<uint64_t>(w.block().launch().parameters);
  const size_t size = w.program().parameter_bytes;
  TensorMap map;
  if (address % 64)
    fail_access(CUDA_ERROR_MISALIGNED_ADDRESS, w, s, lane, "a tensor map lies at a multiple of 64 bytes");
  if (address - parameters >= size || size - (address - parameters) < sizeof map)
    w.block().cluster->check_global(w, s, lane, address, address + sizeof map);
  std::memcpy(&map, reinterpret_cast<const void*>(address), sizeof map);
  const TensorMapCpu t = decode(map);
  if (t.magic != TensorMapCpu::kMagic)
    fail(w, s, "the tensor map was not encoded");
  return t;
}

void check_shared_end(Warp& w, const Step& s, uint32_t offset, uint32_t bytes, uint32_t align, const char* what) {
  const size_t size = w.block().cluster->shared_bytes;
  if (offset % align)
    fail(w, s, "%s at shared offset %u is not at a multiple of %u", what, offset, align);
  if (offset + uint64_t(bytes) > size)
    fail(w, s, "%s of %u bytes at shared offset %u ends outside shared memory (%zu)", what, bytes, offset, size);
}
void check_size(Warp& w, const Step& s, unsigned lane, uint64_t address, uint32_t bytes) {
  if (address % 16 || bytes % 16 || !bytes)
    fail_access(
        CUDA_ERROR_MISALIGNED_ADDRESS,
        w,
        s,
        lane,
        "a bulk copy of %u bytes at address 0x%llx: both are multiples of 16",
        bytes,
        static_cast<unsigned long long>(address));
}
unsigned char* take_global_end(Warp& w, const Step& s, unsigned lane, uint64_t address, uint32_t bytes) {
  check_size(w, s, lane, address, bytes);
  w.block().cluster->check_global(w, s, lane, address, address + bytes);
  return reinterpret_cast<unsigned char*>(address);
}
void take_box(Warp& w, const Step& s, int lane, TensorBox& box) {
  const auto rank = int(s.c);
  box.map = read_map(w, s, unsigned(lane), far_of(w, s, lane));
  if (box.map.rank != rank)
    fail(w, s, "a copy of %d dimensions, by a tensor map of %d", rank, box.map.rank);
  for (int d = 0; d < rank; ++d)
    box.at[d] = w.lanes<int32_t>(places_of(w, s).coordinates[d])[lane];
  if (const BoxInTensor in = box_in_tensor(box.map, box.at); in.first < in.end)
    w.block().cluster->check_global(w, s, unsigned(lane), in.first, in.end);
}

namespace {
// The part of a box that lies inside the tensor, by planes of its first two dimensions.
void count_box(GlobalTraffic& t, const TensorBox& o) {
  const int64_t elem = o.map.elem;
  const int64_t first = std::max<int64_t>(0, o.at[0] * elem);
  const int64_t end = std::min(int64_t(o.map.dim[0]) * elem, (o.at[0] + int64_t(o.map.box[0])) * elem);
  const uint32_t per_plane = o.map.box[1];
  const uint64_t copies = t.bulk_copies;
  uint64_t rows = 0;
  int64_t start = 0;
  for_rows(o.map, o.at, [&](uint32_t r, int64_t row) {
    if (row != kOutside && end > first && !rows++)
      start = row + first;
    if ((r + 1) % per_plane || !rows)
      return;
    t.bulk(reinterpret_cast<uint64_t>(o.map.base) + uint64_t(start), uint64_t(end - first), rows, o.map.stride[0]);
    rows = 0;
  });
  t.bulk_copies = copies + 1;   // however many planes it has
}
}   // namespace
void count_bulk(GlobalTraffic& t, const std::optional<TensorBox>& box, const void* global, uint32_t bytes) {
  if (box)
    count_box(t, *box);
  else
    t.bulk(reinterpret_cast<uint64_t>(global), bytes, 1, 0);
}

namespace {
Type element_type(const TensorMapCpu& t, bool bitwise) {
  switch (CUtensorMapDataType(t.type)) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT32: return bitwise ? Type::B32 : Type::U32;
    case CU_TENSOR_MAP_DATA_TYPE_INT32: return bitwise ? Type::B32 : Type::S32;
    case CU_TENSOR_MAP_DATA_TYPE_UINT64: return bitwise ? Type::B64 : Type::U64;
    case CU_TENSOR_MAP_DATA_TYPE_INT64: return bitwise ? Type::B64 : Type::S64;
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16: return Type::F16;
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return Type::BF16;
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32: return Type::F32;
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT64: return Type::F64;
    default: return Type::None;   // 8 and 16 bits
  }
}
}   // namespace
Reduction reduction_of(Warp& w, const Step& s, const std::optional<TensorBox>& box, bool is_shared) {
  const BulkPlaces& p = places_of(w, s);
  if (!p.reduction)
    return nullptr;
  const auto op = ReductionOp(p.reduction - 1);
  const Type type = box ? element_type(box->map, op <= ReductionOp::Xor) : Type(p.type);
  const Reduction reduction = find_reduction(op, type, is_shared);
  if (!reduction)
    fail(w, s, "the elements of the tensor, of data type %d, have no such reduction", int(box->map.type));
  return reduction;
}

// ---- building
void set_global_end(Builder& b, BulkPlaces& p, const MemoryOperand& m, size_t rank) {
  p.far = m.base;
  p.far_offset = b.constant(uint64_t(m.offset), true);
  if (!rank) {
    p.size = b.read(2, Type::U32);
    return;
  }
  if (!m.coordinates || m.coordinates->parts.size() != rank)
    b.fail("expected " + std::to_string(rank) + " coordinates");
  for (size_t d = 0; d < rank; ++d)
    p.coordinates[d] = b.read(m.coordinates->parts[d], Type::S32);
}
void set_shared_address(Builder& b, size_t operand, uint32_t* place, uint32_t* offset) {
  const MemoryOperand m = b.memory(operand);
  if (m.wide && !m.is_fixed)
    b.fail(b.operand(operand), "an address in shared memory has 32 bits here");
  *place = m.wide ? b.constant(m.fixed, false) : m.base;
  *offset = b.constant(uint64_t(m.offset), false);
}
uint32_t list_of(Builder& b, const BulkPlaces& p) {
  const auto* words = reinterpret_cast<const uint32_t*>(&p);
  return b.list({words, words + sizeof p / sizeof *words});
}
void take_tile_mode(Builder& b, size_t rank) {
  if (b.peek().starts_with("im2col"))
    b.fail("copies in .im2col mode are not supported");
  if (rank)
    b.take("tile");
}
void take_reduction(Builder& b, BulkPlaces& p, bool has_type, bool is_shared) {
  const int op = b.take_one_of({"and", "or", "xor", "add", "inc", "dec", "min", "max"});
  if (op < 0)
    b.fail("expected a reduction, .and, .or, .xor, .add, .inc, .dec, .min or .max");
  p.reduction = uint32_t(op) + 1;
  if (!has_type)
    return;
  const bool no_flush = b.take("noftz");
  const Type t = b.take_type();
  const bool is_half_sum = ReductionOp(op) == ReductionOp::Add && is_half(t);
  if (no_flush != is_half_sum || !find_reduction(ReductionOp(op), t, is_shared))
    b.fail("this reduction has no such type here; sums of .f16 and .bf16 are .noftz");
  p.type = uint32_t(t);
}
}   // namespace spectral::cpu::ptx
