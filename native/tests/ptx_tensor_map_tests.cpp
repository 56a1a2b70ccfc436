// Copies of tensors of one to five dimensions in PTX, against the place of each element by its coordinates; and what
// cuTensorMapEncodeTiled refuses.
#include "../cpu/loader_api.h"
#include "ptx.h"
#include <bit>

namespace {
struct Tensor {
  CUtensorMapDataType type;
  unsigned elem;
  std::vector<cuuint64_t> dims;
  std::vector<cuuint32_t> box;
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
  CUtensorMapFloatOOBfill fill = CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE;

  // Rows lie at multiples of 16 bytes, with a gap behind each plane.
  std::vector<cuuint64_t> strides() const {
    std::vector<cuuint64_t> s;
    cuuint64_t bytes = (dims[0] * elem + 15) / 16 * 16;
    for (size_t d = 1; d < dims.size(); ++d) {
      s.push_back(bytes);
      bytes = bytes * dims[d] + 16;
    }
    s.push_back(bytes);   // the whole
    return s;
  }
  size_t box_bytes() const {
    size_t n = elem;
    for (cuuint32_t b : box)
      n *= b;
    return n;
  }
  size_t row_bytes() const { return box[0] * elem; }
  // CUDA C++ Programming Guide, "TMA Swizzle": a row takes the whole width of its swizzle.
  size_t pitch() const { return swizzle ? size_t(16) << int(swizzle) : row_bytes(); }
  size_t shared_bytes() const { return box_bytes() / row_bytes() * pitch(); }
  CUresult encode(CUtensorMap* map, CUdeviceptr base) const {
    const std::vector<cuuint64_t> s = strides();
    const std::vector<cuuint32_t> ones(dims.size(), 1);
    return cuTensorMapEncodeTiled(
        map,
        type,
        cuuint32_t(dims.size()),
        reinterpret_cast<void*>(base),
        dims.data(),
        s.data(),
        box.data(),
        ones.data(),
        CU_TENSOR_MAP_INTERLEAVE_NONE,
        swizzle,
        CU_TENSOR_MAP_L2_PROMOTION_NONE,
        fill);
  }
  // f(byte in the box as it lies in shared memory, byte in the tensor or -1) for the bytes of a box.
  template <class F>
  void each_byte(const std::vector<int>& at, F f) const {
    const std::vector<cuuint64_t> s = strides();
    for (size_t o = 0; o < box_bytes(); ++o) {
      size_t left = o / elem;
      int64_t in_tensor = int64_t(o % elem);
      bool inside = true;
      for (size_t d = 0; d < dims.size(); ++d) {
        const int64_t c = at[d] + int64_t(left % box[d]);
        left /= box[d];
        inside &= c >= 0 && c < int64_t(dims[d]);
        in_tensor += c * int64_t(d ? s[d - 1] : elem);
      }
      // The unit of 16 bytes within 128 bytes is flipped by as many bits of the line's number as the mode has.
      const size_t place = o / row_bytes() * pitch() + o % row_bytes();
      const size_t line = place / 128 % (size_t(1) << int(swizzle));
      f(place ^ line << 4, inside ? in_tensor : -1);
    }
  }
};

// A kernel that loads a box at the coordinates behind its map in %out, and returns it behind them; with `stores`, the
// instruction for it, it writes a box of bytes that count up instead.
std::string kernel_of(const Tensor& t, const std::string& stores) {
  const size_t rank = t.dims.size();
  const std::string names[] = {"%c", "%d", "%e", "%f", "%g"};
  std::string list = names[0];
  std::string loads;
  for (size_t d = 0; d < rank; ++d) {
    loads += "ld.global.u32 " + names[d] + ", [%out+" + std::to_string(8 + 8 * d) + "];\n";
    if (d)
      list += ", " + names[d];
  }
  const std::string dims = std::to_string(rank) + "d";
  const std::string size = std::to_string(t.shared_bytes());
  const std::string start =
      ".shared .align 1024 .b8 s[8192];\n.shared .align 8 .b64 bar;\nld.global.u64 %la, [%out];\n" + loads +
      "mov.u32 %a, s;\nmov.u32 %b, bar;\nsetp.eq.u32 %p, %x, 0;\n";
  const std::string each = "$N:\nadd.u32 %u, %a, %h;\nadd.u64 %lc, %lb, %out;\n";
  const std::string next =
      "add.u32 %h, %h, 32;\nadd.u64 %lb, %lb, 32;\nsetp.lt.u32 %q, %h, " + size + ";\n@%q bra $N;\n";
  if (!stores.empty())
    return start + "mov.u32 %h, %x;\ncvt.u64.u32 %lb, %x;\n" + each + "st.shared.u8 [%u], %h;\n" + next +
           "fence.proxy.async;\nbar.sync 0;\n@%p " + stores + " [%la, {" + list +
           "}], [%a];\n@%p cp.async.bulk.commit_group;\n@%p cp.async.bulk.wait_group 0;";
  return start +
         "@%p mbarrier.init.shared.b64 [%b], 1;\nfence.proxy.async;\nbar.sync 0;\n"
         "@%p mbarrier.arrive.expect_tx.shared.b64 _, [%b], " +
         std::to_string(t.box_bytes()) + ";\n@%p cp.async.bulk.tensor." + dims +
         ".shared::cluster.global.mbarrier::complete_tx::bytes [%a], [%la, {" + list +
         "}], [%b];\n$W:\nmbarrier.try_wait.parity.shared.b64 %q, [%b], 0;\n@!%q bra $W;\nmov.u32 %h, %x;\n"
         "cvt.u64.u32 %lb, %x;\n" +
         each + "ld.shared.u8 %v, [%u];\nst.global.u8 [%lc+48], %v;\n" + next;
}

void check_copy(const char* what, const Tensor& t, const std::vector<int>& at, bool stores) {
  std::vector<unsigned char> bytes(t.strides().back());
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(i * 7 + 3);
  Buffer<unsigned char> tensor(bytes);
  alignas(64) CUtensorMap map;
  CHECK_STATUS(t.encode(&map, tensor.p), CUDA_SUCCESS);
  Buffer<CUtensorMap> on_device(std::vector<CUtensorMap>{map});
  std::vector<uint64_t> words(6 + t.shared_bytes() / 8);
  words[0] = on_device.p;
  for (size_t d = 0; d < at.size(); ++d)
    words[1 + d] = uint32_t(at[d]);
  const std::string store = "cp.async.bulk.tensor." + std::to_string(t.dims.size()) + "d.global.shared::cta.bulk_group";
  const auto out = run_ptx(kernel_of(t, stores ? store : ""), words);
  const std::vector<unsigned char> after = tensor.get();
  const auto* box = reinterpret_cast<const unsigned char*>(out.data()) + 48;
  size_t wrong = out.empty() ? t.box_bytes() : 0;
  std::vector<unsigned char> wanted = bytes;
  t.each_byte(at, [&](size_t in_box, int64_t in_tensor) {
    if (stores && in_tensor >= 0)
      wanted[size_t(in_tensor)] = static_cast<unsigned char>(in_box);
    if (stores || out.empty())
      return;
    unsigned char value = in_tensor < 0 ? 0 : bytes[size_t(in_tensor)];
    if (in_tensor < 0 && t.fill)
      value = in_box % t.elem == t.elem - 1 ? 0x7f : 0xff;
    wrong += box[in_box] != value;
  });
  check(wrong == 0 && after == wanted, std::string(what) + (stores ? ", stored: " : ": ") + std::to_string(wrong));
}

void copies() {
  for (const bool stores : {false, true}) {
    check_copy("1 dimension", {CU_TENSOR_MAP_DATA_TYPE_UINT8, 1, {100}, {64}}, {-5}, stores);
    check_copy(
        "2 dimensions, 32 bytes",
        {CU_TENSOR_MAP_DATA_TYPE_INT32, 4, {20, 9}, {8, 40}, CU_TENSOR_MAP_SWIZZLE_32B},
        {17, -2},
        stores);
    check_copy(
        "3 dimensions, 64 bytes",
        {CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2, {40, 5, 3}, {32, 3, 4}, CU_TENSOR_MAP_SWIZZLE_64B},
        {8, 1, -1},
        stores);
    check_copy(
        "4 dimensions, 128 bytes",
        {CU_TENSOR_MAP_DATA_TYPE_UINT64, 8, {16, 3, 3, 3}, {16, 2, 2, 3}, CU_TENSOR_MAP_SWIZZLE_128B},
        {0, 2, 1, 1},
        stores);
    check_copy(
        "rows narrower than 128 bytes",
        {CU_TENSOR_MAP_DATA_TYPE_UINT16, 2, {90, 20}, {24, 19}, CU_TENSOR_MAP_SWIZZLE_128B},
        {72, -1},
        stores);
    check_copy(
        "rows narrower than 64 bytes",
        {CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, {9, 30, 3}, {4, 9, 2}, CU_TENSOR_MAP_SWIZZLE_64B},
        {5, 3, 0},
        stores);
    check_copy(
        "5 dimensions", {CU_TENSOR_MAP_DATA_TYPE_UINT16, 2, {8, 2, 3, 2, 4}, {8, 2, 2, 2, 2}}, {0, 1, 1, 0, 3}, stores);
  }
  check_copy(
      "NaN outside",
      {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
       2,
       {20, 4},
       {16, 4},
       CU_TENSOR_MAP_SWIZZLE_NONE,
       CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA},
      {12, 2},
      false);
}

// "cp.reduce.async.bulk.tensor": what lies outside the tensor is left alone; the elements' type is the map's.
void check_reduction(
    const char* name, CUtensorMapDataType type, unsigned elem, uint64_t (*combine)(uint64_t old, uint64_t operand)) {
  const Tensor t{type, elem, {20, 9}, {32 / elem, 5}, CU_TENSOR_MAP_SWIZZLE_32B};
  const std::vector<int> at = {16, -2};
  std::vector<unsigned char> bytes(t.strides().back());
  for (size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<unsigned char>(i * 37 + 11);
  std::vector<unsigned char> wanted = bytes;
  t.each_byte(at, [&](size_t in_box, int64_t in_tensor) {
    if (in_tensor >= 0)
      wanted[size_t(in_tensor)] = static_cast<unsigned char>(in_box);
  });
  std::vector<bool> is_written(bytes.size() / elem);
  t.each_byte(at, [&](size_t, int64_t in_tensor) {
    if (in_tensor >= 0)
      is_written[size_t(in_tensor) / elem] = true;
  });
  for (size_t i = 0; i < is_written.size(); ++i) {
    uint64_t old = 0;
    uint64_t operand = 0;
    std::memcpy(&old, &bytes[i * elem], elem);
    std::memcpy(&operand, &wanted[i * elem], elem);
    const uint64_t result = is_written[i] ? combine(old, operand) : old;
    std::memcpy(&wanted[i * elem], &result, elem);
  }
  Buffer<unsigned char> tensor(bytes);
  alignas(64) CUtensorMap map;
  CHECK_STATUS(t.encode(&map, tensor.p), CUDA_SUCCESS);
  Buffer<CUtensorMap> on_device(std::vector<CUtensorMap>{map});
  const auto out = run_ptx(
      kernel_of(t, "cp.reduce.async.bulk.tensor.2d.global.shared::cta." + std::string(name) + ".tile.bulk_group"),
      {on_device.p, uint32_t(at[0]), uint32_t(at[1]), 0, 0, 0});
  check(!out.empty() && tensor.get() == wanted, std::string("reduction of a box, ") + name);
}
void reductions() {
  check_reduction("add", CU_TENSOR_MAP_DATA_TYPE_UINT32, 4, [](uint64_t a, uint64_t b) { return a + b; });
  check_reduction("min", CU_TENSOR_MAP_DATA_TYPE_INT32, 4, [](uint64_t a, uint64_t b) -> uint64_t {
    return uint32_t(std::min(int32_t(a), int32_t(b)));
  });
  check_reduction("max", CU_TENSOR_MAP_DATA_TYPE_UINT64, 8, [](uint64_t a, uint64_t b) { return std::max(a, b); });
  check_reduction("xor", CU_TENSOR_MAP_DATA_TYPE_INT64, 8, [](uint64_t a, uint64_t b) { return a ^ b; });
  check_reduction(
      "inc", CU_TENSOR_MAP_DATA_TYPE_UINT32, 4, [](uint64_t a, uint64_t b) -> uint64_t { return a >= b ? 0 : a + 1; });
}

// cuTensorMapReplaceAddress: the same map, of another tensor.
void another_address() {
  Buffer<uint32_t> first(std::vector<uint32_t>(64, 1));
  Buffer<uint32_t> second(std::vector<uint32_t>(64, 2));
  const Tensor t{CU_TENSOR_MAP_DATA_TYPE_INT32, 4, {8, 8}, {8, 4}};
  alignas(64) CUtensorMap map;
  CHECK_STATUS(t.encode(&map, first.p), CUDA_SUCCESS);
  CHECK_STATUS(cuTensorMapReplaceAddress(&map, second.device()), CUDA_SUCCESS);
  Buffer<CUtensorMap> on_device(std::vector<CUtensorMap>{map});
  const auto out =
      run_ptx(kernel_of(t, ""), {on_device.p, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(out.size() == 22 && out[6] == 0x200000002 && out[21] == 0x200000002);
  CHECK_STATUS(cuTensorMapReplaceAddress(&map, second.device() + 1), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuTensorMapReplaceAddress(nullptr, second.device()), CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(cuTensorMapReplaceAddress(&map, nullptr), CUDA_ERROR_INVALID_VALUE);
  map = {};
  CHECK_STATUS(cuTensorMapReplaceAddress(&map, second.device()), CUDA_ERROR_INVALID_VALUE);
}

// A map of more rows than there is memory for: copies of the last ones are faults.
void outside_the_allocation() {
  const Tensor t{CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, {8, 1 << 20}, {8, 8}};
  const Buffer<unsigned char> memory(4096);
  alignas(64) CUtensorMap map;
  CHECK_STATUS(t.encode(&map, memory.p), CUDA_SUCCESS);
  const Buffer<CUtensorMap> on_device(std::vector<CUtensorMap>{map});
  for (const char* store : {"", "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group"})
    for (const uint64_t row : {0, 120, 121, 1 << 19}) {   // of 128 that there are
      std::vector<uint64_t> words(6 + t.box_bytes() / 8);
      words[0] = on_device.p;
      words[2] = row;
      Buffer<uint64_t> buffer(words);
      const PtxModule module(ptx_kernel(kernel_of(t, store)));
      void* params[] = {&buffer.p};
      const CUresult status = cuLaunchKernel(module.get("k"), 1, 1, 1, 32, 1, 1, 0, nullptr, params, nullptr);
      const std::string said = spectralCpuLastError();
      spectralCpuSetOption("reset", 0);
      const bool inside = row + 8 <= 128;
      check(status == (inside ? CUDA_SUCCESS : CUDA_ERROR_ILLEGAL_ADDRESS), "row " + std::to_string(row) + ": " + said);
      check(inside || says(said, "which no allocation has"), said);
    }
}

void refusals() {
  Buffer<unsigned char> memory(1024);
  alignas(64) CUtensorMap map;
  const Tensor right{CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, {8, 8}, {8, 8}, CU_TENSOR_MAP_SWIZZLE_32B};
  CHECK_STATUS(right.encode(&map, memory.p), CUDA_SUCCESS);
  auto refused = [&](const Tensor& t, const char* says) {
    CHECK_STATUS(t.encode(&map, memory.p), CUDA_ERROR_INVALID_VALUE);
    check(std::strstr(spectralCpuLastError(), says) != nullptr, std::string(says) + ": " + spectralCpuLastError());
  };
  Tensor t = right;
  t.dims = {8, 8, 8, 8, 8, 8};
  t.box = {8, 1, 1, 1, 1, 1};
  refused(t, "1 to 5 dimensions");
  t = right;
  t.dims[1] = (uint64_t(1) << 32) + 1;
  refused(t, "2^32");
  t = right;
  t.box[1] = 257;
  refused(t, "1 to 256");
  t = right;
  t.dims = {8, 8, 8, 8, 8};
  t.box = {8, 256, 256, 256, 256};
  refused(t, "larger than shared memory");
  t = right;
  t.box[0] = 7;
  refused(t, "multiple of 16");
  t = right;
  t.box[0] = 16;
  refused(t, "at most the 32 bytes");
  t = right;
  t.type = CU_TENSOR_MAP_DATA_TYPE_TFLOAT32;
  refused(t, "data type 11");
  t = right;
  t.type = CU_TENSOR_MAP_DATA_TYPE_INT32;
  t.fill = CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA;
  refused(t, "floating point");
  t = right;
  t.dims[0] = uint64_t(1) << 32;
  t.elem = 256;   // a stride of 2^40
  refused(t, "2^40");
}
}   // namespace

TEST_GROUP(ptx_tensor_maps) {
  copies();
  reductions();
  another_address();
  outside_the_allocation();
  refusals();
}
