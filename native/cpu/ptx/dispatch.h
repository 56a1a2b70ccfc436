// From a type of PTX to the step of the C++ type that holds it.
#pragma once
#include "builder.h"
#include "steps.h"

namespace spectral::cpu::ptx {
template <class T>
using Unsigned = std::make_unsigned_t<T>;

// Calls f<T>() for the type, and null where the instruction has no such form.
template <class F>
Run for_integer(Type t, F f) {
  switch (t) {
    case Type::U16: return f.template operator()<uint16_t>();
    case Type::U32: return f.template operator()<uint32_t>();
    case Type::U64: return f.template operator()<uint64_t>();
    case Type::S16: return f.template operator()<int16_t>();
    case Type::S32: return f.template operator()<int32_t>();
    case Type::S64: return f.template operator()<int64_t>();
    default: return nullptr;
  }
}
template <class F>
Run for_bits(Type t, F f) {
  switch (t) {
    case Type::B16: return f.template operator()<uint16_t>();
    case Type::B32: return f.template operator()<uint32_t>();
    case Type::B64: return f.template operator()<uint64_t>();
    default: return nullptr;
  }
}
template <class F>
Run for_float(Type t, F f) {
  switch (t) {
    case Type::F32: return f.template operator()<float>();
    case Type::F64: return f.template operator()<double>();
    default: return nullptr;
  }
}

template <class Op, class T>
void step1(Warp& w, const Step& s) {
  map1<T, T>(w, s, [](T a) { return Op::of(a); });
}
template <class Op, class T>
void step2(Warp& w, const Step& s) {
  map2<T, T, T>(w, s, [](T a, T b) { return Op::of(a, b); });
}
template <class Op, class T>
void step3(Warp& w, const Step& s) {
  map3<T, T, T, T>(w, s, [](T a, T b, T c) { return Op::of(a, b, c); });
}

// d, then `sources` operands, all of one type.
inline Step& emit_plain(Builder& b, Type type, int sources, Run run) {
  if (!run)
    b.fail(std::string(".") + name_of(type) + " is not a type of this instruction here");
  b.expect_operands(size_t(sources) + 1);
  const uint32_t from_a = b.read(1, type);
  const uint32_t from_b = sources > 1 ? b.read(2, type) : 0;
  const uint32_t from_c = sources > 2 ? b.read(3, type) : 0;
  const uint32_t to = b.write(0, type);
  Step& s = b.emit(run);
  s.a = from_a;
  s.b = from_b;
  s.c = from_c;
  s.d = to;
  return s;
}
// Arithmetic in F64 runs at a rate of its own.
inline void count_as(Step& s, Type t) { s.kind = t == Type::F64 ? StepClass::Double : StepClass::Float; }
}   // namespace spectral::cpu::ptx
