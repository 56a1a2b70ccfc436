// Functions that a module declares and the device has: printf and assert.
#pragma once
#include "program.h"

namespace spectral::cpu::ptx {
// The step of a call of the function that a module declares so: its arguments lie in local memory, from the offset at place `b` on, as the call site says.
// Null if there is none.
Run find_host_function(const Function&);
}   // namespace spectral::cpu::ptx
