// Integer arithmetic that several families of instructions share.
#pragma once
#include "block.h"
#include "dispatch.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace integer {
// Results wrap around (unsigned arithmetic does so by definition; 16-bit values are promoted to int first).
template <class T>
T wrapped(Unsigned<T> v) {
  return T(v);
}
struct Add {
  template <class T>
  static T of(T a, T b) {
    return wrapped<T>(Unsigned<T>(a) + Unsigned<T>(b));
  }
};
struct Sub {
  template <class T>
  static T of(T a, T b) {
    return wrapped<T>(Unsigned<T>(a) - Unsigned<T>(b));
  }
};
struct AddSaturated {
  static int32_t of(int32_t a, int32_t b) { return int32_t(std::clamp<int64_t>(int64_t(a) + b, INT32_MIN, INT32_MAX)); }
};
struct SubSaturated {
  static int32_t of(int32_t a, int32_t b) { return int32_t(std::clamp<int64_t>(int64_t(a) - b, INT32_MIN, INT32_MAX)); }
};
template <class T>
struct WiderOf;
template <>
struct WiderOf<uint16_t> {
  using type = uint32_t;
};
template <>
struct WiderOf<int16_t> {
  using type = int32_t;
};
template <>
struct WiderOf<uint32_t> {
  using type = uint64_t;
};
template <>
struct WiderOf<int32_t> {
  using type = int64_t;
};
template <>
struct WiderOf<uint64_t> {
  using type = unsigned __int128;
};
template <>
struct WiderOf<int64_t> {
  using type = __int128;
};
template <class T>
using Wider = typename WiderOf<T>::type;

struct MulLow {
  template <class T>
  static T of(T a, T b) {
    using U = std::conditional_t<sizeof(T) == 2, uint32_t, Unsigned<T>>;   // 16-bit values would be multiplied as int
    return T(U(a) * U(b));
  }
};
struct MulHigh {
  template <class T>
  static T of(T a, T b) {
    return T(Wider<T>(a) * Wider<T>(b) >> (8 * sizeof(T)));
  }
};
// For what takes long: once, where all lanes have the same operands.
template <class Op, class T>
void slow_step2(Warp& w, const Step& s) {
  if (s.alike != Alike::Same || w.mask != ~0u || !w.block().cluster->has_rows())
    return step2<Op, T>(w, s);
  const T result = Op::of(from_lane<T>(w.lanes<Lane<T>>(s.a)[0]), from_lane<T>(w.lanes<Lane<T>>(s.b)[0]));
  write_lanes<T>(w, s.d, [&](int) { return result; });
}
template <class Op>
Run of_slow_integer2(Type t) {
  return for_integer(t, []<class T>() -> Run { return &slow_step2<Op, T>; });
}
template <class Op>
Run of_integer2(Type t) {
  return for_integer(t, []<class T>() -> Run { return &step2<Op, T>; });
}
template <class Op>
Run of_integer3(Type t) {
  return for_integer(t, []<class T>() -> Run { return &step3<Op, T>; });
}
}   // namespace integer

// products.cpp
void build_mul(Builder&);
void build_mad(Builder&);
void build_mul24(Builder&);
void build_mad24(Builder&);
// carries.cpp; in, out: whether the condition code is read, and written.
void build_sum_with_carry(Builder&, bool subtracts, bool in, bool out);
void build_mad_with_carry(Builder&, bool in, bool out);
}   // namespace spectral::cpu::ptx
