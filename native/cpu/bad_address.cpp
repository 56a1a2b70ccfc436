// A kernel's access to memory that is not mapped, reported as a fault of its block instead of ending the process. The
// signal handler only redirects the faulting fiber: it goes on in report_bad_address, on its own stack and outside the
// handler, as if the faulting instruction had called it.
#include "driver.h"
#include <csignal>
#include <cstdio>
#include <ucontext.h>

namespace spectral::cpu {
#if defined(__SANITIZE_ADDRESS__) || defined(SPECTRAL_TSAN)
void catch_bad_addresses() {}   // the sanitizers report them
#else
namespace {
constexpr size_t kReportStack = 16 << 10;   // what the report needs of the fiber's stack
constexpr long long kWriteFault = 2;        // of the page fault's error code
struct sigaction earlier_segv;
struct sigaction earlier_bus;

[[noreturn]] void report_bad_address(uintptr_t address, const char* access, bool known) {
  Fiber* me = self();
  const unsigned thread = me->t.linear;
  const uintptr_t page = address / kPage * kPage;
  const uintptr_t last = page + kPage - 1;
  char text[200];
  if (known)
    std::snprintf(
        text,
        sizeof text,
        "thread %u %s address 0x%lx; 0x%lx to 0x%lx is not mapped",
        thread,
        access,
        address,
        page,
        last);
  else   // a general protection fault does not say where
    std::snprintf(
        text,
        sizeof text,
        "thread %u uses an address that no memory can have, or one not aligned for the access",
        thread);
  me->worker->fail_access(text);
}

void pass_on(const struct sigaction& earlier, int signal, siginfo_t* info, void* context) {
  if (earlier.sa_flags & SA_SIGINFO)
    earlier.sa_sigaction(signal, info, context);
  else if (earlier.sa_handler != SIG_DFL && earlier.sa_handler != SIG_IGN)
    earlier.sa_handler(signal);
  else
    ::signal(signal, SIG_DFL);   // the instruction is repeated and ends the process
}

void handle(int signal, siginfo_t* info, void* context) {
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto stack = uintptr_t(registers[REG_RSP]);
  if (!spectral_self || !self()->worker || !self()->worker->runs_kernel(self(), stack, kReportStack))
    return pass_on(signal == SIGSEGV ? earlier_segv : earlier_bus, signal, info, context);
  registers[REG_RDI] = greg_t(info->si_addr);
  registers[REG_RSI] = greg_t(registers[REG_ERR] & kWriteFault ? "writes" : "reads");
  registers[REG_RDX] = info->si_code != SI_KERNEL;
  registers[REG_RSP] = greg_t((stack - 128) / 16 * 16 - 8);   // below the red zone, aligned as after a call
  registers[REG_RIP] = greg_t(&report_bad_address);
}
}   // namespace

void catch_bad_addresses() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(SIGSEGV, &action, &earlier_segv);
  sigaction(SIGBUS, &action, &earlier_bus);
}
#endif
}   // namespace spectral::cpu
