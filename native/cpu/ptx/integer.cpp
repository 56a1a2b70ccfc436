// Integer arithmetic. PTX ISA, "Integer Arithmetic" and "Extended-Precision Integer Arithmetic".
#include "dispatch.h"
#include "floating.h"
#include <algorithm>
#include <limits>

namespace spectral::cpu::ptx {
namespace {
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
struct Sad {   // c + |a - b|
  template <class T>
  static T of(T a, T b, T c) {
    return Add::of<T>(c, a < b ? Sub::of<T>(b, a) : Sub::of<T>(a, b));
  }
};
// Division by zero has no defined result; like the hardware here, all ones and the dividend.
template <class T>
bool overflows(T a, T b) {
  return std::is_signed_v<T> && b == T(-1) && a == std::numeric_limits<T>::min();
}
struct Div {
  template <class T>
  static T of(T a, T b) {
    if (b == 0)
      return T(-1);
    return overflows(a, b) ? a : T(a / b);
  }
};
struct Rem {
  template <class T>
  static T of(T a, T b) {
    if (b == 0)
      return a;
    return overflows(a, b) ? T(0) : T(a % b);
  }
};
struct Abs {
  template <class T>
  static T of(T a) {
    return a < 0 ? Sub::of<T>(0, a) : a;
  }
};
struct Neg {
  template <class T>
  static T of(T a) {
    return Sub::of<T>(0, a);
  }
};
struct Min {
  template <class T>
  static T of(T a, T b) {
    return b < a ? b : a;
  }
};
struct Max {
  template <class T>
  static T of(T a, T b) {
    return a < b ? b : a;
  }
};

template <class Op>
Run of_integer2(Type t) {
  return for_integer(t, []<class T>() -> Run { return &step2<Op, T>; });
}
template <class Op>
Run of_integer3(Type t) {
  return for_integer(t, []<class T>() -> Run { return &step3<Op, T>; });
}
// Two values of 16 bits in a register.
template <class Op, class T>
void pairwise(Warp& w, const Step& s) {
  const bool clamps = s.flags;   // .relu
  map2<uint32_t, uint32_t, uint32_t>(w, s, [clamps](uint32_t a, uint32_t b) {
    T low = Op::of(T(a), T(b));
    T high = Op::of(T(a >> 16), T(b >> 16));
    if (clamps) {
      low = std::max(low, T(0));
      high = std::max(high, T(0));
    }
    return uint32_t(uint16_t(high)) << 16 | uint16_t(low);
  });
}
template <class Op>
bool build_pairwise(Builder& b, bool clamps) {
  const Type t = type_named(b.peek());
  if (t != Type::U16x2 && t != Type::S16x2)
    return false;
  b.skip_modifier();
  emit_plain(b, t, 2, t == Type::U16x2 ? &pairwise<Op, uint16_t> : &pairwise<Op, int16_t>).flags = clamps;
  return true;
}
template <class Op>
Run of_signed1(Type t) {
  switch (t) {
    case Type::S16: return &step1<Op, int16_t>;
    case Type::S32: return &step1<Op, int32_t>;
    case Type::S64: return &step1<Op, int64_t>;
    default: return nullptr;
  }
}

// ---- carries: the condition code is a predicate of its own. A subtraction leaves 1 where nothing was borrowed: in a
// chain of subtractions that is no different from the ISA's "borrow", and nvcc's division of 128-bit integers reads it
// so by addc.
enum CarryFlag : uint32_t { kCarryIn = 1, kCarryOut = 2 };
template <class T, bool kSubtracts>
void add_carry(Warp& w, const Step& s) {
  const Lane<T>* a = w.lanes<Lane<T>>(s.a);
  const Lane<T>* b = w.lanes<Lane<T>>(s.b);
  const auto number = uint32_t(s.value);
  const uint32_t in = s.flags & kCarryIn ? w.predicate(number) : 0;
  uint32_t out = 0;
  Lane<T> sum[32];
  for (int k = 0; k < 32; ++k) {
    const unsigned carry = (in >> k & 1) ^ unsigned(kSubtracts && s.flags & kCarryIn);
    T partial, total;
    const bool first = kSubtracts ? __builtin_sub_overflow(T(a[k]), T(b[k]), &partial)
                                  : __builtin_add_overflow(T(a[k]), T(b[k]), &partial);
    const bool second = kSubtracts ? __builtin_sub_overflow(partial, T(carry), &total)
                                   : __builtin_add_overflow(partial, T(carry), &total);
    sum[k] = total;
    out |= uint32_t((first || second) != kSubtracts) << k;
  }
  if (s.flags & kCarryOut)
    write_predicate(w, number, out);
  write_lanes<T>(w, s.d, [&](int k) { return T(sum[k]); });
}
// mad.cc and madc: the low or the high half of a product, then as add.
template <class T, bool kHigh>
void mad_carry(Warp& w, const Step& s) {
  const Lane<Unsigned<T>>* a = w.lanes<Lane<Unsigned<T>>>(s.a);
  const Lane<Unsigned<T>>* b = w.lanes<Lane<Unsigned<T>>>(s.b);
  const Lane<Unsigned<T>>* c = w.lanes<Lane<Unsigned<T>>>(s.c);
  const auto number = uint32_t(s.value);
  const uint32_t in = s.flags & kCarryIn ? w.predicate(number) : 0;
  uint32_t out = 0;
  Unsigned<T> sum[32];
  for (int k = 0; k < 32; ++k) {
    const T x = T(a[k]);
    const T y = T(b[k]);
    const Unsigned<T> product = kHigh ? MulHigh::of<T>(x, y) : MulLow::of<T>(x, y);
    Unsigned<T> partial;
    const bool first = __builtin_add_overflow(product, Unsigned<T>(c[k]), &partial);
    const bool second = __builtin_add_overflow(partial, Unsigned<T>(in >> k & 1), &sum[k]);
    out |= uint32_t(first || second) << k;
  }
  if (s.flags & kCarryOut)
    write_predicate(w, number, out);
  write_lanes<Unsigned<T>>(w, s.d, [&](int k) { return sum[k]; });
}
void set_carry(Builder& b, Step& s, bool in, bool out) {
  s.value = b.carry();
  s.flags = (in ? kCarryIn : 0u) | (out ? kCarryOut : 0u);
}

template <bool kSubtracts>
void build_carry(Builder& b, bool in, bool out) {
  const Type t = b.take_type();
  const bool wide = bytes_of(t) == 8;
  if (t != Type::U32 && t != Type::S32 && t != Type::U64 && t != Type::S64)
    b.fail("carries are for 32 and 64 bits");
  const Run run = wide ? &add_carry<uint64_t, kSubtracts> : &add_carry<uint32_t, kSubtracts>;
  set_carry(b, emit_plain(b, t, 2, run), in, out);
}
void build_mad_carry(Builder& b, bool in, bool out) {
  const int half = b.take_one_of({"lo", "hi"});
  if (!out)
    out = b.take("cc");
  const Type t = b.take_type();
  Run run = nullptr;
  if (half >= 0)
    run = for_integer(t, [&]<class T>() -> Run {
      if constexpr (sizeof(T) == 2)
        return nullptr;
      else
        return half ? &mad_carry<T, true> : &mad_carry<T, false>;
    });
  set_carry(b, emit_plain(b, t, 3, run), in, out);
}

// ---- building
template <class Op, class Saturated, bool kSubtracts>
void build_sum(Builder& b) {
  if (b.take("cc"))
    return build_carry<kSubtracts>(b, false, true);
  if (names_float_form(b))
    return kSubtracts ? build_float_sub(b) : build_float_add(b);
  const bool saturates = b.take("sat");
  if (!saturates && !kSubtracts && build_pairwise<Op>(b, false))
    return;
  const Type t = b.take_type();
  if (saturates && t != Type::S32)
    b.fail(".sat is for .s32");
  emit_plain(b, t, 2, saturates ? &step2<Saturated, int32_t> : of_integer2<Op>(t));
}
template <bool kSubtracts>
void build_with_carry(Builder& b) {
  build_carry<kSubtracts>(b, true, b.take("cc"));
}

void build_mul(Builder& b) {
  const int half = b.take_one_of({"lo", "hi", "wide"});
  if (half < 0)
    return build_float_mul(b);
  const Type t = b.take_type();
  if (half < 2) {
    emit_plain(b, t, 2, half ? of_integer2<MulHigh>(t) : of_integer2<MulLow>(t));
    return;
  }
  const Run run = for_integer(t, []<class T>() -> Run {
    if constexpr (sizeof(T) == 8)
      return nullptr;
    else
      return &mul_wide<T>;
  });
  emit_typed(b, run, twice(t), {t, t});
}

void build_mad(Builder& b) {
  const int half = b.peek() == "lo" ? 0 : b.peek() == "hi" ? 1 : b.peek() == "wide" ? 2 : -1;
  if (half < 0)
    return build_float_fma(b);
  if (half < 2 && b.peek(1) == "cc")
    return build_mad_carry(b, false, false);
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
void build_madc(Builder& b) { build_mad_carry(b, true, false); }

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

template <class Op>
void build_integer3(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 3, of_integer3<Op>(t));
}
void build_div(Builder& b) {
  if (names_float_form(b))
    return build_float_div(b);
  const Type t = b.take_type();
  emit_plain(b, t, 2, of_integer2<Div>(t));
}
void build_rem(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 2, of_integer2<Rem>(t));
}
void build_abs(Builder& b) {
  if (names_float_form(b))
    return build_float_abs(b);
  const Type t = b.take_type();
  emit_plain(b, t, 1, of_signed1<Abs>(t));
}
void build_neg(Builder& b) {
  if (names_float_form(b))
    return build_float_neg(b);
  const Type t = b.take_type();
  emit_plain(b, t, 1, of_signed1<Neg>(t));
}
template <class Op>
struct AndRelu {
  static int32_t of(int32_t a, int32_t b) { return std::max(Op::template of<int32_t>(a, b), 0); }
};
template <class Op>
void build_min_max(Builder& b) {
  if (names_float_form(b))
    return std::is_same_v<Op, Min> ? build_float_min(b) : build_float_max(b);
  const bool clamps = b.take("relu");
  if (build_pairwise<Op>(b, clamps))
    return;
  const Type t = b.take_type();
  if (clamps && t != Type::S32)
    b.fail(".relu is for .s32 and .s16x2");
  emit_plain(b, t, 2, clamps ? &step2<AndRelu<Op>, int32_t> : of_integer2<Op>(t));
}

constexpr StepClass kClass = StepClass::Integer;
constexpr InstructionRow kRows[] = {
    {"add", kClass, build_sum<Add, AddSaturated, false>},
    {"sub", kClass, build_sum<Sub, SubSaturated, true>},
    {"mul", kClass, build_mul},
    {"mad", kClass, build_mad},
    {"mul24", kClass, build_mul24},
    {"mad24", kClass, build_mad24},
    {"sad", kClass, build_integer3<Sad>},
    {"div", kClass, build_div},
    {"rem", kClass, build_rem},
    {"abs", kClass, build_abs},
    {"neg", kClass, build_neg},
    {"min", kClass, build_min_max<Min>},
    {"max", kClass, build_min_max<Max>},
    {"addc", kClass, build_with_carry<false>},
    {"subc", kClass, build_with_carry<true>},
    {"madc", kClass, build_madc}};
}   // namespace

InstructionTable integer_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
