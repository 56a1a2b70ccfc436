// Comparison and selection. PTX ISA, "Comparison and Selection".
#include "dispatch.h"
#include "half.h"
#include "vectors.h"

namespace spectral::cpu::ptx {
namespace {
enum class Compare { Eq, Ne, Lt, Le, Gt, Ge, Equ, Neu, Ltu, Leu, Gtu, Geu, Num, Nan };

// Unordered comparisons are true, ordered ones false, where an operand is NaN. Of vectors the result is one too.
template <Compare kCompare, class T>
auto holds(T a, T b) {
  if constexpr (kCompare == Compare::Eq)
    return a == b;
  else if constexpr (kCompare == Compare::Ne)
    return a < b || a > b;
  else if constexpr (kCompare == Compare::Lt)
    return a < b;
  else if constexpr (kCompare == Compare::Le)
    return a <= b;
  else if constexpr (kCompare == Compare::Gt)
    return a > b;
  else if constexpr (kCompare == Compare::Ge)
    return a >= b;
  else if constexpr (kCompare == Compare::Equ)
    return !(a < b || a > b);
  else if constexpr (kCompare == Compare::Neu)
    return a != b;
  else if constexpr (kCompare == Compare::Ltu)
    return !(a >= b);
  else if constexpr (kCompare == Compare::Leu)
    return !(a > b);
  else if constexpr (kCompare == Compare::Gtu)
    return !(a <= b);
  else if constexpr (kCompare == Compare::Geu)
    return !(a < b);
  else if constexpr (kCompare == Compare::Num)
    return a == a && b == b;
  else
    return a != a || b != b;
}

bool holds(Compare compare, float a, float b) {
  switch (compare) {
    case Compare::Eq: return holds<Compare::Eq>(a, b);
    case Compare::Ne: return holds<Compare::Ne>(a, b);
    case Compare::Lt: return holds<Compare::Lt>(a, b);
    case Compare::Le: return holds<Compare::Le>(a, b);
    case Compare::Gt: return holds<Compare::Gt>(a, b);
    case Compare::Ge: return holds<Compare::Ge>(a, b);
    case Compare::Equ: return holds<Compare::Equ>(a, b);
    case Compare::Neu: return holds<Compare::Neu>(a, b);
    case Compare::Ltu: return holds<Compare::Ltu>(a, b);
    case Compare::Leu: return holds<Compare::Leu>(a, b);
    case Compare::Gtu: return holds<Compare::Gtu>(a, b);
    case Compare::Geu: return holds<Compare::Geu>(a, b);
    case Compare::Num: return holds<Compare::Num>(a, b);
    case Compare::Nan: return holds<Compare::Nan>(a, b);
  }
  return false;
}

enum SetFlag : uint32_t { kFlushes = 1, kFlipC = 2, kHasC = 4, kFloatResult = 8, kSecond = 16, kBf16 = 32, kPair = 64 };
constexpr int kCompareShift = 8;   // of the flags: which, for 16-bit floats
enum class Join { None, And, Or, Xor };

// For integers, of which the processor compares vectors for equality and by > alone.
constexpr Compare inverse_of(Compare compare) {
  switch (compare) {
    case Compare::Ne: return Compare::Eq;
    case Compare::Le: return Compare::Gt;
    case Compare::Ge: return Compare::Lt;
    default: return compare;
  }
}
template <Compare kCompare, class T>
inline __attribute__((always_inline)) uint32_t compared(Warp& w, const Step& s) {
  if constexpr (constexpr Compare kInverse = inverse_of(kCompare); std::is_integral_v<T> && kInverse != kCompare)
    return ~compared<kInverse, T>(w, s);
  const auto of_first = [&](auto width) __attribute__((always_inline)) {
    uint32_t bits = 0;
    if constexpr (sizeof(T) == 2) {
      const uint32_t* a = w.lanes<uint32_t>(s.a);
      const uint32_t* b = w.lanes<uint32_t>(s.b);
      for (unsigned k = 0; k < width; ++k)
        bits |= uint32_t(holds<kCompare>(T(a[k]), T(b[k]))) << k;
    } else {
      const auto* a = w.lanes<Vector<T>>(s.a);
      const auto* b = w.lanes<Vector<T>>(s.b);
      for (unsigned i = 0; i < width / kLanesOf<T>; ++i)
        bits |= bits_of(holds<kCompare>(a[i], b[i])) << (i * kLanesOf<T>);
    }
    return bits;
  };
  using std::integral_constant;
  if (w.width() == 32) [[likely]]
    return of_first(integral_constant<unsigned, 32>());
  return of_first(integral_constant<unsigned, Warp::kNarrow>());
}
template <Compare kCompare, class T>
uint32_t compared_in_mode(Warp& w, const Step& s) {
  if (!(s.flags & kFlushes))
    return compared<kCompare, T>(w, s);
  const FloatMode mode(Rounding::Nearest, true);
  return compared<kCompare, T>(w, s);
}
uint32_t joined(Warp& w, const Step& s, uint32_t result) {
  if (!(s.flags & kHasC))
    return result;
  const uint32_t c = w.predicate(s.c) ^ (s.flags & kFlipC ? ~0u : 0u);
  switch (Join(s.value)) {
    case Join::And: return result & c;
    case Join::Or: return result | c;
    default: return result ^ c;
  }
}
template <Compare kCompare, class T>
void set_predicate(Warp& w, const Step& s) {
  if (!s.flags) [[likely]]
    return write_predicate(w, s.d, compared<kCompare, T>(w, s));
  const uint32_t result = compared_in_mode<kCompare, T>(w, s);
  const uint32_t first = joined(w, s, result);
  const uint32_t second = s.flags & kSecond ? joined(w, s, ~result) : 0;
  write_predicate(w, s.d, first);
  if (s.flags & kSecond)
    write_predicate(w, w.list(s)[0], second);
}
template <Compare kCompare, class T>
void set_register(Warp& w, const Step& s) {
  const uint32_t result = joined(w, s, compared_in_mode<kCompare, T>(w, s));
  const uint32_t yes = s.flags & kFloatResult ? 0x3f800000u : ~0u;
  write_lanes<uint32_t>(w, s.d, [&](int k) { return result >> k & 1 ? yes : 0u; });
}

// ---- 16-bit floats, one or two in a register
uint32_t compared_halves(Warp& w, const Step& s, int shift) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  const uint32_t* b = w.lanes<uint32_t>(s.b);
  auto value = [&](uint32_t bits) {
    const auto half = uint16_t(bits >> shift);
    const uint16_t exponent = s.flags & kBf16 ? Bf16::kMagnitude : F16::kMagnitude;
    if (s.flags & kFlushes && !(half & exponent))
      return 0.0f;
    return s.flags & kBf16 ? Bf16::of(half) : F16::of(half);
  };
  uint32_t bits = 0;
  for (int k = 0; k < 32; ++k)
    bits |= uint32_t(holds(Compare(s.flags >> kCompareShift), value(a[k]), value(b[k]))) << k;
  return bits;
}
// Of a pair the first predicate is the lower half's, the second the upper's.
void set_half_predicate(Warp& w, const Step& s) {
  const uint32_t low = compared_halves(w, s, 0);
  const uint32_t first = joined(w, s, low);
  const uint32_t second = joined(w, s, s.flags & kPair ? compared_halves(w, s, 16) : ~low);
  write_predicate(w, s.d, first);
  if (s.flags & kSecond)
    write_predicate(w, w.list(s)[0], second);
}
// List: the place of what stands for true.
void set_half_register(Warp& w, const Step& s) {
  const uint32_t low = joined(w, s, compared_halves(w, s, 0));
  const uint32_t high = s.flags & kPair ? joined(w, s, compared_halves(w, s, 16)) : 0;
  const uint32_t yes = w.lanes<uint32_t>(w.list(s)[0])[0];
  write_lanes<uint32_t>(w, s.d, [&](int k) { return (low >> k & 1 ? yes : 0u) | (high >> k & 1 ? yes << 16 : 0u); });
}

template <template <Compare, class> class StepOf, class T>
Run of_compare(int compare) {
  constexpr Run kRuns[] = {
      &StepOf<Compare::Eq, T>::run,
      &StepOf<Compare::Ne, T>::run,
      &StepOf<Compare::Lt, T>::run,
      &StepOf<Compare::Le, T>::run,
      &StepOf<Compare::Gt, T>::run,
      &StepOf<Compare::Ge, T>::run,
      &StepOf<Compare::Equ, T>::run,
      &StepOf<Compare::Neu, T>::run,
      &StepOf<Compare::Ltu, T>::run,
      &StepOf<Compare::Leu, T>::run,
      &StepOf<Compare::Gtu, T>::run,
      &StepOf<Compare::Geu, T>::run,
      &StepOf<Compare::Num, T>::run,
      &StepOf<Compare::Nan, T>::run};
  return kRuns[compare];
}
template <Compare kCompare, class T>
struct PredicateStep {
  static void run(Warp& w, const Step& s) { set_predicate<kCompare, T>(w, s); }
};
template <Compare kCompare, class T>
struct RegisterStep {
  static void run(Warp& w, const Step& s) { set_register<kCompare, T>(w, s); }
};

// .lo .ls .hi .hs are the unsigned forms of lt le gt ge.
int take_compare(Builder& b, bool* unsigned_only) {
  const int found = b.take_one_of(
      {"eq",
       "ne",
       "lt",
       "le",
       "gt",
       "ge",
       "equ",
       "neu",
       "ltu",
       "leu",
       "gtu",
       "geu",
       "num",
       "nan",
       "lo",
       "ls",
       "hi",
       "hs"});
  *unsigned_only = found >= 14;
  return found >= 14 ? found - 14 + int(Compare::Lt) : found;
}
Run choose(int compare, Type t, bool to_predicate) {
  if (is_half(t) || is_half_pair(t))
    return compare < 0 ? nullptr : to_predicate ? &set_half_predicate : &set_half_register;
  const bool is_bits = t == Type::B16 || t == Type::B32 || t == Type::B64;
  if (compare < 0 || (!is_float(t) && compare > int(Compare::Ge)) || (is_bits && compare > int(Compare::Ne)))
    return nullptr;
  auto of = [&]<class T>() -> Run {
    return to_predicate ? of_compare<PredicateStep, T>(compare) : of_compare<RegisterStep, T>(compare);
  };
  if (is_bits)
    return for_bits(t, of);
  return is_float(t) ? for_float(t, of) : for_integer(t, of);
}

uint32_t half_flags(int compare, Type t) {
  if (!is_half(t) && !is_half_pair(t))
    return 0;
  const bool bf16 = t == Type::BF16 || t == Type::BF16x2;
  return uint32_t(compare) << kCompareShift | (bf16 ? kBf16 : 0u) | (is_half_pair(t) ? kPair : 0u);
}
struct Comparison {
  int compare;
  Join join;
  bool flushes;
};
Comparison take_comparison(Builder& b) {
  bool unsigned_only;
  Comparison c{take_compare(b, &unsigned_only), Join::None, false};
  if (c.compare < 0)
    b.fail("expected a comparison, found ." + std::string(b.peek()));
  const int join = b.take_one_of({"and", "or", "xor"});
  c.join = join < 0 ? Join::None : Join(join + 1);
  c.flushes = b.take("ftz");
  return c;
}
void add_join(Builder& b, const Comparison& c, uint32_t* predicate, uint32_t* flags) {
  if (c.join == Join::None)
    return;
  bool flip;
  *predicate = b.read_predicate(b.operand(3), &flip);
  *flags |= kHasC | (flip ? kFlipC : 0u);
}

void build_setp(Builder& b) {
  const Comparison c = take_comparison(b);
  const Type t = b.take_type();
  const Run run = choose(c.compare, t, true);
  if (!run)
    b.fail("this comparison is not one of ." + std::string(name_of(t)));
  b.expect_operands(c.join == Join::None ? 3 : 4);
  uint32_t flags = (c.flushes ? kFlushes : 0u) | half_flags(c.compare, t);
  uint32_t joined_with = 0;
  const uint32_t from_a = b.read(1, t);
  const uint32_t from_b = b.read(2, t);
  add_join(b, c, &joined_with, &flags);
  const Operand& to = b.operand(0);
  const bool two = to.kind == OperandKind::Pair;
  const uint32_t first = b.write_predicate(two ? to.parts[0] : to);
  uint32_t list = 0;
  if (two) {
    list = b.list({b.write_predicate(to.parts[1])});
    flags |= kSecond;
  }
  Step& s = b.emit(run);
  s.a = from_a;
  s.b = from_b;
  s.c = joined_with;
  s.d = first;
  s.value = int64_t(c.join);
  s.flags = flags;
  s.list = list;
}
void build_set(Builder& b) {
  const Comparison c = take_comparison(b);
  const Type result = b.take_type();
  const Type t = b.take_type();
  const Run run = choose(c.compare, t, false);
  const bool plain = result == Type::U32 || result == Type::S32 || (result == Type::F32 && !is_half(t));
  const bool of_half = is_half(t) && (result == t || result == Type::U16 || result == Type::S16);
  if (!run || !(is_half_pair(t) ? result == t || result == Type::U32 || result == Type::S32 : plain || of_half))
    b.fail("these types do not go together here");
  uint32_t flags = (c.flushes ? kFlushes : 0u) | (result == Type::F32 ? kFloatResult : 0u) | half_flags(c.compare, t);
  uint32_t yes = is_half_pair(t) ? 0xffff : ~0u;   // of each half
  if (result == Type::F16 || result == Type::F16x2)
    yes = F16::kOne;
  if (result == Type::BF16 || result == Type::BF16x2)
    yes = Bf16::kOne;
  uint32_t joined_with = 0;
  add_join(b, c, &joined_with, &flags);
  Step& s = emit_typed(b, run, result, {t, t}, c.join == Join::None ? 0 : 1);
  s.c = joined_with;
  s.value = int64_t(c.join);
  s.flags = flags;
  s.list = b.list({b.constant(bytes_of(result) == 2 ? yes & 0xffff : yes, false)});
}

// ---- selection
template <class L>
void select(Warp& w, const Step& s) {
  const uint32_t p = w.predicate(s.c) ^ (s.flags & kFlipC ? ~0u : 0u);
  const L* a = w.lanes<L>(s.a);
  const L* b = w.lanes<L>(s.b);
  write_lanes<L>(w, s.d, [&](int k) {
    const L yes = a[k];   // both are loaded: of one of them the load would be masked, which takes longer
    const L no = b[k];
    return p >> k & 1 ? yes : no;
  });
}
void build_selp(Builder& b) {
  const Type t = b.take_type();
  bool flip;
  const uint32_t chooser = b.read_predicate(b.operand(3), &flip);
  Step& s = emit_typed(b, bytes_of(t) == 8 ? &select<uint64_t> : &select<uint32_t>, t, {t, t}, 1);
  s.c = chooser;
  s.flags = flip ? kFlipC : 0u;
}
// a where c >= 0 (a float's -0 counts as 0), else b; NaN chooses b.
template <class L, class C>
void select_by_sign(Warp& w, const Step& s) {
  const L* a = w.lanes<L>(s.a);
  const L* b = w.lanes<L>(s.b);
  const uint32_t* c = w.lanes<uint32_t>(s.c);
  const FloatMode mode(Rounding::Nearest, (s.flags & kFlushes) != 0);
  write_lanes<L>(w, s.d, [&](int k) { return from_lane<C>(c[k]) >= 0 ? a[k] : b[k]; });
}
void build_slct(Builder& b) {
  const bool flushes = b.take("ftz");
  const Type t = b.take_type();
  const Type by = b.take_type();
  if (by != Type::S32 && by != Type::F32)
    b.fail("the choice is by .s32 or .f32");
  constexpr Run kRuns[2][2] = {
      {&select_by_sign<uint32_t, int32_t>, &select_by_sign<uint32_t, float>},
      {&select_by_sign<uint64_t, int32_t>, &select_by_sign<uint64_t, float>}};
  Step& s = emit_typed(b, kRuns[bytes_of(t) == 8][by == Type::F32], t, {t, t, by});
  s.flags = flushes ? kFlushes : 0u;
}

constexpr InstructionRow kRows[] = {
    {"set", StepClass::Integer, build_set},
    {"setp", StepClass::Integer, build_setp},
    {"selp", StepClass::Integer, build_selp},
    {"slct", StepClass::Integer, build_slct}};
}   // namespace

InstructionTable comparison_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
