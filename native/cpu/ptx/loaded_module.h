// A module that was loaded from PTX text: its variables in device memory, and its kernels.
#pragma once
#include "../cuda_api.h"
#include "../device_heap.h"
#include "../launch_shape.h"
#include "program.h"

namespace spectral::cpu::ptx {
// What ptxas makes of a kernel, as a line "// ptxas: KERNEL REGISTERS STACK SHARED BARRIERS" says that the build puts
// behind the PTX it ships (native/ptx-report.cmake); zeros where there is none.
struct Resources {
  int registers = 0;   // of a thread
  int stack = 0;       // its bytes in local memory
};
Resources resources_of(const Module&, const std::string& kernel);

class LoadedModule {
 public:
  // Throws PtxError for what this device does not have.
  explicit LoadedModule(std::unique_ptr<Module>);
  ~LoadedModule();
  LoadedModule(const LoadedModule&) = delete;

  const std::vector<std::unique_ptr<Program>>& kernels() const { return kernels_; }
  Resources resources_of(const std::string& kernel) const { return ptx::resources_of(*module_, kernel); }
  // A .global or .const variable, or null.
  const Variable* find_variable(std::string_view name, CUdeviceptr* address) const;

 private:
  void place_variables();

  std::unique_ptr<Module> module_;
  Addresses addresses_;
  std::vector<std::unique_ptr<Program>> kernels_;
};

// Whether an image is text that may be PTX.
bool looks_like_text(const void* image);

// Runs a grid; `parameters` are laid out as Program::parameters says. *reason: of a fault.
CUresult launch(const Program&, const LaunchShape&, DeviceHeap&, const unsigned char* parameters, std::string* reason);
// Of each launch since the option "count" was set: "kernel NAME", its shape, a line per counter, and ReuseDistances.
std::string counted_launches();
void forget_counted_launches();
}   // namespace spectral::cpu::ptx
