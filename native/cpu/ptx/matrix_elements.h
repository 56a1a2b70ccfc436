// Elements of matrix fragments: how many a register holds, and their values.
#pragma once
#include "access.h"
#include "dispatch.h"
#include "half.h"
#include "small_floats.h"
#include <algorithm>

namespace spectral::cpu::ptx {
enum class Element : uint8_t { F16, Bf16, Tf32, F64, S8, U8, S4, U4, B1, E4m3, E5m2, F32, S32 };
constexpr int bits_of(Element e) {
  switch (e) {
    case Element::F16:
    case Element::Bf16: return 16;
    case Element::F64: return 64;
    case Element::S8:
    case Element::U8:
    case Element::E4m3:
    case Element::E5m2: return 8;
    case Element::S4:
    case Element::U4: return 4;
    case Element::B1: return 1;
    default: return 32;
  }
}
constexpr int per_register(Element e) { return e == Element::F64 ? 1 : 32 / bits_of(e); }
constexpr Type register_type(Element e) {
  switch (e) {
    case Element::F64: return Type::F64;
    case Element::F32: return Type::F32;
    default: return Type::B32;
  }
}
// The element that the next modifier names; -1, and none taken, if it names none.
inline int take_element(Builder& b) {
  return b.take_one_of({"f16", "bf16", "tf32", "f64", "s8", "u8", "s4", "u4", "b1", "e4m3", "e5m2", "f32", "s32"});
}

// Element `i` of a lane's register.
template <class T>
T element_of(Warp& w, uint32_t place, int lane, Element e, int i) {
  if (e == Element::F64)
    return T(w.lanes<double>(place)[lane]);
  const uint32_t bits = w.lanes<uint32_t>(place)[lane] >> i * bits_of(e) % 32;
  switch (e) {
    case Element::F16: return T(F16::of(bits & 0xffff));
    case Element::Bf16: return T(Bf16::of(bits & 0xffff));
    case Element::Tf32: return T(tf32_of(bits));
    case Element::S8: return T(int8_t(bits));
    case Element::U8: return T(bits & 255);
    case Element::S4: return T(int32_t(bits << 28) >> 28);
    case Element::U4: return T(bits & 15);
    case Element::B1: return T(bits & 1);
    case Element::E4m3: return T(E4m3::of(bits & 255));
    case Element::E5m2: return T(E5m2::of(bits & 255));
    case Element::F32: return T(std::bit_cast<float>(bits));
    default: return T(int32_t(bits));
  }
}
// Of accumulators only: f16, f32, s32, f64.
template <class T>
void set_element(Warp& w, uint32_t place, int lane, Element e, int i, T value) {
  switch (e) {
    case Element::F64: w.lanes<double>(place)[lane] = double(value); return;
    case Element::F16: {
      uint32_t& word = w.lanes<uint32_t>(place)[lane];
      const uint32_t half = F16::round(to_odd_float(value), Rounding::Nearest);
      word = (word & ~(0xffffu << 16 * i)) | half << 16 * i;
      return;
    }
    case Element::F32: w.lanes<float>(place)[lane] = float(value); return;
    default: w.lanes<int32_t>(place)[lane] = int32_t(value); return;
  }
}

// D = A B + C; each sum in the order of k, with one rounding per product.
enum ProductFlag : uint8_t { kSaturatesSums = 1, kXorBits = 2, kAndBits = 4 };
template <class T, int kRows, int kColumns, int kDepth>
struct DenseProduct {
  T a[kRows][kDepth];
  T b[kDepth][kColumns];
  T d[kRows][kColumns];

  void multiply(int rows, int columns, int depth, uint8_t flags) {
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        d[i][j] = sum(i, j, depth, flags);
  }

 private:
  T sum(int i, int j, int depth, uint8_t flags) const {
    if constexpr (std::is_integral_v<T>) {
      int64_t total = d[i][j];
      for (int k = 0; k < depth; ++k) {
        if (flags & kXorBits)
          total += a[i][k] ^ b[k][j];
        else
          total += flags & kAndBits ? a[i][k] & b[k][j] : int64_t(a[i][k]) * b[k][j];
      }
      return T(flags & kSaturatesSums ? std::clamp<int64_t>(total, INT32_MIN, INT32_MAX) : total);
    } else {
      T total = d[i][j];
      for (int k = 0; k < depth; ++k)
        total = std::fma(a[i][k], b[k][j], total);
      return total;
    }
  }
};
// Registers of a fragment: an operand that is a vector, or one register.
inline size_t add_fragment(Builder& b, size_t index, Type t, bool writes, std::vector<uint32_t>& places) {
  const Operand& o = b.operand(index);
  const std::vector<Operand>* parts = Builder::parts_of(o);
  const size_t n = parts ? parts->size() : 1;
  for (size_t i = 0; i < n; ++i) {
    const Operand& part = parts ? (*parts)[i] : o;
    places.push_back(writes ? b.write(part, t) : b.read(part, t));
  }
  return n;
}
inline void expect_fragment(Builder& b, size_t index, size_t n, Type t, bool writes, std::vector<uint32_t>& places) {
  if (add_fragment(b, index, t, writes, places) != n)
    b.fail(b.operand(index), "expected " + std::to_string(n) + " registers");
}
// m, n and k of a shape as in m16n8k16; zeros if it is none.
struct MatrixShape {
  int m = 0, n = 0, k = 0;
};
inline MatrixShape take_shape(Builder& b) {
  MatrixShape s;
  std::string_view text = b.peek();
  for (auto [letter, value] : {std::pair{'m', &s.m}, std::pair{'n', &s.n}, std::pair{'k', &s.k}}) {
    if (text.empty() || text[0] != letter)
      return {};
    text.remove_prefix(1);
    while (!text.empty() && text[0] >= '0' && text[0] <= '9' && *value < 1000) {
      *value = *value * 10 + (text[0] - '0');
      text.remove_prefix(1);
    }
  }
  if (!text.empty())
    return {};
  b.skip_modifier();
  return s;
}
}   // namespace spectral::cpu::ptx
