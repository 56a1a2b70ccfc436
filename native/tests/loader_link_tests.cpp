// Linking of PTX texts: what one declares and another defines, which of several definitions stands, errors, logs.
#include "../cpu/loader_api.h"
#include "ptx.h"
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace {
const std::string kHead = ".version 8.4\n.target sm_80\n.address_size 64\n";
// A kernel that stores what `get` of another module returns for 5.
const std::string kCaller = kHead +
                            ".extern .func (.param .b32 r) get(.param .b32 p);\n.extern .global .u32 shared_number;\n"
                            ".func (.param .b32 r) helper() {\nst.param.u32 [r], 1000;\nret;\n}\n"
                            ".visible .entry k(.param .u64 to) {\n.reg .b32 %a, %b;\n.reg .b64 %to;\n"
                            ".param .b32 in;\n.param .b32 out;\nld.param.u64 %to, [to];\nst.param.u32 [in], 5;\n"
                            "call (out), get, (in);\nld.param.u32 %a, [out];\ncall (out), helper, ();\n"
                            "ld.param.u32 %b, [out];\nadd.u32 %a, %a, %b;\nld.global.u32 %b, [shared_number];\n"
                            "add.u32 %a, %a, %b;\nst.global.u32 [%to], %a;\nret;\n}\n";
// get(p) = p + add, with a helper of its own that has the same name as the caller's.
std::string callee(const std::string& linkage, int add, const std::string& variable) {
  return kHead + variable + ".func (.param .b32 r) helper() {\nst.param.u32 [r], " + std::to_string(add) +
         ";\nret;\n}\n" + linkage +
         " .func (.param .b32 r) get(.param .b32 p) {\n.reg .b32 %a, %b;\n.param .b32 out;\nld.param.u32 %a, [p];\n"
         "call (out), helper, ();\nld.param.u32 %b, [out];\nadd.u32 %a, %a, %b;\nst.param.u32 [r], %a;\nret;\n}\n";
}
const std::string kNumber = ".visible .global .u32 shared_number = 70000;\n";

struct Link {
  CUlinkState state = nullptr;
  Link() { CU(cuLinkCreate(0, nullptr, nullptr, &state)); }
  Link(const Link&) = delete;
  ~Link() { cuLinkDestroy(state); }
  CUresult add(std::string text, const char* name = nullptr) {
    return cuLinkAddData(state, CU_JIT_INPUT_PTX, text.data(), text.size() + 1, name, 0, nullptr, nullptr);
  }
  CUresult complete(void** image = nullptr, size_t* size = nullptr) {
    void* unused;
    return cuLinkComplete(state, image ? image : &unused, size);
  }
};
uint32_t run_kernel(CUmodule module) {
  Buffer<uint32_t> out(1);
  void* params[] = {&out.p};
  CUfunction f = nullptr;
  CHECK_STATUS(cuModuleGetFunction(&f, module, "k"), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_SUCCESS);
  return out.get()[0];
}
// Links the texts and runs the kernel.
uint32_t result_of(const std::vector<std::string>& texts) {
  Link link;
  for (const std::string& text : texts)
    CHECK_STATUS(link.add(text), CUDA_SUCCESS);
  void* image = nullptr;
  size_t size = 0;
  CHECK_STATUS(link.complete(&image, &size), CUDA_SUCCESS);
  CUmodule module = nullptr;
  CHECK_STATUS(cuModuleLoadData(&module, image), CUDA_SUCCESS);
  if (!module)
    return 0;
  const uint32_t result = run_kernel(module);
  CHECK_STATUS(cuModuleUnload(module), CUDA_SUCCESS);
  return result;
}

void symbols() {
  CHECK(result_of({kCaller, callee(".visible", 300, kNumber)}) == 5 + 300 + 1000 + 70000);
  CHECK(result_of({callee(".visible", 300, kNumber), kCaller}) == 5 + 300 + 1000 + 70000);
  // what others call the same is not what a module defines for itself
  const std::string other = kHead + ".visible .func (.param .b32 r) helper() {\nst.param.u32 [r], 9;\nret;\n}\n";
  CHECK(result_of({other, kCaller, callee(".visible", 300, kNumber)}) == 5 + 300 + 1000 + 70000);
  // a weak definition gives way, in either order; of two weak ones the first stands
  const std::string weak = callee(".weak", 1, "");
  CHECK(result_of({kCaller, weak, callee(".visible", 300, kNumber)}) == 5 + 300 + 1000 + 70000);
  CHECK(result_of({kCaller, callee(".visible", 300, kNumber), weak}) == 5 + 300 + 1000 + 70000);
  CHECK(result_of({kCaller, weak, callee(".weak", 2, kNumber)}) == 5 + 1 + 1000 + 70000);
  // each function has the instructions of its own module's target
  const std::string hopper = ".version 8.4\n.target sm_90a\n.address_size 64\n" + kNumber +
                             ".visible .func (.param .b32 r) get(.param .b32 p) {\n.reg .b32 %a;\n.reg .pred %p;\n"
                             "elect.sync %a|%p, 0xffffffff;\nselp.u32 %a, 8, 0, %p;\nst.param.u32 [r], %a;\nret;\n}\n";
  CHECK(result_of({kCaller, hopper}) == 8 + 1000 + 70000);
  CHECK(result_of({hopper, kCaller}) == 8 + 1000 + 70000);
  // common variables are one
  const std::string common = ".common .global .u32 shared_number;\n";
  CHECK(result_of({kCaller, callee(".visible", 300, common), kHead + common}) == 5 + 300 + 1000);
}

void refused() {
  const auto refuses = [](const std::vector<std::string>& texts, const std::string& says) {
    Link link;
    for (const std::string& text : texts)
      CHECK_STATUS(link.add(text), CUDA_SUCCESS);
    CHECK_STATUS(link.complete(), CUDA_ERROR_UNKNOWN);
    const std::string said = spectralCpuLastError();
    check(said.find(says) != std::string::npos, says + " in: " + said);
  };
  refuses({kCaller, kHead + kNumber}, "undefined reference to function 'get'");
  refuses({kCaller, callee(".visible", 1, "")}, "undefined reference to variable 'shared_number'");
  refuses({kCaller, callee("", 1, kNumber)}, "undefined reference to function 'get'");   // known in its module only
  refuses({kCaller, callee(".visible", 1, kNumber), callee(".visible", 2, "")}, "'get' is defined in two");
  refuses({kCaller, callee(".visible", 1, kNumber), kHead + kNumber}, "'shared_number' is defined in two");
  refuses(
      {kCaller, kHead + kNumber + ".visible .func get(.param .b64 p) {\nret;\n}\n"},
      "'get' has other parameters where it is defined");

  char log[200] = "";
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void* values[] = {log, reinterpret_cast<void*>(sizeof log)};
  CUlinkState state = nullptr;
  CHECK_STATUS(cuLinkCreate(2, options, values, &state), CUDA_SUCCESS);
  char text[] = ".version 8.4\n.target sm_80\nnothing;";
  CHECK_STATUS(
      cuLinkAddData(state, CU_JIT_INPUT_PTX, text, sizeof text, "part.ptx", 0, nullptr, nullptr),
      CUDA_ERROR_INVALID_PTX);
  CHECK(std::string(log).find("part.ptx: PTX line 3") == 0);
  char newer[] = ".version 8.7\n.target sm_120a\n.address_size 64\n";
  CHECK_STATUS(
      cuLinkAddData(state, CU_JIT_INPUT_PTX, newer, sizeof newer, nullptr, 0, nullptr, nullptr),
      CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK_STATUS(
      cuLinkAddData(state, CU_JIT_INPUT_LIBRARY, text, sizeof text, nullptr, 0, nullptr, nullptr),
      CUDA_ERROR_NOT_SUPPORTED);
  CHECK_STATUS(
      cuLinkAddData(state, CUjitInputType(17), text, sizeof text, nullptr, 0, nullptr, nullptr),
      CUDA_ERROR_INVALID_VALUE);
  CHECK_STATUS(
      cuLinkAddFile(state, CU_JIT_INPUT_PTX, "/nowhere/part.ptx", 0, nullptr, nullptr), CUDA_ERROR_FILE_NOT_FOUND);
  void* image = nullptr;
  CHECK_STATUS(cuLinkComplete(state, &image, nullptr), CUDA_ERROR_INVALID_VALUE);   // nothing was added
  CHECK_STATUS(cuLinkDestroy(state), CUDA_SUCCESS);
  CHECK_STATUS(cuLinkDestroy(state), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuLinkComplete(state, &image, nullptr), CUDA_ERROR_INVALID_HANDLE);
  CHECK_STATUS(cuLinkCreate(1, nullptr, nullptr, &state), CUDA_ERROR_INVALID_VALUE);
}

// A file as input, the image of a link as another's input, and faults whose lines count on through the texts.
void images() {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("spectral-link-" + std::to_string(getpid()) + ".ptx");
  CHECK(bool(std::ofstream(path) << callee(".visible", 300, kNumber) << std::flush));
  Link first;
  CHECK_STATUS(cuLinkAddFile(first.state, CU_JIT_INPUT_PTX, path.c_str(), 0, nullptr, nullptr), CUDA_SUCCESS);
  std::filesystem::remove(path);
  void* image = nullptr;
  size_t size = 0;
  CHECK_STATUS(first.complete(&image, &size), CUDA_SUCCESS);
  Link second;
  CHECK_STATUS(second.add(kCaller), CUDA_SUCCESS);
  CHECK_STATUS(
      cuLinkAddData(second.state, CU_JIT_INPUT_CUBIN, image, size, nullptr, 0, nullptr, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(second.complete(&image, &size), CUDA_SUCCESS);
  CUmodule module = nullptr;
  CHECK_STATUS(cuModuleLoadData(&module, image), CUDA_SUCCESS);
  CHECK(run_kernel(module) == 5 + 300 + 1000 + 70000);
  CHECK_STATUS(cuModuleUnload(module), CUDA_SUCCESS);
  // damaged: the sizes in the image say more than there is
  std::vector<unsigned char> damaged(static_cast<unsigned char*>(image), static_cast<unsigned char*>(image) + size);
  damaged[16] = 0xff;
  damaged[17] = 0xff;
  CHECK_STATUS(cuModuleLoadData(&module, damaged.data()), CUDA_ERROR_INVALID_IMAGE);

  const std::string wild = kHead +
                           ".visible .func (.param .b32 r) get(.param .b32 p) {\n.reg .b64 %a;\n"
                           "mov.u64 %a, 0;\nst.global.u32 [%a], 1;\nret;\n}\n" +
                           kNumber;
  Link third;
  CHECK_STATUS(third.add(kCaller), CUDA_SUCCESS);
  CHECK_STATUS(third.add(wild), CUDA_SUCCESS);
  CHECK_STATUS(third.complete(&image, nullptr), CUDA_SUCCESS);
  CHECK_STATUS(cuModuleLoadData(&module, image), CUDA_SUCCESS);
  Buffer<uint32_t> out(1);
  void* params[] = {&out.p};
  CUfunction f = nullptr;
  CHECK_STATUS(cuModuleGetFunction(&f, module, "k"), CUDA_SUCCESS);
  CHECK_STATUS(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, nullptr, params, nullptr), CUDA_ERROR_ILLEGAL_ADDRESS);
  const int line = line_of(kCaller + "\n" + wild, "st.global.u32 [%a], 1");
  check(
      says(spectralCpuLastError(), "PTX line " + std::to_string(line)),
      std::to_string(line) + " in: " + spectralCpuLastError());
  spectralCpuSetOption("reset", 0);
  CHECK_STATUS(cuModuleUnload(module), CUDA_SUCCESS);
}
}   // namespace

TEST_GROUP(loader_links) {
  symbols();
  refused();
  images();
}
