// How many blocks of a kernel a multiprocessor holds at once.
#pragma once
#include "profiles.h"
#include <cstddef>

namespace spectral::cpu {
// `registers` of a thread, 0 if unknown; all shared memory of a block, in bytes.
int resident_blocks(const Profile&, int threads, int registers, size_t shared);
}   // namespace spectral::cpu
