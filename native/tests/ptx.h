// What the tests of PTX share: modules from text, and single instructions run over tables of operands.
#pragma once
#include "host.h"
#include <functional>

struct PtxModule {
  CUmodule module = nullptr;
  explicit PtxModule(const std::string& text) {
    if (cuModuleLoadData(&module, text.c_str())) {
      std::printf("does not load: %s\n%s\n", spectralCpuLastError(), text.c_str());
      module = nullptr;
    }
  }
  PtxModule(const PtxModule&) = delete;
  ~PtxModule() {
    if (module)
      cuModuleUnload(module);
  }
  CUfunction get(const char* name) const {
    CUfunction f = nullptr;
    if (module)
      cuModuleGetFunction(&f, module, name);
    return f;
  }
};

// A module of one kernel, with one parameter: a pointer to 32 bits, which become `value`.
std::string storing_ptx(const char* kernel, int value);

// A module of one kernel `k` with the parameter `p`, a pointer to device memory that is in %out. Its registers:
// 16 bits %ha..%he, 32 bits %a..%z, 64 bits %la..%lz, predicates %p..%t; %x is the thread.
// `directives` stand behind the parameter, as .reqnctapercluster.
std::string ptx_kernel(const std::string& body, const std::string& variables = "", const std::string& directives = "");
// Launches it with one buffer of `words` 64-bit words, which are returned; empty, and counted, if that fails.
std::vector<uint64_t> run_ptx(
    const std::string& body, const std::vector<uint64_t>& words, unsigned threads = 32, unsigned blocks = 1,
    const std::string& variables = "", const std::string& directives = "");

// A kernel that goes wrong: which line of its body, with which status, and what the error says.
struct PtxFault {
  const char* body;
  const char* at;   // in the body: the line of the fault
  CUresult status;
  std::vector<std::string> parts;
  unsigned threads = 32;
  unsigned blocks = 1;
  const char* directives = "";   // as ptx_kernel takes them
};
bool says(const std::string& text, const std::string& part);
int line_of(const std::string& text, const std::string& part);   // from 1; -1: nowhere
void check_ptx_fault(const PtxFault& wanted, const std::string& variables = ".shared .align 16 .b8 memory[1024];\n");

// Operands of an instruction: a, b and c are in %ha %a %la, %hb %b %lb and %hc %c %lc.
struct Operands {
  uint64_t a = 0;
  uint64_t b = 0;
  uint64_t c = 0;
};
// The results of the code, one per row: of %ld, %hd or %d, whichever it names, else %p + 2 * %q.
std::vector<uint64_t> results_of(const std::string& code, const std::vector<Operands>& rows);
// Each row's result is what `expected` says; one check, whose failure shows the first that is not.
void check_rows(
    const std::string& code, const std::vector<Operands>& rows,
    const std::function<uint64_t(const Operands&)>& expected);
// The same for a single row.
void check_row(const std::string& code, Operands row, uint64_t expected);

// All pairs, or all triples, of the values.
std::vector<Operands> pairs_of(const std::vector<uint64_t>& values);
std::vector<Operands> triples_of(const std::vector<uint64_t>& values);
