// What atomic operations and reductions store for an old value and the operands. PTX ISA, "Parallel Synchronization and
// Communication: atom".
#pragma once
#include <algorithm>
#include <type_traits>

namespace spectral::cpu::ptx {
struct And {
  template <class T>
  static T of(T old, T b, T) {
    return old & b;
  }
};
struct Or {
  template <class T>
  static T of(T old, T b, T) {
    return old | b;
  }
};
struct Xor {
  template <class T>
  static T of(T old, T b, T) {
    return old ^ b;
  }
};
struct Exchange {
  template <class T>
  static T of(T, T b, T) {
    return b;
  }
};
struct CompareAndSwap {
  template <class T>
  static T of(T old, T b, T c) {
    return old == b ? c : old;
  }
};
struct Add {
  template <class T>
  static T of(T old, T b, T) {
    if constexpr (std::is_integral_v<T>)
      return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(b));
    else
      return old + b;
  }
};
struct Increment {   // wraps to 0 behind the bound
  template <class T>
  static T of(T old, T bound, T) {
    return old >= bound ? T(0) : T(old + 1);
  }
};
struct Decrement {
  template <class T>
  static T of(T old, T bound, T) {
    return old == 0 || old > bound ? bound : T(old - 1);
  }
};
struct Min {
  template <class T>
  static T of(T old, T b, T) {
    return std::min(old, b);
  }
};
struct Max {
  template <class T>
  static T of(T old, T b, T) {
    return std::max(old, b);
  }
};
}   // namespace spectral::cpu::ptx
