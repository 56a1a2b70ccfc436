// Several modules as one.
#pragma once
#include "module.h"

namespace spectral::cpu::ptx {
// Functions and variables that one module declares and another defines become the latter's. PTX ISA, "Linking
// Directives". The lines of the second module follow those of the first, and so on, in what is said of it later. Throws
// PtxError for a name that two modules define, or that is used and that none defines.
std::unique_ptr<Module> link(std::vector<std::unique_ptr<Module>> parts);
}   // namespace spectral::cpu::ptx
