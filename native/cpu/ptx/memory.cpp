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
// One of the four values of 32 bits that each lane has side by side in memory, which nvcc may well take one by one.
// Nothing is read beyond that of the last lane.
void load_of_quads(const unsigned char* first, uint32_t* to) {
  const auto* from = reinterpret_cast<const float*>(first);
  const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i firsts = _mm256_setr_epi32(-1, 0, 0, 0, -1, 0, 0, 0);
  for (unsigned k = 0; k < 32; k += 8) {
    const float* at = from + 4 * k;   // two lanes in each vector
    const __m256 low = _mm256_unpacklo_ps(_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8));
    const __m256 last = k < 24 ? _mm256_loadu_ps(at + 24) : _mm256_maskload_ps(at + 24, firsts);
    const __m256 high = _mm256_unpacklo_ps(_mm256_loadu_ps(at + 16), last);
    const __m256 all = _mm256_shuffle_ps(low, high, _MM_SHUFFLE(1, 0, 1, 0));
    _mm256_storeu_ps(reinterpret_cast<float*>(to + k), _mm256_permutevar8x32_ps(all, in_order));
  }
}
// One value of 32 bits of each lane, so many bytes from that of the lane before. In memory they would be written one by
// one, which a step that reads vectors of them has to wait for.
void gather_row(const unsigned char* first, uint64_t step, uint32_t* to) {
  const __m256i numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i offsets = _mm256_mullo_epi32(numbers, _mm256_set1_epi32(int(step)));
  for (unsigned k = 0; k < 32; k += 8) {
    const __m256i values = _mm256_i32gather_epi32(reinterpret_cast<const int*>(first + k * step), offsets, 1);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k), values);
  }
}
constexpr uint64_t kFarthestGathered = uint64_t(1) << 28;   // seven steps fit in 31 bits

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
    } else if (sizeof(T) == 4 && sizeof(D) == 4 && w.mask == ~0u && access.step == 4 * sizeof(T)) {
      load_of_quads(access.first + i * sizeof(T), w.lanes<uint32_t>(places[i]));
    } else if (sizeof(T) == 4 && sizeof(D) == 4 && w.mask == ~0u && access.step < kFarthestGathered) {
      gather_row(access.first + i * sizeof(T), access.step, w.lanes<uint32_t>(places[i]));
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
__attribute__((noinline)) void load(Warp& w, const Step& s) {
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
#pragma GCC unroll 8
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
__attribute__((noinline)) void store(Warp& w, const Step& s) {
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

// What most accesses are: of a whole warp in a row, by registers as wide as the values, and not counted.
template <class T, Space kSpace, class A, unsigned kCount>
struct LoadRow {
  static void run(Warp& w, const Step& s) {
    if (w.mask == ~0u && !w.block().counters()) [[likely]] {
      const Row row = row_of<A>(w, s);
      if (const auto first = address_of<kSpace>(w, row, 32, kCount * sizeof(T), false)) [[likely]]
        return load_together<Extended<T, false>, T, kCount>(w, w.list(s), {first, row.step});
    }
    load<T, kSpace>(w, s);
  }
};
template <class T, Space kSpace, class A, unsigned kCount>
struct StoreRow {
  static void run(Warp& w, const Step& s) {
    const bool is_followed = kSpace == Space::Shared && w.program().uses_async_proxy;
    if (w.mask == ~0u && !is_followed && !w.block().counters()) [[likely]] {
      const Row row = row_of<A>(w, s);
      if (const auto first = address_of<kSpace>(w, row, 32, kCount * sizeof(T), true)) [[likely]]
        return store_together<Lane<T>, T, kCount>(w, w.list(s), {first, row.step});
    }
    store<T, kSpace>(w, s);
  }
};
template <template <class, Space, class, unsigned> class StepOf, class T, Space kSpace, class A>
Run of_row(size_t values) {
  switch (values) {
    case 1: return &StepOf<T, kSpace, A, 1>::run;
    case 2: return &StepOf<T, kSpace, A, 2>::run;
    default: return &StepOf<T, kSpace, A, 4>::run;
  }
}
// Null where the step is one of any lanes.
template <template <class, Space, class, unsigned> class StepOf>
Run choose_row(Type t, Space space, bool is_wide, size_t values) {
  const auto of_type = [&]<class T>() -> Run {
    if (space == Space::Global && is_wide)
      return of_row<StepOf, T, Space::Global, uint64_t>(values);
    if (space == Space::Shared && !is_wide)
      return of_row<StepOf, T, Space::Shared, uint32_t>(values);
    if (space == Space::Shared)
      return of_row<StepOf, T, Space::Shared, uint64_t>(values);
    return nullptr;
  };
  switch (bytes_of(t)) {
    case 2: return t == Type::S16 ? nullptr : of_type.template operator()<uint16_t>();
    case 4: return of_type.template operator()<uint32_t>();
    case 8: return of_type.template operator()<uint64_t>();
    default: return nullptr;
  }
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
  const Run of_row = wide     ? nullptr
                     : kLoads ? choose_row<LoadRow>(t, target.space, target.memory.wide, n)
                              : choose_row<StoreRow>(t, target.space, target.memory.wide, n);
  Step& s = b.emit(of_row ? of_row : run);
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
