// Moves of matrices of 8 x 8 values of 16 bits between shared memory and the fragments of a warp. PTX ISA, "Warp Level
// Matrix Multiply-Accumulate": ldmatrix, stmatrix, movmatrix. A lane is (g, q) = (lane / 4, lane % 4) throughout.
#include "access.h"
#include "barriers.h"
#include "dispatch.h"

namespace spectral::cpu::ptx {
namespace {
// ---- "ldmatrix", "stmatrix": lane 8 i + r has the address of row r of matrix i; with fewer than four matrices the
// addresses of the other lanes are not used
enum MatrixFlag : uint32_t { kTransposed = 8, kGenericRows = 16 };
// Checks the rows' addresses and makes them the host's.
void reach_rows(Warp& w, const Step& s, uint64_t* at, Effect effect) {
  constexpr unsigned kRowBytes = 16;
  const uint32_t n = s.b;
  const uint32_t all = w.mask;
  w.mask = n == 4 ? ~0u : (1u << 8 * n) - 1;
  if (s.flags & kGenericRows)
    reach<Space::Generic>(w, s, at, kRowBytes, effect);
  else
    reach<Space::Shared>(w, s, at, kRowBytes, effect);
  w.mask = all;
}
void load_matrices(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "ldmatrix"))
    return;
  uint64_t at[32];
  reach_rows(w, s, at, Effect::Reads);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < s.b; ++i) {
    uint16_t m[8][8];
    for (uint32_t r = 0; r < 8; ++r)
      std::memcpy(m[r], reinterpret_cast<const void*>(at[8 * i + r]), sizeof m[r]);
    uint32_t* d = w.lanes<uint32_t>(places[i]);
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t g = lane / 4;
      const uint32_t q = lane % 4;
      d[lane] = s.flags & kTransposed ? m[2 * q][g] | uint32_t(m[2 * q + 1][g]) << 16
                                      : m[g][2 * q] | uint32_t(m[g][2 * q + 1]) << 16;
    }
  }
}
void store_matrices(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "stmatrix"))
    return;
  uint64_t at[32];
  reach_rows(w, s, at, Effect::Writes);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < s.b; ++i) {
    const uint32_t* from = w.lanes<uint32_t>(places[i]);
    uint16_t m[8][8];
    for (uint32_t lane = 0; lane < 32; ++lane) {
      const uint32_t g = lane / 4;
      const uint32_t q = lane % 4;
      const auto low = uint16_t(from[lane]);
      const auto high = uint16_t(from[lane] >> 16);
      if (s.flags & kTransposed) {
        m[2 * q][g] = low;
        m[2 * q + 1][g] = high;
      } else {
        m[g][2 * q] = low;
        m[g][2 * q + 1] = high;
      }
    }
    for (uint32_t r = 0; r < 8; ++r)
      std::memcpy(reinterpret_cast<void*>(at[8 * i + r]), m[r], sizeof m[r]);
  }
}

void build_matrices(Builder& b, bool loads) {
  b.take("sync");
  b.take("aligned");
  const bool shape = b.take("m8n8");
  const int number = b.take_one_of({"x1", "x2", "x4"});
  const bool transposed = b.take("trans");
  const bool shared = b.take_one_of({"shared", "shared::cta"}) >= 0;
  const Type t = b.take_type();
  if (!shape || number < 0 || t != Type::B16)
    b.fail("expected .m8n8, .x1, .x2 or .x4, and .b16");
  b.expect_operands(2);
  const Operand& fragments = b.operand(loads ? 0 : 1);
  const std::vector<Operand>* parts = Builder::parts_of(fragments);
  const size_t n = size_t(1) << number;
  if ((parts ? parts->size() : 1) != n)
    b.fail(fragments, "expected " + std::to_string(n) + " registers");
  const MemoryOperand memory = b.memory(loads ? 1 : 0);
  std::vector<uint32_t> places;
  for (size_t i = 0; i < n; ++i) {
    const Operand& o = parts ? (*parts)[i] : fragments;
    places.push_back(loads ? b.write(o, Type::B32) : b.read(o, Type::B32));
  }
  const uint32_t list = b.list(places);
  Step& s = b.emit(loads ? &load_matrices : &store_matrices);
  set_address(s, memory);
  s.b = uint32_t(n);
  s.list = list;
  s.flags |= (transposed ? kTransposed : 0u) | (shared ? 0u : uint32_t(kGenericRows));
}
void build_ldmatrix(Builder& b) { build_matrices(b, true); }
void build_stmatrix(Builder& b) { build_matrices(b, false); }

// movmatrix: the transposed of a matrix that lies in registers.
void transpose_matrix(Warp& w, const Step& s) {
  if (!whole_warp(w, s, "movmatrix"))
    return;
  uint16_t m[8][8];
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  for (int lane = 0; lane < 32; ++lane) {
    m[lane / 4][lane % 4 * 2] = uint16_t(a[lane]);
    m[lane / 4][lane % 4 * 2 + 1] = uint16_t(a[lane] >> 16);
  }
  write_lanes<uint32_t>(w, s.d, [&](int lane) {
    const int column = lane / 4;
    const int row = lane % 4 * 2;
    return m[row][column] | uint32_t(m[row + 1][column]) << 16;
  });
}
void build_movmatrix(Builder& b) {
  const bool form = b.take("sync") && b.take("aligned") && b.take("m8n8") && b.take("trans");
  const Type t = b.take_type();
  if (!form || t != Type::B16)
    b.fail("expected .sync.aligned.m8n8.trans.b16");
  emit_plain(b, Type::B32, 1, &transpose_matrix);
}

constexpr InstructionRow kRows[] = {
    {"ldmatrix", StepClass::MatrixLoad, build_ldmatrix},
    {"stmatrix", StepClass::MatrixStore, build_stmatrix},
    {"movmatrix", StepClass::Collective, build_movmatrix}};
}   // namespace

InstructionTable matrix_moves() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
