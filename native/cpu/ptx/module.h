// A PTX module as it was written: functions of instructions over virtual registers, and variables.
// Names are resolved; what an instruction means is not yet asked.
#pragma once
#include "text.h"
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spectral::cpu::ptx {
// PTX ISA, "Types": a letter for the kind (b, u, s, f) and a size in bits.
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  U16x2,
  S16x2,
  F16,
  F16x2,
  BF16,
  BF16x2,
  F32,
  F64,
  TF32,
  E4M3x2,
  E5M2x2
};
Type type_named(std::string_view name);   // None if there is no such type
const char* name_of(Type);
int bytes_of(Type);   // Pred: 0
bool is_signed(Type);
Type twice(Type);      // u16: u32, and so on; None where there is none
bool is_float(Type);   // of the types whose bits are a floating-point number or two
bool is_half(Type);    // f16, bf16
bool is_half_pair(Type);

// PTX ISA, "State Spaces". Generic: an address that may point into any of them.
enum class Space : uint8_t { Generic, Param, Const, Global, Local, Shared };
const char* name_of(Space);

// PTX ISA, "Linking Directives". Internal: known in its own module only.
enum class Linkage : uint8_t { Internal, Visible, Weak, Common, Extern };

struct Variable;
struct Function;

// The address of a variable or function, written into another's initial value.
struct AddressIn {
  size_t offset;
  const Variable* variable;   // or null
  const Function* function;
  int64_t addend;
  bool generic;
};
struct Variable {
  std::string name;
  Space space;
  Type type;
  size_t align;
  size_t bytes;   // 0: declared extern with an open length (dynamic shared memory)
  Linkage linkage = Linkage::Internal;
  std::vector<unsigned char> initial;   // shorter than bytes: zero follows
  std::vector<AddressIn> addresses;
  Place place;
};

struct Register {
  std::string name;
  Type type;
};

enum class OperandKind : uint8_t {
  Register,    // id; a predicate may be negated
  Special,     // %tid.x and so on: name
  Immediate,   // value: an integer's bits, or those of a float of the token's size
  Symbol,      // a variable's address, plus value
  Address,     // [parts[0] + value]; with coordinates [parts[0], parts[1]]
  Vector,      // {parts}
  Pair,        // parts[0] | parts[1]
  Label,       // id: index of the instruction that it stands before; with parts, the labels of a .branchtargets
  Callee,      // function, or the signature of an indirect call
  Arguments,   // (parts) of a call
  Sink         // _
};
struct Operand {
  OperandKind kind;
  Place place;
  bool negated = false;
  bool is_float = false;   // an immediate written as a 64-bit float
  bool is_float32 = false;
  uint32_t id = 0;
  uint64_t value = 0;
  const Variable* variable = nullptr;
  const Function* function = nullptr;
  std::string_view name = {};
  std::vector<Operand> parts = {};
};

struct SourceLine {
  uint32_t file = 0;   // of Module::files; 0: unknown
  uint32_t line = 0;
};
struct Instruction {
  Place place;
  SourceLine source;
  std::string_view opcode;
  std::vector<std::string_view> modifiers;
  std::optional<Operand> guard;   // @p or @!p
  std::vector<Operand> operands;

  std::string spelling() const;   // opcode.modifier.modifier
};

struct Function {
  std::string name;
  std::string target;   // of its module
  Linkage linkage = Linkage::Internal;
  bool is_entry = false;
  bool has_body = false;
  std::vector<std::unique_ptr<Variable>> results;
  std::vector<std::unique_ptr<Variable>> parameters;
  std::vector<std::unique_ptr<Variable>> variables;   // declared in the body
  std::vector<Register> registers;
  std::vector<Instruction> instructions;
  std::vector<std::unique_ptr<Function>> prototypes;   // .callprototype: functions without a body
  bool is_address_taken = false;                       // may be called by its address
  unsigned max_threads[3] = {0, 0, 0};                 // .maxntid, 0: not said
  unsigned required_threads[3] = {0, 0, 0};            // .reqntid
  unsigned cluster[3] = {0, 0, 0};                     // .reqnctapercluster
  unsigned max_cluster = 0;                            // .maxclusterrank: blocks, 0: not said
  bool needs_cluster = false;                          // .explicitcluster
  bool counts_clusters = false;                        // .blocksareclusters
  Place place;
};

// The value that stands for a function's address: no memory lies there for programs.
inline uint64_t address_of(const Function& f) { return reinterpret_cast<uint64_t>(&f); }

struct Module {
  std::string text;   // what the views point into
  int version = 0;    // 84: 8.4
  std::string target;
  std::map<uint32_t, std::string> files;   // .file
  std::vector<std::unique_ptr<Variable>> variables;
  std::vector<std::unique_ptr<Function>> functions;
  std::vector<std::unique_ptr<Module>> parts;   // that this one was linked from, for their texts
};

constexpr size_t kMaxText = size_t(256) << 20;
constexpr size_t kMaxRegisters = 1 << 20;          // of one function
constexpr size_t kMaxVariable = size_t(1) << 31;   // bytes

// Throws PtxError with the place of the first fault.
std::unique_ptr<Module> parse(std::string text);
}   // namespace spectral::cpu::ptx
