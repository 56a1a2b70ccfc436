// Moves between registers. PTX ISA, "Data Movement and Conversion: mov, createpolicy".
#include "dispatch.h"
#include <chrono>

namespace spectral::cpu::ptx {
namespace {
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
  constexpr size_t kParts = sizeof(Whole) / sizeof(Part);
  const Lane<Part>* parts[kParts];
  for (size_t i = 0; i < kParts; ++i)
    parts[i] = w.lanes<Lane<Part>>(w.list(s)[i]);
  write_lanes<Whole>(w, s.d, [&](int k) {
    Whole whole = 0;
    for (size_t i = 0; i < kParts; ++i)
      whole |= Whole(Part(parts[i][k])) << (8 * sizeof(Part) * i);
    return whole;
  });
}
template <class Part, class Whole>
void unpack(Warp& w, const Step& s) {   // no part is the whole itself: they have other sizes
  const uint32_t* places = w.list(s);
  const Lane<Whole>* whole = w.lanes<Lane<Whole>>(s.a);
  constexpr size_t kParts = sizeof(Whole) / sizeof(Part);
  if (w.mask == ~0u) [[likely]] {   // all parts of a lane while it is in a register
    Lane<Part>* to[kParts];
    for (size_t i = 0; i < kParts; ++i)
      to[i] = w.lanes<Lane<Part>>(places[i]);
#pragma GCC ivdep
    for (int k = 0; k < 32; ++k) {
      const Lane<Whole> value = whole[k];
      for (size_t i = 0; i < kParts; ++i)
        to[i][k] = Lane<Part>(Part(value >> (8 * sizeof(Part) * i)));
    }
    return;
  }
  for (size_t i = 0; i < kParts; ++i)
    write_lanes<Lane<Part>>(w, places[i], [&](int k) { return Lane<Part>(Part(whole[k] >> (8 * sizeof(Part) * i))); });
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
  s.computes = true;
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
  s.computes = true;
  s.linear = bytes_of(t) >= 4 ? Linear::Copy : Linear::None;
  s.a = from;
  s.d = to;
}

// A cache policy changes nothing here: any value will do.
void build_createpolicy(Builder& b) {
  b.skip_modifiers();
  const uint32_t zero = b.constant(0, true);
  const uint32_t to = b.write(0, Type::B64);
  Step& s = b.emit(&move<uint64_t>);
  s.a = zero;
  s.d = to;
}

constexpr InstructionRow kRows[] = {
    {"mov", StepClass::Move, build_mov}, {"createpolicy", StepClass::Move, build_createpolicy}};
}   // namespace

InstructionTable move_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
