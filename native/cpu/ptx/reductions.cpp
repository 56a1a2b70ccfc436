#include "reductions.h"
#include "atomic_operations.h"
#include "half.h"
#include <atomic>
#include <cstring>

namespace spectral::cpu::ptx {
namespace {
template <class T>
using Bits = std::conditional_t<sizeof(T) == 8, uint64_t, std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;

template <class T, T (*kCombine)(T, T)>
void reduce(unsigned char* to, const unsigned char* from, size_t bytes) {
  for (size_t at = 0; at < bytes; at += sizeof(T)) {
    T operand;
    std::memcpy(&operand, from + at, sizeof operand);
    std::atomic_ref<Bits<T>> cell(*reinterpret_cast<Bits<T>*>(to + at));
    Bits<T> old = cell.load();
    while (!cell.compare_exchange_weak(old, std::bit_cast<Bits<T>>(kCombine(std::bit_cast<T>(old), operand)))) {}
  }
}
template <class Op, class T>
T combine(T old, T operand) {
  return Op::template of<T>(old, operand, operand);
}
template <class Op, class T>
constexpr Reduction kReduction = &reduce<T, &combine<Op, T>>;

// f32 in global memory: subnormal operands and results are flushed.
float flushed_sum(float a, float b) { return flushed(flushed(a) + flushed(b)); }

Reduction find_sum(Type t, bool is_shared) {
  switch (t) {
    case Type::U32: return kReduction<Add, uint32_t>;
    case Type::S32: return kReduction<Add, int32_t>;
    case Type::U64: return kReduction<Add, uint64_t>;
    default: break;
  }
  if (is_shared)
    return nullptr;
  switch (t) {
    case Type::F16: return &reduce<uint16_t, &half_sum<F16>>;
    case Type::BF16: return &reduce<uint16_t, &half_sum<Bf16>>;
    case Type::F32: return &reduce<float, &flushed_sum>;
    case Type::F64: return kReduction<Add, double>;
    default: return nullptr;
  }
}
template <class Op, bool kMax>
Reduction find_extreme(Type t, bool is_shared) {
  switch (t) {
    case Type::U32: return kReduction<Op, uint32_t>;
    case Type::S32: return kReduction<Op, int32_t>;
    default: break;
  }
  if (is_shared)
    return nullptr;
  switch (t) {
    case Type::U64: return kReduction<Op, uint64_t>;
    case Type::S64: return kReduction<Op, int64_t>;
    case Type::F16: return &reduce<uint16_t, &half_extreme<F16, kMax>>;
    case Type::BF16: return &reduce<uint16_t, &half_extreme<Bf16, kMax>>;
    default: return nullptr;
  }
}
template <class Op>
Reduction find_bitwise(Type t, bool is_shared) {
  if (t == Type::B32)
    return kReduction<Op, uint32_t>;
  return t == Type::B64 && !is_shared ? kReduction<Op, uint64_t> : nullptr;
}
}   // namespace

Reduction find_reduction(ReductionOp op, Type t, bool is_shared) {
  switch (op) {
    case ReductionOp::And: return find_bitwise<And>(t, is_shared);
    case ReductionOp::Or: return find_bitwise<Or>(t, is_shared);
    case ReductionOp::Xor: return find_bitwise<Xor>(t, is_shared);
    case ReductionOp::Add: return find_sum(t, is_shared);
    case ReductionOp::Inc: return t == Type::U32 ? kReduction<Increment, uint32_t> : nullptr;
    case ReductionOp::Dec: return t == Type::U32 ? kReduction<Decrement, uint32_t> : nullptr;
    case ReductionOp::Min: return find_extreme<Min, false>(t, is_shared);
    case ReductionOp::Max: return find_extreme<Max, true>(t, is_shared);
  }
  return nullptr;
}
}   // namespace spectral::cpu::ptx
