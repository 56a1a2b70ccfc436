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

// For a kernel that uses the asynchronous proxy: shared words that these lanes wrote, by host address.
void mark_writes(Warp&, const Step&, uint32_t lanes, const uint64_t* at, unsigned bytes);
// A fault if a thread wrote [begin, end) of a block's shared memory and has not fenced it since.
void check_fenced(const Warp&, const Step&, const Block&, uint32_t begin, uint32_t end, const char* what);

enum class Effect { Reads, Writes, Both };

// Which lanes access which space; those in parameters are in none.
struct SpaceMasks {
  uint32_t global, shared, local;
};

// Checks `bytes` at each address of the space, and turns them into addresses of the host.
void locate_global(Warp&, const Step&, uint64_t* at, unsigned bytes);
void locate_shared(Warp&, const Step&, uint64_t* at, unsigned bytes);
void locate_local(Warp&, const Step&, uint64_t* at, unsigned bytes);
void locate_param(Warp&, const Step&, uint64_t* at, unsigned bytes);
SpaceMasks locate_generic(Warp&, const Step&, uint64_t* at, unsigned bytes);

template <Space kSpace>
inline SpaceMasks locate(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  gather_addresses(w, s, at);
  switch (kSpace) {
    case Space::Generic: return locate_generic(w, s, at, bytes);
    case Space::Global: locate_global(w, s, at, bytes); return {w.mask, 0, 0};
    case Space::Shared: locate_shared(w, s, at, bytes); return {0, w.mask, 0};
    case Space::Local: locate_local(w, s, at, bytes); return {0, 0, w.mask};
    case Space::Const: locate_global(w, s, at, bytes); return {};
    case Space::Param: locate_param(w, s, at, bytes); return {};
  }
}
// Counts what the lanes access, in a launch that is counted.
void count_access(Warp&, const uint64_t* at, const SpaceMasks&, unsigned bytes, Effect);

template <Space kSpace>
inline void reach(Warp& w, const Step& s, uint64_t* at, unsigned bytes, Effect effect) {
  const SpaceMasks in = locate<kSpace>(w, s, at, bytes);
  if (w.block().counters())
    count_access(w, at, in, bytes, effect);
  if (in.shared && effect != Effect::Reads && w.program().uses_async_proxy)
    mark_writes(w, s, in.shared, at, bytes);
}

// What an access of the space counts as.
inline StepClass class_of(Space space, bool loads) {
  switch (space) {
    case Space::Generic: return loads ? StepClass::GenericLoad : StepClass::GenericStore;
    case Space::Global: return loads ? StepClass::GlobalLoad : StepClass::GlobalStore;
    case Space::Shared: return loads ? StepClass::SharedLoad : StepClass::SharedStore;
    case Space::Local: return loads ? StepClass::LocalLoad : StepClass::LocalStore;
    case Space::Const:
    case Space::Param: break;
  }
  return StepClass::ConstantLoad;
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
