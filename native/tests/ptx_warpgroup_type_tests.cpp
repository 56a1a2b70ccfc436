// wgmma of every type of sm_90a against the PTX ISA ("Asynchronous Warpgroup Level Matrix Instructions"), with operands
// in shared memory and A in registers. Values are small, so every sum is exact.
#include "ptx_fragments.h"
#include <algorithm>
#include <bit>

namespace {
constexpr int kThreads = 128;
constexpr int kRowBytes = 32;               // of depth, whatever the type
constexpr int kShared = (64 + 256) * 128;   // bytes: A, then B, in rows of 128 for the swizzle
constexpr int kOfB = 64 * 128;              // where B begins
constexpr int kRegisters = kShared / 4;     // words of the buffer: shared memory, A, sums
constexpr int kSums = kRegisters + kThreads * 4;
constexpr int kSumsOfThread = 128;

// How an element type writes small numbers.
struct Kind {
  const char* name;
  int bits;
  bool is_signed;
  uint32_t (*encode)(int value, uint32_t noise);
};
// e4m3 and e5m2 of 0 to 4, from "FP8 Formats for Deep Learning", table 1.
uint32_t e4m3(int v, uint32_t) {
  constexpr uint32_t kBits[] = {0, 0x38, 0x40, 0x44, 0x48};
  return kBits[std::abs(v)] | (v < 0 ? 0x80u : 0u);
}
uint32_t e5m2(int v, uint32_t) {
  constexpr uint32_t kBits[] = {0, 0x3c, 0x40, 0x42, 0x44};
  return kBits[std::abs(v)] | (v < 0 ? 0x80u : 0u);
}
uint32_t f16(int v, uint32_t) { return std::bit_cast<uint16_t>(_Float16(v)); }
uint32_t bf16(int v, uint32_t) { return to_bf16(float(v)); }
// The lower 13 bits of a tf32 are ignored.
uint32_t tf32(int v, uint32_t noise) { return std::bit_cast<uint32_t>(float(v)) | (noise & 0x1fff); }
uint32_t byte(int v, uint32_t) { return uint8_t(v); }
constexpr Kind kF16{"f16", 16, true, f16};
constexpr Kind kBf16{"bf16", 16, true, bf16};
constexpr Kind kTf32{"tf32", 32, true, tf32};
constexpr Kind kE4m3{"e4m3", 8, true, e4m3};
constexpr Kind kE5m2{"e5m2", 8, true, e5m2};
constexpr Kind kS8{"s8", 8, true, byte};
constexpr Kind kU8{"u8", 8, false, byte};
constexpr Kind kB1{"b1", 1, false, byte};

struct Product {
  const Kind& a;
  const Kind& b;
  std::string sums;   // type of D
  int n;
  bool swizzles = false;
  bool registers = false;   // A
  int scale_a = 1;
  int scale_b = 1;
  bool adds = true;
  bool saturates = false;
  int depth() const { return kRowBytes * 8 / a.bits; }
  bool is_integer() const { return sums == "s32"; }
  int registers_of_sums() const { return sums == "f16" ? n / 4 : n / 2; }
};
// "Shared Memory Matrix Layout", K-major: groups of 8 rows; without a swizzle 8 rows of 16 bytes follow each other, and
// the second 16 bytes of depth lie 128 bytes on; with that of 128 bytes rows lie 128 bytes apart.
uint32_t byte_of(bool swizzles, int row, int byte) {
  if (!swizzles)
    return uint32_t(row / 8 * 256 + byte / 16 * 128 + row % 8 * 16 + byte % 16);
  return uint32_t(row / 8 * 1024 + row % 8 * 128 + ((byte / 16) ^ (row % 8)) * 16 + byte % 16);
}
// "Matrix Descriptor Format": the leading offset is 128 bytes, the stride that of 8 rows.
uint64_t descriptor(bool swizzles) {
  return uint64_t(128 >> 4) << 16 | uint64_t((swizzles ? 1024 : 256) >> 4) << 32 | uint64_t(swizzles) << 62;
}
// "Register Fragments", A of m64nNk8, k16, k32 and k256 (figures there): which element is the `i`th of a thread.
Element a_of(int bits, int thread, int i) {
  const int lane = thread % 32;
  const int per_register = 32 / bits;
  const int reg = i / per_register;
  const int column = reg / 2 * 4 * per_register + lane % 4 * per_register + i % per_register;
  return {thread / 32 * 16 + lane / 4 + (reg % 2 ? 8 : 0), column};
}

std::string instruction_of(const Product& p) {
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(p.n) + "k" + std::to_string(p.depth()) + "." +
                     p.sums + "." + p.a.name + "." + p.b.name + (p.a.bits == 1 ? ".and.popc" : "") +
                     (p.saturates ? ".satfinite " : " ") + registers("%f", p.registers_of_sums()) + ", " +
                     (p.registers ? registers("%ra", 4) : "%da") + ", %db, " + std::to_string(p.adds);
  if (!p.is_integer())
    text += ", " + std::to_string(p.scale_a) + ", " + std::to_string(p.scale_b);
  if (p.a.bits == 16)
    text += p.registers ? ", 0" : ", 0, 0";
  return text + ";\n";
}
std::string text_of(const Product& p) {
  std::string code =
      "{ .reg .b32 %f<128>, %w<4>, %ra<4>;\n.reg .b64 %da, %db;\nmov.u32 %a, s;\nmul.lo.u32 %b, %x, 16;\n"
      "cvt.u64.u32 %la, %b;\nadd.u64 %la, %out, %la;\nadd.u32 %b, %b, %a;\n";
  for (int at = 0; at < kShared; at += kThreads * 16)
    code += "ld.global.v4.b32 {%w0, %w1, %w2, %w3}, [%la+" + std::to_string(at) + "];\nst.shared.v4.b32 [%b+" +
            std::to_string(at) + "], {%w0, %w1, %w2, %w3};\n";
  char encoded[24];
  std::snprintf(encoded, sizeof encoded, "0x%llx", static_cast<unsigned long long>(descriptor(p.swizzles)));
  return code +
         "fence.proxy.async.shared::cta;\nbar.sync 0;\nmul.wide.u32 %lb, %x, 512;\nadd.u64 %lb, %out, %lb;\n"
         "shr.u32 %a, %a, 4;\ncvt.u64.u32 %da, %a;\nor.b64 %da, %da, " +
         encoded + ";\nadd.u64 %db, %da, " + std::to_string(kOfB / 16) + ";\n" +
         load_registers("%f", p.registers_of_sums(), "%lb", 4 * kSums) +
         "mul.wide.u32 %lc, %x, 16;\nadd.u64 %lc, %out, %lc;\n" + load_registers("%ra", 4, "%lc", 4 * kRegisters) +
         "wgmma.fence.sync.aligned;\n" + instruction_of(p) +
         "wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;\n" +
         store_registers("%f", p.registers_of_sums(), "%lb", 4 * kSums) + "}";
}

class Matrix {
 public:
  Matrix(const Kind& kind, int rows, int depth, std::mt19937& g) : kind_(kind), depth_(depth) {
    for (int i = 0; i < rows * depth; ++i) {
      const int v = kind.bits == 1 ? int(g() % 2) : int(g() % 9) - (kind.is_signed ? 4 : 0);
      values_.push_back(v);
      noise_.push_back(g());
    }
  }
  int value(int row, int k) const { return values_[size_t(row * depth_ + k)]; }
  uint32_t bits(int row, int k) const {
    return kind_.encode(value(row, k), noise_[size_t(row * depth_ + k)]) & uint32_t((uint64_t(1) << kind_.bits) - 1);
  }
  // Into words that begin with zeros.
  void put(int row, int k, uint32_t* words, size_t bit) const { words[bit / 32] |= bits(row, k) << bit % 32; }

 private:
  const Kind& kind_;
  int depth_;
  std::vector<int> values_;
  std::vector<uint32_t> noise_;
};
std::string name_of(const Product& p) {
  return "wgmma m64n" + std::to_string(p.n) + " " + p.sums + " of " + p.a.name + " and " + p.b.name +
         (p.registers ? ", A in registers" : "") + (p.swizzles ? ", swizzled" : "");
}

// `first`: what the sums hold before, of each element.
void check_product(
    const Product& p, int64_t (*first)(int row, int column) = [](int row, int column) -> int64_t {
      return (row * 7 + column * 3) % 11 - 5;
    }) {
  std::mt19937 g{unsigned(p.n + p.depth())};
  const Matrix a(p.a, 64, p.depth(), g);
  const Matrix b(p.b, p.n, p.depth(), g);
  std::vector<uint32_t> words(size_t(kSums) + kThreads * kSumsOfThread);
  const auto fill = [&](const Matrix& m, int rows, int begin) {
    for (int row = 0; row < rows; ++row)
      for (int k = 0; k < p.depth(); ++k) {
        const int bit = k * p.a.bits;
        m.put(row, k, words.data(), (uint32_t(begin) + byte_of(p.swizzles, row, bit / 8)) * 8 + uint32_t(bit % 8));
      }
  };
  if (!p.registers)
    fill(a, 64, 0);
  fill(b, p.n, kOfB);
  for (int t = 0; t < kThreads && p.registers; ++t)
    for (int i = 0; i < 4 * 32 / p.a.bits; ++i) {
      const Element e = a_of(p.a.bits, t, i);
      a.put(e.row, e.column, &words[size_t(kRegisters)], size_t(t) * 128 + size_t(i * p.a.bits));
    }
  const bool halves = p.sums == "f16";
  const auto encode = [&](int64_t v) {
    if (p.is_integer())
      return uint32_t(v);
    return halves ? f16(int(v), 0) : std::bit_cast<uint32_t>(float(v));
  };
  std::vector<uint32_t> wanted = words;
  for (int t = 0; t < kThreads; ++t)
    for (int i = 0; i < p.n / 2; ++i) {
      const Element e = warpgroup_sum(t, i);
      const int64_t before = first(e.row, e.column);
      int64_t sum = p.adds ? before : 0;
      for (int k = 0; k < p.depth(); ++k)
        sum += int64_t(p.scale_a * p.scale_b) * a.value(e.row, k) * b.value(e.column, k);
      if (p.saturates)
        sum = std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX);
      const size_t at = size_t(kSums + t * kSumsOfThread + (halves ? i / 2 : i));
      const int shift = halves ? i % 2 * 16 : 0;
      words[at] |= encode(before) << shift;
      wanted[at] |= encode(sum) << shift;
    }
  const auto out = run_words(text_of(p), words, kThreads, 1, ".shared .align 1024 .b8 s[40960];\n");
  int wrong = out.empty();
  for (size_t i = kSums; i < out.size(); ++i)
    wrong += out[i] != wanted[i];
  check(!wrong, name_of(p) + ": " + std::to_string(wrong) + " registers wrong");
}

void floats() {
  struct Types {
    const Kind& a;
    const Kind& b;
    const char* sums;
  };
  const Types all[] = {
      {kF16, kF16, "f32"},
      {kF16, kF16, "f16"},
      {kBf16, kBf16, "f32"},
      {kTf32, kTf32, "f32"},
      {kE4m3, kE4m3, "f32"},
      {kE4m3, kE5m2, "f32"},
      {kE5m2, kE4m3, "f16"},
      {kE5m2, kE5m2, "f16"}};
  for (const Types& t : all) {
    for (int n : {8, 24, 256})
      check_product({t.a, t.b, t.sums, n});
    check_product({t.a, t.b, t.sums, 40, true});
    check_product({t.a, t.b, t.sums, 64, false, true});
    check_product({t.a, t.b, t.sums, 16, false, false, -1, 1});
    check_product({t.a, t.b, t.sums, 16, false, true, 1, -1, false});
  }
}
void integers() {
  for (const Kind* a : {&kS8, &kU8})
    for (const Kind* b : {&kS8, &kU8}) {
      check_product({*a, *b, "s32", 8});
      check_product({*a, *b, "s32", 24, true});
      check_product({*a, *b, "s32", 256, false, true});
      check_product({*a, *b, "s32", 48, false, false, 1, 1, false});
    }
  const auto near_the_ends = [](int row, int) -> int64_t { return row % 2 ? INT32_MAX - 3 : INT32_MIN + 3; };
  check_product({kS8, kS8, "s32", 32, false, false, 1, 1, true, true}, near_the_ends);
  check_product({kS8, kS8, "s32", 32}, near_the_ends);   // wraps around
  for (int n : {8, 24, 128})
    check_product({kB1, kB1, "s32", n});
  check_product({kB1, kB1, "s32", 64, true});
  check_product({kB1, kB1, "s32", 16, false, true});
}

void refused() {
  const auto refuses = [](const std::string& shape, const std::string& types) {
    const std::string text = "{ .reg .b32 %f<128>;\nwgmma.mma_async.sync.aligned." + shape + "." + types +
                             " {%f0, %f1, %f2, %f3}, %la, %lb, 1, 1, 1; }";
    CUmodule module = nullptr;
    const CUresult status = cuModuleLoadData(&module, ptx_kernel(text).c_str());
    check(status == CUDA_ERROR_INVALID_PTX, "refused: " + text);
  };
  refuses("m64n8k8", "f16.tf32.tf32");
  refuses("m64n8k16", "f16.bf16.bf16");
  refuses("m64n8k32", "f32.f16.f16");
  refuses("m64n8k32", "f32.s8.s8");
  refuses("m64n8k32", "s32.s8.e4m3");
  refuses("m64n40k32", "s32.s8.s8");
  refuses("m64n8k4", "f64.f64.f64");
  refuses("m64n8k64", "s32.s4.s4");
}
}   // namespace

TEST_GROUP(ptx_warpgroup_types) {
  floats();
  integers();
  refused();
}
