// Integers wider than a register. PTX ISA, "Extended-Precision Integer Arithmetic".
#include "integer.h"

namespace spectral::cpu::ptx {
namespace {
using namespace integer;

// The condition code is a predicate of its own. A subtraction leaves 1 where nothing was borrowed: in a
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
  s.computes = false;   // it reads or writes the condition code
  s.flags = (in ? kCarryIn : 0u) | (out ? kCarryOut : 0u);
}

}   // namespace

void build_sum_with_carry(Builder& b, bool subtracts, bool in, bool out) {
  constexpr Run kRuns[2][2] = {
      {&add_carry<uint32_t, false>, &add_carry<uint64_t, false>},
      {&add_carry<uint32_t, true>, &add_carry<uint64_t, true>}};
  const Type t = b.take_type();
  if (t != Type::U32 && t != Type::S32 && t != Type::U64 && t != Type::S64)
    b.fail("carries are for 32 and 64 bits");
  set_carry(b, emit_plain(b, t, 2, kRuns[subtracts][bytes_of(t) == 8]), in, out);
}
void build_mad_with_carry(Builder& b, bool in, bool out) {
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
}   // namespace spectral::cpu::ptx
