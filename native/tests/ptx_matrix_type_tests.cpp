// mma of all element types, against products of the matrices themselves; wmma, whose fragments only loads and stores
// know; movmatrix. Values are small integers, so that every sum is exact.
#include "ptx.h"
#include <bit>

namespace {
constexpr int kM = 16;
constexpr int kN = 8;
struct Elements {
  int bits;
  uint64_t (*encode)(int value);   // of -3 to 3
  int least;
};
uint64_t whole(int v) { return uint64_t(v); }
uint64_t bf16(int v) { return to_bf16(float(v)); }
uint64_t f32(int v) { return std::bit_cast<uint32_t>(float(v)); }
// Sign, exponent and fraction of -3 to 3 in a format of 8 or 16 bits.
uint64_t small_float(int v, int fraction, int bias, int sign_at) {
  constexpr int kExponents[] = {0, 0, 1, 1};
  const int magnitude = std::abs(v);
  const uint64_t sign = uint64_t(v < 0) << sign_at;
  if (!magnitude)
    return sign;
  return sign | uint64_t(bias + kExponents[magnitude]) << fraction | uint64_t(magnitude == 3) << (fraction - 1);
}
uint64_t f16(int v) { return small_float(v, 10, 15, 15); }
uint64_t e4m3(int v) { return small_float(v, 3, 7, 7); }
uint64_t e5m2(int v) { return small_float(v, 2, 15, 7); }

struct Matrices {
  std::vector<int> a, b, c;   // [kM][depth], [depth][kN], [kM][kN]
  int depth;
  Matrices(int k, int least_a, int least_b, int most, bool with_sums) : a(kM * k), b(k * kN), c(kM * kN), depth(k) {
    std::mt19937 random{uint32_t(k)};
    auto fill = [&](std::vector<int>& m, int least) {
      for (int& v : m)
        v = least + int(random() % uint32_t(most - least + 1));
    };
    fill(a, least_a);
    fill(b, least_b);
    if (with_sums)
      fill(c, -3);
  }
  int product(int i, int j) const {
    int sum = c[i * kN + j];
    for (int k = 0; k < depth; ++k)
      sum += a[i * depth + k] * b[k * kN + j];
    return sum;
  }
};

// Runs the instruction on fragments packed as the ISA's figures say: with n elements in a register, element i of A lies
// in row g where i / n is even, else g + 8, and in column n q + i % n, 4 n further from i = 2 n on.
void check_product(
    const std::string& form, const Elements& of_a, const Elements& of_b, const Matrices& m, const Elements& sums) {
  const int bits = of_a.bits;
  const int n = 32 / bits;
  const int blocks = m.depth / (4 * n);
  std::vector<uint64_t> words(32 * 16);
  for (int lane = 0; lane < 32; ++lane) {
    const int g = lane / 4;
    const int q = lane % 4;
    uint64_t* own = &words[size_t(lane) * 16];
    auto put = [&](int reg, int i, const Elements& e, int value) {
      own[reg] |= (e.encode(value) & ((uint64_t(1) << e.bits) - 1)) << (i * e.bits);
    };
    for (int i = 0; i < 2 * n * blocks; ++i)
      put(i / n, i % n, of_a, m.a[(i / n % 2 ? g + 8 : g) * m.depth + n * q + i % n + i / (2 * n) * 4 * n]);
    for (int i = 0; i < n * blocks; ++i)
      put(4 + i / n, i % n, of_b, m.b[(n * q + i % n + i / n * 4 * n) * kN + g]);
    const int per = 32 / sums.bits;
    for (int i = 0; i < 4; ++i)
      put(8 + i / per, i % per, sums, m.c[(g + i / 2 * 8) * kN + 2 * q + i % 2]);
  }
  const bool halves = sums.bits == 16;
  const std::string a = blocks == 2 ? "{%a, %b, %c, %d}" : "{%a, %b}";
  const std::string b = blocks == 2 ? "{%e, %f}" : "{%e}";
  const std::string d = halves ? "{%g, %h}" : "{%g, %h, %i, %u}";
  const auto out = run_ptx(
      "mul.wide.u32 %lz, %x, 128;\nadd.u64 %lz, %lz, %out;\nld.global.u32 %a, [%lz];\nld.global.u32 %b, [%lz+8];\n"
      "ld.global.u32 %c, [%lz+16];\nld.global.u32 %d, [%lz+24];\nld.global.u32 %e, [%lz+32];\n"
      "ld.global.u32 %f, [%lz+40];\nld.global.u32 %g, [%lz+64];\nld.global.u32 %h, [%lz+72];\n"
      "ld.global.u32 %i, [%lz+80];\nld.global.u32 %u, [%lz+88];\n"
      "mma.sync.aligned." +
          form + " " + d + ", " + a + ", " + b + ", " + d +
          ";\n"
          "st.global.u32 [%lz+96], %g;\nst.global.u32 [%lz+104], %h;\nst.global.u32 [%lz+112], %i;\n"
          "st.global.u32 [%lz+120], %u;",
      words);
  int wrong = out.empty() ? kM * kN : 0;
  for (size_t lane = 0; lane < 32 && !out.empty(); ++lane)
    for (int i = 0; i < 4; ++i) {
      const int sum = m.product(int(lane) / 4 + i / 2 * 8, int(lane) % 4 * 2 + i % 2);
      const int per = 32 / sums.bits;
      const uint64_t got = uint32_t(out[lane * 16 + 12 + size_t(i / per)]) >> (i % per * sums.bits);
      const float half = halves ? std::abs(float(sum)) : 0;
      uint64_t wanted = sums.encode(sum);
      if (halves && half > 0) {   // any integer below 2048
        const int exponent = std::ilogb(half);
        wanted = uint64_t(sum < 0) << 15 | uint64_t(exponent + 15) << 10 |
                 (uint64_t(std::ldexp(half, 10 - exponent)) & 0x3ff);
      }
      const uint64_t mask = (uint64_t(1) << sums.bits) - 1;
      wrong += (got & mask) != (wanted & mask);
    }
  check(wrong == 0, form + ": " + std::to_string(wrong) + " of 128 sums are wrong");
}

void products() {
  const Elements s8{8, whole, -3};
  const Elements u8{8, whole, 0};
  const Elements s4{4, whole, -3};
  const Elements b1{1, whole, 0};
  const Elements half{16, f16, -3};
  const Elements brain{16, bf16, -3};
  const Elements tf{32, f32, -3};
  const Elements s32{32, whole, 0};
  const Elements single{32, f32, 0};
  auto run = [](const std::string& form, const Elements& a, const Elements& b, int depth, const Elements& sums) {
    check_product(form, a, b, Matrices(depth, a.least, b.least, a.bits == 1 ? 1 : 3, true), sums);
  };
  run("m16n8k16.row.col.s32.s8.u8.s32", s8, u8, 16, s32);
  run("m16n8k32.row.col.satfinite.s32.u8.s8.s32", u8, s8, 32, s32);
  run("m16n8k32.row.col.s32.s4.s4.s32", s4, s4, 32, s32);
  run("m16n8k64.row.col.s32.s4.s4.s32", s4, s4, 64, s32);
  run("m16n8k128.row.col.s32.b1.b1.s32.and.popc", b1, b1, 128, s32);
  run("m16n8k256.row.col.s32.b1.b1.s32.and.popc", b1, b1, 256, s32);
  run("m16n8k4.row.col.f32.tf32.tf32.f32", tf, tf, 4, single);
  run("m16n8k8.row.col.f32.tf32.tf32.f32", tf, tf, 8, single);
  run("m16n8k8.row.col.f32.bf16.bf16.f32", brain, brain, 8, single);
  run("m16n8k16.row.col.f32.f16.f16.f32", half, half, 16, single);
  run("m16n8k8.row.col.f16.f16.f16.f16", half, half, 8, half);
  run("m16n8k16.row.col.f16.f16.f16.f16", half, half, 16, half);
  run("m16n8k32.row.col.f32.e4m3.e5m2.f32", {8, e4m3, -3}, {8, e5m2, -3}, 32, single);
}

// wmma moves and multiplies whole matrices; here D = A B + C of 16 x 16, B and D by columns.
void fragments() {
  std::vector<uint64_t> words(4 * 256);
  std::vector<int> a(256), b(256), c(256);
  for (int i = 0; i < 256; ++i) {
    a[size_t(i)] = i * 7 % 5 - 2;
    b[size_t(i)] = i * 3 % 7 - 3;
    c[size_t(i)] = i % 11 - 5;
  }
  auto* bytes = reinterpret_cast<unsigned char*>(words.data());
  for (size_t i = 0; i < 256; ++i) {
    const auto x = uint16_t(bf16(a[i]));
    const auto y = uint16_t(bf16(b[i]));
    const auto z = float(c[i]);
    std::memcpy(bytes + 2 * i, &x, 2);
    std::memcpy(bytes + 1024 + 2 * i, &y, 2);
    std::memcpy(bytes + 2048 + 4 * i, &z, 4);
  }
  const auto out = run_ptx(
      ".reg .b32 %fa<4>, %fb<4>, %fc<8>;\nadd.u64 %la, %out, 1024;\nadd.u64 %lb, %out, 2048;\nmov.u32 %a, 16;\n"
      "wmma.load.a.sync.aligned.row.m16n16k16.global.bf16 {%fa0, %fa1, %fa2, %fa3}, [%out], %a;\n"
      "wmma.load.b.sync.aligned.col.m16n16k16.bf16 {%fb0, %fb1, %fb2, %fb3}, [%la];\n"
      "wmma.load.c.sync.aligned.row.m16n16k16.global.f32 {%fc0, %fc1, %fc2, %fc3, %fc4, %fc5, %fc6, %fc7}, [%lb], %a;\n"
      "wmma.mma.sync.aligned.row.col.m16n16k16.f32.bf16.bf16.f32 {%fc0, %fc1, %fc2, %fc3, %fc4, %fc5, %fc6, %fc7}, "
      "{%fa0, %fa1, %fa2, %fa3}, {%fb0, %fb1, %fb2, %fb3}, {%fc0, %fc1, %fc2, %fc3, %fc4, %fc5, %fc6, %fc7};\n"
      "wmma.store.d.sync.aligned.col.m16n16k16.global.f32 [%lb], {%fc0, %fc1, %fc2, %fc3, %fc4, %fc5, %fc6, %fc7}, %a;",
      words);
  int wrong = out.empty() ? 256 : 0;
  for (size_t i = 0; i < 16 && !out.empty(); ++i)
    for (size_t j = 0; j < 16; ++j) {
      int sum = c[16 * i + j];
      for (size_t k = 0; k < 16; ++k)
        sum += a[16 * i + k] * b[16 * j + k];
      float got;
      std::memcpy(&got, reinterpret_cast<const unsigned char*>(out.data()) + 2048 + 4 * (16 * j + i), 4);
      wrong += got != float(sum);
    }
  check(wrong == 0, "wmma of bf16: " + std::to_string(wrong) + " of 256 sums are wrong");
}

// D = A B of 8 x 8 in f64, all by rows but B by columns.
void fragments_of_f64() {
  std::vector<uint64_t> words(32 + 32 + 64);
  for (size_t i = 0; i < 64; ++i)
    words[i] = std::bit_cast<uint64_t>(double(int(i * 5 % 7)) - 3);
  const auto out = run_ptx(
      "add.u64 %la, %out, 256;\nadd.u64 %lb, %out, 512;\n"
      "wmma.load.a.sync.aligned.row.m8n8k4.global.f64 {%lc}, [%out];\n"
      "wmma.load.b.sync.aligned.col.m8n8k4.global.f64 {%ld}, [%la];\nmov.b64 %le, 0;\n"
      "wmma.mma.sync.aligned.row.col.m8n8k4.f64.f64.f64.f64.rn {%lx, %ly}, {%lc}, {%ld}, {%le, %le};\n"
      "wmma.store.d.sync.aligned.row.m8n8k4.global.f64 [%lb], {%lx, %ly};",
      words);
  bool ok = !out.empty();
  for (size_t i = 0; i < 8 && ok; ++i)
    for (size_t j = 0; j < 8; ++j) {
      double sum = 0;
      for (size_t k = 0; k < 4; ++k)
        sum += std::bit_cast<double>(words[4 * i + k]) * std::bit_cast<double>(words[32 + 4 * j + k]);
      ok = ok && std::bit_cast<double>(out[64 + 8 * i + j]) == sum;
    }
  check(ok, "wmma of f64");
}

void transposed() {
  std::vector<uint64_t> words(32);
  for (size_t i = 0; i < 32; ++i)   // element (r, c) is 8 r + c
    words[i] = 2 * i | (2 * i + 1) << 16;
  const auto out = run_ptx(
      "mul.wide.u32 %lz, %x, 8;\nadd.u64 %lz, %lz, %out;\nld.global.u32 %a, [%lz];\n"
      "movmatrix.sync.aligned.m8n8.trans.b16 %a, %a;\nst.global.u32 [%lz], %a;",
      words);
  bool ok = !out.empty();
  for (size_t lane = 0; lane < 32 && ok; ++lane)
    ok = out[lane] == ((16 * (lane % 4) + lane / 4) | (16 * (lane % 4) + 8 + lane / 4) << 16);
  check(ok, "movmatrix");
}
}   // namespace

TEST_GROUP(ptx_matrix_types) {
  products();
  fragments();
  fragments_of_f64();
  transposed();
}
