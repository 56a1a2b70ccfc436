// Arithmetic on the bytes or halves of a register. PTX ISA, "Video Instructions", those of several values at once.
#include "dispatch.h"
#include <algorithm>
#include <cstdlib>

namespace spectral::cpu::ptx {
namespace {
enum VideoFlag : uint32_t { kSignedD = 1, kSignedA = 2, kSignedB = 4, kSaturatesParts = 8, kSumsParts = 16 };
struct Add {
  static int of(int a, int b) { return a + b; }
};
struct Sub {
  static int of(int a, int b) { return a - b; }
};
struct Average {   // rounded away from zero, where the operands are signed
  static int of(int a, int b) { return (a + b + (a + b >= 0)) >> 1; }
};
struct AbsoluteDifference {
  static int of(int a, int b) { return std::abs(a - b); }
};
struct Min {
  static int of(int a, int b) { return std::min(a, b); }
};
struct Max {
  static int of(int a, int b) { return std::max(a, b); }
};

template <class Op, int kBits>
void video(Warp& w, const Step& s) {
  const uint32_t flags = s.flags;
  constexpr uint32_t kMask = (1u << kBits) - 1;
  auto part = [](uint32_t bits, bool is_signed) {
    return is_signed ? int32_t(bits << (32 - kBits)) >> (32 - kBits) : int32_t(bits & kMask);
  };
  const int low = flags & kSignedD ? -(1 << (kBits - 1)) : 0;
  const int high = flags & kSignedD ? (1 << (kBits - 1)) - 1 : int(kMask);
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(w, s, [&](uint32_t a, uint32_t b, uint32_t c) {
    uint32_t d = flags & kSumsParts ? c : 0;
    for (int at = 0; at < 32; at += kBits) {
      int r = Op::of(part(a >> at, flags & kSignedA), part(b >> at, flags & kSignedB));
      if (flags & kSaturatesParts)
        r = std::clamp(r, low, high);
      if (flags & kSumsParts)
        d += uint32_t(part(uint32_t(r), flags & kSignedD));
      else
        d |= (uint32_t(r) & kMask) << at;
    }
    return d;
  });
}
// .dtype.atype.btype{.sat}{.add} d, a, b, c, of all parts.
template <class Op, int kBits>
void build_video(Builder& b) {
  uint32_t flags = 0;
  for (uint32_t flag : {kSignedD, kSignedA, kSignedB}) {
    const int is_signed = b.take_one_of({"u32", "s32"});
    if (is_signed < 0)
      b.fail("expected three types, .u32 or .s32");
    flags |= is_signed ? flag : 0;
  }
  flags |= b.take("sat") ? kSaturatesParts : 0u;
  flags |= b.take("add") ? kSumsParts : 0u;
  emit_plain(b, Type::B32, 3, &video<Op, kBits>).flags = flags;
}

constexpr StepClass kClass = StepClass::Integer;
constexpr InstructionRow kRows[] = {
    {"vadd2", kClass, build_video<Add, 16>},
    {"vadd4", kClass, build_video<Add, 8>},
    {"vsub2", kClass, build_video<Sub, 16>},
    {"vsub4", kClass, build_video<Sub, 8>},
    {"vavrg2", kClass, build_video<Average, 16>},
    {"vavrg4", kClass, build_video<Average, 8>},
    {"vabsdiff2", kClass, build_video<AbsoluteDifference, 16>},
    {"vabsdiff4", kClass, build_video<AbsoluteDifference, 8>},
    {"vmin2", kClass, build_video<Min, 16>},
    {"vmin4", kClass, build_video<Min, 8>},
    {"vmax2", kClass, build_video<Max, 16>},
    {"vmax4", kClass, build_video<Max, 8>}};
}   // namespace

InstructionTable video_instructions() { return {kRows, std::size(kRows)}; }
}   // namespace spectral::cpu::ptx
