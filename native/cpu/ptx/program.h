// A kernel ready to run: its instructions as steps, each a function over the 32 lanes of a warp and the places of its
// operands. Registers that are never alive together share a place, so that a warp's registers stay in the caches.
#pragma once
#include "module.h"
#include <map>
#include <unordered_map>

namespace spectral::cpu::ptx {
class Warp;
struct Step;
using Run = void (*)(Warp&, const Step&);

// What a step counts as.
enum class StepClass : uint8_t {
  Integer,
  Float,
  Double,
  Special,   // approximations: the multi-function unit
  Conversion,
  Move,
  GlobalLoad,
  GlobalStore,
  SharedLoad,
  SharedStore,
  LocalLoad,
  LocalStore,
  GenericLoad,
  GenericStore,
  ConstantLoad,   // of .const and .param
  Atomic,
  MatrixLoad,   // ldmatrix
  MatrixStore,
  AsyncCopy,   // cp.async of lanes and in bulk
  Mma,
  Wgmma,
  Barrier,   // and mbarriers and fences
  Collective,
  Control,
  Hint,
  Part   // of an instruction that another step counts as
};
constexpr int kStepClasses = int(StepClass::Part);
const char* name_of(StepClass);

inline size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

constexpr uint32_t kUnit = 128;                         // bytes of 32 lanes of 32 bits; 64-bit registers take two
constexpr uint32_t kRegisterMark = uint32_t(1) << 31;   // while a program is built: a register's number, no place yet

// How a result follows from the operands in arithmetic that wraps around: what keeps lanes equally far apart.
enum class Linear : uint8_t {
  None,
  Same,   // nothing is known but that lanes with the same operands, a to c, have the same result
  Sum,    // or difference
  Product,
  WideProduct,   // of twice the operands' size
  Multiple,      // of a, by a number
  Copy,
  Widened
};

// What is known of the lanes of a warp, if they lie in one row of threads.
enum class Alike : uint8_t {
  No,
  InLine,   // in operand a they are equally far apart
  Same      // they have the same result
};

// Operands are places: byte offsets into a warp's registers. Predicates are one word each, a bit per lane.
struct Step {
  Run run;
  uint32_t d = 0;
  uint32_t a = 0;
  uint32_t b = 0;
  uint32_t c = 0;
  int64_t value = 0;         // a memory operand's offset, a count
  uint32_t list = 0;         // first of its entries in Program::lists
  uint32_t guard = 0;        // a predicate; 0 is always true
  uint32_t guard_flip = 0;   // all ones for @!p
  uint32_t flags = 0;
  uint32_t line = 0;   // of the PTX text
  StepClass kind = StepClass::Integer;
  bool computes = false;      // its results follow from its operands alone
  uint16_t operations = 0;    // in floating point, of each lane
  uint32_t next = 1;          // steps to the next that is not an invariant
  bool passes_over = false;   // next is not 1
  bool is_invariant = false;
  Linear linear = Linear::None;
  Alike alike = Alike::No;
};

enum class Special : uint8_t {
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  LanemaskEq,
  LanemaskLt,
  LanemaskLe,
  LanemaskGt,
  LanemaskGe,
  ClusterIdX,
  ClusterIdY,
  ClusterIdZ,
  NClusterIdX,
  NClusterIdY,
  NClusterIdZ,
  ClusterCtaidX,
  ClusterCtaidY,
  ClusterCtaidZ,
  ClusterNctaidX,
  ClusterNctaidY,
  ClusterNctaidZ,
  ClusterCtarank,
  ClusterNctarank,
  IsExplicitCluster,
  DynamicSmemSize,
  TotalSmemSize
};
// What all that runs in a scope has in common.
enum class Scope : uint8_t { Launch, Block, Warp };
Scope scope_of(Special);
struct SpecialPlace {
  uint32_t place;
  Special which;
};
struct ConstantPlace {
  uint32_t place;
  bool wide;
  uint64_t bits;
};

constexpr size_t kMaxParameters = 32764;   // bytes, from PTX 8.1 on ("Kernel Function Parameters")
struct Parameter {
  size_t offset, bytes;
  Type type;   // of its elements
};

constexpr size_t kFrameAlign = 16;   // bytes, of what a call has in local memory
// A function that is not expanded where it is called, since it is recursive, or is called by its address.
struct SavedRegister {
  uint32_t place;
  bool wide;
};
struct Callable {
  const Function* function;
  uint32_t first_step = 0;
  size_t frame_bytes = 0;                  // its local memory: results, parameters, variables
  uint32_t frame_place = 0;                // the register that says where that begins
  std::vector<SavedRegister> saved = {};   // its registers, which a call keeps for the calls that it is within
  uint32_t first_predicate = 0;
  uint32_t end_predicate = 0;
};
// What a call copies between local memories: an offset in the caller's and one in the callee's.
struct Transfer {
  size_t caller, callee, bytes;
};
struct CallSite {
  const Function* signature;
  std::vector<Transfer> results, arguments;
};

// What Chain asks of a step: the registers and predicates that it reads, then those that it writes, by their numbers
// from Program::use_slots, and how long its results take.
struct StepChain {
  uint32_t reads, writes, end;
  uint16_t latency;
  bool accesses_memory;
};

uint64_t next_program_number();
struct Program {
  const uint64_t number = next_program_number();   // of no other, before or after
  std::string name;
  std::vector<Step> steps;
  std::vector<uint32_t> lists;
  std::vector<ConstantPlace> constants;
  std::vector<SpecialPlace> specials;
  std::vector<SourceLine> sources;   // per step
  // Steps that give the same in every warp of a launch (invariants.cpp), and the predicates that they write; then those
  // that do in every warp of a block. Their registers are among the fixed ones.
  std::vector<uint32_t> invariants;
  std::vector<uint32_t> invariant_predicates;
  std::vector<uint32_t> block_invariants;
  std::vector<StepChain> chain_steps;
  std::vector<uint32_t> use_slots;
  uint32_t chain_slots = 0;
  uint32_t fixed_bytes = 0;      // constants, special registers, sinks and invariants, which come first
  uint32_t register_bytes = 0;   // of a warp
  uint32_t predicates = 1;
  size_t local_bytes = 0;    // of a thread
  size_t local_stride = 0;   // from one thread's to the next
  size_t shared_bytes = 0;   // of .shared variables, up to where dynamic shared memory begins
  size_t stack_start = 0;    // in local memory, where calls have their frames
  uint32_t stack_place = 0;
  uint32_t first_step = 0;   // of the kernel; the functions that it calls come before
  std::vector<Callable> callables;
  std::vector<CallSite> calls;
  std::vector<Parameter> parameters;
  size_t parameter_bytes = 0;
  // Steps that use accumulators of wgmma: what they do, and the numbers of the registers.
  struct AccumulatorUse {
    Run run;
    std::vector<uint32_t> registers;
  };
  std::unordered_map<uint32_t, AccumulatorUse> accumulator_uses;   // by step
  size_t accumulators = 0;
  bool uses_copies = false;   // of lanes or in bulk
  bool uses_warpgroups = false;
  bool uses_heap = false;          // calls malloc or free
  bool uses_async_proxy = false;   // writes to shared memory are followed up to their fence
  int registers = 0;               // of a thread, as ptxas reported them; 0: not known
  unsigned max_threads = 1024;
  unsigned required_threads[3] = {0, 0, 0};   // .reqntid, 0: not said
  // PTX ISA, "Cluster Dimension Directives"
  unsigned cluster[3] = {0, 0, 0};   // .reqnctapercluster, 0: not said
  unsigned max_cluster = 0;          // .maxclusterrank, 0: not said
  bool needs_cluster = false;        // .explicitcluster: the launch says its size, if the kernel does not
  bool counts_clusters = false;      // .blocksareclusters: a launch's grid is one of clusters

  const Module* module = nullptr;
  std::vector<std::pair<uint64_t, uint64_t>> constant_memory;   // first and end of each .const variable
};

// Where the module's .global and .const variables lie.
using Addresses = std::map<const Variable*, uint64_t>;

// Throws PtxError for what this device does not have, naming the instruction.
std::unique_ptr<Program> build_program(const Module&, const Function& entry, const Addresses&);
}   // namespace spectral::cpu::ptx
