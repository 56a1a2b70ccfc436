// Functions that a module declares and the device has: printf, assert, malloc and free.
#pragma once
#include "program.h"

namespace spectral::cpu::ptx {
// The step that calls the function which a module declares like this; null if the device has none such. Its arguments
// lie in local memory, from the offset at place `b` on.
Run find_host_function(const Function&);
bool uses_heap(const Function&);   // malloc and free
}   // namespace spectral::cpu::ptx
