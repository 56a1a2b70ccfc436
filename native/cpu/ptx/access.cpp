#include "warp_access.h"
#include <algorithm>

namespace spectral::cpu::ptx {
namespace {
struct Span {
  uint64_t first, last;
};
// By signed comparisons, which the processor has for vectors. With the uppermost bit moved they order as unsigned ones.
Span span_of(const uint64_t* at) {
  constexpr uint64_t kTop = uint64_t(1) << 63;
  auto first = int64_t(at[0] ^ kTop);
  int64_t last = first;
  for (int k = 1; k < 32; ++k) {
    const auto address = int64_t(at[k] ^ kTop);
    first = std::min(first, address);
    last = std::max(last, address);
  }
  return {uint64_t(first) ^ kTop, uint64_t(last) ^ kTop};
}
void check_aligned(Warp& w, const Step& s, const uint64_t* at, unsigned bytes) {
  uint64_t bits = 0;
  for (int k = 0; k < 32; ++k)
    bits |= at[k];
  if (!(bits & (bytes - 1)))
    return;
  each_lane(w.mask, [&](int k) {
    if (at[k] & (bytes - 1))
      fail_access(
          CUDA_ERROR_MISALIGNED_ADDRESS,
          w,
          s,
          unsigned(k),
          "accesses %u bytes at address 0x%llx, which is not a multiple of them",
          bytes,
          static_cast<unsigned long long>(at[k]));
  });
}
[[noreturn]] void fail_offset(
    Warp& w, const Step& s, int lane, unsigned bytes, uint64_t offset, uint64_t limit, const char* space) {
  fail_access(
      CUDA_ERROR_ILLEGAL_ADDRESS,
      w,
      s,
      unsigned(lane),
      "accesses %u bytes at %s offset %llu; there are %llu",
      bytes,
      space,
      static_cast<unsigned long long>(offset),
      static_cast<unsigned long long>(limit));
}
[[noreturn]] void fail_bound(
    Warp& w, const Step& s, const uint64_t* at, unsigned bytes, uint64_t limit, const char* space) {
  int lane = std::countr_zero(w.mask);
  each_lane(w.mask, [&](int k) {
    if (at[k] + bytes > limit || at[k] > limit)
      lane = k;
  });
  fail_offset(w, s, lane, bytes, at[lane], limit, space);
}
}   // namespace

void locate_global(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  check_aligned(w, s, at, bytes);
  const Span span = span_of(at);
  Cluster& cluster = *w.block().cluster;
  if (!cluster.is_known(span.first, span.last + bytes))   // lanes may touch several allocations
    each_lane(w.mask, [&](int k) { cluster.check_global(w, s, unsigned(k), at[k], at[k] + bytes); });
}

void locate_shared(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  check_aligned(w, s, at, bytes);
  Block& block = w.block();
  Cluster& cluster = *block.cluster;
  const Span span = span_of(at);
  if (span.last < cluster.shared_bytes && span.last + bytes <= cluster.shared_bytes) {   // the sum may wrap around
    const auto shared = reinterpret_cast<uint64_t>(block.shared);
    for (int k = 0; k < 32; ++k)
      at[k] += shared;
    return;
  }
  if (span.last > UINT32_MAX)
    fail_bound(w, s, at, bytes, cluster.shared_bytes, "shared");
  uint64_t some = 0;
  each_lane(w.mask, [&](int k) {
    at[k] = some = reinterpret_cast<uint64_t>(cluster.shared_address(w, s, unsigned(k), uint32_t(at[k]), bytes));
  });
  for (int k = 0; k < 32; ++k)
    if (!(w.mask >> k & 1))
      at[k] = some;
}

void locate_local(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  check_aligned(w, s, at, bytes);
  const size_t size = w.program().local_bytes;
  const Span span = span_of(at);
  if (span.last + bytes > size || span.last > size)
    fail_bound(w, s, at, bytes, size, "local");
  const auto local = reinterpret_cast<uint64_t>(w.local);
  const uint64_t stride = w.program().local_stride;
  for (unsigned k = 0; k < 32; ++k)
    at[k] += local + stride * k;
}

void locate_param(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  check_aligned(w, s, at, bytes);
  const size_t size = w.program().parameter_bytes;
  const Span span = span_of(at);
  if (span.last + bytes > size || span.last > size)
    fail_bound(w, s, at, bytes, size, "parameter");
  const auto parameters = reinterpret_cast<uint64_t>(w.block().launch().parameters);
  for (int k = 0; k < 32; ++k)
    at[k] += parameters;
}

// Generic addresses are the host's own: the spaces are known by where they lie.
SpaceMasks locate_generic(Warp& w, const Step& s, uint64_t* at, unsigned bytes) {
  Cluster& cluster = *w.block().cluster;
  const auto local = reinterpret_cast<uint64_t>(w.local);
  const size_t local_size = w.program().local_bytes;
  const auto parameters = reinterpret_cast<uint64_t>(w.block().launch().parameters);
  SpaceMasks in{};
  uint32_t parameter = 0;
  each_lane(w.mask, [&](int k) {
    if (const Block* of = cluster.shared_at(at[k])) {
      in.shared |= 1u << k;
      const uint64_t offset = at[k] - reinterpret_cast<uint64_t>(of->shared);
      if (offset + bytes > cluster.shared_bytes)
        fail_access(
            CUDA_ERROR_ILLEGAL_ADDRESS,
            w,
            s,
            unsigned(k),
            "accesses %u bytes at shared offset %llu; the block has %zu",
            bytes,
            static_cast<unsigned long long>(offset),
            cluster.shared_bytes);
    } else if (const uint64_t offset = at[k] - (local + w.program().local_stride * unsigned(k)); offset < local_size) {
      if (offset + bytes > local_size)
        fail_offset(w, s, k, bytes, offset, local_size, "local");
      in.local |= 1u << k;
    } else if (const uint64_t in_param = at[k] - parameters; in_param < w.program().parameter_bytes) {
      if (in_param + bytes > w.program().parameter_bytes)
        fail_offset(w, s, k, bytes, in_param, w.program().parameter_bytes, "parameter");
      parameter |= 1u << k;
    }
  });
  in.global = w.mask & ~in.shared & ~in.local & ~parameter;
  if (in.global == w.mask) {
    locate_global(w, s, at, bytes);
    return in;
  }
  check_aligned(w, s, at, bytes);
  each_lane(in.global, [&](int k) { cluster.check_global(w, s, unsigned(k), at[k], at[k] + bytes); });
  return in;
}

void count_access(Warp& w, const uint64_t* at, const SpaceMasks& in, unsigned bytes, Effect effect) {
  Counters& c = *w.block().counters();
  if (in.shared)
    w.block().cluster->count_shared(in.shared, at, bytes, c);
  if (effect != Effect::Writes)
    c.global_access(at, in.global, bytes, false);
  if (effect != Effect::Reads)
    c.global_access(at, in.global, bytes, true);
  c.local_bytes += uint64_t(std::popcount(in.local)) * bytes;
}
void count_together(Warp& w, WarpAccess access, Space space, unsigned bytes, Effect effect) {
  if (space == Space::Global && w.mask == ~0u && access.step <= kSector) {
    const Piece first{reinterpret_cast<uint64_t>(access.first), bytes};
    w.block().counters()->traffic(effect == Effect::Writes).request_row(first, access.step, 32);
    return;
  }
  uint64_t at[32];
  for (unsigned k = 0; k < 32; ++k)
    at[k] = reinterpret_cast<uint64_t>(access.first) + k * access.step;
  const uint32_t global = space == Space::Global ? w.mask : 0;
  const uint32_t shared = space == Space::Shared ? w.mask : 0;
  const uint32_t local = space == Space::Local ? w.mask : 0;
  count_access(w, at, {global, shared, local}, bytes, effect);
}
}   // namespace spectral::cpu::ptx
