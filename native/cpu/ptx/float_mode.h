// Rounding and subnormals of PTX by the processor's own control register.
#pragma once
#include <bit>
#include <cstdint>
#include <immintrin.h>

namespace spectral::cpu::ptx {
enum class Rounding { Nearest, Zero, Down, Up };   // .rn .rz .rm .rp

// A subnormal is the zero of its sign, for what only moves a value: no arithmetic would flush it.
inline float flushed(float v) {
  const auto bits = std::bit_cast<uint32_t>(v);
  return std::bit_cast<float>((bits & 0x7f800000) ? bits : bits & 0x80000000);
}

// While it lives, arithmetic rounds so; `flushes`: subnormal inputs and results are zero (.ftz). The barriers keep
// loads behind the change and stores before its end, and arithmetic between loads and stores. A thread rounds to
// nearest and keeps subnormals anyway. The register, which costs more than a step, is left alone then.
class FloatMode {
 public:
  FloatMode(Rounding rounding, bool flushes) : changes_(rounding != Rounding::Nearest || flushes) {
    if (!changes_)
      return;
    constexpr unsigned kModes[] = {_MM_ROUND_NEAREST, _MM_ROUND_TOWARD_ZERO, _MM_ROUND_DOWN, _MM_ROUND_UP};
    constexpr unsigned kFlush = 0x8040;   // denormals are zero, flush to zero
    before_ = _mm_getcsr();
    _mm_setcsr((before_ & ~(_MM_ROUND_MASK | kFlush)) | kModes[int(rounding)] | (flushes ? kFlush : 0));
    asm volatile("" : : : "memory");
  }
  ~FloatMode() {
    if (!changes_)
      return;
    asm volatile("" : : : "memory");
    _mm_setcsr(before_);
  }
  FloatMode(const FloatMode&) = delete;

 private:
  bool changes_;
  unsigned before_ = 0;
};
}   // namespace spectral::cpu::ptx
