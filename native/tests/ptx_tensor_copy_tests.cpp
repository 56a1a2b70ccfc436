// Bulk copies against the PTX ISA ("Data Movement and Conversion Instructions: Bulk copy", "Tensors"): order of the
// coordinates, zeros outside the tensor, what a box lays down with and without the swizzle of 128 bytes, the bytes that
// a copy reports to its mbarrier, multicast, stores and their groups.
#include "ptx_fragments.h"

namespace {
constexpr int kLanes = 32;
constexpr int kSharedBytes = 16384;
constexpr int kImage = 64;   // words of the buffer: the tensor map, {x, y, bytes} at 32, shared memory from here on
constexpr uint32_t kUntouched = 0xcdcdcdcd;
const std::string kVariables =
    ".shared .align 1024 .b8 s[" + std::to_string(kSharedBytes) + "];\n.shared .align 8 .b64 bar;\n";

// A tensor of two dimensions in global memory, the first along the rows, whose rows are padded with what is no zero.
struct Tensor {
  CUtensorMapDataType type;
  int element;   // bytes
  int width;
  int height;
  int pitch;   // bytes
  int box_width;
  int box_height;
  bool swizzles;
  int offset = 0;   // of the box in shared memory, bytes
  int box_bytes() const { return box_width * box_height * element; }
};
constexpr Tensor kTensors[] = {
    {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, 200, 40, 400, 64, 8, true},
    {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, 197, 37, 400, 64, 21, true},
    {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, 197, 37, 400, 64, 21, true, 3 * 128},   // from within the pattern on
    {CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, 61, 33, 128, 24, 5, false, 256},
    {CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, 99, 20, 400, 32, 16, true},
    {CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, 99, 20, 416, 20, 3, false}};
struct Corner {
  int x;
  int y;
};
constexpr Corner kCorners[] = {{0, 0}, {8, 3}, {5, 1}, {-3, -2}, {-70, 0}, {0, -1000}, {180, 30}, {60, 18}, {500, 5}};

// CUDA C++ Programming Guide, "TMA Swizzle", and PTX ISA, "Swizzling modes": of 128 bytes of each row, the chunk of 16
// bytes changes place by the number of the row in the pattern, which starts at a multiple of 1024 bytes.
int place_in_shared(const Tensor& t, int row, int byte) {
  const int at = t.offset + row * t.box_width * t.element + byte;
  if (!t.swizzles)
    return at;
  const int row_in_pattern = at / 128 % 8;
  const int chunk = at % 128 / 16;
  return at / 128 * 128 + (chunk ^ row_in_pattern) * 16 + at % 16;
}

std::vector<uint32_t> run_copy(
    const Tensor& t, CUdeviceptr base, Corner corner, const std::string& body, std::vector<uint32_t> image = {}) {
  CUtensorMap map;
  const cuuint64_t dims[] = {cuuint64_t(t.width), cuuint64_t(t.height)};
  const cuuint64_t strides[] = {cuuint64_t(t.pitch)};
  const cuuint32_t box[] = {cuuint32_t(t.box_width), cuuint32_t(t.box_height)};
  const cuuint32_t one[] = {1, 1};
  CU(cuTensorMapEncodeTiled(
      &map,
      t.type,
      2,
      reinterpret_cast<void*>(base),
      dims,
      strides,
      box,
      one,
      CU_TENSOR_MAP_INTERLEAVE_NONE,
      t.swizzles ? CU_TENSOR_MAP_SWIZZLE_128B : CU_TENSOR_MAP_SWIZZLE_NONE,
      CU_TENSOR_MAP_L2_PROMOTION_NONE,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  image.resize(kSharedBytes / 4, kUntouched);
  std::vector<uint32_t> words(kImage);
  std::memcpy(words.data(), &map, sizeof map);
  words[32] = uint32_t(corner.x);
  words[33] = uint32_t(corner.y);
  words[34] = uint32_t(t.box_bytes());
  words.insert(words.end(), image.begin(), image.end());
  std::string load;
  std::string store;
  for (int at = 0; at < kSharedBytes; at += kLanes * 16) {
    const std::string to = std::to_string(at);
    load +=
        "ld.global.v4.b32 {%e, %f, %g, %h}, [%la+" + to + "];\nst.shared.v4.b32 [%b+" + to + "], {%e, %f, %g, %h};\n";
    store +=
        "ld.shared.v4.b32 {%e, %f, %g, %h}, [%b+" + to + "];\nst.global.v4.b32 [%la+" + to + "], {%e, %f, %g, %h};\n";
  }
  auto out = run_words(
      "mov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\ncvt.u64.u32 %la, %b;\nadd.u64 %la, %la, %out;\n"
      "add.u64 %la, %la, " +
          std::to_string(4 * kImage) + ";\nadd.u32 %b, %b, %a;\nadd.u32 %a, %a, " + std::to_string(t.offset) +
          ";\nsetp.eq.u32 %p, %x, 0;\nld.global.v2.b32 {%u, %v}, [%out+128];\nld.global.b32 %w, [%out+136];\n" + load +
          "@%p mbarrier.init.shared.b64 [bar], 1;\nfence.mbarrier_init.release.cluster;\n"
          "fence.proxy.async.shared::cta;\nbar.sync 0;\n" +
          body + "\nbar.sync 0;\n" + store,
      words,
      kLanes,
      1,
      kVariables);
  out.erase(out.begin(), out.begin() + (out.empty() ? 0 : kImage));
  return out;
}
std::vector<uint8_t> bytes_of(const std::vector<uint32_t>& words) {
  std::vector<uint8_t> bytes(words.size() * 4);
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes;
}
std::string name_of(const Tensor& t, Corner c) {
  return "box of " + std::to_string(t.box_width) + " x " + std::to_string(t.box_height) + " of " +
         std::to_string(t.element) + " bytes at (" + std::to_string(c.x) + ", " + std::to_string(c.y) + ")" +
         (t.swizzles ? ", swizzled" : "");
}
std::vector<uint8_t> some_bytes(size_t n) {
  std::mt19937 g{5};
  std::vector<uint8_t> bytes(n);
  for (uint8_t& b : bytes)
    b = uint8_t(1 + g() % 255);
  return bytes;
}
template <class Each>   // each(byte of the tensor or -1 outside of it, byte of shared memory)
void each_byte(const Tensor& t, Corner c, const Each& each) {
  for (int row = 0; row < t.box_height; ++row)
    for (int byte = 0; byte < t.box_width * t.element; ++byte) {
      const int x = c.x + byte / t.element;
      const int y = c.y + row;
      const bool inside = x >= 0 && x < t.width && y >= 0 && y < t.height;
      each(inside ? y * t.pitch + x * t.element + byte % t.element : -1, place_in_shared(t, row, byte));
    }
}

// A load completes the phase that expects the bytes of a whole box, also where the box is outside of the tensor.
void loads() {
  for (const Tensor& t : kTensors) {
    const auto tensor = some_bytes(size_t(t.pitch * t.height));
    Buffer<uint8_t> global(tensor);
    for (Corner c : kCorners) {
      const auto got = bytes_of(run_copy(
          t,
          global.p,
          c,
          "@%p mbarrier.arrive.expect_tx.shared.b64 _, [bar], %w;\n"
          "@%p cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%a], [%out, {%u, %v}], "
          "[bar];\n$W:\nmbarrier.try_wait.parity.shared.b64 %q, [bar], 0;\n@!%q bra $W;"));
      std::vector<uint8_t> wanted(kSharedBytes, 0xcd);
      each_byte(t, c, [&](int from, int to) { wanted[size_t(to)] = from < 0 ? 0 : tensor[size_t(from)]; });
      check(got == wanted, "load of a " + name_of(t, c));
    }
  }
}

// A store writes what of the box is in the tensor; wait_group makes the writes visible.
void stores() {
  for (const Tensor& t : kTensors) {
    const auto tensor = some_bytes(size_t(t.pitch * t.height));
    std::vector<uint32_t> image(kSharedBytes / 4);
    std::mt19937 g{9};
    for (uint32_t& word : image)
      word = g();
    const auto shared = bytes_of(image);
    for (Corner c : kCorners) {
      Buffer<uint8_t> global(tensor);
      const auto after = bytes_of(run_copy(
          t,
          global.p,
          c,
          "@%p cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%out, {%u, %v}], [%a];\n"
          "@%p cp.async.bulk.commit_group;\n@%p cp.async.bulk.wait_group 0;",
          image));
      auto wanted = tensor;
      each_byte(t, c, [&](int to, int from) {
        if (to >= 0)
          wanted[size_t(to)] = shared[size_t(from)];
      });
      check(after == shared && global.get() == wanted, "store of a " + name_of(t, c));
    }
  }
}

// Copies without a tensor: bytes as they are; several copies and one mbarrier; a group of stores and one behind it.
void plain_copies() {
  std::vector<uint32_t> words(4096);
  std::mt19937 g{3};
  for (uint32_t& w : words)
    w = g();
  const auto out = run_words(
      "mov.u32 %a, s;\nsetp.eq.u32 %p, %x, 0;\n@%p mbarrier.init.shared.b64 [bar], 1;\n"
      "fence.mbarrier_init.release.cluster;\nbar.sync 0;\n@%p mbarrier.arrive.expect_tx.shared.b64 _, [bar], 1088;\n"
      "@%p cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%a+16], [%out+32], 16, [bar];\n"
      "mov.u32 %b, 1024;\n"
      "@%p cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%a+1024], [%out+64], %b, [bar];\n"
      "@%p cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%a+2048], [%out+2048], 48, [bar];\n"
      "$W:\nmbarrier.try_wait.parity.shared.b64 %q, [bar], 0;\n@!%q bra $W;\n@!%p bra $E;\n"
      "cp.async.bulk.global.shared::cta.bulk_group [%out+8192], [%a+1024], 1024;\ncp.async.bulk.commit_group;\n"
      "cp.async.bulk.global.shared::cta.bulk_group [%out+12288], [%a+16], 16;\n"
      "cp.async.bulk.global.shared::cta.bulk_group [%out+12320], [%a+2048], 48;\ncp.async.bulk.commit_group;\n"
      "cp.async.bulk.wait_group 1;\nld.global.b32 %c, [%out+8192];\nst.global.b32 [%out+16380], %c;\n"
      "cp.async.bulk.wait_group 0;\n$E:",
      words,
      kLanes,
      1,
      kVariables);
  auto wanted = words;
  std::copy_n(words.begin() + 16, 256, wanted.begin() + 2048);
  std::copy_n(words.begin() + 8, 4, wanted.begin() + 3072);
  std::copy_n(words.begin() + 512, 12, wanted.begin() + 3080);
  wanted[4095] = words[16];
  check(out == wanted, "bulk copies without a tensor");
}

// PTX ISA, "cp.async.bulk": with .multicast::cluster, bit r of the mask stands for the block of %cluster_ctarank r;
// each gets the data, and its mbarrier the bytes, at the places that the operands name in the executing block.
void multicast() {
  constexpr unsigned kBlocks = 4;
  for (unsigned mask : {0x1u, 0xbu, 0x4u, 0xfu}) {
    std::vector<uint32_t> words(256);
    for (size_t i = 0; i < 64; ++i)
      words[i] = uint32_t(1000 + i);
    words[100] = mask;
    const auto out = run_words(
        "mov.u32 %a, s;\nmul.lo.u32 %b, %x, 4;\nadd.u32 %b, %b, %a;\nmov.u32 %c, %cluster_ctarank;\n"
        "ld.global.b32 %d, [%out+400];\ncvt.u16.u32 %ha, %d;\nmov.u32 %e, 7;\nst.shared.b32 [%b+256], %e;\n"
        "shr.u32 %d, %d, %c;\nand.b32 %d, %d, 1;\nsetp.ne.u32 %r, %d, 0;\nsetp.eq.u32 %p, %x, 0;\n"
        "@%p mbarrier.init.shared.b64 [bar], 1;\nfence.mbarrier_init.release.cluster;\n"
        "fence.proxy.async.shared::cta;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;\n"
        // blocks in the mask expect 128 bytes, the others none
        "@%r mov.u32 %e, 128;\n@!%r mov.u32 %e, 0;\n@%p mbarrier.arrive.expect_tx.shared.b64 _, [bar], %e;\n"
        "setp.eq.u32 %q, %c, 1;\nand.pred %q, %p, %q;\n"
        "@%q cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%a+256], "
        "[%out+16], 128, [bar], %ha;\n$W:\nmbarrier.try_wait.parity.shared.b64 %q, [bar], 0;\n@!%q bra $W;\n"
        "ld.shared.b32 %e, [%b+256];\nmad.lo.u32 %f, %c, 32, %x;\nmul.wide.u32 %la, %f, 4;\n"
        "add.u64 %la, %la, %out;\nst.global.b32 [%la+512], %e;\nbarrier.cluster.arrive;\nbarrier.cluster.wait;",
        words,
        kLanes,
        kBlocks,
        kVariables,
        ".explicitcluster .reqnctapercluster 4, 1, 1");
    int wrong = out.empty();
    for (unsigned block = 0; block < kBlocks && !out.empty(); ++block)
      for (unsigned i = 0; i < kLanes; ++i)
        wrong += out[128 + block * 32 + i] != (mask >> block & 1 ? 1004 + i : 7);
    check(!wrong, "multicast to the blocks of mask " + std::to_string(mask) + ": " + std::to_string(wrong) + " wrong");
  }
}
}   // namespace

TEST_GROUP(ptx_tensor_copies) {
  loads();
  stores();
  plain_copies();
  multicast();
}
