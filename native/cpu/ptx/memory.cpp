// Loads, stores and hints. PTX ISA, "Data Movement and Conversion: ld, st, prefetch".
#include "async.h"
#include "dispatch.h"
#include "quads.h"
#include "warp_access.h"

namespace spectral::cpu::ptx {
namespace {
// ---- ld, st: up to four values of a type
// What a register holds of a loaded value: 32 or 64 bits, extended by the value's sign if it has one.
template <class T, bool kWide>
using Extended = std::conditional_t<
    kWide || sizeof(T) == 8, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
    std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>>;

template <class T>
struct InMemory {   // at any address: that it is a multiple of the access has been checked
  T value;
} __attribute__((packed, may_alias));

// Four values of 32 bits of each lane, whose address is at(k).
template <class At>
void load_four(Warp& w, const uint32_t* places, At at) {
  uint32_t* const registers[] = {
      w.lanes<uint32_t>(places[0]),
      w.lanes<uint32_t>(places[1]),
      w.lanes<uint32_t>(places[2]),
      w.lanes<uint32_t>(places[3])};
  load_quads(at, registers, w.width());
}
template <class D, class T, unsigned kCount>
void load_together(Warp& w, const uint32_t* places, WarpAccess access) {
  if constexpr (kCount == 4 && sizeof(T) == 4 && sizeof(D) == 4)
    if (access.step && w.is_whole())
      return load_four(w, places, [&](unsigned k) { return access.first + k * access.step; });
  const auto* from = reinterpret_cast<const InMemory<T>*>(access.first);
  const uint64_t step = access.step / sizeof(T);
  for (unsigned i = 0; i < kCount; ++i)
    if (!step) {
      const D value = D(from[i].value);
      write_lanes<D>(w, places[i], [&](int) { return value; });
    } else if (step == kCount) {
      write_lanes<D>(w, places[i], [&](int k) { return D(from[unsigned(k) * kCount + i].value); });
    } else {
      write_lanes<D>(w, places[i], [&](int k) { return D(from[unsigned(k) * step + i].value); });
    }
}
template <class D, class T>
void load_some(Warp& w, const Step& s, WarpAccess access) {
  switch (s.b) {
    case 1: return load_together<D, T, 1>(w, w.list(s), access);
    case 2: return load_together<D, T, 2>(w, w.list(s), access);
    default: return load_together<D, T, 4>(w, w.list(s), access);
  }
}
template <class D, class T>
void load_each(Warp& w, const Step& s, const uint64_t* at) {
  if constexpr (sizeof(T) == 4 && sizeof(D) == 4)
    if (s.b == 4 && w.is_whole())
      return load_four(w, w.list(s), [&](unsigned k) { return at[k]; });
  for (uint32_t i = 0; i < s.b; ++i)
    write_lanes<D>(w, w.list(s)[i], [&](int k) { return D(reinterpret_cast<const InMemory<T>*>(at[k])[i].value); });
}
template <class D, class T>
void load_one(Warp& w, const Step& s, const unsigned char* first) {
  const int lane = std::countr_zero(w.mask);
  for (uint32_t i = 0; i < s.b; ++i)
    w.lanes<D>(w.list(s)[i])[lane] = D(reinterpret_cast<const InMemory<T>*>(first)[i].value);
}
template <class T, Space kSpace>
void load(Warp& w, const Step& s) {
  const auto bytes = unsigned(s.b * sizeof(T));
  const bool wide = s.flags & kWideRegister;
  if (std::has_single_bit(w.mask))
    if (const unsigned char* one = reach_one<kSpace>(w, s, bytes, Effect::Reads))
      return wide ? load_one<Extended<T, true>, T>(w, s, one) : load_one<Extended<T, false>, T>(w, s, one);
  const WarpAccess together = reach_together<kSpace>(w, s, bytes, Effect::Reads);
  if (together.first)
    return wide ? load_some<Extended<T, true>, T>(w, s, together) : load_some<Extended<T, false>, T>(w, s, together);
  uint64_t at[32];
  reach<kSpace>(w, s, at, bytes, Effect::Reads);
  return wide ? load_each<Extended<T, true>, T>(w, s, at) : load_each<Extended<T, false>, T>(w, s, at);
}

template <class D, class T, unsigned kCount>
void store_together(Warp& w, const uint32_t* places, WarpAccess access) {
  auto* to = reinterpret_cast<InMemory<T>*>(access.first);
  const D* values[kCount];
  for (unsigned i = 0; i < kCount; ++i)
    values[i] = w.lanes<D>(places[i]);
  const unsigned width = w.width();
  auto store = [&](uint64_t step) __attribute__((always_inline)) {
#pragma GCC ivdep
    for (unsigned k = 0; k < width; ++k)
      for (unsigned i = 0; i < kCount; ++i)
        to[k * step + i].value = T(values[i][k]);
  };
  if constexpr (kCount == 4 && sizeof(T) == 4 && std::is_same_v<D, uint32_t>)
    store_quads([&](unsigned k) { return access.first + k * access.step; }, values, width);
  else if (access.step == kCount * sizeof(T))
    store(kCount);
  else
    store(access.step / sizeof(T));
}
template <class D, class T>
void store_some(Warp& w, const Step& s, WarpAccess access) {
  switch (s.b) {
    case 1: return store_together<D, T, 1>(w, w.list(s), access);
    case 2: return store_together<D, T, 2>(w, w.list(s), access);
    default: return store_together<D, T, 4>(w, w.list(s), access);
  }
}
template <class D, class T>
void store_each(Warp& w, const Step& s, const uint64_t* at) {
  const uint32_t* places = w.list(s);
  if constexpr (sizeof(T) == 4 && std::is_same_v<D, uint32_t>)
    if (s.b == 4 && w.mask == ~0u) {
      const uint32_t* const values[] = {
          w.lanes<uint32_t>(places[0]),
          w.lanes<uint32_t>(places[1]),
          w.lanes<uint32_t>(places[2]),
          w.lanes<uint32_t>(places[3])};
      return store_quads([&](unsigned k) { return at[k]; }, values, 32);
    }
  for (uint32_t i = 0; i < s.b; ++i) {
    const D* values = w.lanes<D>(places[i]);
    each_lane(w.mask, [&](int k) { reinterpret_cast<InMemory<T>*>(at[k])[i].value = T(values[k]); });
  }
}
template <class D, class T>
void store_one(Warp& w, const Step& s, unsigned char* first) {
  const int lane = std::countr_zero(w.mask);
  for (uint32_t i = 0; i < s.b; ++i)
    reinterpret_cast<InMemory<T>*>(first)[i].value = T(w.lanes<D>(w.list(s)[i])[lane]);
}
template <class T, Space kSpace>
void store(Warp& w, const Step& s) {
  const auto bytes = unsigned(s.b * sizeof(T));
  const bool wide = s.flags & kWideRegister;
  if (std::has_single_bit(w.mask))
    if (unsigned char* one = reach_one<kSpace>(w, s, bytes, Effect::Writes))
      return wide ? store_one<uint64_t, T>(w, s, one) : store_one<Lane<T>, T>(w, s, one);
  const WarpAccess together = reach_together<kSpace>(w, s, bytes, Effect::Writes);
  if (together.first)
    return wide ? store_some<uint64_t, T>(w, s, together) : store_some<Lane<T>, T>(w, s, together);
  uint64_t at[32];
  reach<kSpace>(w, s, at, bytes, Effect::Writes);
  return wide ? store_each<uint64_t, T>(w, s, at) : store_each<Lane<T>, T>(w, s, at);
}

template <template <class, Space> class StepOf, class T>
Run in_space(Space space) {
  switch (space) {
    case Space::Generic: return &StepOf<T, Space::Generic>::run;
    case Space::Global: return &StepOf<T, Space::Global>::run;
    case Space::Const: return &StepOf<T, Space::Const>::run;
    case Space::Shared: return &StepOf<T, Space::Shared>::run;
    case Space::Local: return &StepOf<T, Space::Local>::run;
    case Space::Param: return &StepOf<T, Space::Param>::run;
  }
  return nullptr;
}
template <class T, Space kSpace>
struct LoadStep {
  static void run(Warp& w, const Step& s) { load<T, kSpace>(w, s); }
};
template <class T, Space kSpace>
struct StoreStep {
  static void run(Warp& w, const Step& s) { store<T, kSpace>(w, s); }
};
template <template <class, Space> class StepOf>
Run choose(Type t, Space space) {
  switch (t) {
    case Type::B8:
    case Type::U8: return in_space<StepOf, uint8_t>(space);
    case Type::S8: return in_space<StepOf, int8_t>(space);
    case Type::B16:
    case Type::U16:
    case Type::F16:
    case Type::BF16: return in_space<StepOf, uint16_t>(space);
    case Type::S16: return in_space<StepOf, int16_t>(space);
    case Type::S32: return in_space<StepOf, int32_t>(space);
    case Type::B32:
    case Type::U32:
    case Type::F32:
    case Type::F16x2:
    case Type::BF16x2: return in_space<StepOf, uint32_t>(space);
    case Type::B64:
    case Type::U64:
    case Type::S64:
    case Type::F64: return in_space<StepOf, uint64_t>(space);
    default: return nullptr;
  }
}

// Orders and hints: each access here happens at once and in order, so they change nothing.
void skip_order(Builder& b) {
  if (b.take_one_of({"weak", "volatile", "relaxed", "acquire", "release"}) >= 2)
    b.take_one_of({"cta", "cluster", "gpu", "sys"});
  b.take("mmio");
}
void skip_hints(Builder& b) {
  b.take_one_of({"ca", "cg", "cs", "lu", "cv", "wb", "wt"});
  b.take("nc");
  b.skip_cache_hints();
}
Space take_memory_space(Builder& b) {
  if (b.take("shared::cluster"))
    return Space::Shared;
  const Space space = b.take_space();
  if (space == Space::Param)
    b.take_one_of({"func", "entry"});
  return space;
}

template <bool kLoads>
void build_access(Builder& b) {
  if (!kLoads && b.take("async"))
    return build_async_store(b);
  skip_order(b);
  const Space written = take_memory_space(b);
  skip_hints(b);
  const int vector = b.take_one_of({"v2", "v4"});
  const Type t = b.take_type();
  const size_t n = vector < 0 ? 1 : vector ? 4 : 2;
  b.expect_operands(2, 3);   // the third is a cache policy
  const Operand& values = b.operand(kLoads ? 0 : 1);
  const Target target = take_target(b, b.operand(kLoads ? 1 : 0), written);
  const Run run = kLoads ? choose<LoadStep>(t, target.space) : choose<StoreStep>(t, target.space);
  if (!run || n * size_t(bytes_of(t)) > 16)
    b.fail("this type cannot be accessed so");
  const std::vector<Operand>* parts = Builder::parts_of(values);
  if ((parts ? parts->size() : 1) != n)
    b.fail(values, "expected " + std::to_string(n) + " values");
  std::vector<uint32_t> places;
  bool wide = false;
  for (size_t i = 0; i < n; ++i) {
    const Operand& o = parts ? (*parts)[i] : values;
    const Type own = b.register_type(o);
    const Type as = bytes_of(own) > bytes_of(t) ? own : t;   // a register may be wider than the value
    wide |= bytes_of(as) == 8 && bytes_of(t) < 8;
    places.push_back(kLoads ? b.write(o, as) : b.read(o, as));
  }
  const uint32_t list = b.list(places);
  Step& s = b.emit(run);
  set_address(s, target.memory);
  s.kind = class_of(target.space, kLoads);
  s.computes = kLoads && target.space == Space::Param;   // parameters stay as they are
  s.b = uint32_t(n);
  s.list = list;
  s.flags |= wide ? uint32_t(kWideRegister) : 0u;
}

// ---- hints
void build_hint(Builder& b) {
  if (b.take("tensormap"))
    return build_map_prefetch(b);
  b.skip_modifiers();
  b.emit(&do_nothing);
}
constexpr InstructionRow kRows[] = {
    {"ld", StepClass::GenericLoad, build_access<true>},
    {"ldu", StepClass::GenericLoad, build_access<true>},
    {"st", StepClass::GenericStore, build_access<false>},
    {"prefetch", StepClass::Hint, build_hint},
    {"prefetchu", StepClass::Hint, build_hint},
    {"applypriority", StepClass::Hint, build_hint},
    {"discard", StepClass::Hint, build_hint}};
}   // namespace

InstructionTable memory_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
