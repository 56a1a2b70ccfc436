// Accesses of a warp whose lanes name one address, or addresses equally far apart: as is known beforehand (lines.cpp),
// or found by comparing them. These are the usual ones; they are checked and made at once. All others go lane by lane
// (access.h), and so do those that may fault.
#pragma once
#include "access.h"
#include "vectors.h"

namespace spectral::cpu::ptx {
// How far the address of each lane is from that of the lane before it, where that is the same for all. Vectors are read
// as they were stored: a load across two stores would wait for both.
constexpr uint64_t kIrregular = ~uint64_t(0);
template <unsigned kWidth, class A>
inline uint64_t step_of(const A* base) {
  const A step = base[1] - base[0];
  Vector<A> expected;
  for (unsigned i = 0; i < kLanesOf<A>; ++i)
    expected[i] = base[0] + i * step;
  Vector<A> other{};
  for (unsigned i = 0; i < kWidth / kLanesOf<A>; ++i) {
    other |= reinterpret_cast<const Vector<A>*>(base)[i] ^ expected;
    expected += kLanesOf<A> * step;
  }
  return is_zero(other) ? step : kIrregular;
}
template <class A>
inline __attribute__((always_inline)) uint64_t step_of(Warp& w, const Step& s) {
  const A* base = w.lanes<A>(s.a);
  if (w.mask == ~0u) [[likely]]   // all lanes have the address that they compute
    return s.alike == Alike::InLine && w.block().cluster->has_rows() ? A(base[1] - base[0]) : step_of<32>(base);
  return w.width() == 32 ? step_of<32>(base) : step_of<Warp::kNarrow>(base);
}
inline bool is_usual(uint64_t step, unsigned bytes) {
  constexpr uint64_t kFarthest = uint64_t(1) << 32;   // 31 steps do not wrap around; lanes that go down are rare
  static_assert(kIrregular > kFarthest);
  return !(step & (bytes - 1)) && step <= kFarthest;
}

inline bool is_within(uint64_t first, uint64_t bytes, uint64_t limit) {
  return first <= limit && bytes <= limit - first;
}
// The host's address of [first, first + bytes) in the space (in local memory: in the first lane's), or null where it is
// not known to be in it.
template <Space kSpace>
inline unsigned char* host_address(Warp& w, uint64_t first, uint64_t bytes) {
  const Block& block = w.block();
  switch (kSpace) {
    case Space::Global:
    case Space::Const:
      return block.cluster->is_known(first, first + bytes) ? reinterpret_cast<unsigned char*>(first) : nullptr;
    case Space::Shared: return is_within(first, bytes, block.cluster->shared_bytes) ? block.shared + first : nullptr;
    case Space::Param: {
      auto* parameters = const_cast<unsigned char*>(block.launch().parameters);
      return is_within(first, bytes, w.program().parameter_bytes) ? parameters + first : nullptr;
    }
    case Space::Local: return is_within(first, bytes, w.program().local_bytes) ? w.local + first : nullptr;
    default: return nullptr;   // generic addresses may be in any space
  }
}

// Addresses equally far apart; the step may be kIrregular.
struct Row {
  uint64_t first, step;
};
template <class A>
inline __attribute__((always_inline)) Row row_of(Warp& w, const Step& s) {
  return {A(w.lanes<A>(s.a)[0] + A(s.value)), step_of<A>(w, s)};
}
// The host's address of the first of so many lanes, if the row can be accessed at once; else null.
template <Space kSpace>
inline unsigned char* address_of(Warp& w, Row row, unsigned lanes, unsigned bytes, bool stores) {
  // Of several stores at one address the last lane's is to stay.
  if (!is_usual(row.step, bytes) || (stores && !row.step) || row.first & (bytes - 1))
    return nullptr;
  return host_address<kSpace>(w, row.first, (lanes - 1) * row.step + bytes);
}

struct WarpAccess {   // in registers: copied in memory it would cost more than the access
  unsigned char* first = nullptr;
  uint64_t step = 0;   // bytes from lane to lane
};
void count_together(Warp&, WarpAccess, Space, unsigned bytes, Effect);

// Where the lanes access `bytes` each. A load may be made for all lanes below the warp's width, whatever the mask.
// Stores are of all those, none at another's address. Null: lane by lane, nothing is done yet.
template <Space kSpace>
inline __attribute__((always_inline)) WarpAccess reach_together(Warp& w, const Step& s, unsigned bytes, Effect effect) {
  const bool stores = effect != Effect::Reads;
  const bool is_followed = kSpace == Space::Shared && stores && w.program().uses_async_proxy;
  if (is_followed || (stores && w.mask != ~0u >> (32 - w.width())))
    return {};
  const Row row = s.flags & kNarrowAddress ? row_of<uint32_t>(w, s) : row_of<uint64_t>(w, s);
  WarpAccess access;
  if constexpr (kSpace == Space::Local) {   // each lane has its own, where one offset is the usual case
    if (row.step || row.first & (bytes - 1))
      return {};
    access = {host_address<kSpace>(w, row.first, bytes), w.program().local_stride};
  } else {
    access = {address_of<kSpace>(w, row, w.width(), bytes, stores), row.step};
  }
  if (!access.first)
    return {};
  if (w.block().counters())
    count_together(w, access, kSpace, bytes, effect);
  return access;
}
// Where the only lane of the mask accesses `bytes`. Null: lane by lane, nothing is done yet.
template <Space kSpace>
inline unsigned char* reach_one(Warp& w, const Step& s, unsigned bytes, Effect effect) {
  const bool is_followed = kSpace == Space::Shared && effect != Effect::Reads && w.program().uses_async_proxy;
  if (is_followed || w.block().counters())
    return nullptr;
  const auto lane = unsigned(std::countr_zero(w.mask));
  const uint64_t at = s.flags & kNarrowAddress ? uint32_t(w.lanes<uint32_t>(s.a)[lane] + uint32_t(s.value))
                                               : w.lanes<uint64_t>(s.a)[lane] + uint64_t(s.value);
  if (at & (bytes - 1))
    return nullptr;
  unsigned char* first = host_address<kSpace>(w, at, bytes);
  return kSpace == Space::Local && first ? first + w.program().local_stride * lane : first;
}
}   // namespace spectral::cpu::ptx
