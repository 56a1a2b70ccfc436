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

// The step of a result `d` and of up to three operands from operand 1 on, each of its type.
inline Step& emit_to(Builder& b, Run run, const Operand& d, Type to, std::initializer_list<Type> from) {
  uint32_t places[3] = {};
  size_t n = 0;
  for (Type t : from) {
    places[n] = b.read(n + 1, t);
    ++n;
  }
  const uint32_t result = b.write(d, to);
  Step& s = b.emit(run);
  s.a = places[0];
  s.b = places[1];
  s.c = places[2];
  s.d = result;
  return s;
}
// The same with operand 0 as the result; null, for a type that the instruction does not have, is an error. `more`
// operands behind them are the caller's.
inline Step& emit_typed(Builder& b, Run run, Type to, std::initializer_list<Type> from, size_t more = 0) {
  if (!run)
    b.fail(std::string(".") + name_of(*from.begin()) + " is not a type of this instruction here");
  b.expect_operands(from.size() + 1 + more);
  Step& s = emit_to(b, run, b.operand(0), to, from);
  s.linear = more ? Linear::None : Linear::Same;
  return s;
}
// d, then `sources` operands, all of one type.
inline Step& emit_plain(Builder& b, Type type, int sources, Run run) {
  switch (sources) {
    case 1: return emit_typed(b, run, type, {type});
    case 2: return emit_typed(b, run, type, {type, type});
    default: return emit_typed(b, run, type, {type, type, type});
  }
}
// Arithmetic in F64 runs at a rate of its own.
inline void count_as(Step& s, Type t) { s.kind = t == Type::F64 ? StepClass::Double : StepClass::Float; }
}   // namespace spectral::cpu::ptx
