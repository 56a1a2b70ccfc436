// wmma, whose fragments only loads and stores know, against products of the matrices themselves; movmatrix. Values are
// small integers, so that every sum is exact.
#include "ptx.h"
#include <bit>

namespace {
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
    const uint16_t x = to_bf16(float(a[i]));
    const uint16_t y = to_bf16(float(b[i]));
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

TEST_GROUP(ptx_wmma) {
  fragments();
  fragments_of_f64();
  transposed();
}
