// Fibers: switching stacks by hand (x86-64 System V: six callee-saved registers and the stack pointer), and
// what AddressSanitizer and ThreadSanitizer have to be told about it.
#include "worker.h"
#include <cstdlib>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

__thread spectral::cpu::Thread* spectral_self __attribute__((tls_model("initial-exec")));

// The return address is popped by ret, not jumped to: all lanes resume at the same call, which ret predicts.
extern "C" void spectral_switch(void** save, void* load);
asm(R"(
.text
.p2align 4
.globl spectral_switch
.hidden spectral_switch
.type spectral_switch,@function
spectral_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size spectral_switch,.-spectral_switch
)");

namespace spectral::cpu {
void* make_stack(char* top, void (*entry)()) {
  void** p = reinterpret_cast<void**>(top);
  *--p = nullptr;   // a return address that is never used, and the alignment
  *--p = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i)
    *--p = nullptr;
  return p;
}

void fiber_entry() {
  Fiber* f = self();
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
  f->worker->fiber_loop(f);
  std::abort();
}

void Worker::switch_to(Fiber* from, Fiber* to) {
  spectral_self = &to->t;
#ifdef __SANITIZE_ADDRESS__
  if (to == &fibers_[0]) {   // the worker's own stack: bounds learnt when we left it
    __sanitizer_start_switch_fiber(&from->fake_stack, to->wait_obj, to->wait_arg * kPage);
  } else {
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, kStack);
  }
#endif
  TSAN(__tsan_switch_to_fiber(to->tsan, 1));
  spectral_switch(&from->sp, to->sp);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(from->fake_stack, nullptr, nullptr);
#endif
}

}   // namespace spectral::cpu
