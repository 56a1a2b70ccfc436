// mbarriers, as instructions and copies change them.
#pragma once
#include "../mbarrier.h"
#include "block.h"

namespace spectral::cpu::ptx {
// True if the lanes of the mask that take the step (w.mask, from then on) are all that their membermask names. Lanes
// that name other masks, as tiles of a warp do, take it by themselves. False while all wait for others.
bool meet(Warp&, const Step&, uint32_t mask_place, const char* name);
// True if all 32 lanes of the warp take the step together, false while some are on their way; else a fault.
bool whole_warp(Warp&, const Step&, const char* name);
constexpr uint32_t kGenericBarrier = 4;   // of a step's flags: the barrier's address is generic

// The mbarriers that the lanes name, as host addresses; and one of them, or a fault if it is not initialised.
void reach_barriers(Warp&, const Step&, uint64_t* at);
Mbar valid_barrier(Warp&, const Step&, uint64_t at);
unsigned shared_offset_of(Warp&, uint64_t address);   // for reports
void add_transactions(const Warp&, const Step&, Mbar&, int64_t bytes);
// Ends the phase if nothing is due any more, and wakes those that wait for it.
void store_barrier(Cluster&, uint64_t* bits, Mbar);
void publish_writes(Warp&);   // to the asynchronous proxy: those of the lanes of the mask
}   // namespace spectral::cpu::ptx
