// Integer arithmetic. PTX ISA, "Integer Arithmetic".
#include "integer.h"
#include "floating.h"
#include <algorithm>
#include <limits>

namespace spectral::cpu::ptx {
namespace {
using namespace integer;

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
double exact_double(int32_t v) { return v; }
double exact_double(uint32_t v) { return double(int32_t(v ^ 0x80000000u)) + 0x1p31; }   // vectors have signed ones only
// Of 32 bits by way of F64, for which the processor has vectors, unlike for integers. The quotient is the right one: of
// fractions with such a divisor none lies so near to the next integer that F64 rounds it there.
template <class T>
T quotient32(T a, T b) {
  const bool whole = b == 0 || b == 1 || overflows(a, b);   // the quotient is a, if there is one
  const double d = whole ? 1.0 : exact_double(b);
  const int32_t q = whole ? 0 : int32_t(exact_double(a) / d);
  if (b == 0)
    return T(-1);
  return whole ? a : T(q);
}
struct Div {
  template <class T>
  static T of(T a, T b) {
    if constexpr (sizeof(T) == 4)
      return quotient32(a, b);
    if (b == 0)
      return T(-1);
    return overflows(a, b) ? a : T(a / b);
  }
};
struct Rem {
  template <class T>
  static T of(T a, T b) {
    if constexpr (sizeof(T) == 4)
      return b == 0 ? a : Sub::of<T>(a, MulLow::of<T>(quotient32(a, b), b));
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

// ---- building
template <class Op, class Saturated, bool kSubtracts>
void build_sum(Builder& b) {
  if (b.take("cc"))
    return build_sum_with_carry(b, kSubtracts, false, true);
  if (names_float_form(b))
    return kSubtracts ? build_float_sub(b) : build_float_add(b);
  const bool saturates = b.take("sat");
  if (!saturates && !kSubtracts && build_pairwise<Op>(b, false))
    return;
  const Type t = b.take_type();
  if (saturates && t != Type::S32)
    b.fail(".sat is for .s32");
  Step& s = emit_plain(b, t, 2, saturates ? &step2<Saturated, int32_t> : of_integer2<Op>(t));
  if (!saturates && bytes_of(t) >= 4)
    s.linear = Linear::Sum;
}
template <bool kSubtracts>
void build_with_carry(Builder& b) {
  build_sum_with_carry(b, kSubtracts, true, b.take("cc"));
}

void build_madc(Builder& b) { build_mad_with_carry(b, true, false); }

template <class Op>
void build_integer3(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 3, of_integer3<Op>(t));
}
void build_div(Builder& b) {
  if (names_float_form(b))
    return build_float_div(b);
  const Type t = b.take_type();
  emit_plain(b, t, 2, of_slow_integer2<Div>(t));
}
void build_rem(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 2, of_slow_integer2<Rem>(t));
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
