// Reductions of bulk copies. PTX ISA, "cp.reduce.async.bulk" and "cp.reduce.async.bulk.tensor".
#pragma once
#include "module.h"

namespace spectral::cpu::ptx {
// Each element of the destination becomes what the operation makes of it and the source's; each is atomic by itself.
using Reduction = void (*)(unsigned char* to, const unsigned char* from, size_t bytes);
enum class ReductionOp : uint8_t { And, Or, Xor, Add, Inc, Dec, Min, Max };

// Null where the ISA's table has no such operation. `is_shared`: the destination is shared memory.
Reduction find_reduction(ReductionOp, Type, bool is_shared);
}   // namespace spectral::cpu::ptx
