// Loads, stores and moves. PTX ISA, "Data Movement and Conversion".
#include "access.h"
#include "async.h"
#include "dispatch.h"
#include <chrono>

namespace spectral::cpu::ptx {
namespace {
// ---- ld, st: up to four values of a type
template <class T, Space kSpace>
void load(Warp& w, const Step& s) {
  uint64_t at[32];
  const uint32_t n = s.b;
  reach<kSpace>(w, s, at, unsigned(n * sizeof(T)), Effect::Reads);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < n; ++i) {
    auto value = [&](int k) {
      T v;
      std::memcpy(&v, reinterpret_cast<const T*>(at[k]) + i, sizeof v);
      return v;
    };
    if (s.flags & kWideRegister) {
      using Wide = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
      write_lanes<uint64_t>(w, places[i], [&](int k) { return uint64_t(Wide(value(k))); });
    } else {
      using Whole = std::conditional_t<sizeof(T) == 8, T, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>>;
      write_lanes<Whole>(w, places[i], [&](int k) { return Whole(value(k)); });
    }
  }
}
template <class T, Space kSpace>
void store(Warp& w, const Step& s) {
  uint64_t at[32];
  const uint32_t n = s.b;
  reach<kSpace>(w, s, at, unsigned(n * sizeof(T)), Effect::Writes);
  const uint32_t* places = w.list(s);
  for (uint32_t i = 0; i < n; ++i)
    each_lane(w.mask, [&](int k) {
      const T v = s.flags & kWideRegister ? T(w.lanes<uint64_t>(places[i])[k]) : T(w.lanes<Lane<T>>(places[i])[k]);
      std::memcpy(reinterpret_cast<T*>(at[k]) + i, &v, sizeof v);
    });
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
  s.b = uint32_t(n);
  s.list = list;
  s.flags |= wide ? uint32_t(kWideRegister) : 0u;
}

// ---- mov
template <class L>
void move(Warp& w, const Step& s) {
  const L* a = w.lanes<L>(s.a);
  write_lanes<L>(w, s.d, [&](int k) { return a[k]; });
}
void move_predicate(Warp& w, const Step& s) { write_predicate(w, s.d, w.predicate(s.a) ^ (s.flags ? ~0u : 0u)); }
void set_predicate(Warp& w, const Step& s) { write_predicate(w, s.d, s.value ? ~0u : 0u); }
void move_to_predicate(Warp& w, const Step& s) {
  const uint32_t* a = w.lanes<uint32_t>(s.a);
  uint32_t bits = 0;
  each_lane(w.mask, [&](int k) { bits |= uint32_t(a[k] != 0) << k; });
  write_predicate(w, s.d, bits);
}
void read_clock(Warp& w, const Step& s) {
  const auto now = uint64_t(std::chrono::steady_clock::now().time_since_epoch().count());
  if (s.value)
    write_lanes<uint64_t>(w, s.d, [&](int) { return now; });
  else
    write_lanes<uint32_t>(w, s.d, [&](int) { return uint32_t(s.flags ? now >> 32 : now); });
}
// Parts of `bits` bits, the lowest first; s.b of them.
template <class Part, class Whole>
void pack(Warp& w, const Step& s) {
  const uint32_t* places = w.list(s);
  write_lanes<Whole>(w, s.d, [&](int k) {
    Whole whole = 0;
    for (size_t i = 0; i < sizeof(Whole) / sizeof(Part); ++i)
      whole |= Whole(Part(w.lanes<Lane<Part>>(places[i])[k])) << (8 * sizeof(Part) * i);
    return whole;
  });
}
template <class Part, class Whole>
void unpack(Warp& w, const Step& s) {
  const uint32_t* places = w.list(s);
  Lane<Whole> whole[32];
  std::memcpy(whole, w.lanes<Lane<Whole>>(s.a), sizeof whole);
  for (size_t i = 0; i < sizeof(Whole) / sizeof(Part); ++i)
    write_lanes<Part>(w, places[i], [&](int k) { return Part(whole[k] >> (8 * sizeof(Part) * i)); });
}
struct Parts {
  Run pack, unpack;
  Type part;
};
Parts parts_of(Type whole, size_t n) {
  const int bytes = bytes_of(whole);
  if (bytes == 4 && n == 2)
    return {&pack<uint16_t, uint32_t>, &unpack<uint16_t, uint32_t>, Type::B16};
  if (bytes == 8 && n == 2)
    return {&pack<uint32_t, uint64_t>, &unpack<uint32_t, uint64_t>, Type::B32};
  if (bytes == 8 && n == 4)
    return {&pack<uint16_t, uint64_t>, &unpack<uint16_t, uint64_t>, Type::B16};
  return {nullptr, nullptr, Type::None};
}
void build_pack(Builder& b, Type t, bool packs) {
  const Operand& vector = b.operand(packs ? 1 : 0);
  const Parts p = parts_of(t, vector.parts.size());
  if (!p.pack)
    b.fail(vector, "a value of ." + std::string(name_of(t)) + " has no such parts");
  std::vector<uint32_t> places;
  const uint32_t whole = packs ? 0 : b.read(1, t);
  for (const Operand& o : vector.parts)
    places.push_back(packs ? b.read(o, p.part) : b.write(o, p.part));
  const uint32_t to = packs ? b.write(0, t) : 0;
  const uint32_t list = b.list(places);
  Step& s = b.emit(packs ? p.pack : p.unpack);
  s.a = whole;
  s.d = to;
  s.list = list;
}
void build_move_predicate(Builder& b) {
  const Operand& from = b.operand(1);
  if (from.kind == OperandKind::Special && from.name == "%is_explicit_cluster") {
    const uint32_t source = b.read(from, Type::U32);
    const uint32_t to = b.write_predicate(b.operand(0));
    Step& s = b.emit(&move_to_predicate);
    s.a = source;
    s.d = to;
    return;
  }
  const bool constant = from.kind == OperandKind::Immediate;
  bool flip = false;
  const uint32_t source = constant ? 0 : b.read_predicate(from, &flip);
  const uint32_t to = b.write_predicate(b.operand(0));
  Step& s = b.emit(constant ? &set_predicate : &move_predicate);
  s.a = source;
  s.d = to;
  s.flags = flip;
  s.value = int64_t(from.value);
}
void build_mov(Builder& b) {
  const Type t = b.take_type();
  b.expect_operands(2);
  if (t == Type::Pred)
    return build_move_predicate(b);
  if (b.operand(1).kind == OperandKind::Vector)
    return build_pack(b, t, true);
  if (b.operand(0).kind == OperandKind::Vector)
    return build_pack(b, t, false);
  const std::string_view name = b.operand(1).kind == OperandKind::Special ? b.operand(1).name : "";
  if (name.starts_with("%clock") || name.starts_with("%globaltimer")) {
    const uint32_t to = b.write(0, t);
    Step& s = b.emit(&read_clock);
    s.d = to;
    s.value = bytes_of(t) == 8;
    s.flags = name.ends_with("_hi");
    return;
  }
  const uint32_t from = b.read(1, t);
  const uint32_t to = b.write(0, t);
  Step& s = b.emit(bytes_of(t) == 8 ? &move<uint64_t> : &move<uint32_t>);
  s.a = from;
  s.d = to;
}

// ---- hints
void build_hint(Builder& b) {
  if (b.take("tensormap"))
    return build_map_prefetch(b);
  b.skip_modifiers();
  b.emit(&do_nothing);
}
void build_createpolicy(Builder& b) {
  b.skip_modifiers();
  const uint32_t zero = b.constant(0, true);
  const uint32_t to = b.write(0, Type::B64);
  Step& s = b.emit(&move<uint64_t>);
  s.a = zero;
  s.d = to;
}

constexpr InstructionRow kRows[] = {
    {"mov", StepClass::Move, build_mov},
    {"ld", StepClass::GenericLoad, build_access<true>},
    {"ldu", StepClass::GenericLoad, build_access<true>},
    {"st", StepClass::GenericStore, build_access<false>},
    {"prefetch", StepClass::Hint, build_hint},
    {"prefetchu", StepClass::Hint, build_hint},
    {"applypriority", StepClass::Hint, build_hint},
    {"discard", StepClass::Hint, build_hint},
    {"createpolicy", StepClass::Move, build_createpolicy}};
}   // namespace

InstructionTable memory_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
