// How a step reads and writes its lanes.
#pragma once
#include "warp.h"
#include <bit>
#include <type_traits>

namespace spectral::cpu::ptx {
// Lanes of 16 bits and less lie in the low part of 32.
template <class T>
using Lane = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T>
inline T from_lane(Lane<T> bits) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    return std::bit_cast<T>(bits);
  else
    return T(bits);
}
template <class T>
inline Lane<T> to_lane(T value) {
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>)
    return std::bit_cast<Lane<T>>(value);
  else
    return Lane<T>(std::make_unsigned_t<T>(value));
}

// d[k] = f(k) for the first lanes, in vectors.
template <class D, unsigned kWidth, class F>
inline __attribute__((always_inline)) void write_all(Lane<D>* d, F f) {
#pragma GCC ivdep   // what f reads is d itself or lies apart from it
  for (unsigned k = 0; k < kWidth; ++k)
    d[k] = to_lane<D>(f(int(k)));
}
template <class D, unsigned kWidth, class F>
inline __attribute__((always_inline)) void write_some(Warp& w, Lane<D>* d, F f) {
  if (w.is_whole())
    return write_all<D, kWidth>(d, f);
  Lane<D> made[kWidth];
  for (unsigned k = 0; k < kWidth; ++k)
    made[k] = to_lane<D>(f(int(k)));
  const uint32_t mask = w.mask;
  for (unsigned k = 0; k < kWidth; ++k)
    d[k] = mask >> k & 1 ? made[k] : d[k];
}
// d[k] = f(k) for the lanes of the mask; f is called for all below the warp's width, so that the loop is a vector
// operation. Registers of lanes that have ended may become anything. That all 32 take the step is the usual case, and
// costs one comparison. A single lane, as in kernels of one thread, waits for nothing but what it reads.
template <class D, class F>
inline __attribute__((always_inline)) void write_lanes(Warp& w, uint32_t place, F f) {
  Lane<D>* d = w.lanes<Lane<D>>(place);
  if (w.mask == ~0u) [[likely]]
    write_all<D, 32>(d, f);
  else if (w.width() == 32)
    write_some<D, 32>(w, d, f);
  else if (std::has_single_bit(w.mask)) {
    const int lane = std::countr_zero(w.mask) % 32;   // the compiler does not know that it is less
    d[lane] = to_lane<D>(f(lane));
  } else
    write_some<D, Warp::kNarrow>(w, d, f);
}

template <class D, class A, class F>
inline __attribute__((always_inline)) void map1(Warp& w, const Step& s, F f) {
  const Lane<A>* a = w.lanes<Lane<A>>(s.a);
  write_lanes<D>(w, s.d, [&](int k) { return D(f(from_lane<A>(a[k]))); });
}
template <class D, class A, class B, class F>
inline __attribute__((always_inline)) void map2(Warp& w, const Step& s, F f) {
  const Lane<A>* a = w.lanes<Lane<A>>(s.a);
  const Lane<B>* b = w.lanes<Lane<B>>(s.b);
  write_lanes<D>(w, s.d, [&](int k) { return D(f(from_lane<A>(a[k]), from_lane<B>(b[k]))); });
}
template <class D, class A, class B, class C, class F>
inline __attribute__((always_inline)) void map3(Warp& w, const Step& s, F f) {
  const Lane<A>* a = w.lanes<Lane<A>>(s.a);
  const Lane<B>* b = w.lanes<Lane<B>>(s.b);
  const Lane<C>* c = w.lanes<Lane<C>>(s.c);
  write_lanes<D>(w, s.d, [&](int k) { return D(f(from_lane<A>(a[k]), from_lane<B>(b[k]), from_lane<C>(c[k]))); });
}

// Bits of the lanes of the mask, into a predicate.
inline void write_predicate(Warp& w, uint32_t number, uint32_t bits) {
  uint32_t& p = w.predicate(number);
  p = (p & ~w.mask) | (bits & w.mask);
}

// f for each lane of the mask.
template <class F>
inline void each_lane(uint32_t mask, F f) {
  for (; mask; mask &= mask - 1)
    f(std::countr_zero(mask));
}

inline void do_nothing(Warp&, const Step&) {}

// Steps that the builder itself needs (control.cpp).
void end_threads(Warp&, const Step&);
void jump(Warp&, const Step&);
// calls.cpp
void call_function(Warp&, const Step&);
void return_from_call(Warp&, const Step&);
void begin_stack(Warp&, const Step&);
void add_offset(Warp&, const Step&);   // d = a + value, of 64 bits
// A step that reads or writes accumulators of wgmma, which then need a fence (warpgroup_instructions.cpp).
void use_accumulators(Warp&, const Step&);
}   // namespace spectral::cpu::ptx
