// Arithmetic of 16-bit floats, one or two in a register. PTX ISA, "Half Precision Floating Point Instructions", and
// "Floating Point Instructions: tanh, ex2". Each result is rounded once.
#include "dispatch.h"
#include "floating.h"
#include "half.h"

namespace spectral::cpu::ptx {
namespace {
enum HalfFlag : uint32_t { kFlushes = 1, kSaturates = 2, kClampsNegative = 4, kNanWins = 8, kXorSign = 16 };

template <class E>
uint16_t flushed_half(uint16_t bits) {
  return bits & E::kMagnitude ? bits : bits & kHalfSign;
}
// .sat: to [0, 1], NaN is 0. .relu: what is negative is 0, NaN stays.
template <class E>
uint16_t finished(uint16_t bits, uint32_t flags) {
  const float v = E::of(bits);
  if (flags & kSaturates)
    return v > 0 ? (v < 1 ? bits : E::kOne) : 0;
  if (flags & kClampsNegative && v <= 0)
    return 0;
  return flags & kFlushes ? flushed_half<E>(bits) : bits;
}
template <class E>
uint16_t rounded_once(double v) {
  return E::round(to_odd_float(v), Rounding::Nearest);
}

struct Add {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t b, uint16_t, uint32_t) {
    return half_sum<E>(a, b);
  }
};
struct Sub {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t b, uint16_t, uint32_t) {
    return rounded_once<E>(fma_to_odd(E::of(a), 1, -E::of(b)));
  }
};
struct Mul {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t b, uint16_t, uint32_t) {
    return rounded_once<E>(double(E::of(a)) * double(E::of(b)));
  }
};
struct Fma {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t b, uint16_t c, uint32_t) {
    return rounded_once<E>(fma_to_odd(E::of(a), E::of(b), E::of(c)));
  }
};
struct Neg {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t, uint16_t, uint32_t) {
    return a ^ kHalfSign;
  }
};
struct Abs {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t, uint16_t, uint32_t) {
    return uint16_t(a & ~kHalfSign);
  }
};
struct Ex2 {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t, uint16_t, uint32_t) {
    return rounded_once<E>(std::exp2(double(E::of(a))));
  }
};
struct Tanh {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t, uint16_t, uint32_t) {
    return rounded_once<E>(std::tanh(double(E::of(a))));
  }
};
// With .xorsign.abs magnitudes are compared and signs multiplied.
template <bool kMax>
struct Pick {
  template <class E>
  static uint16_t of(uint16_t a, uint16_t b, uint16_t, uint32_t flags) {
    const auto sign = uint16_t(flags & kXorSign ? (a ^ b) & kHalfSign : 0);
    if (flags & kXorSign) {
      a &= uint16_t(~kHalfSign);
      b &= uint16_t(~kHalfSign);
    }
    const bool has_nan = E::of(a) != E::of(a) || E::of(b) != E::of(b);
    if (has_nan && flags & kNanWins)
      return kHalfNan;
    const uint16_t picked = half_extreme<E, kMax>(a, b);
    return picked == kHalfNan ? picked : uint16_t(picked | sign);
  }
};

template <class E, class Op, int kSources, bool kPair>
void half_step(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* b = w.lanes<uint32_t>(kSources > 1 ? s.b : s.a);
  const uint32_t* c = w.lanes<uint32_t>(kSources > 2 ? s.c : s.a);
  const uint32_t flags = s.flags;
  auto one = [flags](uint32_t x, uint32_t y, uint32_t z) -> uint32_t {
    uint16_t v[3] = {uint16_t(x), uint16_t(y), uint16_t(z)};
    if (flags & kFlushes)
      for (uint16_t& half : v)
        half = flushed_half<E>(half);
    return finished<E>(Op::template of<E>(v[0], v[1], v[2], flags), flags);
  };
  write_lanes<uint32_t>(w, s.d, [&](int k) {
    const uint32_t low = one(a[k], b[k], c[k]);
    return kPair ? low | one(a[k] >> 16, b[k] >> 16, c[k] >> 16) << 16 : low;
  });
}
template <class Op, int kSources>
Run choose(Type t) {
  switch (t) {
    case Type::F16: return &half_step<F16, Op, kSources, false>;
    case Type::F16x2: return &half_step<F16, Op, kSources, true>;
    case Type::BF16: return &half_step<Bf16, Op, kSources, false>;
    case Type::BF16x2: return &half_step<Bf16, Op, kSources, true>;
    default: return nullptr;
  }
}
// {.rn}{.ftz}{.sat|.relu}{.NaN}{.xorsign.abs}.type: each instruction allows some of them.
template <class Op, int kSources>
void build(Builder& b, uint32_t allowed) {
  b.take("rn");
  uint32_t flags = 0;
  auto take = [&](const char* name, uint32_t flag) {
    if (allowed & flag && b.take(name))
      flags |= flag;
  };
  take("ftz", kFlushes);
  take("sat", kSaturates);
  take("relu", kClampsNegative);
  take("NaN", kNanWins);
  take("xorsign", kXorSign);
  if (flags & kXorSign && !b.take("abs"))
    b.fail(".abs is missing after .xorsign");
  const Type t = b.take_type();
  Step& s = emit_plain(b, t, kSources, choose<Op, kSources>(t));
  s.flags = flags;
  s.kind = std::is_same_v<Op, Ex2> || std::is_same_v<Op, Tanh> ? StepClass::Special : StepClass::Float;
  if (kSources > 1)
    s.operations = uint16_t((kSources == 3 ? 2 : 1) * (is_half_pair(t) ? 2 : 1));   // fma: a product and a sum
}
}   // namespace

bool names_half_form(const Builder& b) {
  const auto& modifiers = b.instruction().modifiers;
  const Type t = modifiers.empty() ? Type::None : type_named(modifiers.back());
  return is_half(t) || is_half_pair(t);
}
void build_half_add(Builder& b) { build<Add, 2>(b, kFlushes | kSaturates); }
void build_half_sub(Builder& b) { build<Sub, 2>(b, kFlushes | kSaturates); }
void build_half_mul(Builder& b) { build<Mul, 2>(b, kFlushes | kSaturates); }
void build_half_fma(Builder& b) { build<Fma, 3>(b, kFlushes | kSaturates | kClampsNegative); }
void build_half_neg(Builder& b) { build<Neg, 1>(b, kFlushes); }
void build_half_abs(Builder& b) { build<Abs, 1>(b, kFlushes); }
void build_half_min(Builder& b) { build<Pick<false>, 2>(b, kFlushes | kNanWins | kXorSign); }
void build_half_max(Builder& b) { build<Pick<true>, 2>(b, kFlushes | kNanWins | kXorSign); }
void build_half_ex2(Builder& b) { build<Ex2, 1>(b, kFlushes); }
void build_half_tanh(Builder& b) { build<Tanh, 1>(b, 0); }
}   // namespace spectral::cpu::ptx
