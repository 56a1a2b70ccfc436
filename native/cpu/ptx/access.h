// The addresses of a memory step: gathered from the lanes, checked, and made addresses of the host.
#pragma once
#include "block.h"
#include "builder.h"
#include "steps.h"

namespace spectral::cpu::ptx {
enum AccessFlag : uint32_t {
  kNarrowAddress = 1,   // 32 bits
  kWideRegister = 2,    // a 64-bit register for a narrower value
  kAddressFlags = kNarrowAddress | kWideRegister
};

// The addresses of all lanes; those outside the mask get that of a lane in it, so that they may be read too.
inline void gather_addresses(Warp& w, const Step& s, uint64_t* at) {
  if (s.flags & kNarrowAddress) {
    const uint32_t* base = w.lanes<uint32_t>(s.a);
    for (int k = 0; k < 32; ++k)
      at[k] = uint32_t(base[k] + uint32_t(s.value));
  } else {
    const uint64_t* base = w.lanes<uint64_t>(s.a);
    for (int k = 0; k < 32; ++k)
      at[k] = base[k] + uint64_t(s.value);
  }
  if (w.mask != ~0u) {
    const uint64_t some = at[std::countr_zero(w.mask)];
    for (int k = 0; k < 32; ++k)
      at[k] = w.mask >> k & 1 ? at[k] : some;
  }
}

// For a kernel that uses the asynchronous proxy: shared words that the lanes wrote, by host address.
void mark_writes(Warp&, const Step&, const uint64_t* at, unsigned bytes);
// A fault if a thread wrote [begin, end) of a block's shared memory and has not fenced it since.
void check_fenced(const Warp&, const Step&, const Block&, uint32_t begin, uint32_t end, const char* what);

enum class Effect { Reads, Writes, Both };

// Checks `bytes` at each address of the space, and turns them into addresses of the host.
void reach_global(Warp&, const Step&, uint64_t* at, unsigned bytes, Effect);
void reach_shared(Warp&, const Step&, uint64_t* at, unsigned bytes);
void reach_local(Warp&, const Step&, uint64_t* at, unsigned bytes);
void reach_param(Warp&, const Step&, uint64_t* at, unsigned bytes);
void reach_generic(Warp&, const Step&, uint64_t* at, unsigned bytes, Effect);

template <Space kSpace>
inline void reach(Warp& w, const Step& s, uint64_t* at, unsigned bytes, Effect effect) {
  gather_addresses(w, s, at);
  switch (kSpace) {
    case Space::Shared: return reach_shared(w, s, at, bytes);
    case Space::Local: return reach_local(w, s, at, bytes);
    case Space::Param: return reach_param(w, s, at, bytes);
    case Space::Generic: return reach_generic(w, s, at, bytes, effect);
    case Space::Const:
    case Space::Global: return reach_global(w, s, at, bytes, effect);
  }
}

// The space an instruction names, or that of the variable it names.
struct Target {
  MemoryOperand memory;
  Space space;
};
inline Target take_target(Builder& b, const Operand& o, Space written) {
  Target t{b.memory(o), written};
  if (written == Space::Param || written == Space::Generic)
    t.space = t.memory.space == Space::Local && written == Space::Param ? Space::Local : written;
  return t;
}
inline void set_address(Step& s, const MemoryOperand& m) {
  s.a = m.base;
  s.value = m.offset;
  s.flags |= m.wide ? 0u : uint32_t(kNarrowAddress);
}
}   // namespace spectral::cpu::ptx
