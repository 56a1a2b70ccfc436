// Logic, shifts, bit fields, bytes. PTX ISA, "Logic and Shift", the bit instructions of "Integer Arithmetic", and
// "Data Movement and Conversion: prmt".
#include "dispatch.h"
#include <bit>
#include <cstdlib>

namespace spectral::cpu::ptx {
namespace {
struct And {
  template <class T>
  static T of(T a, T b) {
    return a & b;
  }
};
struct Or {
  template <class T>
  static T of(T a, T b) {
    return a | b;
  }
};
struct Xor {
  template <class T>
  static T of(T a, T b) {
    return a ^ b;
  }
};
struct Not {
  template <class T>
  static T of(T a) {
    return T(~a);
  }
};
struct Cnot {
  template <class T>
  static T of(T a) {
    return T(a == 0);
  }
};

// ---- predicates: a word holds all lanes
enum PredicateFlag : uint32_t { kFlipA = 1, kFlipB = 2 };
template <class Op>
void predicate2(Warp& w, const Step& s) {
  const uint32_t a = w.predicate(s.a) ^ (s.flags & kFlipA ? ~0u : 0u);
  const uint32_t b = w.predicate(s.b) ^ (s.flags & kFlipB ? ~0u : 0u);
  write_predicate(w, s.d, Op::of(a, b));
}
void predicate_not(Warp& w, const Step& s) {
  write_predicate(w, s.d, s.flags & kFlipA ? w.predicate(s.a) : ~w.predicate(s.a));
}

template <class Op>
void build_logic2(Builder& b) {
  if (b.take("pred")) {
    b.expect_operands(3);
    bool flip_a, flip_b;
    const uint32_t from_a = b.read_predicate(b.operand(1), &flip_a);
    const uint32_t from_b = b.read_predicate(b.operand(2), &flip_b);
    const uint32_t to = b.write_predicate(b.operand(0));
    Step& s = b.emit(&predicate2<Op>);
    s.a = from_a;
    s.b = from_b;
    s.d = to;
    s.flags = (flip_a ? kFlipA : 0u) | (flip_b ? kFlipB : 0u);
    return;
  }
  const Type t = b.take_type();
  emit_plain(b, t, 2, for_bits(t, []<class T>() -> Run { return &step2<Op, T>; }));
}
void build_not(Builder& b) {
  if (b.take("pred")) {
    b.expect_operands(2);
    bool flip;
    const uint32_t from = b.read_predicate(b.operand(1), &flip);
    const uint32_t to = b.write_predicate(b.operand(0));
    Step& s = b.emit(&predicate_not);
    s.a = from;
    s.d = to;
    s.flags = flip ? kFlipA : 0u;
    return;
  }
  const Type t = b.take_type();
  emit_plain(b, t, 1, for_bits(t, []<class T>() -> Run { return &step1<Not, T>; }));
}
void build_cnot(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 1, for_bits(t, []<class T>() -> Run { return &step1<Cnot, T>; }));
}

// The truth table's bit i is the result for bits (a, b, c) of i: a is 0xf0, b 0xcc, c 0xaa.
void lop3(Warp& w, const Step& s) {
  const auto table = uint32_t(s.value);
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(w, s, [table](uint32_t a, uint32_t b, uint32_t c) {
    uint32_t d = 0;
    for (uint32_t i = 0; i < 8; ++i) {
      const uint32_t all = table >> i & 1 ? ~0u : 0u;
      d |= all & (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    }
    return d;
  });
}
void build_lop3(Builder& b) {
  const Type t = b.take_type();
  if (t != Type::B32)
    b.fail("expected .b32");
  b.expect_operands(5);
  const int64_t table = b.read_immediate(4, 0, 255);
  emit_typed(b, &lop3, t, {t, t, t}, 1).value = table;
}

// ---- shifts: amounts beyond the width are the width
template <class T>
void shift_left(Warp& w, const Step& s) {
  map2<T, T, uint32_t>(w, s, [](T a, uint32_t n) { return n >= 8 * sizeof(T) ? T(0) : T(a << n); });
}
template <class T>
void shift_right(Warp& w, const Step& s) {
  constexpr uint32_t kMost = 8 * sizeof(T) - 1;
  map2<T, T, uint32_t>(w, s, [](T a, uint32_t n) {
    if (std::is_signed_v<T>)
      return T(a >> std::min(n, uint32_t(kMost)));
    return n > kMost ? T(0) : T(a >> n);
  });
}
// The same by one number, as most shifts are.
template <class T>
void shift_left_by(Warp& w, const Step& s) {
  const auto n = uint32_t(s.value);
  map1<T, T>(w, s, [n](T a) { return T(a << n); });
}
template <class T>
void shift_right_by(Warp& w, const Step& s) {
  const auto n = uint32_t(s.value);
  map1<T, T>(w, s, [n](T a) { return T(a >> n); });
}
bool shifts_by_number(const Builder& b, Type t) {
  const Operand& n = b.operand(2);
  return n.kind == OperandKind::Immediate && !n.is_float && !n.is_float32 && n.value < 8 * uint64_t(bytes_of(t));
}
void emit_shift(Builder& b, Type t, Run by_lane, Run by_number, Linear linear) {
  b.expect_operands(3);
  if (!by_lane || !shifts_by_number(b, t)) {
    emit_typed(b, by_lane, t, {t, Type::U32});
    return;
  }
  Step& s = emit_typed(b, by_number, t, {t}, 1);
  s.value = int64_t(b.operand(2).value);
  if (bytes_of(t) >= 4)
    s.linear = linear;
}
void build_shl(Builder& b) {
  const Type t = b.take_type();
  const Run by_lane = for_bits(t, []<class T>() -> Run { return &shift_left<T>; });
  emit_shift(b, t, by_lane, for_bits(t, []<class T>() -> Run { return &shift_left_by<T>; }), Linear::Multiple);
}
void build_shr(Builder& b) {
  const Type t = b.take_type();
  const auto by_lane = []<class T>() -> Run { return &shift_right<T>; };
  const auto by_number = []<class T>() -> Run { return &shift_right_by<T>; };
  if (Run run = for_bits(t, by_lane))
    return emit_shift(b, t, run, for_bits(t, by_number), Linear::None);
  emit_shift(b, t, for_integer(t, by_lane), for_integer(t, by_number), Linear::None);
}
// The upper (left) or lower (right) half of b:a shifted.
template <bool kLeft, bool kClamps>
void funnel_shift(Warp& w, const Step& s) {
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(w, s, [](uint32_t a, uint32_t b, uint32_t c) {
    const uint32_t n = kClamps ? std::min(c, 32u) : c & 31;
    const uint64_t both = uint64_t(b) << 32 | a;
    return kLeft ? uint32_t(both << n >> 32) : uint32_t(both >> n);
  });
}
void build_shf(Builder& b) {
  const int side = b.take_one_of({"l", "r"});
  const int mode = b.take_one_of({"clamp", "wrap"});
  const Type t = b.take_type();
  if (side < 0 || mode < 0)
    b.fail("expected .l or .r, then .clamp or .wrap");
  constexpr Run kRuns[2][2] = {
      {&funnel_shift<true, true>, &funnel_shift<true, false>},
      {&funnel_shift<false, true>, &funnel_shift<false, false>}};
  emit_plain(b, t, 3, t == Type::B32 ? kRuns[side][mode] : nullptr);
}

// ---- counting and finding bits
template <class T>
void count_bits(Warp& w, const Step& s) {
  map1<uint32_t, T>(w, s, [](T a) { return uint32_t(std::popcount(a)); });
}
template <class T>
void leading_zeros(Warp& w, const Step& s) {
  map1<uint32_t, T>(w, s, [](T a) { return uint32_t(std::countl_zero(a)); });
}
template <class T>
uint32_t most_significant(T a, bool as_shift) {
  if constexpr (std::is_signed_v<T>)
    a = a < 0 ? T(~a) : a;
  if (a == 0)
    return ~0u;
  const auto position = uint32_t(8 * sizeof(T) - 1 - unsigned(std::countl_zero(Unsigned<T>(a))));
  return as_shift ? uint32_t(8 * sizeof(T) - 1) - position : position;
}
template <class T>
void find_bit(Warp& w, const Step& s) {
  const bool as_shift = s.value;
  map1<uint32_t, T>(w, s, [as_shift](T a) { return most_significant(a, as_shift); });
}
template <class F>
Run for_wide_bits(Type t, F f) {
  return t == Type::B16 ? nullptr : for_bits(t, f);
}
void build_popc(Builder& b) {
  const Type t = b.take_type();
  emit_typed(b, for_wide_bits(t, []<class T>() -> Run { return &count_bits<T>; }), Type::U32, {t});
}
void build_clz(Builder& b) {
  const Type t = b.take_type();
  emit_typed(b, for_wide_bits(t, []<class T>() -> Run { return &leading_zeros<T>; }), Type::U32, {t});
}
void build_bfind(Builder& b) {
  const bool as_shift = b.take("shiftamt");
  const Type t = b.take_type();
  const Run run = for_integer(t, []<class T>() -> Run {
    if constexpr (sizeof(T) == 2)
      return nullptr;
    else
      return &find_bit<T>;
  });
  emit_typed(b, run, Type::U32, {t}).value = as_shift;
}
struct Reverse {
  template <class T>
  static T of(T a) {
    T r = 0;
    for (unsigned i = 0; i < 8 * sizeof(T); ++i)
      r |= T((a >> i & 1) << (8 * sizeof(T) - 1 - i));
    return r;
  }
};
void build_brev(Builder& b) {
  const Type t = b.take_type();
  emit_plain(b, t, 1, for_wide_bits(t, []<class T>() -> Run { return &step1<Reverse, T>; }));
}

// The n-th set bit from a position on: upward for n > 0, downward for n < 0, and for 0 the position itself.
void find_nth_set(Warp& w, const Step& s) {
  map3<uint32_t, uint32_t, uint32_t, int32_t>(w, s, [](uint32_t mask, uint32_t base, int32_t n) {
    const int step = n < 0 ? -1 : 1;
    int left = n == 0 ? 1 : std::abs(n);
    for (int at = int(base & 31); at >= 0 && at < 32; at += step) {
      if (mask >> at & 1 && --left == 0)
        return uint32_t(at);
      if (n == 0)
        break;
    }
    return ~0u;
  });
}
void build_fns(Builder& b) {
  const Type t = b.take_type();
  emit_typed(b, t == Type::B32 ? &find_nth_set : nullptr, t, {t, Type::B32, Type::S32});
}

// ---- bit fields: position and length are taken modulo 256
template <class T>
T extract(T a, uint32_t at, uint32_t length) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  at &= 255;
  length &= 255;
  const uint32_t sign_at = std::min(at + length - 1, kBits - 1);
  const bool negative = std::is_signed_v<T> && length && (Unsigned<T>(a) >> sign_at & 1);
  const Unsigned<T> shifted = at < kBits ? Unsigned<T>(a) >> at : 0;
  const uint32_t taken = at < kBits ? std::min(length, kBits - at) : 0;   // of a itself; the sign fills what is beyond
  const Unsigned<T> low = taken >= kBits ? ~Unsigned<T>(0) : (Unsigned<T>(1) << taken) - 1;
  return T((shifted & low) | (negative ? ~low : 0));
}
template <class T>
void extract_field(Warp& w, const Step& s) {
  map3<T, T, uint32_t, uint32_t>(w, s, [](T a, uint32_t at, uint32_t n) { return extract<T>(a, at, n); });
}
void build_bfe(Builder& b) {
  const Type t = b.take_type();
  const Run run = for_integer(t, []<class T>() -> Run {
    if constexpr (sizeof(T) == 2)
      return nullptr;
    else
      return &extract_field<T>;
  });
  emit_typed(b, run, t, {t, Type::U32, Type::U32});
}
// a's low bits into b; the length's place is in the list.
template <class T>
void insert_field(Warp& w, const Step& s) {
  constexpr uint32_t kBits = 8 * sizeof(T);
  const uint32_t* lengths = w.lanes<uint32_t>(w.list(s)[0]);
  const Lane<T>* a = w.lanes<Lane<T>>(s.a);
  const Lane<T>* b = w.lanes<Lane<T>>(s.b);
  const uint32_t* c = w.lanes<uint32_t>(s.c);
  write_lanes<T>(w, s.d, [&](int k) {
    const uint32_t at = c[k] & 255;
    const uint32_t length = lengths[k] & 255;
    if (at >= kBits || !length)
      return T(b[k]);
    const T ones = length >= kBits ? ~T(0) : (T(1) << length) - 1;
    const T field = T(ones << at);
    return T((T(b[k]) & ~field) | (T(a[k]) << at & field));
  });
}
void build_bfi(Builder& b) {
  const Type t = b.take_type();
  const Run run = for_wide_bits(t, []<class T>() -> Run { return &insert_field<T>; });
  b.expect_operands(5);
  const uint32_t list = b.list({b.read(4, Type::U32)});
  emit_typed(b, run, t, {t, t, Type::U32}, 1).list = list;
}
template <bool kClamps>
void bit_mask(Warp& w, const Step& s) {
  map2<uint32_t, uint32_t, uint32_t>(w, s, [](uint32_t at, uint32_t n) {
    if (!kClamps) {
      at &= 31;
      n &= 31;
    }
    if (at > 31 || !n)
      return 0u;
    return (n > 31 ? ~0u : (1u << n) - 1) << at;
  });
}
void build_bmsk(Builder& b) {
  const int mode = b.take_one_of({"clamp", "wrap"});
  const Type t = b.take_type();
  emit_plain(b, t, 2, t != Type::B32 || mode < 0 ? nullptr : mode ? &bit_mask<false> : &bit_mask<true>);
}

// ---- bytes
// Selector nibbles: bits 0-2 the byte of b:a, bit 3 its sign over the whole byte.
uint32_t permuted(uint32_t a, uint32_t b, uint32_t selectors) {
  const uint64_t both = uint64_t(b) << 32 | a;
  uint32_t d = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t selector = selectors >> 4 * i;
    const auto byte = uint32_t(both >> 8 * (selector & 7)) & 255;
    d |= (selector & 8 ? (byte >> 7 ? 255u : 0u) : byte) << 8 * i;
  }
  return d;
}
// The six modes as selectors of the general one, by the low two bits of c.
constexpr uint32_t kModeSelectors[6][4] = {
    {0x3210, 0x4321, 0x5432, 0x6543},    // f4e
    {0x5670, 0x6701, 0x7012, 0x0123},    // b4e
    {0x0000, 0x1111, 0x2222, 0x3333},    // rc8
    {0x3210, 0x3211, 0x3222, 0x3333},    // ecl
    {0x0000, 0x1110, 0x2210, 0x3210},    // ecr
    {0x1010, 0x3232, 0x1010, 0x3232}};   // rc16
void permute(Warp& w, const Step& s) {
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, s, [](uint32_t a, uint32_t b, uint32_t c) { return permuted(a, b, c); });
}
void permute_in_mode(Warp& w, const Step& s) {
  const uint32_t* selectors = kModeSelectors[s.value];
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, s, [selectors](uint32_t a, uint32_t b, uint32_t c) { return permuted(a, b, selectors[c & 3]); });
}
void build_prmt(Builder& b) {
  const Type t = b.take_type();
  const int mode = b.take_one_of({"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"});
  Step& s = emit_plain(b, t, 3, t != Type::B32 ? nullptr : mode < 0 ? &permute : &permute_in_mode);
  s.value = std::max(mode, 0);
}

// c + the dot product of four bytes, or of two halves of a with two bytes of b.
template <bool kSignedA, bool kSignedB>
void dot_bytes(Warp& w, const Step& s) {
  auto value = [](uint32_t bits, bool is_signed) { return is_signed ? int32_t(int8_t(bits)) : int32_t(bits & 255); };
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(w, s, [&](uint32_t a, uint32_t b, uint32_t c) {
    for (int i = 0; i < 32; i += 8)
      c += uint32_t(value(a >> i, kSignedA) * value(b >> i, kSignedB));
    return c;
  });
}
template <bool kSignedA, bool kSignedB>
void dot_halves(Warp& w, const Step& s) {
  const int from = int(s.value);
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(w, s, [&](uint32_t a, uint32_t b, uint32_t c) {
    for (int i = 0; i < 2; ++i) {
      const uint32_t half = a >> 16 * i & 0xffff;
      const uint32_t byte = b >> (from + 8 * i) & 255;
      const int32_t x = kSignedA ? int32_t(int16_t(half)) : int32_t(half);
      const int32_t y = kSignedB ? int32_t(int8_t(byte)) : int32_t(byte);
      c += uint32_t(x) * uint32_t(y);
    }
    return c;
  });
}
void build_dot(Builder& b, bool halves) {
  const int high = halves ? b.take_one_of({"lo", "hi"}) : 0;
  const Type a = b.take_type();
  const Type second = b.take_type();
  auto ok = [](Type t) { return t == Type::U32 || t == Type::S32; };
  if (!ok(a) || !ok(second) || high < 0)
    b.fail("expected two types of 32-bit integers");
  constexpr Run kBytes[2][2] = {
      {&dot_bytes<false, false>, &dot_bytes<false, true>}, {&dot_bytes<true, false>, &dot_bytes<true, true>}};
  constexpr Run kHalves[2][2] = {
      {&dot_halves<false, false>, &dot_halves<false, true>}, {&dot_halves<true, false>, &dot_halves<true, true>}};
  emit_plain(b, Type::B32, 3, (halves ? kHalves : kBytes)[is_signed(a)][is_signed(second)]).value = 16 * high;
}
void build_dp4a(Builder& b) { build_dot(b, false); }
void build_dp2a(Builder& b) { build_dot(b, true); }

constexpr StepClass kClass = StepClass::Integer;
constexpr InstructionRow kRows[] = {
    {"popc", kClass, build_popc},       {"clz", kClass, build_clz},         {"bfind", kClass, build_bfind},
    {"brev", kClass, build_brev},       {"fns", kClass, build_fns},         {"bfe", kClass, build_bfe},
    {"bfi", kClass, build_bfi},         {"bmsk", kClass, build_bmsk},       {"dp4a", kClass, build_dp4a},
    {"dp2a", kClass, build_dp2a},       {"and", kClass, build_logic2<And>}, {"or", kClass, build_logic2<Or>},
    {"xor", kClass, build_logic2<Xor>}, {"not", kClass, build_not},         {"cnot", kClass, build_cnot},
    {"lop3", kClass, build_lop3},       {"shf", kClass, build_shf},         {"shl", kClass, build_shl},
    {"shr", kClass, build_shr},         {"prmt", kClass, build_prmt}};
}   // namespace

InstructionTable logic_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
