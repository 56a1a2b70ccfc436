#include "builder.h"
#include "program_builder.h"
#include <bit>
#include <cmath>
#include <unordered_map>

namespace spectral::cpu::ptx {
// ---- modifiers
bool Builder::take(std::string_view modifier) {
  if (peek() != modifier)
    return false;
  ++modifier_;
  return true;
}
int Builder::take_one_of(std::initializer_list<std::string_view> names) {
  int index = 0;
  for (std::string_view name : names) {
    if (take(name))
      return index;
    ++index;
  }
  return -1;
}
std::string_view Builder::peek(size_t ahead) const {
  const size_t at = modifier_ + ahead;
  return at < instruction_.modifiers.size() ? instruction_.modifiers[at] : std::string_view();
}
Type Builder::take_type() {
  const Type type = type_named(peek());
  if (type == Type::None)
    fail(peek().empty() ? "a type is missing" : "." + std::string(peek()) + " is not a type that can stand here");
  ++modifier_;
  return type;
}
void Builder::skip_cache_hints() {
  while (peek().starts_with("L1::") || peek().starts_with("L2::"))
    skip_modifier();
}
Space Builder::take_space() {
  switch (take_one_of({"param", "const", "global", "local", "shared", "shared::cta"})) {
    case 0: return Space::Param;
    case 1: return Space::Const;
    case 2: return Space::Global;
    case 3: return Space::Local;
    case 4:
    case 5: return Space::Shared;
    default: return Space::Generic;
  }
}
void Builder::no_more_modifiers() {
  if (!peek().empty())
    fail("." + std::string(peek()) + " is not supported here");
}

// ---- operands
const Operand& Builder::operand(size_t index) const {
  if (index >= count())
    fail("operand " + std::to_string(index + 1) + " is missing");
  return instruction_.operands[index];
}
void Builder::expect_operands(size_t least, size_t most) {
  if (count() < least || count() > most)
    fail(
        "expected " + std::to_string(least) + (most > least ? " to " + std::to_string(most) : "") +
        " operands, found " + std::to_string(count()));
}

namespace {
uint64_t bits_as(const Operand& o, Type type) {
  if (type == Type::F32 && o.is_float)
    return std::bit_cast<uint32_t>(float(std::bit_cast<double>(o.value)));
  if (type == Type::F64 && o.is_float32)
    return std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(o.value))));
  const int bytes = bytes_of(type);
  return bytes >= 8 ? o.value : o.value & ((uint64_t(1) << 8 * bytes) - 1);
}
// Registers may be wider than a value only where the instruction says so, as ld and cvt do.
bool fits(Type reg, Type type) { return reg != Type::Pred && bytes_of(reg) == std::max(bytes_of(type), 2); }
}   // namespace

bool Builder::is_predicate(const Operand& o) const {
  return o.kind == OperandKind::Register && program_.register_at(o.id).type == Type::Pred;
}

uint32_t Builder::read(const Operand& o, Type type) {
  const bool wide = bytes_of(type) == 8;
  switch (o.kind) {
    case OperandKind::Register: {
      const Register& r = program_.register_at(o.id);
      if (o.negated || !fits(r.type, type))
        fail(o, "register " + r.name + " is ." + name_of(r.type) + ", expected ." + name_of(type));
      return program_.read_register(o.id);
    }
    case OperandKind::Immediate: {
      const bool float_type = is_float(type);
      if (float_type && !o.is_float && !o.is_float32 && o.value)
        fail(o, std::string("a constant of type .") + name_of(type) + " is written as a float");
      return constant(bits_as(o, type), wide);
    }
    case OperandKind::Special:
      if (ProgramBuilder::is_zero(o.name))
        return constant(0, wide);
      if (bytes_of(type) != 4 && bytes_of(type) != 2)
        fail(o, std::string(o.name) + " has 32 bits, expected ." + name_of(type));
      return program_.special(o.name, o);
    case OperandKind::Symbol: {
      Space space;
      const uint64_t address = program_.address_of(*o.variable, &space, o);
      if (space != Space::Local || !program_.has_own_frame())
        return constant(address, wide);
      if (!wide)
        fail(o, "the address of a function's own variable has 64 bits");
      return program_.frame_address(address, instruction_);
    }
    case OperandKind::Callee:
      if (!wide)
        fail(o, "the address of a function has 64 bits");
      return constant(spectral::cpu::ptx::address_of(*o.function), wide);
    default: fail(o, "expected a value here");
  }
}

uint32_t Builder::write(const Operand& o, Type type) {
  if (o.kind == OperandKind::Sink)   // goes where nobody reads
    return program_.sink(bytes_of(type) == 8);
  if (o.kind != OperandKind::Register || o.negated)
    fail(o, "expected a register to write to");
  const Register& r = program_.register_at(o.id);
  if (!fits(r.type, type))
    fail(o, "register " + r.name + " is ." + name_of(r.type) + ", expected ." + name_of(type));
  return program_.write_register(o.id);
}

uint32_t Builder::constant(uint64_t bits, bool wide) { return program_.constant(bits, wide); }

uint32_t Builder::read_predicate(const Operand& o, bool* negated) {
  if (!is_predicate(o))
    fail(o, "expected a predicate");
  if (o.negated && !negated)
    fail(o, "a negated predicate cannot stand here");
  if (negated)
    *negated = o.negated;
  return program_.read_predicate(o.id);
}
uint32_t Builder::write_predicate(const Operand& o) {
  if (o.kind == OperandKind::Sink)
    return program_.new_predicate();
  if (!is_predicate(o) || o.negated)
    fail(o, "expected a predicate to write to");
  return program_.write_predicate(o.id);
}

Type Builder::register_type(const Operand& o) const {
  return o.kind == OperandKind::Register ? program_.register_at(o.id).type : Type::None;
}

int64_t Builder::read_immediate(size_t index, int64_t least, int64_t most) {
  const Operand& o = operand(index);
  const auto value = int64_t(o.value);
  if (o.kind != OperandKind::Immediate || o.is_float || o.is_float32 || value < least || value > most)
    fail(o, "expected a number from " + std::to_string(least) + " to " + std::to_string(most));
  return value;
}

MemoryOperand Builder::memory(const Operand& o) {
  if (o.kind != OperandKind::Address)
    fail(o, "expected an address in brackets");
  const Operand& base = o.parts[0];
  MemoryOperand m{0, true, false, 0, int64_t(o.value), Space::Generic, o.parts.size() > 1 ? &o.parts[1] : nullptr};
  switch (base.kind) {
    case OperandKind::Register: {
      const Register& r = program_.register_at(base.id);
      const int bytes = bytes_of(r.type);
      if (base.negated || (bytes != 4 && bytes != 8))
        fail(base, "an address has 32 or 64 bits; register " + r.name + " is ." + name_of(r.type));
      m.wide = bytes == 8;
      m.base = program_.read_register(base.id);
      return m;
    }
    case OperandKind::Symbol: {
      m.fixed = program_.address_of(*base.variable, &m.space, base);
      m.is_fixed = m.space != Space::Local || !program_.has_own_frame();
      m.base = m.is_fixed ? constant(m.fixed, true) : program_.frame_register();
      m.offset += m.is_fixed ? 0 : int64_t(m.fixed);
      return m;
    }
    case OperandKind::Immediate:   // [number]: the offset has it
      m.is_fixed = true;
      m.base = constant(0, true);
      return m;
    default: fail(base, "expected an address");
  }
}

void Builder::keep(const Operand& o) {
  if (o.kind == OperandKind::Register)
    program_.keep_register(o.id);
}

void Builder::use_async_proxy() { program_.use_async_proxy(); }
void Builder::use_warpgroups() { program_.use_warpgroups(); }
uint32_t Builder::carry() { return program_.carry(); }

uint32_t Builder::list(const std::vector<uint32_t>& places) { return program_.add_list(places); }

namespace {
bool is_arithmetic(StepClass c) {
  switch (c) {
    case StepClass::Integer:
    case StepClass::Float:
    case StepClass::Double:
    case StepClass::Special:
    case StepClass::Conversion: return true;
    default: return false;
  }
}
}   // namespace
Step& Builder::emit(Run run) {
  Step step{run};
  step.kind = kind_;
  step.computes = is_arithmetic(kind_);
  if (instruction_.guard) {
    step.guard = program_.read_predicate(instruction_.guard->id);
    step.guard_flip = instruction_.guard->negated ? ~0u : 0;
  }
  return program_.emit(step, instruction_);
}

void Builder::fail(const std::string& message) const {
  throw PtxError(instruction_.place, program_.named(instruction_) + ": " + message);
}
void Builder::fail(const Operand& o, const std::string& message) const {
  throw PtxError(o.place, program_.named(instruction_) + ": " + message);
}

// ---- the tables
const InstructionRow* find_instruction(std::string_view opcode) {
  static const auto rows = [] {
    std::unordered_map<std::string_view, const InstructionRow*> all;
    for (const InstructionTable& table :
         {integer_instructions(),
          float_instructions(),
          logic_instructions(),
          comparison_instructions(),
          conversion_instructions(),
          memory_instructions(),
          move_instructions(),
          address_instructions(),
          atomic_instructions(),
          control_instructions(),
          barrier_instructions(),
          warp_instructions(),
          async_instructions(),
          matrix_instructions(),
          matrix_moves(),
          wmma_instructions(),
          video_instructions(),
          warpgroup_instructions()})
      for (size_t i = 0; i < table.count; ++i)
        all.emplace(table.rows[i].opcode, &table.rows[i]);
    return all;
  }();
  const auto it = rows.find(opcode);
  return it == rows.end() ? nullptr : it->second;
}
}   // namespace spectral::cpu::ptx
