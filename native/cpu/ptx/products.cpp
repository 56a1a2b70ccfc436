// Products of integers. PTX ISA, "Integer Arithmetic: mul, mad, mul24, mad24".
#include "floating.h"
#include "integer.h"

namespace spectral::cpu::ptx {
namespace {
using namespace integer;

template <class T>
void mul_wide(Warp& w, const Step& s) {
  using W = Wider<T>;
  map2<W, T, T>(w, s, [](T a, T b) { return W(W(a) * W(b)); });
}
template <class T>
void mad_wide(Warp& w, const Step& s) {
  using W = Wider<T>;
  map3<W, T, T, W>(w, s, [](T a, T b, W c) { return Add::of<W>(W(W(a) * W(b)), c); });
}
struct MadLow {
  template <class T>
  static T of(T a, T b, T c) {
    return Add::of<T>(MulLow::of<T>(a, b), c);
  }
};
struct MadHigh {
  template <class T>
  static T of(T a, T b, T c) {
    return Add::of<T>(MulHigh::of<T>(a, b), c);
  }
};
struct MadHighSaturated {
  static int32_t of(int32_t a, int32_t b, int32_t c) { return AddSaturated::of(MulHigh::of<int32_t>(a, b), c); }
};
// Of the 48-bit product of 24-bit values: the low or the high 32 bits.
template <class T>
Wider<T> product24(T a, T b) {
  auto low24 = [](T v) { return std::is_signed_v<T> ? T(Unsigned<T>(v) << 8) >> 8 : T(v & 0xffffff); };
  return Wider<T>(low24(a)) * low24(b);
}
struct Mul24Low {
  template <class T>
  static T of(T a, T b) {
    return T(product24(a, b));
  }
};
struct Mul24High {
  template <class T>
  static T of(T a, T b) {
    return T(product24(a, b) >> 16);
  }
};
struct Mad24Low {
  template <class T>
  static T of(T a, T b, T c) {
    return Add::of<T>(Mul24Low::of<T>(a, b), c);
  }
};
struct Mad24High {
  template <class T>
  static T of(T a, T b, T c) {
    return Add::of<T>(Mul24High::of<T>(a, b), c);
  }
};
// The low or the high form of an operation on two or three 24-bit values.
template <template <class, class> class StepOf>
Run of_24(Builder& b, Type* t) {
  const int half = b.take_one_of({"lo", "hi"});
  *t = b.take_type();
  if (half < 0 || (*t != Type::U32 && *t != Type::S32))
    return nullptr;
  return StepOf<uint32_t, int32_t>::choose(half == 1, *t == Type::S32);
}
template <class U, class S>
struct Mul24 {
  static Run choose(bool high, bool is_signed) {
    if (high)
      return is_signed ? &step2<Mul24High, S> : &step2<Mul24High, U>;
    return is_signed ? &step2<Mul24Low, S> : &step2<Mul24Low, U>;
  }
};
template <class U, class S>
struct Mad24 {
  static Run choose(bool high, bool is_signed) {
    if (high)
      return is_signed ? &step3<Mad24High, S> : &step3<Mad24High, U>;
    return is_signed ? &step3<Mad24Low, S> : &step3<Mad24Low, U>;
  }
};
}   // namespace

void build_mul(Builder& b) {
  const int half = b.take_one_of({"lo", "hi", "wide"});
  if (half < 0)
    return build_float_mul(b);
  const Type t = b.take_type();
  if (half < 2) {
    Step& s = emit_plain(b, t, 2, half ? of_integer2<MulHigh>(t) : of_slow_integer2<MulLow>(t));
    if (!half && bytes_of(t) >= 4)
      s.linear = Linear::Product;
    return;
  }
  const Run run = for_integer(t, []<class T>() -> Run {
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return &mul_wide<T>;
  });
  Step& s = emit_typed(b, run, twice(t), {t, t});
  if (bytes_of(t) == 4)
    s.linear = Linear::WideProduct;
}

void build_mad(Builder& b) {
  const int half = b.peek() == "lo" ? 0 : b.peek() == "hi" ? 1 : b.peek() == "wide" ? 2 : -1;
  if (half < 0)
    return build_float_fma(b);
  if (half < 2 && b.peek(1) == "cc")
    return build_mad_with_carry(b, false, false);
  b.skip_modifier();
  const bool saturates = b.take("sat");
  const Type t = b.take_type();
  if (saturates && (half != 1 || t != Type::S32))
    b.fail(".sat is for .hi.s32");
  if (saturates) {
    emit_plain(b, t, 3, &step3<MadHighSaturated, int32_t>);
    return;
  }
  if (half < 2) {
    emit_plain(b, t, 3, half ? of_integer3<MadHigh>(t) : of_integer3<MadLow>(t));
    return;
  }
  const Run run = for_integer(t, []<class T>() -> Run {
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return &mad_wide<T>;
  });
  emit_typed(b, run, twice(t), {t, t, twice(t)});
}
void build_mul24(Builder& b) {
  Type t;
  const Run run = of_24<Mul24>(b, &t);
  emit_plain(b, t, 2, run);
}
void build_mad24(Builder& b) {
  Type t;
  const Run run = of_24<Mad24>(b, &t);
  emit_plain(b, t, 3, run);
}
}   // namespace spectral::cpu::ptx
