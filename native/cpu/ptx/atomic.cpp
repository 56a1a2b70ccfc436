// atom and red. PTX ISA, "Parallel Synchronization and Communication". Blocks run on several threads of the host, so
// each is atomic there too.
#include "access.h"
#include "async.h"
#include "atomic_operations.h"
#include "dispatch.h"
#include "half.h"
#include <atomic>

namespace spectral::cpu::ptx {
namespace {
enum AtomicFlag : uint32_t { kReturnsOld = 4 };

// Sums in f32 flush subnormals in global memory, and keep them in shared memory; 16-bit floats (.noftz) keep them
// everywhere. PTX ISA, "Parallel Synchronization and Communication: atom", semantics.
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
  const bool returns = s.flags & kReturnsOld;
  reach<kSpace>(w, s, at, sizeof(T), Effect::Both);
  const Lane<T>* b = w.lanes<Lane<T>>(s.b);
  const Lane<T>* c = w.lanes<Lane<T>>(s.c);
  Lane<T> before[32] = {};
  using Cell = std::conditional_t<sizeof(T) == 2, uint16_t, Lane<T>>;
  each_lane(w.mask, [&](int k) {
    std::atomic_ref<Cell> cell(*reinterpret_cast<Cell*>(at[k]));
    Cell old = cell.load();
    while (!cell.compare_exchange_weak(
        old,
        Cell(to_lane<T>(
            combined<Op, T, kSpace>(w, at[k], from_lane<T>(old), from_lane<T>(b[k]), from_lane<T>(c[k])))))) {}
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
  if (t == Type::B16 && std::is_same_v<Op, CompareAndSwap>)
    return in_space<Op, uint16_t>(space);
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

// ---- sums of 16-bit floats, and of vectors in global memory: each element is atomic by itself
enum class Element : uint32_t { F16, F16x2, Bf16, Bf16x2, F32 };
uint32_t element_sum(Element e, uint32_t a, uint32_t b) {
  auto pair = [&](auto sum) { return uint32_t(sum(a >> 16, b >> 16)) << 16 | sum(a, b); };
  switch (e) {
    case Element::F16: return half_sum<F16>(uint16_t(a), uint16_t(b));
    case Element::F16x2: return pair([](uint32_t x, uint32_t y) { return half_sum<F16>(uint16_t(x), uint16_t(y)); });
    case Element::Bf16: return half_sum<Bf16>(uint16_t(a), uint16_t(b));
    case Element::Bf16x2: return pair([](uint32_t x, uint32_t y) { return half_sum<Bf16>(uint16_t(x), uint16_t(y)); });
    case Element::F32: break;
  }
  const float sum = flushed(flushed(std::bit_cast<float>(a)) + flushed(std::bit_cast<float>(b)));
  return std::bit_cast<uint32_t>(sum);
}
template <class Cell>
uint32_t add_atomically(Element e, uint64_t at, uint32_t value) {
  std::atomic_ref<Cell> cell(*reinterpret_cast<Cell*>(at));
  Cell old = cell.load();
  while (!cell.compare_exchange_weak(old, Cell(element_sum(e, old, value)))) {}
  return old;
}
// List: the values' places, then those of the results. s.b: how many.
template <Space kSpace>
void add_elements(Warp& w, const Step& s) {
  const auto e = Element(s.c);
  const bool narrow = e == Element::F16 || e == Element::Bf16;
  const unsigned bytes = narrow ? 2 : 4;
  uint64_t at[32];
  const bool returns = s.flags & kReturnsOld;
  reach<kSpace>(w, s, at, s.b * bytes, Effect::Both);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < s.b; ++i) {
    const uint32_t* values = w.lanes<uint32_t>(places[i]);
    uint32_t before[32] = {};
    each_lane(w.mask, [&](int k) {
      const uint64_t cell = at[k] + i * bytes;
      before[k] = narrow ? add_atomically<uint16_t>(e, cell, values[k]) : add_atomically<uint32_t>(e, cell, values[k]);
    });
    if (returns)
      write_lanes<uint32_t>(w, places[s.b + i], [&](int k) { return before[k]; });
  }
}
void build_add_elements(Builder& b, Space space, size_t first, bool returns) {
  const bool no_flush = b.take("noftz");
  b.skip_cache_hints();
  const int vector = b.take_one_of({"v2", "v4", "v8"});
  const Type t = b.take_type();
  int element = -1;
  switch (t) {
    case Type::F16: element = int(Element::F16); break;
    case Type::F16x2: element = int(Element::F16x2); break;
    case Type::BF16: element = int(Element::Bf16); break;
    case Type::BF16x2: element = int(Element::Bf16x2); break;
    case Type::F32: element = int(Element::F32); break;
    default: break;
  }
  const size_t n = vector < 0 ? 1 : size_t(2) << vector;
  if (element < 0 || no_flush == (t == Type::F32) || n * size_t(bytes_of(t)) > 16)
    b.fail("this operation on this type and space is not supported");
  if (vector >= 0 && space != Space::Global)
    b.fail("vectors are added in .global");
  b.expect_operands(first + 2, first + 3);   // the last is a cache policy
  const MemoryOperand memory = b.memory(first);
  std::vector<uint32_t> places;
  auto add = [&](const Operand& o, bool writes) {
    const std::vector<Operand>* parts = Builder::parts_of(o);
    if ((parts ? parts->size() : 1) != n)
      b.fail(o, "expected " + std::to_string(n) + " values");
    for (size_t i = 0; i < n; ++i) {
      const Operand& part = parts ? (*parts)[i] : o;
      places.push_back(writes ? b.write(part, t) : b.read(part, t));
    }
  };
  add(b.operand(first + 1), false);
  if (returns)
    add(b.operand(0), true);
  const uint32_t list = b.list(places);
  Run run = &add_elements<Space::Generic>;
  if (space != Space::Generic)
    run = space == Space::Shared ? &add_elements<Space::Shared> : &add_elements<Space::Global>;
  Step& s = b.emit(run);
  set_address(s, memory);
  s.b = uint32_t(n);
  s.c = uint32_t(element);
  s.list = list;
  s.flags |= returns ? uint32_t(kReturnsOld) : 0u;
}

template <bool kReturns>
void build_atomic(Builder& b) {
  if (!kReturns && b.take("async"))
    return build_async_reduction(b);
  auto take_order = [&] {
    b.take_one_of({"relaxed", "acquire", "release", "acq_rel"});
    b.take_one_of({"cta", "cluster", "gpu", "sys"});
  };
  take_order();
  const Space space = b.take("shared::cluster") ? Space::Shared : b.take_space();
  take_order();   // as before PTX 6.0
  b.skip_cache_hints();
  const int operation = b.take_one_of({"and", "or", "xor", "exch", "cas", "add", "inc", "dec", "min", "max"});
  take_order();   // as libcu++ writes it
  b.skip_cache_hints();
  constexpr int kAdd = 5;
  if (operation == kAdd && (b.peek() == "noftz" || b.peek().starts_with('v')))
    return build_add_elements(b, space, kReturns ? 1 : 0, kReturns);
  const Type t = b.take_type();
  const Run run = choose(operation, t, space);
  if (!run)
    b.fail("this operation on this type and space is not supported");
  const size_t first = kReturns ? 1 : 0;
  const bool swaps = operation == 4;
  b.expect_operands(first + (swaps ? 3 : 2), first + (swaps ? 4 : 3));   // the last is a cache policy
  const MemoryOperand memory = b.memory(first);
  const uint32_t value = b.read(first + 1, t);
  const uint32_t other = swaps ? b.read(first + 2, t) : value;
  const uint32_t to = kReturns ? b.write(0, t) : 0;
  Step& s = b.emit(run);
  set_address(s, memory);
  s.b = value;
  s.c = other;
  s.d = to;
  s.flags |= kReturns ? uint32_t(kReturnsOld) : 0u;
}

constexpr InstructionRow kRows[] = {
    {"atom", StepClass::Atomic, build_atomic<true>}, {"red", StepClass::Atomic, build_atomic<false>}};
}   // namespace

InstructionTable atomic_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
