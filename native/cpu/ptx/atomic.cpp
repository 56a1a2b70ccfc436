// atom and red. PTX ISA, "Parallel Synchronization and Communication". Blocks run on several threads of the host, so
// each is atomic there too.
#include "access.h"
#include "dispatch.h"
#include "float_mode.h"
#include <algorithm>
#include <atomic>

namespace spectral::cpu::ptx {
namespace {
// What is stored for an old value and the operands; lanes go one after another.
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
      return T(Unsigned<T>(old) + Unsigned<T>(b));
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

// Sums in f32 flush subnormals in global memory, and keep them in shared memory.
template <class Op, class T, Space kSpace>
T combined(Warp& w, uint64_t at, T old, T b, T c) {
  if constexpr (std::is_same_v<Op, Add> && std::is_same_v<T, float> && kSpace != Space::Shared) {
    if (!w.block().cluster->shared_at(at))
      return flushed(Op::of(flushed(old), flushed(b), c));
  }
  return Op::template of<T>(old, b, c);
}
template <class Op, class T, Space kSpace>
void atomic(Warp& w, const Step& s) {
  uint64_t at[32];
  const bool returns = s.flags & 4;
  reach<kSpace>(w, s, at, sizeof(T), Effect::Both);
  const Lane<T>* b = w.lanes<Lane<T>>(s.b);
  const Lane<T>* c = w.lanes<Lane<T>>(s.c);
  Lane<T> before[32] = {};
  each_lane(w.mask, [&](int k) {
    std::atomic_ref<Lane<T>> cell(*reinterpret_cast<Lane<T>*>(at[k]));
    Lane<T> old = cell.load();
    while (!cell.compare_exchange_weak(
        old,
        to_lane<T>(combined<Op, T, kSpace>(w, at[k], from_lane<T>(old), from_lane<T>(b[k]), from_lane<T>(c[k]))))) {}
    before[k] = old;
  });
  if (returns)
    write_lanes<Lane<T>>(w, s.d, [&](int k) { return before[k]; });
}
template <class Op, class T>
Run in_space(Space space) {
  switch (space) {
    case Space::Global: return &atomic<Op, T, Space::Global>;
    case Space::Shared: return &atomic<Op, T, Space::Shared>;
    case Space::Generic: return &atomic<Op, T, Space::Generic>;
    default: return nullptr;
  }
}
template <class Op>
Run of_bits(Type t, Space space) {
  if (t == Type::B32)
    return in_space<Op, uint32_t>(space);
  return t == Type::B64 ? in_space<Op, uint64_t>(space) : nullptr;
}
template <class Op>
Run of_ordered(Type t, Space space) {
  switch (t) {
    case Type::U32: return in_space<Op, uint32_t>(space);
    case Type::S32: return in_space<Op, int32_t>(space);
    case Type::U64: return in_space<Op, uint64_t>(space);
    case Type::S64: return in_space<Op, int64_t>(space);
    default: return nullptr;
  }
}
Run choose(int operation, Type t, Space space) {
  switch (operation) {
    case 0: return of_bits<And>(t, space);
    case 1: return of_bits<Or>(t, space);
    case 2: return of_bits<Xor>(t, space);
    case 3: return of_bits<Exchange>(t, space);
    case 4: return of_bits<CompareAndSwap>(t, space);
    case 5:
      if (t == Type::F32)
        return in_space<Add, float>(space);
      return t == Type::F64 ? in_space<Add, double>(space) : of_ordered<Add>(t, space);
    case 6: return t == Type::U32 ? in_space<Increment, uint32_t>(space) : nullptr;
    case 7: return t == Type::U32 ? in_space<Decrement, uint32_t>(space) : nullptr;
    case 8: return of_ordered<Min>(t, space);
    case 9: return of_ordered<Max>(t, space);
    default: return nullptr;
  }
}

template <bool kReturns>
void build_atomic(Builder& b) {
  b.take("async");
  b.take_one_of({"relaxed", "acquire", "release", "acq_rel"});
  b.take_one_of({"cta", "cluster", "gpu", "sys"});
  const Space space = b.take("shared::cluster") ? Space::Shared : b.take_space();
  const int operation = b.take_one_of({"and", "or", "xor", "exch", "cas", "add", "inc", "dec", "min", "max"});
  b.skip_cache_hints();
  const Type t = b.take_type();
  const Run run = choose(operation, t, space);
  if (!run)
    b.fail("this operation on this type and space is not supported");
  const size_t first = kReturns ? 1 : 0;
  const bool swaps = operation == 4;
  b.expect_operands(first + (swaps ? 3 : 2));
  const MemoryOperand memory = b.memory(first);
  const uint32_t value = b.read(first + 1, t);
  const uint32_t other = swaps ? b.read(first + 2, t) : value;
  const uint32_t to = kReturns ? b.write(0, t) : 0;
  Step& s = b.emit(run);
  set_address(s, memory);
  s.b = value;
  s.c = other;
  s.d = to;
  s.flags |= kReturns ? 4u : 0u;
}

constexpr InstructionRow kRows[] = {
    {"atom", StepClass::Atomic, build_atomic<true>}, {"red", StepClass::Atomic, build_atomic<false>}};
}   // namespace

InstructionTable atomic_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
